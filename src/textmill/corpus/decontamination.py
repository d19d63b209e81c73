"""Overlap of documents with the dev and test texts of the tasks (Brown et al. 2020, appendix C).

The 13-grams are of words, or of characters where there are no spaces between words, without punctuation
and in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textmill.corpus.codes import Codes, Hashes, Ints, grow, mix, ngrams
from textmill.corpus.duplicates import word_hashes
from textmill.params import Decontamination
from textmill.records import example_texts, read_examples

_FILTER = 1 << 22


@dataclass(frozen=True)
class Index:
    """The n-grams of the tasks: for each length its sorted hashes and the task (by number) of each."""

    tasks: tuple[str, ...]
    grams: dict[int, tuple[Hashes, Ints]]


@dataclass(frozen=True)
class Overlap:
    """Of each document: n-grams found (documents,), and the number of the task of the first, or -1."""

    found: Ints
    task: Ints
    spans: dict[int, list[tuple[int, int]]]


def index(tasks: Mapping[str, Path], spec: Decontamination) -> Index:
    """The n-grams of the dev and test examples in each task's folder."""
    names = tuple(sorted(tasks))
    hashes: dict[int, list[Hashes]] = {}
    owners: dict[int, list[Ints]] = {}
    for number, name in enumerate(names):
        texts = [
            text
            for split in ("dev", "test")
            for example in read_examples(tasks[name], split)
            for text in example_texts(example)
        ]
        if not texts:
            continue
        words, first = word_hashes(Codes(texts))
        lengths = np.minimum(np.diff(first), spec.ngram)
        for size in range(min(spec.shortest, spec.ngram), spec.ngram + 1):
            chosen = np.flatnonzero(lengths == size)
            if not len(chosen):
                continue
            grams, begin = ngrams(words, first, size)
            inside = np.repeat(lengths == size, np.diff(begin))
            hashes.setdefault(size, []).append(grams[inside])
            owners.setdefault(size, []).append(np.full(int(inside.sum()), number))
    found: dict[int, tuple[Hashes, Ints]] = {}
    for size in sorted(hashes):
        values, place = np.unique(np.concatenate(hashes[size]), return_index=True)
        found[size] = values, np.concatenate(owners[size])[place]
    return Index(names, found)


def overlap(texts: Sequence[str], index: Index) -> Overlap:
    """What each text shares with the tasks; ``spans`` holds, by text, the code points it covers."""
    codes = Codes(texts)
    words = codes.words
    hashes = codes.hashes(words, fold=True)
    last = words.first[1:][words.text]
    count = np.zeros(len(texts), np.int64)
    task = np.full(len(texts), -1, np.int64)
    spans: dict[int, list[tuple[int, int]]] = {}
    grams = hashes
    width = 1
    for size, (values, owner) in index.grams.items():
        while width < size:
            width += 1
            grams = grow(grams, hashes, width)
        keys = mix(grams)
        table = np.zeros(_FILTER, np.bool_)
        table[(values & np.uint64(_FILTER - 1)).astype(np.int64)] = True
        likely = np.flatnonzero(table[(keys & np.uint64(_FILTER - 1)).astype(np.int64)])
        likely = likely[likely + size <= last[likely]]
        place = np.minimum(np.searchsorted(values, keys[likely]), len(values) - 1)
        hit = values[place] == keys[likely]
        places, owners = likely[hit], owner[place[hit]]
        text = words.text[places]
        np.add.at(count, text, 1)
        for token, document, number in zip(places.tolist(), text.tolist(), owners.tolist(), strict=True):
            if task[document] < 0:
                task[document] = number
            start = int(words.starts[token] - codes.starts[document])
            end = int(words.ends[token + size - 1] - codes.starts[document])
            spans.setdefault(document, []).append((start, end))
    return Overlap(count, task, spans)


def cut(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without the spans, which may overlap."""
    kept, end = [], 0
    for start, stop in sorted(spans):
        if start > end:
            kept.append(text[end:start])
        end = max(end, stop)
    kept.append(text[end:])
    return "".join(kept).strip()
