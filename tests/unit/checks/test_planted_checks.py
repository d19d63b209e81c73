"""Scored on the sample before curation: each planted defect is found by the check that watches it."""

from __future__ import annotations

from collections import defaultdict

import polars as pl
import pytest

from textmill import sample
from textmill.checks import documents, overlap
from textmill.corpus.language import identify
from textmill.params import Params

Truth = dict[str, set[int]]
# Kind of defect -> the checks that watch for it.
WATCHED = {
    "mojibake": ("mojibake",),
    "boilerplate": ("boilerplate_lines",),
    "personal": ("personal_data",),
    "foreign": ("language_unwanted",),
    "exact_duplicate": ("duplicate_text",),
    "gibberish": ("surprise", "letters", "digits", "repeated_ngrams", "language_unwanted"),
}


@pytest.fixture(scope="module")
def raw(params: Params) -> tuple[pl.DataFrame, Truth, list[dict[str, object]]]:
    """The sample's documents, and the rows of each kind of defect."""
    texts = sample.documents(params.seed, params.sample)
    planted = sample.planted(params.seed, params.sample)
    frame = pl.DataFrame({"text": texts}).with_columns(
        id=pl.int_range(pl.len()).cast(pl.String),
        source=pl.lit("world"), licence=pl.lit("Apache-2.0"), split=pl.lit("train"),
    )  # fmt: skip
    kinds: Truth = defaultdict(set)
    for row in planted:
        kind = "personal" if row["kind"] in ("email", "phone", "id_number") else row["kind"]
        kinds[kind].add(row["index"])
    return pl.concat([frame, identify(texts)], how="horizontal"), kinds, planted


@pytest.mark.slow
def test_recall_and_precision_of_the_checks(
    raw: tuple[pl.DataFrame, Truth, list[dict[str, object]]], params: Params
) -> None:
    frame, kinds, planted = raw
    statistics = documents.table(frame, params.corpus)
    spoilt = set().union(*kinds.values())
    # Both the copy and the document that it copies are named.
    originals = {row["of"] for row in planted if row["of"] is not None}
    for kind, checks in WATCHED.items():
        found: set[int] = set()
        for name in checks:
            bounds = getattr(params.checks.document, name)
            value = pl.col(name)
            wrong = value > bounds.max if bounds.max is not None else value < bounds.min
            found |= {int(row) for row in statistics.filter(wrong)["id"]}
        assert len(found & kinds[kind]) >= 0.99 * len(kinds[kind]), kind
        assert len(found - spoilt - originals) <= 0.01 * len(found), kind


@pytest.mark.slow
def test_near_copies_and_test_texts_are_found(
    raw: tuple[pl.DataFrame, Truth, list[dict[str, object]]], params: Params
) -> None:
    frame, kinds, planted = raw
    pairs = overlap.near_duplicates(frame, params.checks.near_duplicate)
    found = {frozenset((int(a), int(b))) for a, b in pairs.select("id", "other").iter_rows()}
    near = [row for row in planted if row["kind"] == "near_duplicate"]
    hit = sum(frozenset((row["index"], row["of"])) in found for row in near)
    assert hit >= 0.99 * len(near)
    assert all(pair & set().union(*kinds.values()) for pair in found)
    tasks = {name: sample.examples(params.seed, params.sample, name) for name in params.tasks}
    held_out = overlap.HeldOut(tasks, params.corpus.decontamination)
    documents_found = {int(row) for rows in held_out.match(frame)[0].values() for row in rows}
    assert documents_found == kinds["contamination"]
