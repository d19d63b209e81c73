"""How much a text is like the user's good examples and unlike the bad ones.

A linear model over hashed n-grams of characters, which learns English and Chinese alike and words that it
has not seen from their parts: the quality classifier of Brown et al. 2020 (appendix A, logistic regression
over hashed words) with the subwords of fastText (Bojanowski et al. 2017). It is learned anew from the
examples whenever ingest runs, which takes about a second for a thousand of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textmill.corpus.codes import Codes, Ints, Segments, blocks
from textmill.errors import UserError
from textmill.params import Examples
from textmill.records import read_jsonl

_SIZES = (1, 2, 3, 4)  # characters of an n-gram
_BITS = 18  # of its place in the table of weights


class Classifier:
    """One weight for each place that an n-gram hashes to."""

    def __init__(self, good: Sequence[str], bad: Sequence[str], seed: int) -> None:
        """Learn from texts, one at least of each kind; ``seed`` draws the order that they are shown in."""
        from scipy.sparse import csr_array
        from sklearn.linear_model import SGDClassifier

        texts = [*good, *bad]
        place, first = _features(texts)
        places = (place.astype(np.int32), first.astype(np.int32))  # scikit-learn takes no wider ones
        table = csr_array((_shares(first), *places), shape=(len(texts), 1 << _BITS))
        model = SGDClassifier(loss="log_loss", class_weight="balanced", average=True, random_state=seed)
        model.fit(table, [1] * len(good) + [0] * len(bad))
        self._weights: NDArray[np.float64] = model.coef_[0]
        self._bias = float(model.intercept_[0])

    @classmethod
    def learn(cls, examples: Examples, seed: int) -> Classifier:
        """From the files of ``corpus.text.examples``. Raises UserError where one holds no texts."""
        return cls(_texts(examples.good, "good"), _texts(examples.bad, "bad"), seed)

    def probability(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """That each text is a good one, from 0 to 1, if good and bad are equally frequent: (texts,)."""
        return np.concatenate([self._probability(block) for block in blocks(texts)])

    def _probability(self, texts: Sequence[str]) -> NDArray[np.float64]:
        place, first = _features(texts)
        text = np.repeat(np.arange(len(texts)), np.diff(first))
        sums = np.bincount(text, self._weights[place] * _shares(first), len(texts))
        return 1 / (1 + np.exp(-sums - self._bias))


def _features(texts: Sequence[str]) -> tuple[Ints, Ints]:
    """The places of each text's different n-grams, sorted (n,), and its first of them (texts + 1,)."""
    codes = Codes(texts)
    text = np.repeat(np.arange(codes.texts), codes.lengths + 1)
    keys = []
    for size in _SIZES:
        starts = np.flatnonzero(text[size:] == text[:-size])
        grams = codes.hashes(Segments(starts, starts + size, np.zeros(1, np.int64)), fold=True)
        keys.append((text[starts] << _BITS) | (grams >> np.uint64(64 - _BITS)).astype(np.int64))
    found = np.unique(np.concatenate(keys))
    return found & ((1 << _BITS) - 1), np.searchsorted(found, np.arange(codes.texts + 1) << _BITS)


def _shares(first: Ints) -> NDArray[np.float64]:
    """What each n-gram counts: those of a text make a vector of length one."""
    counts = np.diff(first)
    return np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)


def _texts(path: str, kind: str) -> list[str]:
    where = f"corpus.text.examples.{kind}"
    if not Path(path).exists():
        raise UserError(f"{where}: {path}: no such file; expected JSON lines with a field text")
    texts = []
    for number, row in enumerate(read_jsonl(Path(path)), 1):
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise UserError(f"{where}: {path}: example {number}: expected an object with a field text")
        texts.append(row["text"])
    if not texts:
        raise UserError(f"{where}: {path}: holds no example; expected JSON lines with a field text")
    return texts
