"""What pretraining predicts: the published recipes, drawn from seed, epoch and place alone."""

import numpy as np
import pytest

from textmill import params
from textmill.errors import UserError
from textmill.objectives import Draws, Words, objective
from textmill.tokenizer import train

TEXT = "The millers ground forty sacks, slowly. 磨坊主今天研磨了四十袋麦子，很慢。" * 3


@pytest.fixture(scope="module")
def encode():
    return train([TEXT], params.Tokenizer(kind="character", vocabulary_size=None, path=None))


def spec(name, **more):
    return params.Objective(name=name, **{"separate_documents": False, **more})


MASKED = {"probability": 0.15, "whole_word": True}
SPANS = {"probability": 0.15, "mean_span": 3.0, "noise": "span_corruption"}
INFILLING = {"probability": 0.3, "mean_span": 3.0, "noise": "text_infilling"}
ALL = [("causal", {}), ("masked", MASKED), ("denoising", SPANS), ("denoising", INFILLING)]


def windows(encode, goal, rows):
    ids = np.array(encode(TEXT, add_special_tokens=False)["input_ids"])
    starts = np.arange(rows) % (len(ids) - goal.length)
    return ids[starts[:, None] + np.arange(goal.length)]


def draws(rows, seed=1, epoch=0):
    return Draws(seed, epoch, np.arange(rows) if isinstance(rows, int) else np.asarray(rows))


