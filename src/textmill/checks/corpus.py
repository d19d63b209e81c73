"""The tables of the corpus: a row a split, a source, a language, a rule of curation, a task.

Made from the table of documents, so that text is read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from textmill.checks import overlap
from textmill.checks.profile import Profile, divergence
from textmill.params import Corpus, Params

SHOWN = 5  # ids that stand for a row


def tables(
    documents: pl.DataFrame,
    statistics: pl.DataFrame,
    dropped: pl.DataFrame | None,
    contaminated: Mapping[str, list[str]],
    params: Params,
    profile: Profile,
    reference: Profile | None,
) -> dict[str, pl.DataFrame]:
    """Every table of the corpus level by name (see textmill.checks.definitions)."""
    pairs = overlap.near_duplicates(documents, params.checks.near_duplicate)
    corpus = params.corpus
    return {
        "splits": _splits(statistics, documents, pairs, corpus),
        "corpus": _corpus(documents, dropped, pairs),
        "rules": _rules(documents, dropped),
        "sources": _shares(statistics, "source", tuple(corpus.sources)),
        "languages": _languages(statistics, corpus, profile, reference),
        "drift": _drift(profile, reference),
        "tasks": _tasks(contaminated),
    }


def read_dropped(corpus: Path) -> pl.DataFrame | None:
    """The dropped documents with the rule that dropped each, without their text; None where not kept."""
    path = corpus / "dropped.parquet"
    return pl.read_parquet(path, columns=["id", "rule"]) if path.exists() else None


def _splits(
    statistics: pl.DataFrame, documents: pl.DataFrame, pairs: pl.DataFrame, params: Corpus
) -> pl.DataFrame:
    """A row a split: size, distance from its target share, documents that stand in training too."""
    from textmill.checks.documents import SPLITS

    targets: dict[str, float | None] = {
        "train": 1 - params.split.validation - params.split.test,
        "validation": params.split.validation,
        "test": params.split.test,
    }
    if params.split.dates is not None:  # which say nothing of sizes
        targets = dict.fromkeys(targets)
    sizes = statistics.group_by("split").agg(
        pl.len().alias("documents"), pl.col("characters").sum(), pl.col("id").sort().head(SHOWN).alias("ids")
    )
    exact = documents.select("id", "split", pl.col("text").str.strip_chars())
    train = exact.filter(pl.col("split") == "train")
    exact_ids = exact.filter(pl.col("split") != "train").join(train, on="text", how="semi")
    near = pairs.filter((pl.col("split") == "train") != (pl.col("other_split") == "train"))
    outside = near.select(
        split=pl.when(pl.col("split") == "train").then("other_split").otherwise("split"),
        id=pl.when(pl.col("split") == "train").then("other").otherwise("id"),
    ).unique()
    return (
        pl.DataFrame(
            {"id": list(SPLITS), "target": [targets[name] for name in SPLITS]},
            schema={"id": pl.String, "target": pl.Float64},
        )
        .join(sizes, left_on="id", right_on="split", how="left")
        .join(_leaks(exact_ids, "exact_leakage"), on="id", how="left")
        .join(_leaks(outside, "near_leakage"), on="id", how="left")
        .with_columns(
            pl.col("documents", "characters", "exact_leakage", "near_leakage").fill_null(0),
        )
        .with_columns(
            (pl.col("documents") / pl.col("documents").sum() - pl.col("target"))
            .abs()
            .alias("split_share_error")
        )
        .sort("id")
    )


def _leaks(found: pl.DataFrame, name: str) -> pl.DataFrame:
    """A row a split: how many of its documents leak, and their ids."""
    return found.group_by(pl.col("split").alias("id")).agg(
        pl.col("id").n_unique().alias(name),
        pl.col("id").cast(pl.String).unique().sort().head(SHOWN).alias(f"{name}:ids"),
    )


def _corpus(documents: pl.DataFrame, dropped: pl.DataFrame | None, pairs: pl.DataFrame) -> pl.DataFrame:
    """One row: share kept, share of near duplicates, growth of the vocabulary."""
    near = sorted({*pairs["id"].to_list(), *pairs["other"].to_list()})
    row = {
        "id": ["corpus"],
        "near_duplicates": [len(near) / max(documents.height, 1)],
        "near_duplicates:ids": [near[:SHOWN]],
        "vocabulary_growth": [overlap.vocabulary_growth(documents)],
    }
    if dropped is not None:
        row["kept"] = [documents.height / max(documents.height + dropped.height, 1)]
        row["kept:ids"] = [dropped["id"].sort().head(SHOWN).to_list()]
    return pl.DataFrame(row)


def _rules(documents: pl.DataFrame, dropped: pl.DataFrame | None) -> pl.DataFrame:
    """A row a rule that dropped documents: the share of all documents that it dropped."""
    if dropped is None:
        return pl.DataFrame({"id": ["curate"]})
    total = max(documents.height + dropped.height, 1)
    return (
        dropped.group_by(pl.col("rule").alias("name"))
        .agg((pl.len() / total).alias("dropped_by_rule"), pl.col("id").sort().head(SHOWN).alias("ids"))
        .rename({"name": "id"})
        .sort("id")
    )


def _shares(statistics: pl.DataFrame, column: str, expected: tuple[str, ...]) -> pl.DataFrame:
    """A row a source or language, expected ones that are absent included: its share of the characters."""
    total = max(statistics["characters"].sum(), 1)
    found = statistics.group_by(column).agg(
        (pl.col("characters").sum() / total).alias(f"{column}_share"),
        pl.col("characters").median().alias("median_characters"),
        (pl.col("characters").quantile(0.99) / pl.col("characters").median()).alias("long_tail"),
        pl.col("id").sort().head(SHOWN).alias("ids"),
    )
    names = pl.DataFrame({"id": sorted(expected)}, schema={"id": pl.String})
    return (
        names.join(found, left_on="id", right_on=column, how="full", coalesce=True)
        .with_columns(pl.col(f"{column}_share").fill_null(0.0))
        .sort("id")
    )


def _languages(
    statistics: pl.DataFrame, params: Corpus, profile: Profile, reference: Profile | None
) -> pl.DataFrame:
    if "language" not in statistics.columns:
        return pl.DataFrame({"id": list(params.language.wanted)})
    table = _shares(statistics, "language", params.language.wanted)
    drift = [
        None
        if reference is None
        else divergence(profile.characters.get(name), reference.characters.get(name))
        for name in table["id"].to_list()
    ]
    return table.with_columns(pl.Series("drift_characters", drift, dtype=pl.Float64))


def _drift(profile: Profile, reference: Profile | None) -> pl.DataFrame:
    """One row: how far lengths and the mix moved since the last accepted corpus; null without one."""
    names = ("lengths", "mix")
    row = {
        f"drift_{name}": [
            None if reference is None else divergence(getattr(profile, name), getattr(reference, name))
        ]
        for name in names
    }
    return pl.DataFrame({"id": ["reference"], **row}, schema_overrides=dict.fromkeys(row, pl.Float64))


def _tasks(found: Mapping[str, list[str]]) -> pl.DataFrame:
    """A row a task: documents that share an n-gram with its dev or test texts."""
    return pl.DataFrame(
        {
            "id": list(found),
            "contamination": [len(ids) for ids in found.values()],
            "contamination:ids": [ids[:SHOWN] for ids in found.values()],
        },
        schema={"id": pl.String, "contamination": pl.Int64, "contamination:ids": pl.List(pl.String)},
    )
