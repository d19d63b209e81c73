"""A small profile of an accepted corpus, and how far another corpus is from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from textmill.errors import UserError
from textmill.records import read_json, write_json

KEPT = 500  # characters of a language that the profile names; the rest count as one


@dataclass(frozen=True)
class Profile:
    """Shares that sum to one: of characters by language, of lengths by power of two, of the mix."""

    characters: dict[str, dict[str, float]]
    lengths: dict[str, float]
    mix: dict[str, float]

    def write(self, path: Path) -> None:
        """Keep the profile as sorted JSON, to be named by ``checks.reference`` in params.yaml."""
        write_json(path, asdict(self))

    @staticmethod
    def read(path: Path) -> Profile:
        """The profile of ``path``; raises UserError where the file is missing or is no profile."""
        try:
            return Profile(**read_json(path))
        except TypeError:
            raise UserError(
                f"{path}: not a profile of a corpus; expected characters, lengths and mix "
                "(checks.reference in params.yaml names it; validate writes reports/profile.json)"
            ) from None


def profile(documents: pl.DataFrame) -> Profile:
    """The profile of a table of documents (text, source, language)."""
    language = pl.col("language") if "language" in documents.columns else pl.lit("unknown").alias("language")
    frame = documents.select(
        "text", pl.col("source").fill_null("unknown"), language.fill_null("unknown")
    ).with_columns(pl.col("text").fill_null(""))
    characters = {}
    for (name,), rows in sorted(frame.partition_by("language", as_dict=True).items()):
        counts: Counter[str] = Counter()
        for text in rows["text"]:
            counts.update(text)
        characters[str(name)] = _shares(counts)
    lengths = frame.select(pl.col("text").str.len_chars().clip(1).log(2).floor().cast(pl.Int64))["text"]
    mix = frame.group_by("source", "language").agg(pl.col("text").str.len_chars().sum())
    return Profile(
        characters,
        _shares(Counter({f"{2 ** int(power)}": n for power, n in lengths.value_counts().iter_rows()})),
        _shares(Counter({f"{source}/{name}": n for source, name, n in mix.iter_rows()})),
    )


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = sum(counts.values())
    if not total:
        return {}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shares = {name: round(count / total, 6) for name, count in ranked[:KEPT]}
    rest = sum(count for _, count in ranked[KEPT:])
    if rest:
        shares["rest"] = round(rest / total, 6)
    return shares


def divergence(first: Mapping[str, float] | None, second: Mapping[str, float] | None) -> float:
    """Jensen-Shannon divergence in bits, from 0 (the same) to 1 (nothing in common) (Lin 1991).

    What is missing altogether (a language that is new or gone) counts as nothing in common.
    """
    if not first or not second:
        return 0.0 if not first and not second else 1.0
    total_first, total_second = sum(first.values()), sum(second.values())
    result = 0.0
    for key in sorted({*first, *second}):
        p, q = first.get(key, 0.0) / total_first, second.get(key, 0.0) / total_second
        middle = (p + q) / 2
        result += sum(0.5 * share * math.log2(share / middle) for share in (p, q) if share > 0)
    return round(max(result, 0.0), 6)
