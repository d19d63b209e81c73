"""Methods without a neural network, which any model has to beat on the same test set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from textmill.words import sentences, word_offsets, words

Pair = tuple[str, "str | None"]


def word_ngrams(text: str) -> list[str]:
    """Words and pairs of neighbouring words; a Chinese character counts as a word."""
    found = words(text)
    return found + [f"{a} {b}" for a, b in pairwise(found)]


def linear(train: Sequence[Pair], labels: Sequence[str], test: Sequence[Pair]) -> list[str]:
    """TF-IDF of words (1 to 2) and characters (2 to 4) with a linear support vector machine (C = 0.5).

    For pairs, what each side says and what both say are features too.
    """
    if len(set(labels)) < 2:
        return [labels[0]] * len(test)
    from sklearn.svm import LinearSVC

    vectors, wanted = _vectors(train, test, characters=True)
    model = LinearSVC(C=0.5, random_state=0, dual=True).fit(vectors, labels)
    return [str(label) for label in model.predict(wanted)]


def linear_regression(train: Sequence[Pair], values: Sequence[float], test: Sequence[Pair]) -> list[float]:
    """The same features with ridge regression (alpha = 1)."""
    from sklearn.linear_model import Ridge

    vectors, wanted = _vectors(train, test, characters=True)
    return [float(value) for value in Ridge(random_state=0).fit(vectors, values).predict(wanted)]


def nearest(train: Sequence[str], test: Sequence[str]) -> list[int]:
    """For each test text the index of the training text most alike by TF-IDF of words 1 to 2 (cosine)."""
    pairs: list[Pair] = [(text, None) for text in train]
    vectors, wanted = _vectors(pairs, [(text, None) for text in test], characters=False)
    found: list[int] = []
    for start in range(0, len(test), 256):  # 256 rows at a time bound the memory
        alike = wanted[start : start + 256] @ vectors.T
        found += np.asarray(alike.argmax(axis=1)).ravel().tolist()
    return found


def _vectors(train: Sequence[Pair], test: Sequence[Pair], characters: bool) -> tuple[Any, Any]:
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    def joined(pairs: Sequence[Pair]) -> list[str]:
        """One text a pair, for n-grams of characters."""
        return [text if pair is None else f"{text} \n {pair}" for text, pair in pairs]

    def features(pair: Pair) -> list[str]:
        """N-grams of words; of a pair also which words both have or one alone, and the overlap in tenths."""
        first, second = pair
        if second is None:
            return word_ngrams(first)
        a, b = set(words(first)), set(words(second))
        common = [f"both {w}" for w in sorted(a & b)]
        apart = [f"first {w}" for w in sorted(a - b)] + [f"second {w}" for w in sorted(b - a)]
        return word_ngrams(first) + common + apart + [f"overlap {10 * len(a & b) // max(len(a | b), 1)}"]

    by_word = TfidfVectorizer(analyzer=features, sublinear_tf=True)
    vectors, wanted = [by_word.fit_transform(train)], [by_word.transform(test)]
    if characters:
        rare = 2 if len(train) > 50 else 1
        by_character = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), sublinear_tf=True, min_df=rare)
        vectors.append(by_character.fit_transform(joined(train)))
        wanted.append(by_character.transform(joined(test)))
    return hstack(vectors).tocsr(), hstack(wanted).tocsr()


def longest_match(
    train: Sequence[tuple[str, Sequence[tuple[int, int, str]]]], test: Sequence[str]
) -> list[list[tuple[int, int, str]]]:
    """Entities seen in training, found again: at each place the longest, with its most frequent label.

    Only strings count that were an entity in at least half of the places where training has them: 中 is a
    place's name now and then, and part of another word nearly always.
    """
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for text, spans in train:
        for start, end, label in spans:
            seen[text[start:end]][label] += 1
    memory = {
        surface: min(counts.items(), key=lambda item: (-item[1], item[0]))[0]
        for surface, counts in seen.items()
    }
    beginnings: dict[str, set[int]] = defaultdict(set)
    for surface in memory:
        beginnings[surface[0]].add(len(surface))
    lengths = {first: sorted(sizes, reverse=True) for first, sizes in beginnings.items()}
    found: Counter[str] = Counter()
    for text, _ in train:
        found.update(text[start:end] for start, end, _ in _find(text, memory, lengths))
    sure = {
        surface: label for surface, label in memory.items() if 2 * seen[surface].total() >= found[surface]
    }
    return [_find(text, sure, lengths) for text in test]


def _find(
    text: str, memory: Mapping[str, str], lengths: Mapping[str, Sequence[int]]
) -> list[tuple[int, int, str]]:
    """The longest strings of ``memory`` in ``text``, from left to right, at the edges of words.

    ``lengths`` are those of the strings that begin with a character, the longest first.
    """
    # A Chinese character is a word of its own, so that an entity may begin and end at any.
    inside = {i for start, end in word_offsets(text) for i in range(start + 1, end)}
    found: list[tuple[int, int, str]] = []
    place = 0
    while place < len(text):
        ends = [place + n for n in lengths.get(text[place], ()) if place not in inside]
        end = next((end for end in ends if text[place:end] in memory and end not in inside), place)
        if end > place:
            found.append((place, end, memory[text[place:end]]))
        place = max(end, place + 1)
    return found


def first_sentence(text: str) -> str:
    """The lead: the first sentence of a text."""
    found = sentences(text)
    return text[slice(*found[0])] if found else text


def sliding_window(
    train: Sequence[tuple[str, str, Sequence[str]]], test: Sequence[tuple[str, str]]
) -> list[tuple[str, int]]:
    """The span of a context that lies closest to the question's words (after Richardson et al. 2013).

    Spans are runs of words of the training answers' usual lengths; a word of the question that stands
    near counts its inverse frequency, halved with distance. Below a score chosen on the training set the
    answer is none. Items are (question, context, answers); the result is (answer, start).
    """
    counts = Counter(word for _, context, _ in train for word in set(words(context)))
    weight = {word: float(np.log(1 + len(train) / count)) for word, count in counts.items()}
    rarest = float(np.log(1 + len(train)))
    sizes = [len(word_offsets(answers[0])) for _, _, answers in train if answers]
    usual = [1] if not sizes else sorted({max(1, int(np.quantile(sizes, q))) for q in (0.25, 0.5, 0.75)})

    def search(question: str, context: str) -> tuple[float, int, int]:
        """The best span's score, start and end in characters."""
        offsets = word_offsets(context)
        if not offsets:
            return 0.0, 0, 0
        asked = set(words(question))
        tokens = [context[start:end].lower() for start, end in offsets]
        value = np.array([weight.get(token, rarest) if token in asked else 0.0 for token in tokens])
        total = np.concatenate([[0.0], np.cumsum(value)])
        n = len(tokens)
        best = (-np.inf, 0, 0)
        for size in usual:
            starts = np.arange(max(1, n - size + 1))
            stops = np.minimum(starts + size, n)
            inside = total[stops] - total[starts]
            score = -inside  # an answer seldom repeats the question
            for reach, share in ((2, 1.0), (5, 0.5), (10, 0.25)):
                around = total[np.minimum(stops + reach, n)] - total[np.maximum(starts - reach, 0)]
                score = score + share * (around - inside)
            at = int(np.argmax(score))
            if score[at] > best[0]:
                best = (float(score[at]), offsets[at][0], offsets[int(stops[at]) - 1][1])
        return best

    threshold = -np.inf
    sample = train[:: max(1, len(train) // 300)]
    if any(not answers for _, _, answers in sample):
        from textmill.tasks.scores import token_f1

        tried = []
        for question, context, answers in sample:
            score, start, end = search(question, context)
            tried.append((score, token_f1(context[start:end], answers) if answers else 0.0, not answers))
        edges = [-np.inf, *sorted(score for score, _, _ in tried), np.inf]
        threshold = max(edges, key=lambda t: sum(float(none) if s < t else f1 for s, f1, none in tried))
    found = []
    for question, context in test:
        score, start, end = search(question, context)
        found.append((context[start:end], start) if score >= threshold else ("", 0))
    return found


def word_overlap_sentence(question: str, context: str) -> str:
    """The sentence of the context that shares most words with the question."""
    asked = set(words(question))
    found = sentences(context) or [(0, len(context))]
    start, end = max(found, key=lambda span: (len(asked & set(words(context[slice(*span)]))), -span[0]))
    return context[start:end]
