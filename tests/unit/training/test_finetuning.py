"""Fine-tuning end to end on a tiny model: seeds, what is kept, what is fitted on dev."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from textmill.errors import UserError
from textmill.evaluation import evaluate
from textmill.evaluation.learning_curve import learning_curve, write_curve
from textmill.lineage import content_digest
from textmill.models.auto import model_class
from textmill.models.configuration import from_architecture
from textmill.params import Architecture, Params, load
from textmill.prediction import Predictor
from textmill.records import read_json, write_jsonl
from textmill.tasks import FAMILIES
from textmill.tokenizer import train
from textmill.training import finetuning
from textmill.training.calibration import calibrate
from textmill.training.data import BucketedBatches
from textmill.training.finetuning import finetune
from textmill.training.multitask import MixedBatches, MultiTask

GOOD, BAD = ("good", "lovely", "很好"), ("bad", "dreadful", "很差")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Labelled texts, a tiny encoder that was never trained, and parameters that fit it."""
    import torch

    top = tmp_path_factory.mktemp("finetune")
    rows = [
        {
            "id": f"s{i}",
            "text": f"{(GOOD, BAD)[i % 2][i % 3]} tools {i % 7}",
            "label": ("positive", "negative")[i % 2],
        }
        for i in range(96)
    ]
    # Of the words below the model has seen none.
    strange = [{"id": f"o{i}", "text": f"{i} {'xyzw'[i % 4]} ??", "label": "oos"} for i in range(12)]
    for split, part in (
        ("train", rows[:48]),
        ("dev", rows[48:72] + strange[:6]),
        ("test", rows[72:] + strange[6:]),
    ):
        write_jsonl(top / "data" / f"{split}.jsonl", part)
    params = load()
    spec = params.tokenizer.model_copy(update={"kind": "bpe", "vocabulary_size": 320})
    tokenizer = train([row["text"] for row in rows] * 2, spec)
    shape = params.architecture.model_dump() | {
        "layers": 1, "width": 16, "heads": 2, "key_value_heads": 2, "feed_forward": 32, "max_positions": 64,
        "dropout": 0.0,
    }  # fmt: skip
    torch.manual_seed(0)
    config = from_architecture("encoder", Architecture(**shape), tokenizer)
    model_class("encoder", "masked_lm")(config).save_pretrained(top / "model")
    tokenizer.save_pretrained(top / "model")
    return {"params": params, "top": top}


def _with(params: Params, **finetune: Any) -> Params:
    task = params.tasks["sentiment"]
    spec = task.finetune.model_dump(mode="json") | {
        "budget": {"steps": 30}, "batch_size": 16, "learning_rate": 0.01, "max_length": 32, "validations": 2,
        "optimizer": task.finetune.optimizer.model_dump(mode="json") | {"name": "adamw"},
    } | finetune  # fmt: skip
    labels = ["negative", "positive", "oos"]
    metric = "in_scope_accuracy" if finetune.get("out_of_scope") else "accuracy"
    raw = task.model_dump(mode="json") | {
        "labels": labels, "finetune": spec, "gate": {"metric": metric, "min": None, "above_baseline": False},
        "behaviour": None,
    }  # fmt: skip
    trainer = params.trainer.model_copy(update={"threads": 1, "precision": "32-true"})
    made = type(task).model_validate_json(json.dumps(raw))
    return params.model_copy(update={"tasks": {"sentiment": made}, "trainer": trainer})


def _run(project: dict[str, Any], folder: Path, **settings: Any) -> tuple[Params, dict[str, float]]:
    params = _with(project["params"], **settings)
    top = project["top"]
    metrics = finetune(
        params, "sentiment", top / "data", top / "model", folder / "out", logger=None, folder=folder / "state"
    )
    return params, metrics


def test_what_is_out_of_scope_is_not_learnt_and_told_by_everyone_who_predicts(
    project: dict[str, Any], tmp_path: Path
) -> None:
    params, metrics = _run(
        project, tmp_path, out_of_scope="oos", class_weights={"negative": 2, "positive": 1, "oos": 1}
    )
    card = read_json(tmp_path / "out" / "textmill.json")
    assert card["threshold"] == metrics["threshold"]
    assert card["temperature"] == metrics["temperature"]
    assert read_json(tmp_path / "out" / "config.json")["id2label"] == {"0": "negative", "1": "positive"}
    found, _ = evaluate(params, "sentiment", project["top"] / "data", tmp_path / "out", tmp_path / "scores")
    assert found["in_scope_accuracy"] > 0.9
    assert 0 <= found["out_of_scope_recall"] <= 1
    assert found["baseline_linear_in_scope_accuracy"] > 0.9
    predictor = Predictor(tmp_path / "out")
    for row in predictor.predict(["lovely tools 1", "?? zz 3"]):
        assert (row["prediction"] == "oos") == (row["score"] < card["threshold"])


