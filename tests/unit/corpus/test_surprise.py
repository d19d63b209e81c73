import random

import pytest

from textmill.corpus.surprise import Surprise
from textmill.params import Params


def test_noise_surprises_more_than_language():
    draw = random.Random(2)
    words = [f"{a}{b}{c}" for a in ("mi", "gra", "to") for b in ("ll", "in", "se") for c in ("er", "", "ing")]
    texts = [" ".join(draw.choices(words, k=40)) for _ in range(200)]
    noise = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz ", k=200)) for _ in range(5)]
    model = Surprise([texts[:100], texts[100:] + noise])
    assert model.bits(noise).min() > model.bits(texts).max() + 1
    assert model.bits([""]).tolist() == [0]


def test_batches_do_not_matter():
    texts = ["the mill", "磨坊在河边", "the river", "河边的磨坊"]
    one, two = Surprise([texts]), Surprise([texts[:1], texts[1:]])
    assert one.bits(texts).tolist() == two.bits(texts).tolist()


def test_rule_without_its_measure_is_told(corpus_params):
    source = {"one": {"format": "docstrings", "path": "."}}
    rule = {"bigram_surprise": {"max": 6.0}}
    with pytest.raises(ValueError, match=r"needs text\.measure_surprise"):
        corpus_params(source, quality=rule)
    assert isinstance(corpus_params(source, quality=rule, text={"measure_surprise": True}), Params)
