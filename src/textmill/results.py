"""The results in a few lines for the terminal, and in as many figures for the pipeline's run in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.params import Params
from textmill.records import read_object


def headlines(params: Params, root: Path) -> dict[str, float]:
    """Each model's bits per byte and each task's score by the metric of its gate, by names for MLflow."""
    found = {name: _metrics(root, name) for name in params.pretrain}
    scores = {name: _scores(root, name) for name in params.tasks}
    return {f"models/{name}.bits_per_byte": metrics["bits_per_byte"] for name, metrics in found.items()} | {
        f"tasks/{name}.{score['headline']}": score["metrics"][score["headline"]]
        for name, score in scores.items()
    }


def table(params: Params, root: Path) -> str:
    """A line a task with score, interval and best baseline, a line a model, and what to open next.

    Raises UserError where a stage has not run yet.
    """
    lines = [f"{'model':<12} {'objective':<11} {'bits per byte':>13} {'parameters':>11}"]
    for name, model in params.pretrain.items():
        found = _metrics(root, name)
        bits, size = found["bits_per_byte"], found["parameters"] / 1e6
        lines.append(f"{name:<12} {model.objective.name:<11} {bits:>13.3f} {size:>9.2f} M")
    lines.append(f"\n{'task':<12} {'metric':<11} {'score':>7}  {'95% interval':<17} best baseline")
    for name in params.tasks:
        scores = _scores(root, name)
        metric = scores["headline"]
        low, high = scores["intervals"][metric]
        best = scores["best_baseline"]["name"]
        rival = scores["baselines"][best]["metrics"][metric]
        interval = f"[{low:.3f}, {high:.3f}]"
        lines.append(
            f"{name:<12} {metric:<11} {scores['metrics'][metric]:>7.3f}  {interval:<17} {rival:.3f} ({best})"
        )
        if "seeds" in scores:
            found = scores["seeds"]
            spread = f"{found['mean'][metric]:.3f} ± {found['deviation'][metric]:.3f}"
            lines.append(f"{'':<24} {spread} over {found['models']} seeds")
        if "seen_in_train" in scores:
            found = scores["seen_in_train"]
            without, rest = found["metrics_without"][metric], found["best_baseline_without"]
            seen = f"without the {found['examples']} test examples that train has too"
            lines.append(f"{'':<24} {without:>7.3f}  {seen} ({best} {rest:.3f})")
    lines.append(
        "\nThe page: reports/index.html    The runs: make ui, then the address it shows"
        "\nWhat changed since the last commit: make diff    One's own text and labels: README.md"
    )
    return "\n".join(lines)


def _metrics(root: Path, model: str) -> dict[str, Any]:
    return _with(root / "metrics" / "pretrain" / f"{model}.json", "bits_per_byte", "parameters")


def _scores(root: Path, task: str) -> dict[str, Any]:
    path = root / "data" / "predictions" / task / "scores.json"
    return _with(path, "headline", "metrics", "intervals", "baselines", "best_baseline")


def _with(path: Path, *keys: str) -> dict[str, Any]:
    """The object in a file; raises UserError where it lacks one of the keys."""
    found = read_object(path)
    for key in keys:
        if key not in found:
            raise UserError(f"{path}: {key} is missing; remove the file, and dvc repro writes it anew")
    return found
