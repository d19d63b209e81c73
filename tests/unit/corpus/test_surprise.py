import random

import polars as pl
import pytest

from textmill import params, sample
from textmill.corpus import ingest, rules
from textmill.corpus.ingestion import shards
from textmill.corpus.surprise import Surprise
from textmill.params import Params
from textmill.records import write_jsonl


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


def test_noise_breaks_the_rules_in_both_languages_and_little_else_does(tmp_path, corpus_params):
    """The sample's gibberish: keyboards, cells of lost tables, one word over and over, Han at random."""
    size = params.load().sample.model_copy(update={"documents": 2000, "train": 10})
    texts = sample.documents(2001, size)
    kinds: dict[str, set[int]] = {}
    for item in sample.planted(2001, size):
        kinds.setdefault(item["kind"], set()).add(item["index"])
    write_jsonl(tmp_path / "a.jsonl", ({"t": text} for text in texts))
    source = {"one": {"format": "jsonl", "path": str(tmp_path / "a.jsonl"), "text_field": "t"}}
    quality = {"bigram_surprise": {"max": 4.8}, "unspaced_bigram_surprise": {"max": 6.0}}
    spec = corpus_params(source, text={"measure_surprise": True}, quality=quality)
    ingest(spec, tmp_path / "documents")
    table = pl.concat(pl.read_parquet(path) for path in shards(tmp_path / "documents"))
    table = table.with_columns(rules.first_broken(table, spec.corpus.quality))
    place = pl.col("line") - 1
    noise = table.filter(place.is_in(kinds["gibberish"]))
    assert noise["rule"].is_null().mean() <= 0.05
    assert set(noise["rule"].drop_nulls()) == set(quality)
    spoilt = kinds["gibberish"] | kinds["foreign"] | kinds["mojibake"]
    for language in ("en", "zh"):
        clean = table.filter(~place.is_in(spoilt) & (pl.col("language") == language))
        assert len(clean) > 500
        assert clean["rule"].is_null().mean() >= 0.99


@pytest.mark.parametrize("name", ["bigram_surprise", "unspaced_bigram_surprise"])
def test_rule_without_its_measure_is_told(corpus_params, name):
    source = {"one": {"format": "docstrings", "path": "."}}
    rule = {name: {"max": 6.0}}
    with pytest.raises(ValueError, match=r"needs text\.measure_surprise"):
        corpus_params(source, quality=rule)
    assert isinstance(corpus_params(source, quality=rule, text={"measure_surprise": True}), Params)
