"""Texts as one array of code points, cut into tokens and lines by whole-array arithmetic.

Every statistic over words, n-grams, lines and shingles is read off one prefix sum: the hash of any
stretch of text is a difference of two of its entries (Karp and Rabin 1987, modulo 2**64), so that no
Python loop runs over words. Hashes depend on nothing but the text: the same on every machine.

A token is a run of letters, marks and digits (an apostrophe inside joins), one character of a script
that is written without spaces (Han, kana, Thai, Lao, Khmer, Burmese, Tibetan), or a run of one and the
same punctuation mark or symbol. So English is counted in words and Chinese in characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]

# What a code point is: one bit each.
WORD, WIDE, MARK, SPACE, LETTER, DIGIT, LINE, KNOWN = 1, 2, 4, 8, 16, 32, 64, 128

# Scripts written without spaces between words, as half-open ranges of code points.
_UNSPACED = (
    (0x0E00, 0x1000),  # Thai, Lao, Tibetan
    (0x1000, 0x10A0),  # Burmese
    (0x1780, 0x1800),  # Khmer
    (0x2E80, 0x3000),  # Han radicals
    (0x3005, 0x3008),
    (0x3041, 0x3130),  # kana, bopomofo
    (0x31A0, 0x3200),
    (0x3400, 0x4DC0),  # Han
    (0x4E00, 0xA000),
    (0xF900, 0xFB00),
    (0x20000, 0x40000),
)
_POINTS = 0x110000
_FACTOR = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_FACTOR, -1, 2**64)
_STEP = np.uint64(0xD1342543DE82EF95)  # joins the hashes of neighbouring tokens into that of an n-gram


# Code points worked on together: their arrays stay in a processor's second-level cache.
_BLOCK = 1 << 18


def blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, as many at a time as make a block of code points; one at least."""
    start = size = 0
    for place, text in enumerate(texts):
        size += len(text) + 1
        if size >= _BLOCK:
            yield texts[start : place + 1]
            start, size = place + 1, 0
    if start < len(texts) or not texts:
        yield texts[start:]


@lru_cache(maxsize=8)
def among(characters: str = "", ranges: tuple[tuple[int, int], ...] = ()) -> Mask:
    """Of every code point whether it is one of ``characters`` or in one of the half-open ``ranges``."""
    table = np.zeros(_POINTS, np.bool_)
    table[[ord(character) for character in characters]] = True
    for low, high in ranges:
        table[low:high] = True
    return table


def mix(values: NDArray[np.uint64]) -> Hashes:
    """Scatter 64-bit numbers over all 64 bits (the finaliser of splitmix64; Steele et al. 2014)."""
    values = values ^ (values >> np.uint64(30))
    values = values * np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


class _Tables:
    """What each code point is, filled for those that have been met."""

    def __init__(self) -> None:
        self.kinds = np.zeros(_POINTS, np.uint8)
        self.values = np.zeros(_POINTS, np.uint64)
        self.folded = np.zeros(_POINTS, np.uint64)

    def learn(self, points: NDArray[np.uint32]) -> None:
        """Fill in the rows of these code points, (points,)."""
        for point in points.tolist():
            self.kinds[point] = _kind(point) | KNOWN
            lower = chr(point).lower()
            pair = np.array([point + 1, (ord(lower) if len(lower) == 1 else point) + 1], np.uint64)
            self.values[point], self.folded[point] = mix(pair * np.uint64(_FACTOR))


def _kind(point: int) -> int:
    if point == 0x0A:
        return SPACE | LINE
    character = chr(point)
    category = unicodedata.category(character)
    if character.isspace() or category in ("Cc", "Zs", "Zl", "Zp"):
        return SPACE
    if category[0] in "LMN" or character == "_":
        wide = WIDE if any(low <= point < high for low, high in _UNSPACED) else 0
        letter = LETTER if category[0] == "L" or (wide and category[0] == "M") else 0
        return WORD | wide | letter | (DIGIT if category == "Nd" else 0)
    return MARK


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    return _Tables()


def powers(size: int) -> tuple[Hashes, Hashes]:
    """Powers of the factor and of its inverse modulo 2**64: ``size`` of them or more, (n,) each."""
    return _powers(max(16, (size - 1).bit_length()))


@lru_cache
def _powers(bits: int) -> tuple[Hashes, Hashes]:
    """The first 2**bits."""
    up = np.full(1 << bits, _FACTOR, np.uint64)
    down = np.full(len(up), _INVERSE, np.uint64)
    up[0] = down[0] = 1
    return np.multiply.accumulate(up), np.multiply.accumulate(down)


@dataclass(frozen=True)
class Segments:
    """Stretches of the array in order: ``starts``, ``ends`` (n,); ``first`` of each text (texts + 1,)."""

    starts: Ints
    ends: Ints
    first: Ints

    @property
    def lengths(self) -> Ints:
        """Code points of each: (n,)."""
        return self.ends - self.starts

    @property
    def counts(self) -> Ints:
        """How many of them each text has: (texts,)."""
        return np.diff(self.first)

    @cached_property
    def text(self) -> Ints:
        """The text that each belongs to: (n,)."""
        return np.repeat(np.arange(len(self.first) - 1), self.counts)

    def where(self, mask: Mask) -> Segments:
        """Those that ``mask`` (n,) says."""
        first = np.concatenate([[0], np.cumsum(mask)])[self.first]
        return Segments(self.starts[mask], self.ends[mask], first)


