"""The figures that quality rules look at, for a whole batch of texts at once.

Each figure is one column named as its rule in ``rules.RULES``, where its definition and source stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from textmill.corpus.codes import (
    DIGIT,
    LETTER,
    LINE,
    MARK,
    SPACE,
    WIDE,
    WORD,
    Codes,
    Hashes,
    Ints,
    Mask,
    Segments,
    among,
    blocks,
    hash_of,
    mix,
)

Floats = NDArray[np.float64]
Numbers = NDArray[Any]

# Rae et al. 2021, appendix A.1.1.
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
# The characters most frequent in modern and in classical Chinese prose.
COMMON_HAN = (
    "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而"
    "能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意"
    "進說國來這個們為時會過學對後開無經頭從動兩長樣現將與其者曰乃若何故此必使至則夫皆王言吾君臣诸侯谓焉矣哉"
)
TERMINAL = ".!?。！？؟۔।॥።။៕"  # marks that end a sentence
BULLETS = "•-*●‣◦–"
_SHORT_LINE = 30


def measure(texts: Sequence[str]) -> pl.DataFrame:
    """The figures of each text: one row a text, one column a figure (float64; counts are whole numbers)."""
    return pl.concat(_measure(block) for block in blocks(texts))


def _measure(texts: Sequence[str]) -> pl.DataFrame:
    codes = Codes(texts)
    columns: dict[str, Numbers] = {}
    columns |= _characters(codes)
    columns |= _words(codes)
    columns |= _lines(codes)
    columns |= _repetition(codes)
    return pl.DataFrame({name: np.asarray(column, np.float64) for name, column in columns.items()})


def share(part: NDArray, whole: NDArray) -> Floats:
    """``part / whole``, and 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros(len(part), np.float64), where=whole > 0)


def _characters(codes: Codes) -> dict[str, Numbers]:
    size = codes.lengths
    solid = size - codes.count(codes.has(SPACE))
    letters = codes.count(codes.has(LETTER))
    wide = codes.count((codes.kinds & (WIDE | LETTER)) == (WIDE | LETTER))
    symbols = codes.count(codes.has(MARK))
    return {
        "characters": size,
        "unspaced": share(wide, letters),
        "letters": share(letters, solid),
        "digits": share(codes.count(codes.has(DIGIT)), solid),
        "symbols": share(symbols, solid),
        "replacement_characters": share(codes.count(codes.points == 0xFFFD), size),
        "unspaced_characters": wide,
        "unspaced_letters": share(letters, solid),
        "unspaced_common_characters": share(codes.count(among(COMMON_HAN)[codes.points]), wide),
        "c4_curly_brackets": codes.count((codes.points == ord("{")) | (codes.points == ord("}"))),
    }


