"""Where a model errs: slices by length, language and label; calibration; the most confident errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill.records import Example, example_texts
from textmill.tasks.base import Family, Prediction
from textmill.tasks.scores import Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST_SLICE = 20  # examples; below, a score says little
SHOWN = 20  # errors that are listed


def analyse(
    family: Family,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    measured: Scores,
    headline: str,
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Slices, calibration and confident errors as JSON, and the figures that belong to them."""
    report: dict[str, Any] = {"slices": slices(examples, measured, headline)}
    pictures: dict[str, Figure] = {}
    right = correct(family, examples, predictions)
    if all("score" in prediction for prediction in predictions) and right is not None:
        certainty = np.array([prediction["score"] for prediction in predictions])
        report["calibration"] = calibration(certainty, right)
        pictures["calibration"] = reliability_diagram(report["calibration"])
        wrong = [i for i in np.argsort(-certainty, kind="stable") if not right[i]][:SHOWN]
        report["confident_errors"] = [examples[i]["id"] for i in wrong]
    return report, pictures


def correct(
    family: Family, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> np.ndarray | None:
    """Whether each prediction is wholly right; None for texts and numbers."""
    if family.generates or family.task.regression:
        return None
    if family.task.family == "span_extraction":
        measured = family.measure(examples, predictions)
        return measured.rows[:, 2] == 1  # exact match
    if family.task.family == "token_classification":
        return np.array(
            [
                {(s["start"], s["end"], s["label"]) for s in e["spans"]}
                == {(s["start"], s["end"], s["label"]) for s in p["prediction"]}
                for e, p in zip(examples, predictions, strict=True)
            ]
        )
    return np.array([family.gold(e) == p["prediction"] for e, p in zip(examples, predictions, strict=True)])


def slices(examples: Sequence[Example], measured: Scores, headline: str) -> list[dict[str, Any]]:
    """The headline metric on parts of the test set, the worst first."""
    total = measured.values()[headline]
    found = []
    for by, value in groups(examples):
        chosen = np.flatnonzero(value)
        if SMALLEST_SLICE <= len(chosen) < len(examples):
            score = measured.subset(chosen).values()[headline]
            found.append(
                {
                    "slice": by,
                    "examples": len(chosen),
                    headline: round(score, 4),
                    "difference": round(score - total, 4),
                }
            )
    return sorted(found, key=lambda row: (row["difference"], row["slice"]))


def groups(examples: Sequence[Example]) -> list[tuple[str, np.ndarray]]:
    """Names and masks of the slices: thirds by length, languages, gold labels."""
    lengths = np.array([sum(map(len, example_texts(example))) for example in examples])
    low, high = np.quantile(lengths, [1 / 3, 2 / 3])
    found = [
        (f"length: up to {int(low)} characters", lengths <= low),
        (f"length: {int(low) + 1} to {int(high)} characters", (lengths > low) & (lengths <= high)),
        (f"length: over {int(high)} characters", lengths > high),
    ]
    kinds: list[tuple[str, Callable[[Example], Any]]] = [
        ("language", lambda example: example.get("language")),
        ("label", lambda example: example.get("label") if isinstance(example.get("label"), str) else None),
    ]
    for name, value in kinds:
        values = [value(example) for example in examples]
        parts = sorted({v for v in values if v is not None})
        found += [(f"{name}: {part}", np.array([v == part for v in values])) for part in parts]
    return found


def calibration(certainty: np.ndarray, right: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """Expected calibration error (Guo et al. 2017, equation 3) with bins of equal width, and the bins."""
    place = np.minimum((certainty * bins).astype(int), bins - 1)
    table, error = [], 0.0
    for i in range(bins):
        chosen = place == i
        if chosen.any():
            says, is_right = float(certainty[chosen].mean()), float(right[chosen].mean())
            error += float(chosen.mean()) * abs(says - is_right)
            row = {"certainty": round(says, 4), "right": round(is_right, 4), "examples": int(chosen.sum())}
            table.append(row)
    return {"expected_calibration_error": round(error, 4), "bins": table}


def reliability_diagram(found: dict[str, Any]) -> Figure:
    """Share of right answers against stated certainty; a calibrated model lies on the diagonal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--")
    bins = found["bins"]
    sizes = [8 + 80 * row["examples"] / max(r["examples"] for r in bins) for row in bins]
    axes.plot([row["certainty"] for row in bins], [row["right"] for row in bins], color="#4878a8")
    axes.scatter([row["certainty"] for row in bins], [row["right"] for row in bins], s=sizes, color="#4878a8")
    axes.set_xlabel("stated certainty")
    axes.set_ylabel("share right")
    axes.set_title(f"expected calibration error {found['expected_calibration_error']:.3f}", fontsize=9)
    return figure