class Codes:
    """A batch of texts, one after another with a line end after each."""

    def __init__(self, texts: Sequence[str]) -> None:
        joined = "\n".join(texts) + "\n"
        self.points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        self.texts = len(texts)
        lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
        ends = np.cumsum(lengths + 1) - 1
        self.starts, self.ends, self.lengths = ends - lengths, ends, lengths
        table = _tables()
        kinds = table.kinds[self.points]
        unknown = kinds == 0
        if unknown.any():
            table.learn(np.unique(self.points[unknown]))
            kinds = table.kinds[self.points]
        self.kinds: NDArray[np.uint8] = kinds

    def has(self, kind: int) -> Mask:
        """Which code points are of a kind: (points,)."""
        return (self.kinds & kind) != 0

    def count(self, mask: Mask, segments: Segments | None = None) -> Ints:
        """How many code points of each segment (or of each text) ``mask`` marks."""
        sums = np.zeros(len(mask) + 1, np.int64)
        np.cumsum(mask, out=sums[1:])
        if segments is None:
            return sums[self.ends] - sums[self.starts]
        return sums[segments.ends] - sums[segments.starts]

    @cached_property
    def tokens(self) -> Segments:
        """The tokens of all texts, in order."""
        points, kinds = self.points, self.kinds
        # 0 space, 1 word, 2 one wide character, 3 punctuation or symbol
        group = np.zeros(len(points) + 2, np.uint8)
        inner = group[1:-1]
        inner[(kinds & MARK) != 0] = 3
        inner[(kinds & WORD) != 0] = 1
        quotes = np.flatnonzero((points == 0x27) | (points == 0x2019))
        if len(quotes):
            word = (kinds & (WORD | WIDE)) == WORD
            inside = quotes[(quotes > 0) & (quotes + 1 < len(points))]
            inner[inside[word[inside - 1] & word[inside + 1]]] = 1
        inner[(kinds & WIDE) != 0] = 2
        left, here = group[:-2], inner
        fresh = np.empty(len(points) + 1, np.bool_)
        fresh[:-1] = (here != left) | (here == 2)
        marks = np.flatnonzero(here == 3)
        if len(marks):
            before = points[np.maximum(marks - 1, 0)]
            fresh[marks] |= points[marks] != before
        fresh[-1] = True
        full = here != 0
        starts = np.flatnonzero(full & fresh[:-1])
        ends = np.flatnonzero(full & fresh[1:]) + 1
        first = np.searchsorted(starts, np.append(self.starts, len(points)))
        return Segments(starts, ends, first)

    @cached_property
    def words(self) -> Segments:
        """The tokens that are no punctuation and no symbols."""
        return self.tokens.where((self.kinds[self.tokens.starts] & WORD) != 0)

    @cached_property
    def folded(self) -> Hashes:
        """The hash of each token with upper and lower case the same: (tokens,)."""
        return self.hashes(self.tokens, fold=True)

    @cached_property
    def spelt(self) -> Hashes:
        """The hash of each word: (words,)."""
        return self.hashes(self.words)

    @cached_property
    def lines(self) -> Segments:
        """The lines of all texts; empty ones stand too."""
        ends = np.flatnonzero(self.kinds & LINE)
        starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
        first = np.searchsorted(starts, np.append(self.starts, len(self.points)))
        return Segments(starts, ends, first)

    def _prefix(self, fold: bool) -> Hashes:
        table = _tables()
        up, _ = powers(len(self.points) + 1)
        sums = np.zeros(len(self.points) + 1, np.uint64)
        np.cumsum(
            (table.folded if fold else table.values)[self.points] * up[: len(self.points)], out=sums[1:]
        )
        return sums

    @cached_property
    def _exact(self) -> Hashes:
        return self._prefix(fold=False)

    @cached_property
    def _folded(self) -> Hashes:
        return self._prefix(fold=True)

    def hashes(self, segments: Segments, fold: bool = False) -> Hashes:
        """A 64-bit hash of each segment's text, with upper and lower case the same where ``fold``."""
        sums = self._folded if fold else self._exact
        _, down = powers(len(self.points) + 1)
        raw = (sums[segments.ends] - sums[segments.starts]) * down[segments.starts]
        return mix(raw)

    @property
    def whole(self) -> Segments:
        """Each text as one segment."""
        return Segments(self.starts, self.ends, np.arange(self.texts + 1))


@lru_cache(maxsize=256)
def hash_of(text: str, fold: bool = False) -> int:
    """The hash that ``Codes.hashes`` gives a segment with this text."""
    codes = Codes([text])
    return int(codes.hashes(codes.whole, fold)[0])


def grow(grams: Hashes, tokens: Hashes, size: int) -> Hashes:
    """From the hashes of the (size - 1)-grams at each token to those of the size-grams: (n - size + 1,)."""
    count = max(len(tokens) - size + 1, 0)
    return grams[:count] * _STEP + tokens[size - 1 :]


def ngrams(tokens: Hashes, first: Ints, size: int) -> tuple[Hashes, Ints]:
    """The n-grams of each text.

    tokens: (n,) hashes of the tokens; first: (texts + 1,) first token of each text. Returns the hashes
    (m,) and, of each text, its first n-gram (texts + 1,). No n-gram straddles two texts.
    """
    grams = tokens
    for width in range(2, size + 1):
        grams = grow(grams, tokens, width)
    counts = np.maximum(np.diff(first) - size + 1, 0)
    keep = np.zeros(len(tokens) + 1, np.int64)
    np.add.at(keep, first[:-1], (counts > 0).astype(np.int64))
    np.add.at(keep, first[:-1] + counts, -(counts > 0).astype(np.int64))
    inside = np.cumsum(keep)[: len(grams)] > 0
    return mix(grams[inside]), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
