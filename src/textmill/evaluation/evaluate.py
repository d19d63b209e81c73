"""The evaluate stage: a fine-tuned model on its test split, beside baselines, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.evaluation import analysis
from textmill.evaluation.metrics import bootstrap, paired_bootstrap
from textmill.params import Params
from textmill.prediction import load_model, predict_batch_size
from textmill.records import Example, read_examples, write_json, write_jsonl
from textmill.tasks import FAMILIES
from textmill.tasks.base import Batch, Family, Prediction, Runner

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pytorch_lightning.loggers import Logger
    from transformers import PreTrainedModel


def evaluate(
    params: Params, name: str, data: Path, model: Path, output: Path, *, logger: Logger | None = None
) -> tuple[dict[str, float], dict[str, Figure]]:
    """Predict the test split of ``data`` with the model in ``model``, and score the predictions.

    Writes output/predictions.jsonl (id, gold, prediction, what is known of its certainty) and
    output/scores.json (metrics, 95% bootstrap intervals, baselines on the same examples, the difference
    to the best of them, tables by label, slices and calibration). Returns flat metrics, and figures.
    """
    task = params.tasks[name]
    network, tokenizer = load_model(model, FAMILIES[task.family].auto_class)
    family = FAMILIES[task.family](task, tokenizer)
    train, test = read_examples(data, "train"), read_examples(data, "test")
    size = predict_batch_size(task)
    predictions = family.predict(network, test, size, lightning_runner(family, network, params, logger))
    write_predictions(output / "predictions.jsonl", family, test, predictions)

    headline = task.gate.metric
    measured = family.measure(test, predictions)
    metrics = measured.values()
    intervals = bootstrap(measured, params.seed)
    flat: dict[str, float] = {"examples": len(test)}
    for key, value in metrics.items():
        flat[key], flat[f"{key}_low"], flat[f"{key}_high"] = value, *intervals[key]

    baselines: dict[str, Any] = {}
    rivals = {}
    for key, guesses in family.baselines(train, test).items():
        rivals[key] = family.measure(test, guesses)
        baselines[key] = {"metrics": rivals[key].values(), "intervals": bootstrap(rivals[key], params.seed)}
        flat[f"baseline_{key}_{headline}"] = baselines[key]["metrics"][headline]
    best = max(baselines, key=lambda key: baselines[key]["metrics"][headline])
    margin = paired_bootstrap(measured, rivals[best], headline, params.seed)
    flat |= {f"margin_{key}": value for key, value in margin.items()}

    report, pictures = analysis.analyse(family, test, predictions, measured, headline)
    write_json(
        output / "scores.json",
        {
            "task": name,
            "family": task.family,
            "model": task.model,
            "examples": len(test),
            "headline": headline,
            "metrics": metrics,
            "intervals": intervals,
            "baselines": baselines,
            "best_baseline": {"name": best, **margin},
            **family.explain(test, predictions),
            **report,
        },
    )
    return {key: round(value, 6) for key, value in flat.items()}, {
        **family.figures(test, predictions),
        **pictures,
    }


def write_predictions(
    path: Path, family: Family, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> None:
    """Write a row an example: id, language where known, gold, prediction and its certainty."""
    write_jsonl(
        path,
        (
            {
                "id": example["id"],
                **({"language": example["language"]} if "language" in example else {}),
                "gold": family.gold(example),
                **prediction,
            }
            for example, prediction in zip(examples, predictions, strict=True)
        ),
    )


def lightning_runner(family: Family, model: PreTrainedModel, params: Params, logger: Logger | None) -> Runner:
    """Runs batches through a Lightning Trainer's predict loop, in full precision."""
    import torch
    from pytorch_lightning import LightningModule, Trainer
    from torch.utils.data import DataLoader

    from textmill.training.module import quiet

    class Prediction(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def predict_step(self, batch: Batch, index: int) -> list[Any]:
            return family.forward(model, batch)

    if params.trainer.threads:
        torch.set_num_threads(params.trainer.threads)
    with quiet():
        trainer = Trainer(
            accelerator=params.trainer.accelerator,
            devices=1,
            logger=logger or False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )

    def run(batches: Sequence[Batch]) -> list[list[Any]]:
        loader: Any = DataLoader(list(batches), batch_size=None)  # type: ignore[arg-type]
        with quiet():
            found = trainer.predict(Prediction(), loader)
        return list(found or [])

    return run