def test_uniform_numbers_are_uniform_and_independent():
    u = draws(500).uniform(0, 500)
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean() == pytest.approx(0.5, abs=0.003)
    assert u.var() == pytest.approx(1 / 12, abs=0.001)
    for other in (draws(500, seed=2), draws(500, epoch=1)):
        assert abs(np.corrcoef(u.ravel(), other.uniform(0, 500).ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(u.ravel(), draws(500).uniform(1, 500).ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(u[:-1].ravel(), u[1:].ravel())[0, 1]) < 0.01


@pytest.mark.parametrize(("name", "more"), ALL)
def test_a_sequence_is_the_same_in_any_batch(encode, name, more):
    goal = objective(spec(name, **more), encode, 48)
    rows = windows(encode, goal, 12)
    whole = goal(rows, draws(12))
    for part in ([0, 1, 2], [7], [11, 3]):
        batch = goal(rows[part], draws(part))
        for key, value in batch.items():
            assert (value == whole[key][part]).all()
    if name != "causal":
        again = goal(rows, draws(12, epoch=1))
        assert any((again[key] != whole[key]).any() for key in whole)


@pytest.mark.parametrize(("name", "more"), ALL)
def test_model_positions_are_not_exceeded(encode, name, more):
    goal = objective(spec(name, **more), encode, 48)
    batch = goal(windows(encode, goal, 4), draws(4))
    assert all(value.shape[1] <= 48 for value in batch.values())


@pytest.mark.parametrize("whole_word", [True, False])
def test_masking_shares(encode, whole_word):
    goal = objective(spec("masked", probability=0.15, whole_word=whole_word), encode, 66)
    rows = windows(encode, goal, 4000)
    batch = {key: value.numpy() for key, value in goal(rows, draws(4000)).items()}
    chosen = batch["labels"] != -100
    ids, truth = batch["input_ids"][chosen], batch["labels"][chosen]
    assert chosen[:, 1:-1].mean() == pytest.approx(0.15, abs=0.005)
    assert not chosen[:, [0, -1]].any()
    assert (batch["input_ids"][:, [0, -1]] == [encode.cls_token_id, encode.sep_token_id]).all()
    masked = ids == encode.mask_token_id
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    assert (ids == truth).mean() == pytest.approx(0.1, abs=0.01)
    assert not np.isin(ids[~masked], encode.all_special_ids).any()
    inner = batch["input_ids"][:, 1:-1]
    assert (inner[~chosen[:, 1:-1]] == rows[~chosen[:, 1:-1]]).all()


def test_special_tokens_are_never_masked(encode):
    goal = objective(spec("masked", probability=1.0, whole_word=False), encode, 16)
    row = np.array([[encode.eos_token_id, 300, encode.eos_token_id] + [301] * 11])
    labels = goal(row, draws(1))["labels"][0, 1:-1]
    assert labels.tolist() == [-100, 300, -100] + [301] * 11


def test_words_in_english_and_chinese(encode):
    words = Words(encode)
    text = "It's 42 mills. 磨坊主今天"
    ids = np.array([encode(text, add_special_tokens=False)["input_ids"]])
    alone = words.starts(ids, np.ones(ids.shape))[0]
    rows = encode.convert_ids_to_tokens(ids[0].tolist())
    spelt = "".join(("|" if start else "") + token for start, token in zip(alone, rows, strict=True))
    assert spelt.startswith("|I") or "<0x" in spelt
    assert "|m|i" not in spelt
    assert "|mills|." in spelt
    assert spelt.endswith("|磨|坊|主|今|天")
    together = words.starts(ids, np.zeros(ids.shape))[0]
    assert not together[-4:].any()  # a run drawn together, and the space before it ends it
    assert together[-5]


def test_bytes_of_one_character_stay_together():
    encode = train([TEXT] * 3, params.Tokenizer(kind="bpe", vocabulary_size=300, path=None))
    ids = np.array([encode("a 鑫 b", add_special_tokens=False)["input_ids"]])
    starts = Words(encode).starts(ids, np.ones(ids.shape))[0]
    tokens = [encode.decode([i]) for i in ids[0]]
    broken = [start for start, token in zip(starts, tokens, strict=True) if token == "\ufffd"]
    assert len(broken) >= 2
    assert not any(broken[1:])


def test_span_corruption_restores_the_text(encode):
    goal = objective(spec("denoising", **SPANS), encode, 64)
    rows = windows(encode, goal, 50)
    batch = goal(rows, draws(50))
    sentinels = encode.convert_tokens_to_ids([f"<span_{i}>" for i in range(32)])
    for row, source, target in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        pieces, current = {}, None
        for token in target.tolist()[:-1]:
            if token in sentinels:
                current = token
                pieces[current] = []
            else:
                pieces[current].append(token)
        assert target[-1] == encode.eos_token_id
        restored = []
        for token in source.tolist()[1:-1]:
            restored += pieces.get(token, [token])
        assert restored == row.tolist()
        assert list(pieces) == sentinels[: goal.spans]
        assert sum(map(len, pieces.values())) == goal.noise == round(62 * 0.15)


def test_span_lengths_are_as_asked(encode):
    goal = objective(spec("denoising", **SPANS), encode, 128)
    assert goal.noise / goal.spans == pytest.approx(3.0, abs=0.3)
    with pytest.raises(UserError, match="mean_span must be"):
        objective(spec("denoising", **{**SPANS, "mean_span": 1.0, "probability": 0.4}), encode, 128)


def test_text_infilling_keeps_the_rest_in_order(encode):
    goal = objective(spec("denoising", **INFILLING), encode, 64)
    rows = windows(encode, goal, 200)
    batch = goal(rows, draws(200))
    empty = 0
    for row, source, target in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        assert target.tolist() == [*row.tolist(), encode.eos_token_id]
        inner = source.tolist()[1:-1]
        kept = [token for token in inner if token != encode.mask_token_id]
        assert inner.count(encode.mask_token_id) == goal.spans
        assert len(kept) == len(row) - round(62 * 0.3)
        left = iter(row.tolist())
        assert all(token in left for token in kept)  # a subsequence
        empty += len(inner) != len(kept) + goal.spans
    assert empty == 0


def test_documents_kept_apart(encode):
    goal = objective(spec("causal", separate_documents=True), encode, 8)
    end = encode.eos_token_id
    batch = goal(np.array([[300, 301, end, 302, 303, end, end, 304]]), draws(1))
    assert batch["segment_ids"].tolist() == [[0, 0, 0, 1, 1, 1, 2, 3]]
    assert batch["labels"].tolist() == [[300, 301, end, -100, 303, end, -100, -100]]


def test_windows_too_short(encode):
    with pytest.raises(UserError, match="max_length"):
        objective(spec("causal"), encode, 4)
