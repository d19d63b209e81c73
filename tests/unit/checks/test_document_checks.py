"""Each check on documents: clean ones are inside its bounds, a planted defect is outside of exactly that."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from textmill.checks import documents
from textmill.checks.definitions import DOCUMENTS
from textmill.params import Params

ROW = 4  # the English document that is spoilt
PROSE = "Every morning the teacher opened a window and the children walked across the quiet garden. "


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


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("characters", "Too short"),
        ("replacement_characters", PROSE + "caf\ufffd"),
        ("mojibake", PROSE + "It cost five pounds at the cafÃ© near the river."),
        ("mojibake", "æˆ‘ä»¬åœ¨åŸŽå¸‚é‡Œçœ‹è§… " + PROSE),
        ("mojibake", PROSE + "锟斤拷锟斤拷"),
        ("control_characters", PROSE + "\x07"),
        ("not_normalised", PROSE + "cafe\u0301"),
        ("letters", PROSE + "+-/ " * 40),
        ("digits", PROSE + "2024 1987 " * 5),
        ("whitespace", PROSE + " " * 60),
        ("repeated_lines", "\n".join([PROSE, *["Read more about the garden"] * 4])),
        ("repeated_ngrams", "Buy now and save. " * 30),
        ("urls", "Read https://example.org/a/very/long/address/of/a/page today."),
        ("markup", PROSE + "<br/>"),
        ("markup", PROSE + "&nbsp;"),
        ("longest_word", PROSE + "abcdefgh" * 6),
        ("personal_data", PROSE + "Write to lena.moss@example.org soon."),
    ],
)
def test_a_planted_defect_fails_the_check_that_watches_it(
    check: str, text: str, clean: pl.DataFrame, params: Params
) -> None:
    dirty = spoil(clean, text=text)
    found = outside(documents.table(dirty, params.corpus), params)
    assert found.get(check) == [dirty["id"][ROW]]
    # Gibberish is surprising too, and a line of symbols is punctuation and no letters.
    assert set(found) - {check} <= {"surprise", "punctuation", "letters", "personal_data"}


@pytest.mark.parametrize(
    ("check", "columns"),
    [
        ("missing_fields", {"licence": None}),
        ("missing_fields", {"source": " "}),
        ("language_unwanted", {"language": "fr"}),
        ("language_confidence", {"confidence": 0.2}),
    ],
)
def test_a_wrong_column_fails_exactly_its_check(
    check: str, columns: dict[str, Any], clean: pl.DataFrame, params: Params
) -> None:
    found = outside(documents.table(spoil(clean, **columns), params.corpus), params)
    assert found == {check: [clean["id"][ROW]]}


def test_gibberish_is_surprising_in_english_and_in_chinese(clean: pl.DataFrame, params: Params) -> None:
    bounds = params.checks.document.surprise
    assert bounds is not None
    assert bounds.max is not None
    noise = "xqz kfj vwpq zzxk jqv hgfd wxyz qkjh vbnm plok " * 5
    english = documents.table(spoil(clean, text=noise), params.corpus)
    assert english["surprise"][ROW] > bounds.max
    han = "鼂龘靐齾龖麤籱纞虋讟钃鸜麷鞻韽韾頀頁頖頫顟顬" * 4
    row = ROW + 1  # a Chinese document
    dirty = clean.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(han)).otherwise("text").alias("text")
    )
    assert documents.table(dirty, params.corpus)["surprise"][row] > bounds.max


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
