"""The quality rules by name: what each measures, on which texts, and who published it.

A rule passes where its figure lies between the ``min`` and ``max`` that ``params.yaml`` gives. Sources:

- Gopher: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
  appendix A.1.1 (quality) and table A1 (repetition);
- C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
  Transformer", section 2.2;
- FineWeb: Penedo et al. 2024, "The FineWeb Datasets: Decanting the Web for the Finest Text Data at
  Scale", section 3.6;
- textmill: our own. Those named ``unspaced_`` stand in for the rules above where words are not separated
  by spaces, and count characters instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from textmill.params import QualityRule

Scope = Literal["any", "spaced", "unspaced", "en", "zh"]


@dataclass(frozen=True)
class Rule:
    """What a rule's figure is, the texts it applies to, its source and the bounds published there."""

    scope: Scope
    source: str
    figure: str
    published: str = ""


_NGRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
_TOPS = {2: 0.20, 3: 0.18, 4: 0.16}

RULES: dict[str, Rule] = {
    "gopher_words": Rule("spaced", "Gopher", "words", "50 to 100,000"),
    "gopher_word_length": Rule("spaced", "Gopher", "mean characters of a word", "3 to 10"),
    "gopher_hashes": Rule("spaced", "Gopher", "hash signs per word", "at most 0.1"),
    "gopher_ellipses": Rule("spaced", "Gopher", "ellipses per word", "at most 0.1"),
    "gopher_bullet_lines": Rule("any", "Gopher", "share of lines that begin with a bullet", "at most 0.9"),
    "gopher_ellipsis_lines": Rule("any", "Gopher", "share of lines that end in an ellipsis", "at most 0.3"),
    "gopher_alphabetic_words": Rule("spaced", "Gopher", "share of words with a letter", "at least 0.8"),
    "gopher_stop_words": Rule("en", "Gopher", "different ones of eight English stop words", "at least 2"),
    "gopher_duplicate_lines": Rule(
        "any", "Gopher", "share of lines that repeat an earlier one", "at most 0.3"
    ),
    "gopher_duplicate_paragraphs": Rule(
        "any", "Gopher", "share of paragraphs that repeat an earlier one", "at most 0.3"
    ),
    "gopher_duplicate_line_characters": Rule(
        "any", "Gopher", "share of characters in lines that repeat an earlier one", "at most 0.2"
    ),
    "gopher_duplicate_paragraph_characters": Rule(
        "any", "Gopher", "share of characters in paragraphs that repeat an earlier one", "at most 0.2"
    ),
    **{
        f"gopher_top_{size}gram": Rule(
            "spaced", "Gopher", f"share of characters in the most frequent {size}-gram", f"at most {bound}"
        )
        for size, bound in _TOPS.items()
    },
    **{
        f"gopher_duplicate_{size}grams": Rule(
            "spaced",
            "Gopher",
            f"share of characters in {size}-grams that stand earlier too",
            f"at most {bound}",
        )
        for size, bound in _NGRAMS.items()
    },
    "c4_sentences": Rule("any", "C4", "sentences on lines that end in a terminal mark", "at least 5"),
    "c4_curly_brackets": Rule("any", "C4", "curly brackets", "at most 0"),
    "c4_lorem_ipsum": Rule("any", "C4", "occurrences of 'lorem ipsum'", "at most 0"),
    "fineweb_line_punctuation": Rule(
        "any", "FineWeb", "share of lines that end in a terminal mark", "at least 0.12"
    ),
    "fineweb_short_lines": Rule(
        "spaced", "FineWeb", "share of lines of 30 characters or fewer", "at most 0.67"
    ),
    "fineweb_duplicate_line_characters": Rule(
        "any", "FineWeb", "share of characters in lines that repeat an earlier one", "at most 0.01"
    ),
    "fineweb_newlines": Rule("spaced", "FineWeb", "line ends per word", "at most 0.3"),
    "unspaced_characters": Rule("unspaced", "textmill", "letters of a script without spaces"),
    "unspaced_letters": Rule("unspaced", "textmill", "share of letters among visible characters"),
    "unspaced_common_characters": Rule(
        "zh", "textmill", "share of letters that are among the 250 most frequent of Chinese prose"
    ),
    "unspaced_distinct_characters": Rule(
        "unspaced", "textmill", "share of different characters among the first 200"
    ),
    "unspaced_duplicate_lines": Rule(
        "unspaced", "textmill", "share of characters in lines that repeat an earlier one"
    ),
    "unspaced_top_4gram": Rule(
        "unspaced", "textmill", "share of characters in the most frequent run of four characters"
    ),
    "unspaced_duplicate_10grams": Rule(
        "unspaced", "textmill", "share of characters in runs of ten that stand earlier too"
    ),
    "characters": Rule("any", "textmill", "characters"),
    "letters": Rule("any", "textmill", "share of letters among visible characters"),
    "digits": Rule("any", "textmill", "share of digits among visible characters"),
    "symbols": Rule("any", "textmill", "share of punctuation and symbols among visible characters"),
    "replacement_characters": Rule("any", "textmill", "share of U+FFFD, where bytes were lost"),
    "longest_token": Rule("any", "textmill", "characters of the longest token"),
    "bigram_surprise": Rule(
        "spaced", "textmill", "bits per character under the character pairs of the source's other documents"
    ),
    "unspaced_bigram_surprise": Rule(
        "unspaced", "textmill", "bits per character under the character pairs of the source's other documents"
    ),
    "learned_quality": Rule(
        "any", "textmill", "probability of a good text, as a classifier has learned it from examples"
    ),
}


