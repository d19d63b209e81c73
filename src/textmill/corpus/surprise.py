"""How surprising a text is to the corpus it stands in, by pairs of characters.

A perplexity filter (Wenzek et al. 2020, "CCNet") by a small language model that needs no training
file: noise, in whatever script, is made of pairs that the other documents do not have. CCNet's 5-grams of
subwords are learned from Wikipedia; these of characters from the documents themselves, without the one that
is looked at, and each pair of a document counts once, so that no document makes itself probable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from textmill.corpus.codes import Codes, Hashes, Ints, mix

_PAIRS = 1 << 20
_FIRSTS = 1 << 16
_ALPHA = 0.05  # what an unseen pair counts (additive smoothing) ...
_UNSEEN = 200  # ... and how many of them each first character is given


class Surprise:
    """In how many documents each pair of neighbouring characters stands."""

    def __init__(self, batches: Iterable[Sequence[str]]) -> None:
        self._pairs = np.zeros(_PAIRS, np.int64)
        self._firsts = np.zeros(_FIRSTS, np.int64)
        for texts in batches:
            pair, first, _ = _once(Codes(texts))
            self._pairs += np.bincount(pair, minlength=_PAIRS)
            self._firsts += np.bincount(first, minlength=_FIRSTS)

    def bits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Bits for each different pair of each text, from the other documents' pairs: (texts,)."""
        pair, first, text = _once(Codes(texts))
        seen = np.maximum(self._pairs[pair] - 1, 0)  # without this document itself
        space = np.maximum(self._firsts[first] - 1, 0)
        bits = np.log2(space + _ALPHA * _UNSEEN) - np.log2(seen + _ALPHA)
        total = np.bincount(text, bits, len(texts))
        count = np.bincount(text, minlength=len(texts))
        return total / np.maximum(count, 1)


def _once(codes: Codes) -> tuple[Ints, Ints, Ints]:
    """The different pairs of each text: its place in the table, that of its first character, the text."""
    text = np.repeat(np.arange(codes.texts, dtype=np.uint64), codes.lengths + 1)
    first, second = codes.points[:-1].astype(np.uint64), codes.points[1:].astype(np.uint64)
    place = mix((first << np.uint64(21)) | second) & np.uint64(_PAIRS - 1)
    start = mix(first) & np.uint64(_FIRSTS - 1)
    keys: Hashes = (text[:-1] << np.uint64(36)) | (start << np.uint64(20)) | place
    keys = np.sort(keys[text[:-1] == text[1:]])
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys
    found = keys.astype(np.int64)
    return found & (_PAIRS - 1), (found >> 20) & (_FIRSTS - 1), found >> 36