def test_a_label_without_weight_is_not_learnt(project: dict[str, Any], tmp_path: Path) -> None:
    weights = {"negative": 1, "positive": 1e-6, "oos": 1}
    _run(project, tmp_path, class_weights=weights)
    said = Predictor(tmp_path / "out").predict([f"lovely tools {i}" for i in range(5)])
    assert "positive" not in {row["prediction"] for row in said}
    _run(project, tmp_path / "alike", class_weights=dict.fromkeys(weights, 1))
    said = Predictor(tmp_path / "alike" / "out").predict([f"lovely tools {i}" for i in range(5)])
    assert {row["prediction"] for row in said} == {"positive"}


def test_what_is_saved_does_not_say_where_it_was_made(project: dict[str, Any], tmp_path: Path) -> None:
    _run(project, tmp_path, budget={"steps": 1})
    for path in (tmp_path / "out").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert str(project["top"]) not in text
        assert str(tmp_path) not in text


def test_of_several_seeds_the_best_on_dev_is_kept_and_all_are_evaluated(
    project: dict[str, Any], tmp_path: Path
) -> None:
    params, metrics = _run(project, tmp_path, seeds=3, budget={"steps": 6})
    others = sorted(path.name for path in (tmp_path / "out" / "seeds").iterdir())
    kept = str(int(metrics["seed"]))
    assert sorted([*others, kept]) == ["1", "2", "3"]
    assert metrics["dev_accuracy"] >= metrics["dev_accuracy_mean"]
    found, _ = evaluate(params, "sentiment", project["top"] / "data", tmp_path / "out", tmp_path / "scores")
    seeds = read_json(tmp_path / "scores" / "scores.json")["seeds"]
    assert seeds["models"] == 3
    assert seeds["values"]["accuracy"][0] == pytest.approx(found["accuracy"], abs=1e-6)
    assert found["accuracy_seeds_mean"] == pytest.approx(sum(seeds["values"]["accuracy"]) / 3, abs=1e-6)
    # Each is the same as if its seed alone had been trained.
    from safetensors.torch import load_file

    alone, _ = _run(project, tmp_path / "alone", budget={"steps": 6})
    first = tmp_path / "out" if kept == str(alone.seed) else tmp_path / "out" / "seeds" / str(alone.seed)
    one, other = (load_file(p / "model.safetensors") for p in (first, tmp_path / "alone" / "out"))
    assert all((one[name] == other[name]).all() for name in one)


def test_of_several_seeds_none_that_had_ended_is_trained_again(
    project: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, metrics = _run(project, tmp_path / "whole", seeds=3, budget={"steps": 6})
    with monkeypatch.context() as patched:
        calibrated = iter([calibrate])
        patched.setattr(finetuning, "calibrate", lambda *arguments: next(calibrated)(*arguments))
        with pytest.raises(StopIteration):
            _run(project, tmp_path / "cut", seeds=3, budget={"steps": 6})
    shutil.rmtree(tmp_path / "cut" / "out")
    capsys.readouterr()
    _, again = _run(project, tmp_path / "cut", seeds=3, budget={"steps": 6})
    assert capsys.readouterr().err.count("trained by an earlier run (6 steps)") == 2
    assert {k: v for k, v in again.items() if "second" not in k} == {
        k: v for k, v in metrics.items() if "second" not in k
    }
    assert content_digest(tmp_path / "cut" / "out") == content_digest(tmp_path / "whole" / "out")


def test_auxiliary_tasks_are_refused_where_the_model_is_cut_into_shards(
    project: dict[str, Any], tmp_path: Path
) -> None:
    params = _with(project["params"], auxiliary=["headlines"])
    params = params.model_copy(update={"trainer": params.trainer.model_copy(update={"strategy": "fsdp"})})
    with pytest.raises(UserError, match=r"sentiment\.finetune\.auxiliary.*take ddp_find_unused"):
        finetune(params, "sentiment", tmp_path, tmp_path, tmp_path, logger=None, folder=tmp_path)


def test_a_learning_curve_is_of_nested_parts_and_never_reads_the_test_split(
    project: dict[str, Any], tmp_path: Path
) -> None:
    params, data = _with(project["params"], budget={"steps": 20}), tmp_path / "data"
    shutil.copytree(project["top"] / "data", data, ignore=shutil.ignore_patterns("test.jsonl"))
    told: list[dict[str, Any]] = []
    rows = learning_curve(params, "sentiment", data, project["top"] / "model", (48, 4), told.append)
    assert rows == told
    assert [row["examples"] for row in rows] == [4, 48]
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)
    assert rows[0]["baseline"] <= rows[1]["baseline"]
    figure = write_curve(tmp_path / "curves", "sentiment", "accuracy", rows)
    assert read_json(tmp_path / "curves" / "sentiment.json")["rows"] == rows
    assert len(figure.axes[0].lines) == 2
    with pytest.raises(UserError, match="a size of 49: the train split of sentiment has 48"):
        learning_curve(params, "sentiment", data, project["top"] / "model", (49,), told.append)


