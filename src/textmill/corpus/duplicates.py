"""Exact and near duplicates: MinHash, locality-sensitive hashing, connected components.

Broder 1997, "On the resemblance and containment of documents"; Indyk and Motwani 1998. A document is the
set of its shingles (runs of words, or of characters where there are no spaces between words); two documents
agree in one permutation's minimum with the probability of their Jaccard index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textmill.corpus.codes import Codes, Hashes, Ints, mix, ngrams
from textmill.params import NearDuplicates

_BLOCK = 1 << 15  # shingles looked at together: they and their permutation stay in the processor's cache


@dataclass(frozen=True)
class Signatures:
    """``values`` (documents, bands * rows): minima; ``size`` (documents,): shingles of each document."""

    values: NDArray[np.uint32]
    size: Ints


def word_hashes(codes: Codes) -> tuple[Hashes, Ints]:
    """Hashes of the words of all texts in lower case, and the first word of each text: (n,), (texts + 1,)."""
    return codes.hashes(codes.words, fold=True), codes.words.first


def signatures(texts: Sequence[str], spec: NearDuplicates) -> Signatures:
    """The MinHash signature of each text. A text shorter than a shingle is one shingle."""
    count = spec.bands * spec.rows
    hashes, first = word_hashes(Codes(texts))
    grams, begin = ngrams(hashes, first, spec.shingle)
    grams, begin = _with_short_texts(hashes, first, grams, begin)
    size = np.diff(begin)
    values = np.full((len(texts), count), np.iinfo(np.uint32).max, np.uint32)
    full = np.flatnonzero(size)
    heads = begin[:-1][full]
    low = (grams >> np.uint64(32)).astype(np.uint32)
    factors, offsets = _permutations(count)
    start = 0
    while start < len(full):
        # As many whole documents as fit in a block, one at least.
        stop = max(int(np.searchsorted(heads, heads[start] + _BLOCK)), start + 1)
        end = heads[stop] if stop < len(full) else len(grams)
        block, cuts = low[heads[start] : end], heads[start:stop] - heads[start]
        permuted = np.empty_like(block)
        minima = np.empty((count, stop - start), np.uint32)
        for index in range(count):
            np.multiply(block, factors[index], out=permuted)
            np.add(permuted, offsets[index], out=permuted)
            np.minimum.reduceat(permuted, cuts, out=minima[index])
        values[full[start:stop]] = minima.T
        start = stop
    return Signatures(values, size)


def _permutations(count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Factors (odd) and offsets of ``count`` permutations of the 32-bit numbers; the same for all corpora."""
    numbers = mix(np.arange(1, 2 * count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    numbers32 = (numbers >> np.uint64(32)).astype(np.uint32)
    return numbers32[:count] | np.uint32(1), numbers32[count:]


def _with_short_texts(hashes: Hashes, first: Ints, grams: Hashes, begin: Ints) -> tuple[Hashes, Ints]:
    """The shingles, and for each text with words but without a shingle the hash of all its words."""
    words, shingles = np.diff(first), np.diff(begin)
    short = np.flatnonzero((words > 0) & (shingles == 0))
    if not len(short):
        return grams, begin
    wholes = np.zeros(len(short), np.uint64)
    for offset in range(int(words[short].max())):
        here = words[short] > offset
        token = hashes[first[short[here]] + offset]
        wholes[here] = mix(wholes[here] * np.uint64(0xD1342543DE82EF95) + token)
    grams = np.insert(grams, begin[short], wholes)
    counts = shingles.copy()
    counts[short] = 1
    return grams, np.concatenate([[0], np.cumsum(counts)])


def bands(values: NDArray[np.uint32], spec: NearDuplicates) -> Hashes:
    """One hash for each band of each signature: (documents, bands)."""
    rows = values.reshape(len(values), spec.bands, spec.rows).astype(np.uint64)
    keys = np.zeros((len(values), spec.bands), np.uint64)
    for row in range(spec.rows):
        keys = mix(keys * np.uint64(0xD1342543DE82EF95) + rows[:, :, row] + np.uint64(1))
    return keys


def pairs(keys: Hashes, values: NDArray[np.unsignedinteger], similarity: float) -> tuple[Ints, Ints, NDArray]:
    """Near duplicates among documents that agree in a band.

    keys: (documents, bands); values: (documents, permutations), of which a few low bits suffice (Li and
    König 2010). Each document of a bucket is compared with the bucket's first and with its neighbour.
    Returns both sides and the estimated Jaccard index of each pair: (pairs,) each.
    """
    lefts, rights = [], []
    for band in range(keys.shape[1]):
        order = np.argsort(keys[:, band], kind="stable")
        column = keys[order, band]
        same = np.flatnonzero(column[1:] == column[:-1])
        if not len(same):
            continue
        fresh = np.concatenate([[True], column[1:] != column[:-1]])
        head = np.maximum.accumulate(np.where(fresh, np.arange(len(column)), 0))
        lefts += [order[same], order[head[same + 1]]]
        rights += [order[same + 1], order[same + 1]]
    if not lefts:
        none = np.zeros(0, np.int64)
        return none, none, np.zeros(0)
    left, right = np.concatenate(lefts), np.concatenate(rights)
    low, high = np.minimum(left, right), np.maximum(left, right)
    both = np.unique(low * np.int64(len(keys)) + high)
    low, high = both // len(keys), both % len(keys)
    alike = np.empty(len(low))
    for start in range(0, len(low), 65536):
        part = slice(start, start + 65536)
        alike[part] = (values[low[part]] == values[high[part]]).mean(axis=1)
    near = alike >= similarity
    return low[near], high[near], alike[near]


def components(size: int, left: Ints, right: Ints) -> Ints:
    """For each of ``size`` nodes the smallest node that it is connected with by the edges: (size,)."""
    label = np.arange(size)
    while len(left):
        smaller = np.minimum(label[left], label[right])
        larger = np.maximum(label[left], label[right])
        if (smaller == larger).all():
            break
        np.minimum.at(label, larger, smaller)
        while True:  # jump to the root
            above = label[label]
            if (above == label).all():
                break
            label = above
    return label


def exact(keys: Hashes) -> Ints:
    """For each key the first place where it stands: (n,)."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first[inverse]
