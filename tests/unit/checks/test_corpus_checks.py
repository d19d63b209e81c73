"""The tables of the corpus level: what each figure is on good data, and on data spoilt in one way."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from textmill.checks import corpus, documents, overlap, profile
from textmill.params import NearDuplicate, Params

Tables = dict[str, pl.DataFrame]
Make = Callable[..., Tables]
NEAR = NearDuplicate(shingle=5, similarity=0.9)


@pytest.fixture
def make(params: Params, tasks: dict[str, Any]) -> Make:
    """Builds the tables of a corpus."""

    def tables(kept: pl.DataFrame, dropped: int = 24, reference: profile.Profile | None = None) -> Tables:
        rules = pl.DataFrame({"id": [f"gone{i}" for i in range(dropped)], "rule": ["language"] * dropped})
        held_out = overlap.HeldOut(tasks, params.corpus.decontamination)
        contaminated, _ = held_out.match(kept)
        statistics = documents.table(kept, params.corpus)
        return corpus.tables(kept, statistics, rules, contaminated, params, profile.profile(kept), reference)

    return tables


def value(tables: Tables, table: str, row: str, column: str) -> Any:
    return tables[table].filter(pl.col("id") == row)[column][0]


def with_row(frame: pl.DataFrame, row: int, **columns: Any) -> pl.DataFrame:
    place = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(place).then(pl.lit(new)).otherwise(pl.col(name)).alias(name) for name, new in columns.items()
    )


def test_figures_of_a_clean_corpus(clean: pl.DataFrame, make: Make) -> None:
    tables = make(clean)
    assert value(tables, "splits", "train", "documents") == (clean["split"] == "train").sum()
    assert tables["splits"]["exact_leakage"].to_list() == [0, 0, 0]
    assert tables["splits"]["near_leakage"].to_list() == [0, 0, 0]
    assert value(tables, "corpus", "corpus", "near_duplicates") == 0
    assert value(tables, "corpus", "corpus", "kept") == pytest.approx(240 / 264)
    assert value(tables, "rules", "language", "dropped_by_rule") == pytest.approx(24 / 264)
    assert value(tables, "sources", "world", "source_share") == 1
    assert tables["languages"]["language_share"].sum() == pytest.approx(1)
    assert tables["tasks"]["contamination"].to_list() == [0] * 6
    assert value(tables, "corpus", "corpus", "vocabulary_growth") > 1


def test_an_exact_copy_across_splits_leaks(clean: pl.DataFrame, make: Make) -> None:
    row = clean.with_row_index().filter(pl.col("split") == "test")["index"][0]
    tables = make(with_row(clean, row, text=clean["text"][2]))
    assert value(tables, "splits", "test", "exact_leakage") == 1
    assert value(tables, "splits", "test", "exact_leakage:ids").to_list() == [clean["id"][row]]
    assert value(tables, "splits", "validation", "exact_leakage") == 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_near_copy_across_splits_leaks(language: str, clean: pl.DataFrame, make: Make) -> None:
    split = "validation"
    place = clean.with_row_index().filter((pl.col("split") == split) & (pl.col("language") == language))
    row = place["index"][0]
    original = clean.filter((pl.col("split") == "train") & (pl.col("language") == language))["text"][0]
    near = original[:-1] + (" again and again." if language == "en" else "又一次。")
    tables = make(with_row(clean, row, text=near))
    assert value(tables, "splits", split, "exact_leakage") == 0
    assert value(tables, "splits", split, "near_leakage") == 1
    assert value(tables, "corpus", "corpus", "near_duplicates") == pytest.approx(2 / 240)


def test_near_duplicates_are_those_of_a_full_comparison() -> None:
    """The prefix filter loses no pair: against the Jaccard of all pairs."""
    draw = random.Random(3)
    words = [f"w{i}" for i in range(60)]
    texts = []
    for _ in range(40):
        base = [draw.choice(words) for _ in range(draw.randrange(20, 60))]
        texts.append(" ".join(base))
        for _ in range(3):
            copy = list(base)
            for _ in range(draw.randrange(0, 3)):
                copy[draw.randrange(len(copy))] = draw.choice(words)
            texts.append(" ".join(copy))
    frame = pl.DataFrame({"id": [f"{i:03d}" for i in range(len(texts))], "text": texts, "split": "train"})
    sets = [{tuple(t.split()[i : i + 3]) for i in range(len(t.split()) - 2)} for t in texts]
    expected = {
        (i, j)
        for i in range(len(texts))
        for j in range(i + 1, len(texts))
        if len(sets[i] & sets[j]) >= 0.7 * len(sets[i] | sets[j])
    }
    found = overlap.near_duplicates(frame, NearDuplicate(shingle=3, similarity=0.7))
    pairs = {tuple(sorted((int(a), int(b)))) for a, b in found.select("id", "other").iter_rows()}
    # Of documents with the same set, only the first is compared with others.
    leaders = {i: next(j for j in range(i + 1) if sets[j] == sets[i]) for i in range(len(texts))}
    assert {(i, j) for i, j in expected if leaders[i] == i and leaders[j] == j} <= pairs
    assert pairs <= expected
    assert {(leaders[i], i) for i in leaders if leaders[i] != i} <= pairs


def test_a_test_text_in_the_corpus_is_contamination(
    clean: pl.DataFrame, make: Make, tasks: dict[str, Any], params: Params
) -> None:
    text = tasks["sentiment"]["test"][3]["text"]
    dirty = with_row(clean, 4, text=f"Somebody wrote: {text} And so on.")
    tables = make(dirty)
    assert value(tables, "tasks", "sentiment", "contamination") == 1
    assert value(tables, "tasks", "sentiment", "contamination:ids").to_list() == [clean["id"][4]]
    assert value(tables, "tasks", "entities", "contamination") == 0
    _, examples = overlap.HeldOut(tasks, params.corpus.decontamination).match(dirty)
    assert examples["sentiment"] == {"sentiment-test-3"}


def test_a_training_text_is_no_contamination(clean: pl.DataFrame, make: Make, tasks: dict[str, Any]) -> None:
    tables = make(with_row(clean, 4, text=tasks["sentiment"]["train"][3]["text"]))
    assert tables["tasks"]["contamination"].sum() == 0


def test_a_language_that_is_gone_has_a_share_of_nothing(clean: pl.DataFrame, make: Make) -> None:
    tables = make(clean.filter(pl.col("language") == "en"))
    assert value(tables, "languages", "zh", "language_share") == 0


def test_a_source_that_is_gone_has_a_share_of_nothing(clean: pl.DataFrame, make: Make) -> None:
    tables = make(clean.with_columns(source=pl.lit("elsewhere")))
    assert value(tables, "sources", "world", "source_share") == 0
    assert value(tables, "sources", "elsewhere", "source_share") == 1


def test_split_shares_far_from_their_targets(clean: pl.DataFrame, make: Make, params: Params) -> None:
    bounds = params.checks.corpus.split_share_error
    assert bounds is not None
    assert bounds.max is not None
    assert make(clean)["splits"]["split_share_error"].max() < bounds.max
    skewed = clean.with_columns(
        split=pl.when(pl.int_range(pl.len()) < 60).then(pl.lit("test")).otherwise("split")
    )
    assert make(skewed)["splits"]["split_share_error"].max() > bounds.max


def test_a_few_giants_have_a_long_tail(clean: pl.DataFrame, make: Make) -> None:
    giant = " ".join(clean["text"].head(40).to_list()) * 30
    dirty = clean
    for row in (0, 2, 4, 6):
        dirty = with_row(dirty, row, text=f"{giant} {row}")
    assert value(make(clean), "languages", "en", "long_tail") < 2
    assert value(make(dirty), "languages", "en", "long_tail") > 50


def test_a_corpus_that_repeats_itself_brings_nothing_new(clean: pl.DataFrame, make: Make) -> None:
    few = clean["text"].head(6).to_list()
    dull = clean.with_columns(text=pl.Series([few[i % 6] for i in range(clean.height)]))
    assert value(make(dull), "corpus", "corpus", "vocabulary_growth") < 0.02


def test_no_record_of_dropped_documents_leaves_their_figures_out(clean: pl.DataFrame, params: Params) -> None:
    tables = corpus.tables(
        clean, documents.table(clean, params.corpus), None, {}, params, profile.profile(clean), None
    )
    assert "kept" not in tables["corpus"].columns
    assert "dropped_by_rule" not in tables["rules"].columns


def test_drift_is_nothing_against_itself_and_seen_where_text_changes(
    clean: pl.DataFrame, make: Make, tmp_path: Any
) -> None:
    mine = profile.profile(clean)
    mine.write(tmp_path / "profile.json")
    again = profile.Profile.read(tmp_path / "profile.json")
    assert again == mine
    same = make(clean, reference=again)
    assert same["drift"].select("drift_lengths", "drift_mix").row(0) == (0, 0)
    assert same["languages"]["drift_characters"].to_list() == [0, 0]
    shouted = make(clean.with_columns(pl.col("text").str.to_uppercase()), reference=again)
    assert value(shouted, "languages", "en", "drift_characters") > 0.5
    assert value(shouted, "languages", "zh", "drift_characters") == 0
    cut = make(clean.with_columns(pl.col("text").str.head(40)), reference=again)
    assert value(cut, "drift", "reference", "drift_lengths") > 0.5
    fewer = make(clean.filter(pl.col("language") == "en"), reference=again)
    assert value(fewer, "drift", "reference", "drift_mix") > 0.05
    unmeasured = make(clean)
    assert unmeasured["drift"].row(0)[1:] == (None, None)


def test_divergence_is_symmetric_and_bounded() -> None:
    assert profile.divergence({"a": 1.0}, {"b": 1.0}) == 1
    assert profile.divergence({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}) == 0
    first, second = {"a": 0.9, "b": 0.1}, {"a": 0.2, "b": 0.8}
    assert profile.divergence(first, second) == profile.divergence(second, first)
    assert profile.divergence(None, first) == 1
