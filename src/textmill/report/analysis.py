"""Where a model errs, as the page shows it: the worst slices, calibration, behaviour, the learning curve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textmill.records import read_json
from textmill.report import charts, format

View = dict[str, Any]

SLICES = 6  # the worst that are shown


def seeds(scores: Mapping[str, Any], metric: str) -> str | None:
    """Mean and standard deviation over seeds; None where one model was trained."""
    found = scores.get("seeds")
    if not found:
        return None
    mean, deviation = (format.number(found[part][metric], metric) for part in ("mean", "deviation"))
    return f"{mean} ± {deviation} over {found['models']} seeds"


def without_seen(scores: Mapping[str, Any], metric: str) -> View | None:
    """The score without the examples that the training split has too; None where there are none."""
    found = scores.get("seen_in_train")
    if not found:
        return None
    return {
        "examples": found["examples"],
        "value": format.number(found["metrics_without"][metric], metric),
        "baseline": format.number(found["best_baseline_without"], metric),
    }


def view(scores: Mapping[str, Any], metric: str, curve: Path) -> View:
    """What the page's part on one task's errors needs; ``curve``: the file of ``textmill curve``, if any."""
    slices = [
        {
            "name": row["slice"],
            "examples": row["examples"],
            "metric": format.metric_name(row["metric"]),
            "value": format.number(row["score"], row["metric"]),
            "low": format.number(row["low"], row["metric"]),
            "high": format.number(row["high"], row["metric"]),
            "difference": format.number(row["difference"], row["metric"], sign=True),
        }
        for row in scores.get("slices", ())
        if row["difference"] < 0
    ]
    calibration = scores.get("calibration")
    return {
        "slices": slices[:SLICES],
        "calibration": calibration,
        "reliability": charts.reliability(calibration) if calibration else "",
        "behaviour": scores.get("behaviour", []),
        "curve": _curve(read_json(curve)) if curve.exists() else [],
    }


def _curve(found: Mapping[str, Any]) -> list[View]:
    metric = found["metric"]
    return [
        {
            "examples": row["examples"],
            "metric": format.metric_name(metric),
            "value": format.number(row[metric], metric),
            **{key: format.number(row[key], metric) for key in ("low", "high", "baseline")},
        }
        for row in found["rows"]
    ]
