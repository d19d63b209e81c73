"""How badly the characters of a document are predicted by the rest of its language.

A character bigram model of each language, made from the corpus itself, needs some bits for each
character of a document. Running text needs about as many as its neighbours; keyboard mash, base64 and
text in a wrong language need many more. No dictionary and no words are needed, so that it holds for
every script.
"""

from __future__ import annotations

import numpy as np
import polars as pl


def surprise(text: pl.Series, language: pl.Series) -> pl.Series:
    """Bits a character of each text above the median of its language; null where it has no two characters.

    A document's own bigrams are taken out of the counts before it is scored, or a long piece of gibberish
    would predict itself. Bigrams are interpolated with single characters (Witten and Bell 1991): a bigram
    of Chinese that occurs once is no surprise where both of its characters are common.
    """
    out = np.full(len(text), np.nan)
    lowered = text.fill_null("").str.to_lowercase()
    names = language.fill_null("").to_numpy()
    for name in sorted(set(names.tolist())):
        rows = np.flatnonzero(names == name)
        bits = _bits([lowered[int(row)] for row in rows])
        middle = np.nanmedian(bits) if np.isfinite(bits).any() else 0.0
        out[rows] = bits - middle
    return pl.Series("surprise", out).fill_nan(None)


def _bits(texts: list[str]) -> np.ndarray:
    """Cross-entropy in bits a character of each text under a bigram model of the others."""
    codes = np.frombuffer("\n".join([*texts, ""]).encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
    lengths = np.array([len(item) for item in texts])
    document = np.repeat(np.arange(len(texts)), lengths + 1)  # each text with its line feed at the end
    result = np.full(len(texts), np.nan)
    if len(codes) < 2:
        return result
    symbols, ids = np.unique(codes, return_inverse=True)
    inside = document[1:] == document[:-1]
    first, second, owner = ids[:-1][inside], ids[1:][inside], document[1:][inside]
    pairs, pair = np.unique(first * len(symbols) + second, return_inverse=True)
    counts = np.bincount(pair, minlength=len(pairs)).astype(np.float64)
    # What the document itself contributed to the counts of this pair and of its first character.
    own_pair = _own(owner, pair, len(pairs))
    own_first = _own(owner, first, len(symbols))
    followers = np.bincount(pairs // len(symbols), minlength=len(symbols)).astype(np.float64)
    firsts = np.bincount(first, minlength=len(symbols)).astype(np.float64)
    singles = np.bincount(second, minlength=len(symbols)).astype(np.float64)
    own_second = _own(owner, second, len(symbols))
    total = float(len(second))
    own_total = np.bincount(owner, minlength=len(texts))[owner]
    unigram = (singles[second] - own_second + 0.5) / (total - own_total + 0.5 * len(symbols))
    rest = firsts[first] - own_first
    kinds = np.maximum(np.minimum(followers[first], rest), 1.0)
    bigram = (counts[pair] - own_pair + kinds * unigram) / (rest + kinds)
    bits = np.bincount(owner, weights=-np.log2(bigram), minlength=len(texts))
    sizes = np.bincount(owner, minlength=len(texts))
    return np.divide(bits, sizes, out=result, where=sizes > 1)


def _own(owner: np.ndarray, item: np.ndarray, kinds: int) -> np.ndarray:
    """For each position, how often its item occurs in its own document."""
    _, inverse, counts = np.unique(owner * kinds + item, return_inverse=True, return_counts=True)
    return counts[inverse]
