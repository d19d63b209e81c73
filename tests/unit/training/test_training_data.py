"""Batches: every token once, another order in every epoch, any batch alone."""

import numpy as np
import pytest
import torch

from textmill import params
from textmill.errors import UserError
from textmill.objectives import objective
from textmill.records import write_json
from textmill.tokenizer import train
from textmill.training.data import BucketedBatches, PackedBatches, Stream

ENCODE = train(["abc"], params.Tokenizer(kind="character", vocabulary_size=None, path=None))
CAUSAL = params.Objective(name="causal", separate_documents=False)


def packed(folder, tokens=1000, batch_size=4, length=11, **more):
    ids = (np.arange(tokens) % 60000).astype(np.uint16)
    ids.tofile(folder / "train.bin")
    np.array([0, tokens // 2, tokens], np.uint64).tofile(folder / "train.offsets.bin")
    write_json(
        folder / "train.json",
        {"dtype": "uint16", "tokens": tokens, "bytes": 3 * tokens, "offsets": "train.offsets.bin",
         "digest": "d", "ids": ["first", "second"]},
    )  # fmt: skip
    goal = objective(CAUSAL, ENCODE, length)
    return PackedBatches(folder, "train", goal, batch_size, 7, **more)


def test_an_epoch_has_each_window_once(tmp_path):
    batches = packed(tmp_path)
    assert len(batches) == 24  # 99 windows of 10 new tokens, in whole batches
    starts = torch.cat([batch["input_ids"][:, 0] for batch in batches.epoch(0)]).numpy()
    assert len(set(starts)) == len(starts) == 96
    assert len({int(start) % 10 for start in starts}) == 1
    again = torch.cat([batch["input_ids"][:, 0] for batch in batches.epoch(1)]).numpy()
    assert (starts != again).any()


def test_held_out_windows_predict_each_token_once(tmp_path):
    batches = packed(tmp_path, tokens=1001, shuffle=False)
    predicted = torch.cat([batch["labels"][:, 1:].flatten() for batch in batches.epoch(0)])
    assert predicted.tolist() == list(range(1, 1001))


def test_a_batch_alone_is_the_batch_in_its_epoch(tmp_path):
    whole = list(packed(tmp_path).epoch(2))
    assert torch.equal(packed(tmp_path).batch(2, 17)["input_ids"], whole[17]["input_ids"])


def test_two_processes_share_what_one_sees(tmp_path):
    one = Stream(packed(tmp_path, batch_size=8), endless=True)
    halves = [Stream(packed(tmp_path, batch_size=4), endless=True) for _ in range(2)]
    for rank, stream in enumerate(halves):
        stream.rank, stream.world = rank, 2
    for _, whole, *parts in zip(range(10), one, *halves, strict=False):
        assert torch.equal(whole["input_ids"], torch.cat([part["input_ids"] for part in parts]))


def test_documents_of_a_batch(tmp_path):
    batches = packed(tmp_path, shuffle=False)
    assert batches.ids(0, 0) == ["first"]
    assert batches.ids(0, len(batches) - 1) == ["second"]
    assert batches.ids(0, 12) == ["first", "second"]


def test_too_little_text(tmp_path):
    with pytest.raises(UserError, match="less than one window"):
        packed(tmp_path, tokens=9)


def features(count=500):
    rng = np.random.default_rng(0)
    return [{"id": i, "input_ids": [i] * int(rng.integers(1, 60))} for i in range(count)]


def collate(chosen):
    longest = max(len(f["input_ids"]) for f in chosen)
    return {
        "ids": torch.tensor([f["id"] for f in chosen]),
        "padding": torch.tensor(sum(longest - len(f["input_ids"]) for f in chosen)),
    }


def test_buckets_hold_each_feature_once_and_little_padding():
    rows = features()
    batches = BucketedBatches(rows, collate, 8, seed=1)
    seen = list(batches.epoch(0))
    assert sorted(torch.cat([batch["ids"] for batch in seen]).tolist()) == list(range(500))
    padding = sum(int(batch["padding"]) for batch in seen)
    assert padding < 0.1 * sum(len(f["input_ids"]) for f in rows)
    other = [batch["ids"].tolist() for batch in batches.epoch(1)]
    assert other != [batch["ids"].tolist() for batch in seen]
    assert batches.ids(0, 3) == [str(i) for i in seen[3]["ids"].tolist()]


def test_without_a_seed_the_longest_come_first():
    rows = features()
    batches = BucketedBatches(rows, collate, 8, seed=None)
    first, last = batches.batch(0, 0)["ids"].tolist(), batches.batch(5, len(batches) - 1)["ids"].tolist()
    assert min(len(rows[i]["input_ids"]) for i in first) >= max(len(rows[i]["input_ids"]) for i in last)


def test_fingerprint_follows_the_data():
    rows = features()
    assert (
        BucketedBatches(rows, collate, 8, 1).fingerprint()
        == BucketedBatches(rows, collate, 8, 1).fingerprint()
    )
    other = [*rows[:-1], {"id": 9, "input_ids": [1]}]
    assert (
        BucketedBatches(rows, collate, 8, 1).fingerprint()
        != BucketedBatches(other, collate, 8, 1).fingerprint()
    )
