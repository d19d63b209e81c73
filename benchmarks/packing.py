"""Text to packed ids: the project's packing against ``datasets.map`` and a plain loop, to the same ids.

    python -m benchmarks.packing --english FILE ... [--megabytes 32] [--json OUT]

The text is the files' paragraphs, every fourth word exchanged for another of the files until there are so
many megabytes. All contestants must give the same ids. Rates are of wall time, as some use several threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from textmill import params, tokenizer
from textmill.byte_pairs import encoder

BATCH = 1000  # documents that datasets.map hands over at a time: its default


def paragraphs(files: list[Path], megabytes: float) -> list[str]:
    """Paragraphs of the files, made many by exchanging words."""
    found = [
        text
        for file in files
        for part in file.read_text("utf-8").split("\n\n")
        if len(text := part.strip()) > 80
    ]
    words = " ".join(found).split(" ")
    rng = random.Random(1)
    texts, size = [], 0
    while size < megabytes * 1e6:
        row = rng.choice(found).split(" ")
        row[::4] = [rng.choice(words) for _ in row[::4]]
        texts.append(" ".join(row))
        size += len(texts[-1].encode())
    return texts


def by_project(corpus: Path, folder: Path, out: Path) -> np.ndarray:
    tokenizer.pack(corpus, folder, out)
    return np.fromfile(out / "train.bin", np.uint16)


def by_datasets(corpus: Path, folder: Path, out: Path) -> np.ndarray:
    """As transformers' language-modelling example: map in batches to encode, and again to group."""
    import datasets

    datasets.disable_progress_bars()
    fast = _tokenizer(folder)
    raw = datasets.Dataset.from_parquet(str(corpus / "train.parquet"), cache_dir=str(out), split="train")

    def encode(rows: dict[str, list[str]]) -> dict[str, Any]:
        ids = fast(rows["text"], add_special_tokens=False, return_attention_mask=False)["input_ids"]
        return {"input_ids": [[*row, fast.eos_token_id] for row in ids]}

    def group(rows: dict[str, list[list[int]]]) -> dict[str, Any]:
        flat = [i for row in rows["input_ids"] for i in row]
        return {"input_ids": [flat[i : i + 256] for i in range(0, len(flat), 256)]}

    encoded = raw.map(encode, batched=True, batch_size=BATCH, remove_columns=raw.column_names)
    grouped = encoded.map(group, batched=True, batch_size=BATCH)
    column = grouped.data.column("input_ids").combine_chunks()
    return np.asarray(column.flatten().to_numpy(), np.uint16)


def by_loop(corpus: Path, folder: Path, out: Path) -> np.ndarray:
    """One text after another, as nanoGPT's preparation does."""
    backend = _tokenizer(folder).backend_tokenizer
    ids: list[int] = []
    for text in tokenizer.read_texts(corpus):
        ids += backend.encode(text, add_special_tokens=False).ids
        ids.append(backend.token_to_id("</s>"))
    packed = np.array(ids, np.uint16)
    packed.tofile(out / "loop.bin")
    return packed


def _tokenizer(folder: Path) -> Any:
    fast = tokenizer.load(folder)
    fast.backend_tokenizer.encode_special_tokens = True
    return fast


CONTESTANTS: dict[str, Callable[[Path, Path, Path], np.ndarray]] = {
    "textmill pack": by_project,
    "datasets.map and grouping": by_datasets,
    "one text after another": by_loop,
}


def measure(files: list[Path], megabytes: float, rounds: int) -> dict[str, Any]:
    """MB/s of each contestant and whether its ids are the project's."""
    texts = paragraphs(files, megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    rates: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    digests: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        spec = params.Tokenizer(kind="bpe", vocabulary_size=8192, path=None)
        trained = tokenizer.train(iter(texts[: len(texts) // 4]), spec)
        trained.save_pretrained(root / "tokenizer")
        assert encoder(_tokenizer(root / "tokenizer").backend_tokenizer, 3) is not None
        table = pl.DataFrame({"text": texts}).with_columns(language=pl.lit("en"))
        for split in tokenizer.SPLITS:
            table.head(len(texts) if split == "train" else 0).write_parquet(
                root / f"{split}.parquet", row_group_size=10_000
            )
        for number in range(rounds):
            for name, run in CONTESTANTS.items():
                out = root / f"{number}-{name.replace(' ', '-')}"
                out.mkdir()
                start = time.perf_counter()
                ids = run(root, root / "tokenizer", out)
                rates[name].append(size / (time.perf_counter() - start))
                digests[name] = hashlib.blake2b(ids.tobytes()).hexdigest()
        peaks = {}
        for share in (4, 1):
            part = root / f"part-{share}"
            part.mkdir()
            for split in tokenizer.SPLITS:
                rows = len(texts) // share if split == "train" else 0
                table.head(rows).write_parquet(part / f"{split}.parquet", row_group_size=10_000)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                given = (str(part), str(root / "tokenizer"), str(part / "out"))
                peaks[f"{size / share:.0f} MB"] = pool.submit(_peak, *given).result()
    ours = next(iter(CONTESTANTS))
    return {
        "megabytes": size,
        "peak_gb": peaks,
        "documents": len(texts),
        "rates": {
            name: {
                "rate": statistics.median(found),
                "ratio": statistics.median(a / b for a, b in zip(rates[ours], found, strict=True)),
                "identical": digests[name] == digests[ours],
            }
            for name, found in rates.items()
        },
    }


def _peak(corpus: str, folder: str, out: str) -> float:
    by_project(Path(corpus), Path(folder), Path(out))
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--english", nargs="+", type=Path, required=True, help="text files")
    parser.add_argument("--megabytes", type=float, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="also write the results here")
    arguments = parser.parse_args()
    result = measure(arguments.english, arguments.megabytes, arguments.rounds)
    print(
        f"{result['documents']} documents, {result['megabytes']:.1f} MB; peak memory of a process that packs:"
    )
    for name, gigabytes in result["peak_gb"].items():
        print(f"  {name}: {gigabytes:.2f} GB")
    print("\n| | MB/s | textmill pack: times as fast | same ids |\n|---|---|---|---|")
    for name, row in result["rates"].items():
        same = "yes" if row["identical"] else "no"
        print(f"| {name} | {row['rate']:.1f} | {row['ratio']:.2f} | {same} |")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
