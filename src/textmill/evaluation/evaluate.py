"""The evaluate stage: a fine-tuned model on its test split, beside baselines, with intervals."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.evaluation import behaviour
from textmill.evaluation.analysis import confident_errors
from textmill.evaluation.calibration import calibration, reliability_diagram
from textmill.evaluation.metrics import bootstrap, paired_bootstrap
from textmill.evaluation.slices import seen_in, slices
from textmill.params import Params
from textmill.prediction import CARD, SEEDS, load_model, predict_batch_size
from textmill.records import Example, read_examples, read_json, write_json, write_jsonl
from textmill.tasks import FAMILIES
from textmill.tasks.base import Batch, Family, Prediction, Runner
from textmill.tasks.scores import Scores

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
    to the best of them, mean and deviation over seeds, the score without examples that are in train too,
    tables by label, slices, calibration, tests of behaviour). Returns flat metrics, and figures.
    """
    task = params.tasks[name]
    train, test = read_examples(data, "train"), read_examples(data, "test")
    family, predict = _predictor(params, name, model, logger)
    predictions = predict(test)
    write_predictions(output / "predictions.jsonl", family, test, predictions)

    headline = task.gate.metric
    measured = family.measure(test, predictions)
    report: dict[str, Any] = {
        "task": name,
        "family": task.family,
        "model": task.model,
        "examples": len(test),
        "headline": headline,
        "metrics": measured.values(),
        "intervals": bootstrap(measured, params.seed),
        "baselines": {},
    }
    rivals = {key: family.measure(test, rows) for key, rows in family.baselines(train, test).items()}
    for key, rival in rivals.items():
        report["baselines"][key] = {"metrics": rival.values(), "intervals": bootstrap(rival, params.seed)}
    best = max(rivals, key=lambda key: rivals[key].values()[headline])
    margin = paired_bootstrap(measured, rivals[best], headline, params.seed)
    report["best_baseline"] = {"name": best, **margin}
    if task.finetune.seeds > 1:
        others = {
            folder.name: family.measure(test, _predictor(params, name, folder, logger)[1](test))
            for folder in sorted((model / SEEDS).iterdir())
        }
        report["seeds"] = over_seeds({"kept": measured, **others})
    seen = seen_in(train, test)
    if seen.any() and not seen.all():
        report["seen_in_train"] = {
            "examples": int(seen.sum()),
            "metrics_without": measured.subset(~seen).values(),
            "intervals_without": bootstrap(measured.subset(~seen), params.seed),
            "best_baseline_without": rivals[best].subset(~seen).values()[headline],
        }
    report["slices"] = slices(test, measured, headline, seen, params.seed)
    figures = family.figures(test, predictions)
    calibrated = calibration(family, test, predictions, read_json(model / CARD).get("temperature"))
    if calibrated:
        report["calibration"] = calibrated
        figures["calibration"] = reliability_diagram(calibrated)
    report["confident_errors"] = confident_errors(family, test, predictions)
    if task.behaviour:
        tests = behaviour.sentiment_tests(test, task.languages, params.seed)
        report["behaviour"] = behaviour.run(tests, lambda texts: predict([{"text": text} for text in texts]))
    write_json(output / "scores.json", {**report, **family.explain(test, predictions)})
    return {key: round(value, 6) for key, value in _flat(report).items()}, figures


def _predictor(
    params: Params, name: str, model: Path, logger: Logger | None
) -> tuple[Family, Callable[[Sequence[Example]], list[Prediction]]]:
    """The family of the task, and the predictions of the model in ``model`` as a function of examples."""
    task = params.tasks[name]
    network, tokenizer = load_model(model, FAMILIES[task.family].auto_class)
    family = FAMILIES[task.family](task, tokenizer)
    family.threshold = read_json(model / CARD).get("threshold")
    run = lightning_runner(family, network, params, logger)
    return family, lambda examples: family.predict(network, examples, predict_batch_size(task), run)


def over_seeds(measured: Mapping[str, Scores]) -> dict[str, Any]:
    """Values, mean and standard deviation (n - 1) of each metric over models from several seeds."""
    values = {seed: scores.values() for seed, scores in measured.items()}
    table = {metric: [row[metric] for row in values.values()] for metric in next(iter(values.values()))}
    return {
        "models": len(values),
        "values": table,
        "mean": {metric: statistics.fmean(row) for metric, row in table.items()},
        "deviation": {metric: statistics.stdev(row) for metric, row in table.items()},
    }


def _flat(report: Mapping[str, Any]) -> dict[str, float]:
    """The report's figures as metrics of the run."""
    headline = report["headline"]
    flat: dict[str, float] = {"examples": report["examples"]}
    for key, value in report["metrics"].items():
        low, high = report["intervals"][key]
        flat |= {key: value, f"{key}_low": low, f"{key}_high": high}
    for key, row in report["baselines"].items():
        flat[f"baseline_{key}_{headline}"] = row["metrics"][headline]
    margin = report["best_baseline"]
    flat |= {f"margin_{key}": margin[key] for key in ("difference", "low", "high", "p")}
    if "seeds" in report:
        for part in ("mean", "deviation"):
            flat |= {f"{key}_seeds_{part}": value for key, value in report["seeds"][part].items()}
    if "seen_in_train" in report:
        flat["seen_in_train"] = report["seen_in_train"]["examples"]
        flat[f"{headline}_not_seen_in_train"] = report["seen_in_train"]["metrics_without"][headline]
    if "calibration" in report:
        found = report["calibration"]
        flat["calibration_error"] = found["expected_calibration_error"]
        if "before" in found:
            flat["calibration_error_before"] = found["before"]["expected_calibration_error"]
    for row in report.get("behaviour", ()):
        test = row["test"].replace(" ", "_")
        flat[f"behaviour_{test}_{row['language']}_failure_rate"] = row["failure_rate"]
    return flat


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

    from textmill.training.quiet import quiet

    class Prediction(LightningModule):
        """The model as Lightning's predict loop takes it."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def predict_step(self, batch: Batch, index: int) -> list[Any]:
            """What the family makes of a batch: one output a row."""
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
        """One list of outputs a batch."""
        loader: Any = DataLoader(list(batches), batch_size=None)  # type: ignore[arg-type]
        with quiet():
            found = trainer.predict(Prediction(), loader)
        return list(found or [])

    return run
