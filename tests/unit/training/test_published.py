"""A published checkpoint goes the same way as a model from scratch: `init`, pretraining, fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from textmill.params import Budget, Params, Task
from textmill.prediction import Predictor
from textmill.records import write_jsonl
from textmill.tasks import FAMILIES
from textmill.tokenizer import pack
from textmill.training.best import Best
from textmill.training.finetuning import finetune
from textmill.training.pretraining import HEADS, pretrain

TEXT = "Mara Velt works for Norbi Tools in Ulmen. 韦玛在乌尔门的诺比工具公司工作。"
CASES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "encoder": (
        "sentiment",
        [{"text": "很好 good", "label": "positive"}, {"text": "很差 bad", "label": "negative"}],
    ),
    "decoder": (
        "dialogue",
        [
            {"turns": [{"role": "user", "text": "Who?"}, {"role": "assistant", "text": "Mara Velt."}]},
            {"turns": [{"role": "user", "text": "谁？"}, {"role": "assistant", "text": "韦玛。"}]},
        ],
    ),
    "seq2seq": (
        "headlines",
        [{"source": TEXT, "target": "Mara Velt"}, {"source": "韦玛在乌尔门。", "target": "韦玛"}],
    ),
}


@pytest.fixture
def published(
    tokenizer: Any, make_task: Any, make_model: Any, tmp_path: Path
) -> Callable[[str], tuple[Path, Any]]:
    """A folder as stock transformers writes it, with a tiny BERT, GPT-2 or BART of random weights."""

    def make(name: str) -> tuple[Path, Any]:
        import transformers

        task = make_task(CASES[name][0])
        config = make_model(FAMILIES[task.family](task, tokenizer)).config
        auto = next(auto for head, auto in HEADS.values() if head.startswith(_head(name)))
        torch.manual_seed(7)
        model = getattr(transformers, auto).from_config(config)
        model.save_pretrained(tmp_path / "published")
        tokenizer.save_pretrained(tmp_path / "published")
        return tmp_path / "published", model

    return make


def _head(name: str) -> str:
    return {"encoder": "masked", "decoder": "causal", "seq2seq": "seq2seq"}[name]


def _short(params: Params, name: str, task: Task, init: Path) -> Params:
    """Two steps of pretraining and two of fine-tuning, on one thread."""
    shared = {
        "budget": Budget(steps=2), "batch_size": 2, "max_length": 32, "validations": 1, "learning_rate": 1e-5,
        "optimizer": params.training.optimizer,
    }  # fmt: skip
    spec = params.pretrain[name]
    spec = spec.model_copy(update={"init": str(init), "training": spec.training.model_copy(update=shared)})
    task = task.model_copy(update={"finetune": task.finetune.model_copy(update=shared)})
    return params.model_copy(
        update={
            "trainer": params.trainer.model_copy(update={"threads": 1, "precision": "32-true"}),
            "pretrain": {name: spec},
            "tasks": {CASES[name][0]: task},
        }
    )


@pytest.mark.parametrize("name", CASES)
def test_a_published_checkpoint_is_trained_further_and_fine_tuned(
    name: str, params: Params, make_task: Any, published: Any, tmp_path: Path
) -> None:
    import transformers

    init, stock = published(name)
    texts = {"id": [f"d{i}" for i in range(8)], "text": [TEXT] * 8, "language": ["en"] * 8}
    for split in ("train", "validation", "test"):
        pl.DataFrame(texts).write_parquet(tmp_path / f"{split}.parquet")
    pack(tmp_path, init, tmp_path / "tokens")
    task_name, rows = CASES[name]
    short = _short(params, name, make_task(task_name), init)
    trained = tmp_path / "pretrained"
    pretrain(short, name, init, tmp_path / "tokens", trained, logger=None, folder=tmp_path / "state")
    weights = getattr(transformers, HEADS[short.pretrain[name].objective.name][1]).from_pretrained(trained)
    # It began with the published weights, and moved from them.
    apart = [
        float((one - other).detach().abs().max())
        for one, other in zip(weights.parameters(), stock.parameters(), strict=True)
    ]
    assert 0 < max(apart) < 1e-3

    for split in ("train", "dev", "test"):
        write_jsonl(tmp_path / f"{split}.jsonl", [{"id": f"{split}{i}", **row} for i, row in enumerate(rows)])
    out = tmp_path / "out"
    finetune(short, task_name, tmp_path, trained, out, logger=None, folder=tmp_path / "state")
    family = FAMILIES[short.tasks[task_name].family]
    loaded = getattr(transformers, family.auto_class).from_pretrained(out)
    assert type(loaded).__module__.startswith("transformers.models.")
    assert loaded.config.model_type == stock.config.model_type
    asked = [{"turns": row["turns"][:1]} if "turns" in row else row for row in rows]
    assert len(Predictor(out).predict(asked)) == len(rows)


def test_early_stopping_goes_by_the_gates_metric_of_what_is_written(
    params: Params, make_task: Any, published: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init, _ = published("seq2seq")
    task = make_task("headlines", finetune={"early_stopping": {"patience": 1}})
    for split in ("train", "dev"):
        write_jsonl(tmp_path / f"{split}.jsonl", [{"id": split, **CASES["seq2seq"][1][0]}])
    judged = []
    judge = Best.judge
    monkeypatch.setattr(
        Best, "judge", lambda self, *given: [judge(self, *given), judged.append((self.metric, *given))][0]
    )
    short = _short(params, "seq2seq", task, init)
    finetune(short, "headlines", tmp_path, init, tmp_path / "out", logger=None, folder=tmp_path / "state")
    ((metric, step, scores),) = judged
    assert (metric, step) == (task.gate.metric, 2)
    assert 0 <= scores[f"dev_{metric}"] <= 1
