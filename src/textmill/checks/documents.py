"""The table of documents: a row a kept document, numbers only.

Everything is measured again on the text as it was kept. A check that trusted the figures of the stage it
guards would repeat its mistakes.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import polars as pl

from textmill.checks import overlap
from textmill.checks.surprise import surprise
from textmill.corpus import privacy
from textmill.errors import UserError
from textmill.params import Corpus

SPLITS = ("train", "validation", "test")

# UTF-8 bytes shown as Latin-1 or Windows-1252 (two bytes; three bytes as in Chinese and in curly
# quotation marks), and the Chinese traces of replacement characters and of uninitialised memory in GBK.
_TAIL = "[\\x{80}-\\x{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
MOJIBAKE = f"[ÂÃÄÅÐÑ]{_TAIL}|[àáâãäåæçèéêëìíîïð]{_TAIL}{_TAIL}|锟斤拷|烫烫烫|屯屯屯"
CONTROL = r"[\x{00}-\x{08}\x{0b}\x{0c}\x{0e}-\x{1f}\x{7f}-\x{9f}]"
URL = r"(?i)\bhttps?://[^\s\p{Han}]+|\bwww\.[a-z0-9-]+\.[^\s\p{Han}]+"
MARKUP = r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>|&(?:[a-z]{2,8}|#\d{1,6});"
# A run of characters that no space, Han, kana, Thai, Lao, Khmer or Myanmar character breaks.
WORD = r"[^\s\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{P}]+"

_TEXT = pl.col("text")
_BASE = pl.col("id").cast(pl.String).str.split(".").list.first()
_LENGTH = _TEXT.str.len_chars()


def read(corpus: Path) -> pl.DataFrame:
    """The kept documents of every split, with a column ``split``; raises UserError where one is missing."""
    frames = []
    for split in SPLITS:
        path = corpus / f"{split}.parquet"
        try:
            frame = pl.read_parquet(path)
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; the stage curate makes it") from None
        frames.append(frame.with_columns(pl.lit(split).alias("split")))
    return pl.concat(frames, how="diagonal_relaxed")


def once(documents: pl.DataFrame) -> pl.DataFrame:
    """Each document once: a source that is sampled more than once has copies, ``ID.2`` after ``ID``."""
    return documents.filter(pl.col("id").cast(pl.String) == _BASE) if "id" in documents.columns else documents


def table(documents: pl.DataFrame, params: Corpus, personal_data: pl.Series | None = None) -> pl.DataFrame:
    """Statistics of each document of ``documents`` (DOCUMENT columns, ``language`` and its confidence).

    A statistic whose columns are missing is left out, so that its check reports an error and not a pass.
    """
    have = set(documents.columns)
    columns = [
        expression.alias(name) for name, (needs, expression) in _expressions(params).items() if needs <= have
    ]
    statistics = documents.select(pl.col("id").cast(pl.String), *_carried(have), *columns)
    if "text" in have:
        statistics = statistics.with_columns(
            _not_normalised(documents["text"]),
            _boilerplate(documents, params.text.boilerplate_documents),
            _personal_data(documents["text"], params.privacy),
            _repeated_ngrams(documents["text"]),
        )
        if "language" in have:
            statistics = statistics.with_columns(surprise(documents["text"], documents["language"]))
    return statistics


def _carried(have: set[str]) -> list[pl.Expr]:
    return [pl.col(name) for name in ("split", "source", "language") if name in have]


def _expressions(params: Corpus) -> dict[str, tuple[set[str], pl.Expr]]:
    """Name -> the columns that it needs and how it is computed from them."""
    text = {"text"}
    required = ("id", "text", "source", "licence", "language")
    # Shares are of the characters; an empty text has none, and its own check.
    size = pl.when(_LENGTH > 0).then(_LENGTH)
    lines = _TEXT.str.split("\n").list.eval(
        pl.element().filter(pl.element().str.contains(r"\S")).str.strip_chars()
    )
    return {
        "missing_fields": (
            set(required),
            pl.sum_horizontal(
                pl.col(name).is_null() | (pl.col(name).cast(pl.String).str.strip_chars() == "")
                for name in required
            ),
        ),
        "duplicate_id": ({"id"}, pl.len().over("id") - 1),
        "duplicate_text": ({"id", "text"}, _BASE.n_unique().over(_TEXT.str.strip_chars()) - 1),
        "characters": (text, _LENGTH),
        "replacement_characters": (text, _TEXT.str.count_matches("\ufffd", literal=True)),
        "mojibake": (text, _TEXT.str.count_matches(MOJIBAKE)),
        "control_characters": (text, _TEXT.str.count_matches(CONTROL)),
        "language_unwanted": (
            {"language"}, (~pl.col("language").is_in(list(params.language.wanted))).cast(pl.Int8),
        ),
        "language_confidence": ({"confidence"}, pl.col("confidence")),
        "letters": (text, _TEXT.str.count_matches(r"[\p{L}\p{M}]") / _TEXT.str.count_matches(r"\S")),
        "digits": (text, _TEXT.str.count_matches(r"\p{N}") / size),
        "punctuation": (text, _TEXT.str.count_matches(r"[\p{P}\p{S}]") / size),
        "whitespace": (text, _TEXT.str.count_matches(r"\s") / size),
        "repeated_lines": (text, 1 - lines.list.n_unique() / lines.list.len().clip(1)),
        "urls": (text, (_LENGTH - _TEXT.str.replace_all(URL, "").str.len_chars()) / size),
        "markup": (text, _TEXT.str.count_matches(MARKUP)),
        "longest_word": (
            text,
            _TEXT.str.extract_all(WORD).list.eval(pl.element().str.len_chars()).list.max().fill_null(0),
        ),
    }  # fmt: skip


def _not_normalised(text: pl.Series) -> pl.Series:
    """1 where the text is not in Unicode NFC (the standard library decides this faster than polars)."""
    is_normalised = unicodedata.is_normalized
    return pl.Series(
        "not_normalised",
        [None if item is None else int(not is_normalised("NFC", item)) for item in text],
        dtype=pl.Int8,
    )


def _personal_data(text: pl.Series, kinds: tuple[str, ...]) -> pl.Series:
    """Items of personal data that are left in each text, of the kinds that curation replaces."""
    _, counts = privacy.redact(text.fill_null("").to_list(), kinds)
    return pl.Series("personal_data", [sum(found.values()) for found in counts], dtype=pl.Int64)


def _repeated_ngrams(text: pl.Series) -> pl.Series:
    """Share of each text's runs of three words (characters without spaces) that it had already."""
    hashes, owner = overlap.grams(text.fill_null("").to_list(), 3)
    total = np.bincount(owner, minlength=len(text))
    different = np.bincount(overlap.distinct(hashes, owner)[1], minlength=len(text))
    return pl.Series("repeated_ngrams", 1 - different / np.maximum(total, 1)).zip_with(
        pl.Series(total > 0), pl.Series([0.0] * len(text), dtype=pl.Float64)
    )


def _boilerplate(documents: pl.DataFrame, documents_a_line: int) -> pl.Series:
    """Lines of each document that at least ``documents_a_line`` documents of its source share."""
    source = pl.col("source") if "source" in documents.columns else pl.lit("").alias("source")
    base = _BASE if "id" in documents.columns else pl.int_range(pl.len())
    lines = (
        documents.select(
            pl.int_range(pl.len()).alias("row"),
            base.alias("base"),
            source,
            _TEXT.str.split("\n").alias("line"),
        )
        .explode("line")
        .with_columns(pl.col("line").str.strip_chars())
        .filter(pl.col("line").str.len_chars() > 0)
        .with_columns(pl.col("base").n_unique().over("source", "line").alias("shared"))
        .filter(pl.col("shared") >= documents_a_line)
        .group_by("row")
        .len("boilerplate_lines")
    )
    rows = pl.DataFrame({"row": pl.int_range(documents.height, eager=True)})
    return rows.join(lines, on="row", how="left", maintain_order="left")["boilerplate_lines"].fill_null(0)
