"""What the data must satisfy before anyone trains on it.

Statistics are made in plain columns (documents, corpus, tokens, labels), Great Expectations compares them
with the bounds of ``params.yaml: checks`` (suites), and a Report tells what failed, how, where and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from textmill.checks.report import Report
from textmill.params import Params

if TYPE_CHECKING:
    from textmill.records import Example

__all__ = ["Report", "check_corpus", "check_tokens"]


def check_corpus(params: Params, corpus: Path, tasks: Mapping[str, Path]) -> Report:
    """Check the curated corpus in ``corpus`` and the labelled data of each task (name -> folder)."""
    from textmill.checks import corpus as whole
    from textmill.checks import documents, labels, overlap, profile, report
    from textmill.checks.definitions import CORPUS, DOCUMENTS, LABELS
    from textmill.records import read_jsonl

    kept = documents.read(corpus)
    examples = _examples(tasks)
    statistics = documents.table(kept, params.corpus)
    once = documents.once(kept)
    held_out = overlap.HeldOut(examples, params.corpus.decontamination)
    contaminated, in_corpus = held_out.match(once)
    mine = profile.profile(kept)
    reference = profile.Profile.read(Path(params.checks.reference)) if params.checks.reference else None
    dropped = whole.read_dropped(corpus)
    tables = {"documents": statistics}
    tables |= whole.tables(once, statistics, dropped, contaminated, params, mine, reference)
    aside = {name: folder / "skipped.jsonl" for name, folder in tasks.items()}
    skipped = {name: list(read_jsonl(path)) for name, path in aside.items() if path.exists()}
    tables |= labels.tables(examples, params.tasks, in_corpus, skipped)
    return report.check(tables, DOCUMENTS + CORPUS + LABELS, params.checks, mine)


def check_tokens(
    params: Params, tokenizer: Path, tokens: Path, corpus: Path, tasks: Mapping[str, Path]
) -> Report:
    """Check the tokenizer in ``tokenizer``, the ids in ``tokens`` against the texts of ``corpus``, and how
    long the examples of each task (name -> folder) are."""
    from textmill.checks import report
    from textmill.checks.definitions import TOKENS
    from textmill.checks.tokens import tables

    return report.check(
        tables(tokenizer, tokens, corpus, _examples(tasks), params.checks.sample), TOKENS, params.checks
    )


def _examples(tasks: Mapping[str, Path]) -> dict[str, dict[str, list[Example]]]:
    """The labelled examples by task and split."""
    from textmill.records import read_examples

    return {
        name: {split: list(read_examples(folder, split)) for split in ("train", "dev", "test")}
        for name, folder in tasks.items()
    }
