import random

import numpy as np
import pytest

from textmill.corpus import duplicates
from textmill.corpus.codes import Codes
from textmill.params import NearDuplicates

SPEC = NearDuplicates(shingle=5, bands=14, rows=8, similarity=0.7)


def document(draw: random.Random, size: int = 200) -> list[str]:
    return [f"w{draw.randrange(3000)}" for _ in range(size)]


def jaccard(a: list[str], b: list[str], size: int = 5) -> float:
    one, two = ({tuple(t[i : i + size]) for i in range(len(t) - size + 1)} for t in (a, b))
    return len(one & two) / len(one | two)


def test_agreement_of_signatures_estimates_the_jaccard_index():
    draw = random.Random(3)
    errors = []
    for changes in (0, 1, 2, 4, 8, 16):
        a = document(draw)
        b = list(a)
        for place in draw.sample(range(len(b)), changes):
            b[place] = "changed"
        values = duplicates.signatures([" ".join(a), " ".join(b)], SPEC).values
        errors.append((values[0] == values[1]).mean() - jaccard(a, b))
    # 112 permutations: a standard error of at most 0.047 each
    assert abs(np.mean(errors)) < 0.05
    assert max(map(abs, errors)) < 0.15


def test_near_duplicates_are_found_and_others_are_not():
    draw = random.Random(5)
    texts, truth = [], set()
    for number in range(150):
        words = document(draw, 120)
        texts.append(" ".join(words))
        if number % 3 == 0:
            words[draw.randrange(120)] = "other"
            truth.add((len(texts) - 1, len(texts)))
            texts.append(" ".join(words))
    found = duplicates.signatures(texts, SPEC)
    left, right, alike = duplicates.pairs(duplicates.bands(found.values, SPEC), found.values, SPEC.similarity)
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    assert len(pairs & truth) / len(truth) >= 0.95
    assert pairs <= truth
    assert (alike >= SPEC.similarity).all()


def test_chinese_is_compared_by_characters():
    draw = random.Random(7)
    text = "".join(chr(0x4E00 + draw.randrange(2000)) for _ in range(300))
    texts = [text, text[:150] + "改" + text[151:], "".join(draw.sample(text, len(text)))]
    values = duplicates.signatures(texts, SPEC).values
    assert (values[0] == values[1]).mean() > 0.85
    assert (values[0] == values[2]).mean() < 0.1


def test_case_and_punctuation_do_not_matter():
    values = duplicates.signatures(
        ["The cat sat on the mat today", "the cat, sat on the MAT; today!"], SPEC
    ).values
    assert (values[0] == values[1]).all()


def test_texts_shorter_than_a_shingle():
    found = duplicates.signatures(["one two", "One two.", "two one", "", "..."], SPEC)
    assert found.size.tolist() == [1, 1, 1, 0, 0]
    assert (found.values[0] == found.values[1]).all()
    assert not (found.values[0] == found.values[2]).any()


def test_signature_depends_on_the_text_alone():
    draw = random.Random(9)
    texts = [" ".join(document(draw, draw.choice([3, 40, 900]))) for _ in range(80)]
    together = duplicates.signatures(texts, SPEC).values
    for place in (0, 17, 79):
        assert (duplicates.signatures([texts[place]], SPEC).values[0] == together[place]).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_components_against_union_find(seed):
    draw = random.Random(seed)
    size = 200
    edges = [(draw.randrange(size), draw.randrange(size)) for _ in range(150)]
    parent = list(range(size))

    def root(node: int) -> int:
        while parent[node] != node:
            node = parent[node]
        return node

    for a, b in edges:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    left, right = (np.array(side) for side in zip(*edges, strict=True))
    assert duplicates.components(size, left, right).tolist() == [root(node) for node in range(size)]


def test_long_chain_is_one_component():
    nodes = np.random.default_rng(0).permutation(5000)
    assert (duplicates.components(5000, nodes[:-1], nodes[1:]) == 0).all()


def test_exact():
    keys = Codes(["a", "b", "a", "c", "b"])
    assert duplicates.exact(keys.hashes(keys.whole)).tolist() == [0, 1, 0, 3, 1]
