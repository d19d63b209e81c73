"""Whether a stated certainty is the share of right answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill.evaluation.analysis import correct
from textmill.records import Example
from textmill.tasks.base import Family, Prediction
from textmill.training.calibration import softened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Certainties = tuple[np.ndarray, np.ndarray]  # stated, and whether it was right; one an answer
BINS = 10


def calibration(
    family: Family,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    temperature: float | None,
) -> dict[str, Any] | None:
    """Expected calibration error and bins of the answers; None where they state no certainty.

    ``temperature`` is what the model's weights were divided by; with it ``before`` says how calibrated the
    model was without. An answer is a label or a set of labels, a span of an answer, or each entity that was
    found.
    """
    stated = certainties(family, examples, predictions)
    if stated is None or not len(stated[0]):
        return None
    found = expected_error(*stated)
    if temperature is not None:
        before = [_heated(prediction, temperature) for prediction in predictions]
        found["temperature"] = temperature
        was = certainties(family, examples, before)
        assert was is not None
        found["before"] = expected_error(*was)
    return found


def _heated(prediction: Prediction, temperature: float) -> Prediction:
    """The prediction as it was before its logits were divided by ``temperature``."""
    values = softened(np.array(list(prediction["probabilities"].values())), 1 / temperature)
    names = prediction["probabilities"]
    return {**prediction, "probabilities": dict(zip(names, map(float, values), strict=True))}


def certainties(
    family: Family, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> Certainties | None:
    """What each answer states, and whether it is right; what is out of scope has no label and no part."""
    if family.task.one_label:
        rows = [
            (max(p["probabilities"].items(), key=lambda item: item[1]), family.gold(e))
            for e, p in zip(examples, predictions, strict=True)
            if family.learns(e)
        ]
        return np.array([sure for (_, sure), _ in rows]), np.array([said == g for (said, _), g in rows])
    if family.task.family == "token_classification":
        pairs = [
            (
                span["score"],
                any(all(span[k] == true[k] for k in ("start", "end", "label")) for true in e["spans"]),
            )
            for e, p in zip(examples, predictions, strict=True)
            for span in p["prediction"]
            if "score" in span
        ]
        return np.array([sure for sure, _ in pairs]), np.array([good for _, good in pairs], dtype=bool)
    right = correct(family, examples, predictions)
    if right is None or not all("score" in prediction for prediction in predictions):
        return None
    return np.array([prediction["score"] for prediction in predictions]), right


def expected_error(certainty: np.ndarray, right: np.ndarray, bins: int = BINS) -> dict[str, Any]:
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
    curves = [("", found, "#4878a8")]
    if "before" in found:
        curves = [
            ("before: ", found["before"], "#c8a06a"),
            (f"temperature {found['temperature']:.2f}: ", *curves[0][1:]),
        ]
    for name, curve, colour in curves:
        bins = curve["bins"]
        x, y = [row["certainty"] for row in bins], [row["right"] for row in bins]
        sizes = [8 + 80 * row["examples"] / max(r["examples"] for r in bins) for row in bins]
        error = curve["expected_calibration_error"]
        axes.plot(x, y, color=colour, label=f"{name}error {error:.3f}")
        axes.scatter(x, y, s=sizes, color=colour)
    axes.legend(fontsize=8, loc="upper left")
    axes.set_xlabel("stated certainty")
    axes.set_ylabel("share right")
    return figure
