"""The table of documents: clean ones are inside all bounds; what is counted and what is not."""

from __future__ import annotations

from typing import Any

import polars as pl

from textmill.checks import documents
from textmill.checks.definitions import DOCUMENTS
from textmill.params import Params

ROW = 4  # the English document that is spoilt


def outside(statistics: pl.DataFrame, params: Params) -> dict[str, list[str]]:
    """Name of each check -> ids of the rows outside its bounds."""
    found = {}
    for definition in DOCUMENTS:
        bounds = getattr(params.checks.document, definition.name)
        value = pl.col(definition.name)
        wrong = pl.lit(False)
        if bounds.min is not None:
            wrong |= value < bounds.min
        if bounds.max is not None:
            wrong |= value > bounds.max
        ids = statistics.filter(wrong)["id"].to_list()
        if ids:
            found[definition.name] = ids
    return found


def spoil(clean: pl.DataFrame, **columns: Any) -> pl.DataFrame:
    """The clean documents with columns of one row replaced."""
    place = pl.int_range(pl.len()) == ROW
    return clean.with_columns(
        pl.when(place).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in columns.items()
    )


def test_a_clean_corpus_is_inside_every_bound(clean: pl.DataFrame, params: Params) -> None:
    statistics = documents.table(clean, params.corpus)
    assert {definition.name for definition in DOCUMENTS} <= set(statistics.columns)
    assert outside(statistics, params) == {}


def test_copies_name_each_other(clean: pl.DataFrame, params: Params) -> None:
    copied = spoil(clean, text=clean["text"][8])
    found = outside(documents.table(copied, params.corpus), params)
    assert set(found["duplicate_text"]) == {clean["id"][ROW], clean["id"][8]}
    same_id = spoil(clean, id=clean["id"][8])
    assert len(outside(documents.table(same_id, params.corpus), params)["duplicate_id"]) == 2


def test_a_document_sampled_twice_is_no_duplicate(clean: pl.DataFrame, params: Params) -> None:
    copy = clean.head(1).with_columns(pl.format("{}.1", "id").alias("id"))
    twice = pl.concat([clean, copy])
    assert outside(documents.table(twice, params.corpus), params) == {}
    assert documents.once(twice).height == clean.height


def test_a_line_that_many_documents_share_is_boilerplate(clean: pl.DataFrame, params: Params) -> None:
    many = params.corpus.text.boilerplate_documents
    footer = pl.col("text") + "\nAll rights reserved."
    for count, expected in ((many - 1, 0), (many, many)):
        dirty = clean.with_columns(
            pl.when(pl.int_range(pl.len()) < count).then(footer).otherwise("text").alias("text")
        )
        assert documents.table(dirty, params.corpus)["boilerplate_lines"].sum() == expected


def test_chinese_is_not_measured_by_spaces(clean: pl.DataFrame, params: Params) -> None:
    """A Chinese paragraph has no space in it and is no long word."""
    long = clean["text"][1] * 3
    statistics = documents.table(spoil(clean, text=long, language="zh"), params.corpus)
    assert statistics["longest_word"][ROW] == 0
    assert statistics["letters"][ROW] > 0.9


def test_a_missing_column_leaves_its_statistic_out(clean: pl.DataFrame, params: Params) -> None:
    statistics = documents.table(clean.drop("confidence"), params.corpus)
    assert "language_confidence" not in statistics.columns
    assert "characters" in statistics.columns
