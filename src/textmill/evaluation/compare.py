"""Two models on the same test set: is the difference more than chance?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from textmill.errors import UserError
from textmill.evaluation.analysis import correct
from textmill.evaluation.metrics import mcnemar, paired_bootstrap
from textmill.params import Params, Task
from textmill.records import read_examples, read_json, read_jsonl
from textmill.tasks import FAMILIES

SURE = 0.05
FILES = ("scores.json", "predictions.jsonl")  # what evaluate leaves in its folder and logs with its run


def compare_runs(params: Params, root: Path, first: str, second: str) -> dict[str, Any]:
    """Compare two runs of ``evaluate`` on the test split of the first's task, under ``root/data/tasks``.

    A run is a folder that it wrote, or an MLflow run: its id, the beginning of one, or its name, the newest
    that is called so (``evaluate@sentiment``). Returns what ``compare`` does. Raises UserError where there is
    no such run, its task is not among the parameters, or the runs are of different test sets.
    """
    one, other = (_fetched(params, root, run) for run in (first, second))
    stored = read_json(one / FILES[0])
    name = stored.get("task") if isinstance(stored, dict) else None
    if name is None:
        raise UserError(f"{one / FILES[0]}: names no task; expected what evaluate wrote")
    if name not in params.tasks:
        raise UserError(f"{first}: a run of the task {name!r}; params.yaml has {', '.join(params.tasks)}")
    return compare(
        params.tasks[name], root / "data" / "tasks" / name, one, other, params.seed, (first, second)
    )


def _fetched(params: Params, root: Path, run: str) -> Path:
    """The folder with the run's FILES; those of an MLflow run are downloaded."""
    if Path(run).is_dir():
        for name in FILES:
            if not (Path(run) / name).exists():
                raise UserError(f"{run}: there is no {name}; expected a folder that evaluate wrote")
        return Path(run)
    from textmill.tracking import Tracker

    return Tracker(params.tracking, root).fetch(run, FILES, root / ".state" / "compare")


def compare(
    task: Task, data: Path, first: Path, second: Path, seed: int, names: tuple[str, str] | None = None
) -> dict[str, Any]:
    """Compare the predictions in two folders that ``evaluate`` wrote, on the headline metric.

    Returns the two values, the paired bootstrap's difference (first minus second), interval and p, McNemar's
    test where an answer is right or wrong, and ``words``, which call the two by ``names``. Raises UserError
    where the folders hold predictions for other examples than ``data``.
    """
    family: Any = FAMILIES[task.family](task, None)  # type: ignore[arg-type]  # scoring needs no tokenizer
    examples = read_examples(data, "test")
    if not examples:
        raise UserError(f"{data}: the test split is empty")
    systems = []
    for folder in (first, second):
        rows = {}
        for number, row in enumerate(read_jsonl(folder / FILES[1]), 1):
            wanted = ("id", "gold", "prediction")
            if missing := [key for key in wanted if not isinstance(row, dict) or key not in row]:
                where = f"{folder / FILES[1]}:{number}"
                raise UserError(f"{where}: there is no {missing[0]}; expected what evaluate wrote")
            rows[row["id"]] = row
        missing = [example["id"] for example in examples if example["id"] not in rows]
        if missing or len(rows) != len(examples):
            raise UserError(
                f"{folder}: predictions for {len(rows)} examples, and the test split has {len(examples)}"
                + (f", among them {missing[0]!r} without one" if missing else "")
                + "; two runs compare only on the same test set"
            )
        if changed := next((e["id"] for e in examples if rows[e["id"]]["gold"] != family.gold(e)), None):
            raise UserError(
                f"{folder}: example {changed!r} had another answer then: the test set has changed"
            )
        if task.one_label and (odd := {row["prediction"] for row in rows.values()} - set(task.labels or ())):
            raise UserError(f"{folder}: predicts {min(odd)!r}, which is none of the task's labels any more")
        systems.append([rows[example["id"]] for example in examples])
    metric = task.gate.metric
    ours, theirs = (family.measure(examples, rows) for rows in systems)
    found: dict[str, Any] = {
        "metric": metric,
        "examples": len(examples),
        "first": ours.values()[metric],
        "second": theirs.values()[metric],
        **paired_bootstrap(ours, theirs, metric, seed),
    }
    right = [correct(family, examples, rows) for rows in systems]
    if right[0] is not None and right[1] is not None:
        found["mcnemar"] = mcnemar(np.asarray(right[0]), np.asarray(right[1]))
    found["words"] = _words(found, *(names or (str(first), str(second))))
    return found


def _words(found: dict[str, Any], first: str, second: str) -> str:
    better, worse = (first, second) if found["difference"] > 0 else (second, first)
    values = f"{found['metric']} {found['first']:.4f} against {found['second']:.4f}"
    interval = f"{found['difference']:+.4f}, 95% interval {found['low']:+.4f} to {found['high']:+.4f}"
    # Where few answers differ the bootstrap is too sure. McNemar's exact test is of accuracy.
    exact = found["mcnemar"]["p"] if found["metric"] == "accuracy" and "mcnemar" in found else 0.0
    if max(found["p"], exact) < SURE:
        verdict = f"{better} is better than {worse}, and chance alone would seldom show this"
    else:
        verdict = "the difference is within what chance shows: do not choose by it"
    lines = [f"{values} on {found['examples']} examples ({interval}; p = {found['p']:.3f})", verdict]
    if "mcnemar" in found:
        test = found["mcnemar"]
        lines.append(
            f"right only in {first}: {test['only_first']}, only in {second}: {test['only_second']} "
            f"(McNemar p = {test['p']:.3f})"
        )
    return "\n".join(lines)
