"""What is fitted on the dev split after training: a classifier's temperature, and when it is too unsure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from textmill.errors import UserError
from textmill.records import Example
from textmill.tasks.base import Family
from textmill.tasks.span_extraction import SpanExtraction

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# A dev split without errors would ask for a temperature of 0.
COLDEST, HOTTEST = 0.25, 10.0


def calibrate(
    family: Family, model: PreTrainedModel, dev: Sequence[Example], batch_size: int
) -> dict[str, float]:
    """Fit the temperature on ``dev`` and fold it into ``model``; then the threshold, where one is needed.

    The temperature divides the weights of the last linear map, so that whoever loads the model, this code or
    stock transformers, has the calibrated probabilities; predictions stay as they were. Returns
    ``temperature`` and, for a task with an out_of_scope label, ``threshold``; for spans ``threshold``, the
    margin over no answer; nothing for other tasks.
    """
    if isinstance(family, SpanExtraction):
        return {"threshold": family.fit_threshold(dev, model, batch_size)}
    if not family.task.one_label:
        return {}
    labels = [label for label in family.task.labels or () if label != family.task.finetune.out_of_scope]
    _, outputs = family.outputs(model, dev, batch_size)
    probabilities = np.array([row[0] for row in outputs], dtype=float)  # (examples, labels)
    within = np.array([family.learns(example) for example in dev])
    gold = [family.gold(example) for example in dev]
    truth = np.array([labels.index(label) for label in gold if label in labels])
    found = {"temperature": temperature(probabilities[within], truth)}
    last = [m for m in model.modules() if getattr(m, "out_features", None) == len(labels)][-1]
    for parameter in last.parameters():
        parameter.data /= found["temperature"]
    if family.task.finetune.out_of_scope:
        if within.all():
            raise UserError(
                f"the dev split has no example labelled {family.task.finetune.out_of_scope!r}, by which the "
                "threshold of out_of_scope is chosen"
            )
        cooled = softened(probabilities, found["temperature"])
        right = np.zeros(len(dev), dtype=bool)
        right[within] = cooled[within].argmax(axis=1) == truth
        found["threshold"] = threshold(cooled.max(axis=1), right, ~within)
    return found


def temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The temperature that makes the true labels likeliest (Guo et al. 2017, section 4.2).

    probabilities: (examples, labels); truth: (examples,) indices of labels.
    """
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        """Mean negative log-likelihood in nats at a temperature's logarithm."""
        chosen = softened(probabilities, float(np.exp(logarithm)))[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(chosen, 1e-300)).mean())

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return round(float(np.exp(found.x)), 4)


def softened(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature) from softmax(logits), (..., labels): logits need only differences."""
    logits = np.log(np.maximum(probabilities, 1e-38)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scaled: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return scaled


def threshold(certainty: np.ndarray, right: np.ndarray, outside: np.ndarray) -> float:
    """The certainty below which an answer is out of scope: the one with most answers right in all
    (Larson et al. 2019, section 4.1), the lowest among equals.

    certainty, right (whether the likeliest label is true) and outside (out of scope): (examples,).
    """
    order = np.argsort(certainty, kind="stable")
    edges = np.concatenate([[0.0], certainty[order]])
    # With the edge at place i the examples before it are called out of scope, and the rest keep their label.
    rejected = np.concatenate([[0], np.cumsum(outside[order])])
    kept = np.concatenate([np.cumsum(right[order][::-1])[::-1], [0]])
    best = int(np.argmax(rejected + kept))
    # Half way to the next, so that rounding moves no example across.
    above = edges[best + 1] if best + 1 < len(edges) else 1.0
    return round(float((edges[best] + above) / 2), 6)