def _words(codes: Codes) -> dict[str, Numbers]:
    tokens = codes.tokens
    words = codes.words
    count = words.counts
    characters = _per_text(words, words.lengths)
    letters = codes.count(codes.has(LETTER), words) > 0
    dots = codes.points == ord(".")
    # Non-overlapping "..." as str.count sees them: three of a run of dots at a time.
    runs = tokens.where(dots[tokens.starts])
    ellipses = _per_text(runs, runs.lengths // 3) + codes.count(codes.points == 0x2026)
    stops = np.zeros(codes.texts, np.int64)
    for word in STOP_WORDS:
        stops[np.unique(words.text[codes.spelt == hash_of(word)])] += 1
    longest = np.zeros(codes.texts, np.int64)
    longest[count > 0] = np.maximum.reduceat(words.lengths, words.first[:-1][count > 0])
    wide = words.where((codes.kinds[words.starts] & WIDE) != 0)
    return {
        "gopher_words": count,
        "gopher_word_length": share(characters, count),
        "gopher_hashes": share(codes.count(codes.points == ord("#")), count),
        "gopher_ellipses": share(ellipses, count),
        "gopher_alphabetic_words": share(_per_text(words, letters), count),
        "gopher_stop_words": stops,
        "fineweb_newlines": share(codes.count(codes.has(LINE)), count),
        "longest_token": longest,
        "unspaced_distinct_characters": _distinct(wide, codes.points[wide.starts], codes.texts),
    }


def _distinct(wide: Segments, points: NDArray[np.uint32], texts: int) -> Floats:
    """Different characters among the first 200 of each text, as a share of the most there could be."""
    place = np.arange(len(points)) - wide.first[wide.text]
    head = place < 200
    keys = np.unique((wide.text[head].astype(np.int64) << 21) | points[head])
    found = np.bincount(keys >> 21, minlength=texts)
    return share(found, np.minimum(wide.counts, 200))


def _per_text(segments: Segments, values: NDArray) -> Ints:
    """Sum of ``values`` (n,) over the segments of each text."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums[segments.first[1:]] - sums[segments.first[:-1]]


def trimmed(codes: Codes, lines: Segments) -> Segments:
    """The lines without white space at their ends; of a blank line nothing is left, at its end."""
    solid = np.flatnonzero(~codes.has(SPACE))
    if not len(solid):
        return Segments(lines.ends, lines.ends, lines.first)
    after = np.minimum(np.searchsorted(solid, lines.starts), len(solid) - 1)
    before = np.maximum(np.searchsorted(solid, lines.ends) - 1, 0)
    starts, ends = solid[after], solid[before] + 1
    blank = (starts >= lines.ends) | (ends <= lines.starts)
    return Segments(np.where(blank, lines.ends, starts), np.where(blank, lines.ends, ends), lines.first)


def _lines(codes: Codes) -> dict[str, Numbers]:
    every = codes.lines
    bare = trimmed(codes, every)
    full = bare.lengths > 0
    lines, solid = every.where(full), bare.where(full)
    count = lines.counts
    last = codes.points[np.maximum(solid.ends - 1, 0)]
    ends_well = among(TERMINAL)[last]
    dots = (last == ord(".")) & (solid.lengths >= 3)
    dots &= (codes.points[solid.ends - 2] == ord(".")) & (codes.points[solid.ends - 3] == ord("."))
    bullets = among(BULLETS)[codes.points[solid.starts]]
    repeated = _later(codes.hashes(lines), lines)
    repeated_characters = _per_text(lines, lines.lengths * repeated)

    paragraphs = _paragraphs(codes, lines)
    again = _later(codes.hashes(paragraphs), paragraphs)
    return {
        "gopher_bullet_lines": share(_per_text(lines, bullets), count),
        "gopher_ellipsis_lines": share(_per_text(lines, dots | (last == 0x2026)), count),
        "gopher_duplicate_lines": share(_per_text(lines, repeated), count),
        "gopher_duplicate_line_characters": share(repeated_characters, codes.lengths),
        "gopher_duplicate_paragraphs": share(_per_text(paragraphs, again), paragraphs.counts),
        "gopher_duplicate_paragraph_characters": share(
            _per_text(paragraphs, paragraphs.lengths * again), codes.lengths
        ),
        "fineweb_line_punctuation": share(_per_text(lines, ends_well), count),
        "fineweb_short_lines": share(_per_text(lines, lines.lengths <= _SHORT_LINE), count),
        "fineweb_duplicate_line_characters": share(
            repeated_characters, codes.lengths - codes.count(codes.has(LINE))
        ),
        "unspaced_duplicate_lines": share(repeated_characters, codes.lengths),
        "c4_lorem_ipsum": np.bincount(
            codes.tokens.text[_phrase(codes, "lorem ipsum")], minlength=codes.texts
        ),
        "c4_sentences": _sentences(codes, lines, solid),
    }


def _paragraphs(codes: Codes, lines: Segments) -> Segments:
    """Runs of non-blank lines; each goes from the start of its first line to the end of its last."""
    if not len(lines.starts):
        return lines
    fresh = np.ones(len(lines.starts), np.bool_)
    fresh[1:] = lines.starts[1:] > lines.ends[:-1] + 1
    fresh[lines.first[:-1][lines.counts > 0]] = True
    heads = np.flatnonzero(fresh)
    tails = np.append(heads[1:], len(lines.starts)) - 1
    first = np.searchsorted(heads, lines.first)
    return Segments(lines.starts[heads], lines.ends[tails], first)


def _phrase(codes: Codes, words: str) -> Ints:
    """Where the tokens of ``words`` stand one after another, in either case: their first token's place."""
    first, *others = words.split()
    places = np.flatnonzero(codes.folded == hash_of(first, fold=True))
    places = places[places + len(others) < len(codes.folded)]
    for offset, word in enumerate(others, 1):
        places = places[codes.folded[places + offset] == hash_of(word, fold=True)]
    return places


def _sentences(codes: Codes, lines: Segments, solid: Segments) -> Floats:
    """Sentences on the lines that C4 keeps.

    A line is kept that ends in a terminal mark (and not in an ellipsis), has three words or more, and does
    not speak of JavaScript or of the terms of a site. A sentence ends at a run of terminal marks before
    white space, the end of the line or, after 。！？, anywhere.
    """
    points = codes.points
    last = points[np.maximum(solid.ends - 1, 0)]
    kept = among('.!?"”。！？」』')[last]
    before = points[np.maximum(solid.ends - 2, 0)]
    kept &= ~((last == ord(".")) & (before == ord(".")))
    tokens = codes.tokens
    is_word = (codes.kinds[tokens.starts] & WORD) != 0
    sums = np.concatenate([[0], np.cumsum(is_word)])
    begin, end = np.searchsorted(tokens.starts, lines.starts), np.searchsorted(tokens.starts, lines.ends)
    kept &= sums[end] - sums[begin] >= 3
    bad = np.zeros(len(tokens.starts), np.bool_)
    for words in ("javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies"):
        bad[_phrase(codes, words)] = True
    spoilt = np.concatenate([[0], np.cumsum(bad)])
    kept &= spoilt[end] == spoilt[begin]

    western = among(".!?")[points]
    chinese = among("。！？")[points]
    space = codes.has(SPACE)
    closing = among("\"'”’)]」』")[points]
    following = np.ones(len(points), np.bool_)
    following[:-1] = (space | closing)[1:]
    stop = western & following
    stop[:-1] |= chinese[:-1] & ~chinese[1:]
    stop[-1] |= chinese[-1]
    stops = codes.count(stop, lines)
    return _per_text(lines, np.maximum(stops, 1) * kept).astype(np.float64)


def _later(hashes: Hashes, segments: Segments) -> Mask:
    """Which segments repeat an earlier one of the same text: (n,)."""
    return later(hashes ^ mix(segments.text.astype(np.uint64) + np.uint64(1)))


def later(keys: Hashes) -> Mask:
    """Which of ``keys`` (n,) stand earlier in the array too: (n,)."""
    again = np.zeros(len(keys), np.bool_)
    places, heads, _ = _alike(keys)
    again[places] = True
    again[heads] = False
    return again


def _alike(keys: Hashes) -> tuple[Ints, Ints, Ints]:
    """Places of keys that stand more than once (m,); the first place and the count of each such key (k,)."""
    places = repeated(keys)
    values = keys[places]
    order = np.argsort(values)  # a sort that keeps equal ones in order takes five times as long
    values = values[order]
    same = np.zeros(len(values) + 1, np.bool_)
    same[1:-1] = values[1:] == values[:-1]
    fresh = ~same[:-1]
    twice = same[1:] | same[:-1]
    places = places[order[twice]]
    starts = np.flatnonzero(fresh[twice])
    counts = np.diff(np.append(starts, len(places)))
    return places, np.minimum.reduceat(places, starts), counts


def repeated(keys: Hashes) -> Ints:
    """Places of the keys that may stand more than once, in order; nearly all others are left out.

    A table of counts by the low bits says at once that most keys are alone.
    """
    if not len(keys):
        return np.zeros(0, np.int64)
    bits = max(10, len(keys).bit_length() + 2)
    low = (keys & np.uint64((1 << bits) - 1)).astype(np.int64)
    crowded = np.bincount(low, minlength=1 << bits) > 1
    return np.flatnonzero(crowded[low])


def _repetition(codes: Codes) -> dict[str, Numbers]:
    """Shares of characters in repeated n-grams.

    An n-gram can only repeat where its (n - 1)-gram does, so each step looks only where the one before
    found something.
    """
    tokens = codes.words
    hashes = codes.spelt
    text = tokens.text
    last = tokens.first[1:][text]  # the end of the token's text
    lengths = tokens.lengths
    sums = np.concatenate([[0], np.cumsum(lengths)])
    columns: dict[str, Numbers] = {}
    salt = mix(text.astype(np.uint64) + np.uint64(1))

    places = np.arange(len(hashes))
    grams = hashes
    for size in range(2, 11):
        fits = places + size <= last[places]
        places, grams = places[fits], grams[fits]
        grams = mix(grams * np.uint64(0xD1342543DE82EF95) + hashes[places + size - 1])
        keys = grams ^ salt[places]
        some, heads, counts = _alike(keys)
        if size <= 4:
            widths = sums[places[heads] + size] - sums[places[heads]] + size - 1
            top = _top(heads, counts, widths, text[places[heads]], codes.texts)
            # Where no n-gram repeats, each is as frequent as the first.
            head = tokens.first[:-1]
            long = tokens.counts >= size
            lone = np.zeros(codes.texts, np.int64)
            lone[long] = sums[head[long] + size] - sums[head[long]] + size - 1
            top = np.where(top > 0, top, lone)
            columns[f"gopher_top_{size}gram"] = share(top, codes.lengths)
            if size == 4:
                columns["unspaced_top_4gram"] = columns["gopher_top_4gram"]
        twice = np.zeros(len(keys), np.bool_)
        twice[some] = True
        if size >= 5:
            again = twice.copy()
            again[heads] = False
            covered = np.zeros(len(hashes) + 1, np.int64)
            np.add.at(covered, places[again], 1)
            np.add.at(covered, places[again] + size, -1)
            inside = np.cumsum(covered)[:-1] > 0
            columns[f"gopher_duplicate_{size}grams"] = share(
                _per_text(tokens, lengths * inside), codes.lengths
            )
        places, grams = places[twice], grams[twice]
    columns["unspaced_duplicate_10grams"] = columns["gopher_duplicate_10grams"]
    return columns


def _top(heads: Ints, counts: Ints, widths: Ints, text: Ints, texts: int) -> Ints:
    """Characters of all occurrences of the most frequent n-gram of each text, 0 where none repeats: (texts,).

    Of each n-gram that stands more than once: first place, count, characters and text (k,). Of equally
    frequent ones that which comes first counts.
    """
    best = np.zeros(texts, np.int64)
    rank = np.lexsort((heads, -counts, text))
    winners = rank[np.diff(text[rank], prepend=-1) != 0]
    best[text[winners]] = widths[winners] * counts[winners]
    return best