def applies(scope: Scope) -> pl.Expr:
    """Whether a rule of this scope looks at a document, from its language and share of unspaced script."""
    unspaced = pl.col("unspaced") > 0.5
    return {
        "any": pl.lit(True),
        "spaced": ~unspaced,
        "unspaced": unspaced,
        "en": pl.col("language") == "en",
        "zh": unspaced & (pl.col("language") == "zh"),
    }[scope]


def outside(name: str, bounds: QualityRule) -> pl.Expr:
    """Whether a document breaks the rule: its figure, as measured at ingest, is outside the bounds."""
    figure = pl.col(name)
    low = figure < bounds.min if bounds.min is not None else pl.lit(False)
    high = figure > bounds.max if bounds.max is not None else pl.lit(False)
    return applies(RULES[name].scope) & (low | high)


def first_broken(signals: pl.DataFrame, quality: Mapping[str, QualityRule]) -> pl.DataFrame:
    """The first rule, in the order of ``quality``, that each document breaks.

    signals: (documents, figures). Returns (documents, 3): ``rule``, ``figure``, ``threshold``; all null
    where no rule is broken.
    """
    rule: pl.Expr = pl.lit(None, pl.String)
    figure: pl.Expr = pl.lit(None, pl.Float64)
    threshold: pl.Expr = pl.lit(None, pl.Float64)
    for name, bounds in reversed(list(quality.items())):
        broken = outside(name, bounds)
        crossed = bounds.max if bounds.min is None else bounds.min
        limit = (
            pl.when(pl.col(name) < bounds.min).then(pl.lit(bounds.min)).otherwise(pl.lit(bounds.max))
            if bounds.min is not None and bounds.max is not None
            else pl.lit(crossed)
        )
        rule = pl.when(broken).then(pl.lit(name)).otherwise(rule)
        figure = pl.when(broken).then(pl.col(name)).otherwise(figure)
        threshold = pl.when(broken).then(limit).otherwise(threshold)
    return signals.with_columns(
        rule=rule.cast(pl.String), figure=figure.cast(pl.Float64), threshold=threshold.cast(pl.Float64)
    ).select("rule", "figure", "threshold")
