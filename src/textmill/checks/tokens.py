"""The tables of the tokens: a row a split, a language, a document, a task, and one of the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from textmill.checks.documents import SPLITS, read
from textmill.checks.profile import divergence
from textmill.records import Example, example_texts, read_json

Ids = NDArray[np.int64]
SHOWN = 5
MOST = 0.95  # of a split's examples: the few that are longest may be cut


def tables(
    tokenizer: Path,
    tokens: Path,
    corpus: Path,
    tasks: Mapping[str, Mapping[str, list[Example]]],
    sample: int,
) -> dict[str, pl.DataFrame]:
    """Every table of the tokens level; ``sample`` documents are decoded and encoded again.

    ``tasks``: the labelled examples by task and split.
    """
    from textmill.tokenizer import load

    writer = load(tokenizer)
    packs = {split: Pack(tokens, split) for split in SPLITS}
    special = np.array(sorted(writer.all_special_ids), np.int64)
    size = len(writer)
    documents = _documents(packs, corpus, writer, sample)
    return {
        "token_splits": _splits(packs, special, writer.eos_token_id, size),
        "token_documents": documents.select("id", "document_tokens", "round_trip"),
        "token_languages": _languages(documents),
        "token_tasks": _tasks(tasks, writer),
        "vocabulary": _vocabulary(packs, writer, special, size),
    }


class Pack:
    """The packed ids of one split, as the tokenize stage wrote them."""

    def __init__(self, folder: Path, split: str) -> None:
        self.about: dict[str, Any] = read_json(folder / f"{split}.json")
        path = folder / f"{split}.bin"
        kind = np.dtype(self.about["dtype"])
        # A file cut off in the middle of an id is measured, not met with an exception.
        self.size = path.stat().st_size / kind.itemsize
        self.flat = np.fromfile(path, kind).astype(np.int64)
        self.offsets = np.fromfile(folder / f"{split}.offsets.bin", np.uint64).astype(np.int64)
        self.ids: list[str] = self.about["ids"]

    @property
    def whole(self) -> bool:
        """Whether offsets and ids agree, so that documents can be cut out."""
        return (
            len(self.offsets) == len(self.ids) + 1
            and bool((np.diff(self.offsets) >= 0).all())
            and int(self.offsets[-1]) <= len(self.flat)
        )

    def documents(self) -> list[Ids]:
        """The ids of each document, its end mark included; none where the files disagree."""
        if not self.whole:
            return []
        return np.split(self.flat[self.offsets[0] : self.offsets[-1]], self.offsets[1:-1])


def _splits(packs: dict[str, Pack], special: Ids, end: int, size: int) -> pl.DataFrame:
    """A row a split: tokens, and what in its files does not fit together."""
    rows = []
    for split, pack in packs.items():
        row: dict[str, Any] = {
            "id": split,
            "tokens": len(pack.flat),
            "packed_length": abs(pack.size - pack.about["tokens"])
            + abs(pack.size - (pack.offsets[-1] if len(pack.offsets) else 0))
            + abs(len(pack.offsets) - 1 - len(pack.ids)),
            "ids_in_range": int((pack.flat >= size).sum()),
        }
        if pack.whole:
            row |= _marks(pack, special, end)
        rows.append(row)
    numbers = ("tokens", "packed_length", "ids_in_range", "special_tokens", "document_ends")
    ids = ("special_tokens:ids", "document_ends:ids")
    schema: dict[str, Any] = {
        "id": pl.String,
        **dict.fromkeys(numbers, pl.Float64),
        **dict.fromkeys(ids, pl.List(pl.String)),
    }
    return pl.DataFrame(rows, schema=schema, strict=False)


def _marks(pack: Pack, special: Ids, end: int) -> dict[str, Any]:
    """Special tokens anywhere but at the end of a document, and documents that do not end with the mark."""
    last = pack.offsets[1:] - 1
    filled = np.diff(pack.offsets) > 0
    open_ended = ~filled
    open_ended[filled] = pack.flat[last[filled]] != end
    inside = np.isin(pack.flat, special)
    inside[last[filled & ~open_ended]] = False
    owners = np.unique(np.searchsorted(pack.offsets, np.flatnonzero(inside), side="right") - 1)
    return {
        "special_tokens": int(inside.sum()),
        "special_tokens:ids": [pack.ids[row] for row in owners[:SHOWN] if row < len(pack.ids)],
        "document_ends": int(open_ended.sum()),
        "document_ends:ids": [pack.ids[row] for row in np.flatnonzero(open_ended)[:SHOWN]],
    }


def _documents(packs: dict[str, Pack], corpus: Path, writer: Any, sample: int) -> pl.DataFrame:
    """A row a document: its tokens, and of the first ``sample`` by id whether decoding gives it back."""
    frames = []
    for split, pack in packs.items():
        documents = pack.documents()
        unknown = writer.unk_token_id
        frames.append(
            pl.DataFrame(
                {
                    "id": pack.ids if documents else [],
                    "document_tokens": [len(ids) for ids in documents],
                    "unknown_tokens": [int((ids == unknown).sum()) for ids in documents],
                },
                schema={"id": pl.String, "document_tokens": pl.Int64, "unknown_tokens": pl.Int64},
            ).with_columns(pl.lit(split).alias("split"))
        )
    table = pl.concat(frames)
    chosen = set(table["id"].sort().head(sample).to_list())
    texts = read(corpus).select(pl.col("id").cast(pl.String), "text", "language")
    originals = dict(texts.filter(pl.col("id").is_in(chosen)).select("id", "text").iter_rows())
    lost = {}
    for pack in packs.values():
        kept = [(name, ids) for name, ids in zip(pack.ids, pack.documents(), strict=False) if name in chosen]
        decoded = writer.batch_decode(
            [ids[:-1] for _, ids in kept], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        for (name, _), text in zip(kept, decoded, strict=True):
            lost[name] = int(text != originals.get(name))
    return table.with_columns(
        pl.col("id").replace_strict(lost, default=None, return_dtype=pl.Int64).alias("round_trip")
    ).join(
        texts.select("id", "language", pl.col("text").str.len_bytes().alias("bytes")), on="id", how="left",
        maintain_order="left",
    )  # fmt: skip


def _languages(documents: pl.DataFrame) -> pl.DataFrame:
    """A row a language: share of tokens that are unknown, bytes of text a token."""
    return (
        documents.group_by(pl.col("language").fill_null("unknown").alias("name"))
        .agg(
            (pl.col("unknown_tokens").sum() / pl.col("document_tokens").sum()).alias("unknown"),
            (pl.col("bytes").sum() / pl.col("document_tokens").sum()).alias("bytes_per_token"),
            pl.col("id").sort_by("unknown_tokens", "id", descending=[True, False]).head(SHOWN).alias("ids"),
        )
        .rename({"name": "id"})
        .sort("id")
    )


def _tasks(tasks: Mapping[str, Mapping[str, list[Example]]], writer: Any) -> pl.DataFrame:
    """A row a task and split: the tokens that MOST of its examples do not exceed, all their texts together,
    but source and target each by itself."""
    rows = []
    for name, splits in tasks.items():
        for split, examples in splits.items():
            texts = [example_texts(example) for example in examples]
            flat = [text for each in texts for text in each]
            found = iter(writer(flat, add_special_tokens=False)["input_ids"] if flat else [])
            counts = [[len(next(found)) for _ in each] for each in texts]
            lengths = [
                max(count) if "target" in example else sum(count)
                for example, count in zip(examples, counts, strict=True)
            ]
            longest = sorted(range(len(lengths)), key=lambda row: -lengths[row])[:SHOWN]
            rows.append(
                {
                    "id": f"{name}/{split}",
                    "example_tokens": float(np.quantile(lengths, MOST, method="higher")) if lengths else None,
                    "ids": [str(examples[row].get("id")) for row in longest],
                }
            )
    schema: dict[str, Any] = {"id": pl.String, "example_tokens": pl.Float64, "ids": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=schema, strict=False)


def _vocabulary(packs: dict[str, Pack], writer: Any, special: Ids, size: int) -> pl.DataFrame:
    """One row: share of the vocabulary that the corpus uses, its longest token, drift between the splits."""
    counts = {
        split: np.bincount(pack.flat[pack.flat < size], minlength=size) for split, pack in packs.items()
    }
    ordinary = np.ones(size, bool)
    ordinary[special[special < size]] = False
    used = np.stack(list(counts.values())).sum(0) > 0
    tokens = [writer.decode([index]) for index in np.flatnonzero(ordinary & used)]
    names = [str(index) for index in range(size)]
    shares = {split: dict(zip(names, row.tolist(), strict=True)) for split, row in counts.items()}
    return pl.DataFrame(
        {
            "id": ["vocabulary"],
            "vocabulary_used": [float(used[ordinary].mean()) if ordinary.any() else 0.0],
            "longest_token": [max((len(token.strip()) for token in tokens), default=0)],
            "drift_tokens": [max(divergence(shares["train"], shares[name]) for name in SPLITS[1:])],
        }
    )
