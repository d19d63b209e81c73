"""Which answers are right, and the errors that a model was surest of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textmill.records import Example
from textmill.tasks.base import Family, Prediction

SHOWN = 20  # errors that are listed


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
    if family.task.multi_label:  # in any order
        return np.array(
            [set(family.gold(e)) == set(p["prediction"]) for e, p in zip(examples, predictions, strict=True)]
        )
    return np.array([family.gold(e) == p["prediction"] for e, p in zip(examples, predictions, strict=True)])


def confident_errors(
    family: Family, examples: Sequence[Example], predictions: Sequence[Prediction]
) -> list[str]:
    """Ids of the wrong answers, the surest first."""
    right = correct(family, examples, predictions)
    if right is None:
        return []
    sure = [prediction.get("score", 0.0) for prediction in predictions]
    order = np.argsort(-np.array(sure), kind="stable")
    return [str(examples[i]["id"]) for i in order if not right[i]][:SHOWN]
