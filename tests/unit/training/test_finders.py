"""A learning rate and a batch size to begin with, from the pipeline's outputs, which stay as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from textmill.errors import UserError
from textmill.params import Params, load
from textmill.records import write_jsonl
from textmill.tokenizer import pack, train
from textmill.training import finders
from textmill.training.pretraining import start

SMALL = {"layers": 2, "width": 16, "heads": 2, "key_value_heads": 2, "feed_forward": 32, "max_positions": 32}
MUON = {"name": "muon", "muon_learning_rate": 0.02}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Path]:
    """Parameters of a tiny encoder and a task, and the folder with what the stages before training write."""
    root = tmp_path_factory.mktemp("project")
    raw = load().model_dump(mode="json")
    encoder, task = raw["pretrain"]["encoder"], raw["tasks"]["sentiment"]
    encoder["architecture"] |= SMALL
    for training, optimizer in ((encoder["training"], MUON), (task["finetune"], {"name": "adamw"})):
        training |= {"batch_size": 8, "max_length": 32, "learning_rate": 0.001}
        training["optimizer"] |= optimizer
    task["finetune"] |= {"layer_decay": 0.9, "gradual_unfreezing": 0.5}
    trainer = raw["trainer"] | {"threads": 1, "precision": "32-true", "accelerator": "cpu"}
    raw |= {"pretrain": {"encoder": encoder}, "tasks": {"sentiment": task}, "trainer": trainer}
    params = Params.model_validate_json(json.dumps(raw))

    rows = [
        {
            "id": f"s{i}",
            "text": f"{('good', 'bad')[i % 2]} tools {i % 7}",
            "label": ("positive", "negative")[i % 2],
        }
        for i in range(64)
    ]
    for split in ("train", "dev", "test"):
        write_jsonl(root / "data/tasks/sentiment" / f"{split}.jsonl", rows)
        texts = [row["text"] * 4 for row in rows]
        documents = {"id": [row["id"] for row in rows], "text": texts, "language": ["en"] * len(rows)}
        (root / "corpus").mkdir(exist_ok=True)
        pl.DataFrame(documents).write_parquet(
            root / "corpus" / f"{split if split != 'dev' else 'validation'}.parquet"
        )
    spec = params.tokenizer.model_copy(update={"kind": "bpe", "vocabulary_size": 300})
    tokenizer = train(texts, spec)
    tokenizer.save_pretrained(root / "models/tokenizer")
    pack(root / "corpus", root / "models/tokenizer", root / "data/tokens")
    pretrained = root / "models/pretrained/encoder"
    start(params.pretrain["encoder"], tokenizer, 1).save_pretrained(pretrained)
    tokenizer.save_pretrained(pretrained)
    return params, root


def _files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _pasted(told: str) -> Any:
    """What the block at the end says, read as params.yaml is."""
    return YAML(typ="safe").load(
        "\n".join(re.findall(r"^(?:tasks|pretrain):$|^  .*:.*$", told, re.MULTILINE))
    )


def test_a_learning_rate_for_a_model_keeps_muons_proportion(
    project: tuple[Params, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    params, root = project
    monkeypatch.chdir(tmp_path)
    before = _files(root)
    told = finders.find_learning_rate(params, root, "encoder")
    assert told == finders.find_learning_rate(params, root, "encoder")
    assert _files(root) == before
    assert not list(tmp_path.iterdir())
    head, *table = [line.split() for line in told.split("\n\n")[0].splitlines()]
    assert head == ["learning_rate", "muon_learning_rate", "loss", "mean", "around"]
    rates = [float(row[0]) for row in table]
    assert rates[0] == finders.LOW
    assert rates == sorted(rates)
    assert all(float(row[1]) == pytest.approx(20 * float(row[0]), rel=0.06) for row in table)
    smoothed = [float(row[3]) for row in table]
    found = _pasted(told)["pretrain"]["encoder"]["training"]
    lowest = rates[smoothed.index(min(smoothed))]
    assert lowest / 2 < 10 * found["learning_rate"] < 2 * lowest
    assert smoothed.index(min(smoothed)) > 0
    assert found["optimizer"]["muon_learning_rate"] == pytest.approx(20 * found["learning_rate"], rel=0.1)


def test_a_loss_that_is_no_number_ends_the_test_and_gives_no_rate(
    project: tuple[Params, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, root = project
    losses = finders.Module.losses
    calls = []

    def lost(self: finders.Module, *given: Any) -> Any:
        loss, count = losses(self, *given)
        calls.append(loss)
        return loss * (float("nan") if len(calls) == 3 else 1.0), count

    monkeypatch.setattr(finders.Module, "losses", lost)
    monkeypatch.setattr(finders, "LOW", 1e-9)
    with pytest.raises(UserError, match="the loss of encoder falls at no learning rate from 1e-09 to 1"):
        finders.find_learning_rate(params, root, "encoder")
    assert len(calls) == 3


def test_a_learning_rate_for_a_task_is_one_that_learns(project: tuple[Params, Path]) -> None:
    params, root = project
    told = finders.find_learning_rate(params, root, "sentiment")
    assert told.splitlines()[0].split() == ["learning_rate", "loss", "mean", "around"]
    found = _pasted(told)["tasks"]["sentiment"]["finetune"]
    assert 1e-4 < found["learning_rate"] < 0.1


@pytest.mark.parametrize("name", ["sentiment", "encoder"])
def test_a_batch_size_is_the_smallest_that_is_nearly_the_fastest(
    project: tuple[Params, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, root = project
    rates = {4: 100.0, 8: 190.0, 16: 195.0, 32: 193.0}
    measure = finders._measure

    def timed(subject: finders.Subject, size: int) -> tuple[float, float]:
        assert len(subject.batches(size).batch(0, 0)["input_ids"]) == size
        tokens_a_second, gigabytes = measure(subject, size)
        assert tokens_a_second > 0
        return rates[size], gigabytes

    monkeypatch.setattr(finders, "_measure", timed)
    before = _files(root)
    told = finders.find_batch_size(params, root, name)
    assert _files(root) == before
    (block,) = (_pasted(told)[key][name] for key in ("tasks", "pretrain") if key in _pasted(told))
    assert block == {"finetune" if name == "sentiment" else "training": {"batch_size": 8}}
    assert "larger ones are no faster" in told
    assert [line.split()[0] for line in told.split("\n\n")[0].splitlines()][1:] == ["4", "8", "16", "32"]


def test_no_batch_size_is_tried_that_the_memory_cannot_hold(
    project: tuple[Params, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, root = project

    def full(_: finders.Subject, size: int) -> tuple[float, float]:
        if size > 8:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return float(size), 0.1

    monkeypatch.setattr(finders, "_measure", full)
    assert "16 needs more memory than there is" in finders.find_batch_size(params, root, "encoder")
    monkeypatch.setattr(finders, "_measure", lambda _, size: (float(size), 1e6 * size))
    assert "8 would need more memory than is free" in finders.find_batch_size(params, root, "encoder")


def test_what_is_missing_is_said_with_the_command_that_makes_it(
    project: tuple[Params, Path], tmp_path: Path
) -> None:
    params, _ = project
    for find in (finders.find_learning_rate, finders.find_batch_size):
        with pytest.raises(UserError, match=r"models/tokenizer: missing; `dvc repro tokenize` makes it"):
            find(params, tmp_path, "encoder")
        with pytest.raises(
            UserError, match=r"data/tasks/sentiment: missing; `dvc repro task_data@sentiment`"
        ):
            find(params, tmp_path, "sentiment")
        with pytest.raises(
            UserError, match=r"no task or model 'other' in params\.yaml; known: sentiment, encoder"
        ):
            find(params, tmp_path, "other")
