"""Whether a fine-tuned model may be called the champion of its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textmill.errors import UserError
from textmill.params import Gate
from textmill.report.format import metric_name, number


@dataclass(frozen=True)
class Verdict:
    """Whether the gate is passed, and each reason why not in words."""

    passed: bool
    reasons: tuple[str, ...]


def judge(task: str, gate: Gate, scores: Mapping[str, Any]) -> Verdict:
    """Hold the test scores of ``task`` against its gate.

    ``above_baseline`` asks that the interval of the difference to the best baseline, on the same examples,
    lies above 0. Raises UserError where the gate names a metric that was not measured.
    """
    metrics = scores["metrics"]
    if gate.metric not in metrics:
        raise UserError(
            f"params.yaml: tasks.{task}.gate.metric: {gate.metric!r} was not measured; "
            f"known: {', '.join(sorted(metrics))}"
        )
    reasons = []
    value, name = metrics[gate.metric], metric_name(gate.metric)
    if gate.min is not None and value < gate.min:
        reasons.append(
            f"{name} {number(value, gate.metric)} is below the gate's {number(gate.min, gate.metric)}"
        )
    rival = scores["best_baseline"]
    if gate.above_baseline and rival["low"] <= 0:
        low, high = (number(rival[key], gate.metric, sign=True) for key in ("low", "high"))
        reasons.append(f"not clearly above the baseline {rival['name']} (difference {low} to {high})")
    return Verdict(not reasons, tuple(reasons))
