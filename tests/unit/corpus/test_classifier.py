"""The classifier learns from the user's examples what to keep, in English and in Chinese."""

import json

import numpy as np
import polars as pl
import pytest

from textmill import params, sample
from textmill.corpus import curate, ingest
from textmill.corpus.classifier import Classifier
from textmill.errors import UserError
from textmill.records import write_jsonl

GOOD_ZH = [
    "街角的面包店每天早上六点开门，因为司机们都想买到热的面包，老板娘从来没有迟到过。",
    "我的祖父在屋后养蜜蜂，他告诉我动作要慢，说话要轻，刮风的日子不要去打扰它们。",
    "铁路修通以后，河上的贸易就变了，大部分船夫都进了工厂做工。",
    "她合上书，望着窗外的雨，在把信放进抽屉之前又读了一遍。",
]
BAD_ZH = [
    "特价！！！正品包邮，名牌手表批发，全网最低价，点击购买，加微信领红包！！！",
    "日赚五千元！！！在家兼职，免费注册，名额有限，立即点击，扫码进群！！！",
    "首页 | 关于我们 | 产品中心 | 联系我们 | 登录 | 注册 | 网站地图 | 友情链接",
    "百家乐 老虎机 时时彩 开户送彩金 百家乐 网上赌场 老虎机 真人娱乐",
]
# Of the same kinds, in other words.
PROSE_ZH = "河边的磨坊早就不用了，老人们还记得从前在那里磨麦子的日子，孩子们只把它当作玩耍的地方。"
ADVERT_ZH = "限时抢购！！！名牌包包全网最低价，免费包邮，立即点击领红包，加微信进群！！！"


def world(seed: int) -> tuple[list[str], list[str]]:
    """The good documents of a sample and its gibberish."""
    size = params.load().sample.model_copy(update={"documents": 800, "train": 10})
    texts = sample.documents(seed, size)
    kinds: dict[str, set[int]] = {"gibberish": set(), "foreign": set(), "mojibake": set()}
    for item in sample.planted(seed, size):
        kinds.get(item["kind"], set()).add(item["index"])
    spoilt = set.union(*kinds.values())
    good = [text for place, text in enumerate(texts) if place not in spoilt]
    return good, [texts[place] for place in sorted(kinds["gibberish"])]


def test_gibberish_of_another_sample_is_known_by_examples():
    good, gibberish = world(2001)
    model = Classifier(good[:100], gibberish, seed=1)
    good, gibberish = world(2002)
    assert len(gibberish) >= 10
    assert model.probability(gibberish).max() < 0.5
    assert np.mean(model.probability(good) > 0.5) >= 0.99


def test_chinese_is_learned_by_its_characters():
    model = Classifier(GOOD_ZH, BAD_ZH, seed=1)
    prose, advert = model.probability([PROSE_ZH, ADVERT_ZH])
    assert prose > 0.6
    assert advert < 0.4
    swapped = Classifier(BAD_ZH, GOOD_ZH, seed=1)
    assert swapped.probability([ADVERT_ZH])[0] > 0.6


def test_the_same_examples_learn_the_same_and_neighbours_play_no_part():
    one, two = (Classifier(GOOD_ZH, BAD_ZH, seed=1) for _ in range(2))
    texts = [PROSE_ZH, "", ADVERT_ZH, "The mill."]
    assert one.probability(texts).tolist() == two.probability(texts).tolist()
    assert one.probability(texts).tolist() == [one.probability([text])[0] for text in texts]


@pytest.fixture
def build(tmp_path, corpus_params):
    """Parameters of a corpus whose classifier learns from these examples."""

    def build(good: list[str], bad: list[str], texts: list[str], **rule: float) -> params.Params:
        for name, rows in (("good", good), ("bad", bad), ("in", texts)):
            write_jsonl(tmp_path / f"{name}.jsonl", ({"text": row} for row in rows))
        examples = {name: str(tmp_path / f"{name}.jsonl") for name in ("good", "bad")}
        return corpus_params(
            {"one": {"format": "jsonl", "path": str(tmp_path / "in.jsonl"), "text_field": "text"}},
            text={"learn_quality": True, "examples": examples},
            quality={"learned_quality": rule},
        )

    return build


def test_its_rule_drops_with_the_figure_and_new_examples_are_learned(tmp_path, build):
    texts = [PROSE_ZH, ADVERT_ZH]
    spec = build(GOOD_ZH, BAD_ZH, texts, min=0.5)
    ingest(spec, tmp_path / "documents")
    curate(spec, tmp_path / "documents", {}, tmp_path / "corpus")
    dropped = pl.read_parquet(tmp_path / "corpus" / "dropped.parquet")
    assert dropped.select("text", "rule", "threshold").rows() == [(ADVERT_ZH, "learned_quality", 0.5)]
    expected = Classifier(GOOD_ZH, BAD_ZH, spec.seed).probability([ADVERT_ZH])[0]
    assert dropped["figure"].to_list() == [expected]
    spec = build(BAD_ZH, GOOD_ZH, texts, min=0.5)
    ingest(spec, tmp_path / "documents")
    curate(spec, tmp_path / "documents", {}, tmp_path / "corpus")
    assert pl.read_parquet(tmp_path / "corpus" / "dropped.parquet")["text"].to_list() == [PROSE_ZH]


def test_examples_that_are_missing_empty_or_no_texts_are_told(tmp_path, build):
    spec = build(GOOD_ZH, [], [PROSE_ZH])
    with pytest.raises(UserError, match=r"corpus\.text\.examples\.bad: .*bad\.jsonl: holds no example"):
        ingest(spec, tmp_path / "documents")
    (tmp_path / "bad.jsonl").write_text(json.dumps({"txt": "a"}))
    with pytest.raises(UserError, match=r"bad\.jsonl: example 1: expected an object with a field text"):
        ingest(spec, tmp_path / "documents")
    (tmp_path / "good.jsonl").unlink()
    with pytest.raises(UserError, match=r"examples\.good: .*good\.jsonl: no such file"):
        ingest(spec, tmp_path / "documents")


def test_the_rule_needs_the_classifier(corpus_params):
    with pytest.raises(ValueError, match=r"learned_quality needs text\.learn_quality: true"):
        corpus_params(
            {"one": {"format": "docstrings", "path": "."}}, quality={"learned_quality": {"min": 0.5}}
        )


def test_the_examples_in_the_project_tell_prose_from_junk():
    model = Classifier.learn(params.load().corpus.text.examples, seed=1)
    prose, junk = (
        "The ferry crosses the bay twice a day, and in winter only when the sea is calm.",
        "CLICK $$$!!!",
    )
    found = model.probability([prose, PROSE_ZH, junk, ADVERT_ZH])
    assert (found > 0.5).tolist() == [True, True, False, False]
