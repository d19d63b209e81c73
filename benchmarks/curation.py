"""Agreement with datatrove rule by rule, and speed side by side in one run.

    python -m benchmarks.curation --datatrove ENVIRONMENT/bin/python [--root FOLDER]

The environment is one of its own with ``datatrove[processing,io]``, spacy, jieba and ``xxhash<4``. The texts
are those that the overlays ``english`` and ``chinese`` ingest from FOLDER; without it the docstrings of the
standard library serve. Prints two tables. Times are of one process's processor: a busy machine changes rates
more than ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from textmill import experiments, params
from textmill.corpus import curate, duplicates, ingest, rules
from textmill.corpus.codes import Codes
from textmill.corpus.docstrings import docstrings
from textmill.corpus.ingestion import shards
from textmill.corpus.signals import measure
from textmill.corpus.text import clean
from textmill.params import NearDuplicates, QualityRule
from textmill.records import write_jsonl

SPEC = NearDuplicates(shingle=5, bands=14, rows=8, similarity=0.7)
# The bounds that datatrove publishes as its defaults.
BOUNDS: dict[str, QualityRule] = {
    "gopher_words": QualityRule(min=50, max=100000),
    "gopher_word_length": QualityRule(min=3, max=10),
    "gopher_hashes": QualityRule(max=0.1),
    "gopher_ellipses": QualityRule(max=0.1),
    "gopher_bullet_lines": QualityRule(max=0.9),
    "gopher_ellipsis_lines": QualityRule(max=0.3),
    "gopher_alphabetic_words": QualityRule(min=0.8),
    "gopher_stop_words": QualityRule(min=2),
    "gopher_duplicate_lines": QualityRule(max=0.3),
    "gopher_duplicate_paragraphs": QualityRule(max=0.3),
    "gopher_duplicate_line_characters": QualityRule(max=0.2),
    "gopher_duplicate_paragraph_characters": QualityRule(max=0.2),
    "c4_sentences": QualityRule(min=5),
    "c4_curly_brackets": QualityRule(max=0),
    "c4_lorem_ipsum": QualityRule(max=0),
    "fineweb_line_punctuation": QualityRule(min=0.12),
    "fineweb_short_lines": QualityRule(max=0.67),
    "fineweb_duplicate_line_characters": QualityRule(max=0.01),
    "fineweb_newlines": QualityRule(max=0.3),
    **{f"gopher_top_{n}gram": QualityRule(max=b) for n, b in ((2, 0.2), (3, 0.18), (4, 0.16))},
    **{f"gopher_duplicate_{n}grams": QualityRule(max=round(0.2 - n / 100, 2)) for n in range(5, 11)},
}


def words(texts: list[str]) -> list[list[str]]:
    """The words that textmill counts."""
    codes = Codes(texts)
    first = codes.words.first
    starts = codes.words.starts - codes.starts[codes.words.text]
    ends = codes.words.ends - codes.starts[codes.words.text]
    return [
        [text[a:b] for a, b in zip(starts[low:high].tolist(), ends[low:high].tolist(), strict=True)]
        for text, low, high in zip(texts, first[:-1], first[1:], strict=True)
    ]


def decide(texts: list[str]) -> dict[str, np.ndarray]:
    """For each rule which texts it drops, all taken for English."""
    figures = measure(texts).with_columns(language=pl.lit("en"), unspaced=pl.lit(0.0))
    decided = figures.select(rules.outside(name, bounds).alias(name) for name, bounds in BOUNDS.items())
    return {name: decided[name].to_numpy() for name in BOUNDS}


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def near_duplicates(texts: list[str]) -> None:
    found = duplicates.signatures(texts, SPEC)
    left, right, _ = duplicates.pairs(duplicates.bands(found.values, SPEC), found.values, SPEC.similarity)
    duplicates.components(len(texts), left, right)


def whole(texts: list[str], language: str, base: params.Params) -> None:
    """Ingest and curate with all rules, near duplicates and personal data, files and all."""
    corpus = base.corpus.model_dump(mode="json")
    with tempfile.TemporaryDirectory() as folder:
        write_jsonl(Path(folder) / "in.jsonl", ({"text": text} for text in texts))
        corpus["sources"] = {
            "all": {
                "format": "jsonl", "path": f"{folder}/in.jsonl", "text_field": "text", "licence": "none",
            }
        }  # fmt: skip
        corpus["quality"] = {name: rule.model_dump() for name, rule in BOUNDS.items()}
        corpus["language"]["wanted"] = [language]
        spec = base.model_copy(update={"corpus": params.Corpus.model_validate_json(json.dumps(corpus))})
        ingest(spec, Path(folder) / "documents")
        curate(spec, Path(folder) / "documents", {}, Path(folder) / "corpus")


def compare(texts: list[str], python: str, language: str) -> dict[str, Any]:
    """Both sides over the same texts: megabytes a second of processor time, and the agreement by rule."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    base = params.load()
    measure(texts[:50])  # the tables of code points
    ours = {
        "rules": min(seconds(lambda: decide(texts)) for _ in range(3)),
        "minhash": min(seconds(lambda: near_duplicates(texts)) for _ in range(3)),
        "whole": min(seconds(lambda: whole(texts, language, base)) for _ in range(2)),
    }
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.jsonl", Path(folder) / "out.json"
        write_jsonl(
            source, ({"text": text, "words": row} for text, row in zip(texts, words(texts), strict=True))
        )
        program = Path(__file__).with_name("datatrove_reference.py")
        code = {"en": "eng", "zh": "cmn_Hani"}[language]
        subprocess.run(
            [python, str(program), str(source), str(target), code],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        theirs = json.loads(target.read_text())
    agreement = {}
    mine = decide(texts) if theirs["decisions"] else {}
    for name, dropped in theirs["decisions"].items():
        here = np.any([mine[part] for part in name.split("+")], axis=0)
        there = np.array(dropped)
        agreement[name] = {
            "agree": float((here == there).mean()),
            "ours": int(here.sum()),
            "theirs": int(there.sum()),
            "apart": np.flatnonzero(here != there).tolist(),
        }
    times = theirs["seconds"]
    rates = {
        name: {"ours": size / ours[name], "datatrove": size / times[name], "ratio": times[name] / ours[name]}
        for name in ours
    }
    return {"megabytes": size, "documents": len(texts), "rates": rates, "agreement": agreement}


def show(title: str, result: dict[str, Any]) -> None:
    print(f"\n{title}: {result['documents']} documents, {result['megabytes']:.1f} MB\n")
    print("| work | textmill MB/s | datatrove MB/s | ratio |\n|---|---|---|---|")
    for name, row in result["rates"].items():
        print(f"| {name} | {row['ours']:.1f} | {row['datatrove']:.3f} | {row['ratio']:.0f} |")
    if result["agreement"]:
        print("\n| rule | agreement | dropped by textmill | by datatrove |\n|---|---|---|---|")
        for name, row in result["agreement"].items():
            print(f"| {name} | {row['agree']:.4f} | {row['ours']} | {row['theirs']} |")


def corpus(overlay: str, root: Path, shortest: int, megabytes: float) -> list[str]:
    """Texts that an overlay ingests, of ``shortest`` characters and more, in the order of their ids."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        subprocess.run(["git", "clone", "-q", ".", str(project)], check=True)
        experiments.write_params(overlay, project, str(root.resolve()))
        output = Path(folder) / "documents"
        ingest(params.load(project / "params.yaml"), output)
        table = pl.concat(pl.read_parquet(path, columns=["id", "text"]) for path in shards(output))
    long = table.filter(pl.col("text").str.len_chars() >= shortest).sort("id")
    size = pl.col("text").str.len_bytes().cum_sum()
    return long.filter(size <= megabytes * 1e6)["text"].to_list()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--datatrove", required=True, help="Python of the environment that has datatrove")
    parser.add_argument("--root", type=Path, help="folder of the data sets that the overlays read")
    parser.add_argument("--json", type=Path, help="also write the results here")
    arguments = parser.parse_args()
    texts = {"English": ("en", [clean(text, mend_mojibake=False) for _, _, text in docstrings()])}
    if arguments.root:
        texts = {
            "English": ("en", corpus("english", arguments.root, 600, 6)),
            "Chinese": ("zh", corpus("chinese", arguments.root, 200, 6)),
        }
    results = {}
    for title, (language, found) in texts.items():
        results[title] = compare(found, arguments.datatrove, language)
        show(title, results[title])
    if arguments.json:
        arguments.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