def test_tasks_learnt_together_share_the_encoder_and_one_is_kept(
    project: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import load_file

    spans = [{"start": 0, "end": 4, "label": "person"}]
    rows = [
        {"id": f"n{i}", "text": f"{('Mara', 'Olaf')[i % 2]} has tools {i}", "spans": spans} for i in range(40)
    ]
    write_jsonl(project["top"] / "names" / "train.jsonl", rows)
    alone = _with(project["params"])
    both = _with(project["params"], auxiliary=["names"], budget={"epochs": 3})
    names = alone.tasks["sentiment"].model_copy(
        update={"family": "token_classification", "labels": ("person",), "behaviour": None}
    )
    params = both.model_copy(update={"tasks": {**both.tasks, "names": names}})
    seen: list[MultiTask] = []
    made = MultiTask.__init__
    monkeypatch.setattr(
        MultiTask, "__init__", lambda self, models: [made(self, models), seen.append(self)][1]
    )
    before = load_file(project["top"] / "model" / "model.safetensors")
    (project["top"] / "sentiment").mkdir()
    for split in ("train", "dev"):
        shutil.copy(project["top"] / "data" / f"{split}.jsonl", project["top"] / "sentiment")
    metrics = finetune(
        params, "sentiment", project["top"] / "sentiment", project["top"] / "model", tmp_path / "out",
        logger=None, folder=tmp_path / "state",
    )  # fmt: skip
    assert metrics["steps"] == 3 * (48 / 16 + round(40 / 16 + 0.5))
    (together,) = seen
    sentiment, entities = together.heads
    assert sentiment.model is entities.model
    # Both heads have learnt: the kept one its labels, the other to find the name.
    predictor = Predictor(tmp_path / "out")
    family = FAMILIES["token_classification"](names, predictor.tokenizer)
    found = family.predict(entities, rows[:4], 4)
    assert [p["prediction"][0]["label"] for p in found] == ["person"] * 4
    after = load_file(tmp_path / "out" / "model.safetensors")
    assert not any("heads" in name for name in after)
    shared = sorted(set(before) & set(after))
    assert shared
    assert all(not torch.equal(after[name], before[name]) for name in shared if after[name].ndim == 2)
    (row,) = learning_curve(
        params, "sentiment", project["top"] / "sentiment", project["top"] / "model", (8,), lambda row: None
    )
    assert row["examples"] == 8


def test_mixed_batches_come_all_once_an_epoch_and_say_whose_they_are() -> None:
    def part(name: str, count: int) -> BucketedBatches:
        rows = [{"id": f"{name}{i}", "input_ids": [1] * (1 + i % 3)} for i in range(count)]
        return BucketedBatches(rows, lambda features: {"ids": [f["id"] for f in features]}, 4, seed=1)  # type: ignore[arg-type]

    mixed = MixedBatches([part("a", 10), part("b", 21)], seed=1)
    assert len(mixed) == 3 + 6
    for epoch in (0, 1):
        batches = [mixed.batch(epoch, i) for i in range(9)]
        ids = [i for batch in batches for i in batch["ids"]]
        assert len(ids) == len({*ids}) == 31
        assert all((batch["task"] == 1) == batch["ids"][0].startswith("b") for batch in batches)
        assert [mixed.ids(epoch, i) for i in range(9)] == [batch["ids"] for batch in batches]
    assert [mixed.batch(0, i)["task"] for i in range(9)] != [mixed.batch(1, i)["task"] for i in range(9)]
    assert mixed.fingerprint() != MixedBatches([part("a", 10), part("b", 22)], seed=1).fingerprint()
