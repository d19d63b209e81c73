"""What is fitted on the dev split after training: a classifier's temperature, and when it is too unsure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from textmill.errors import UserError
from textmill.records import Example
from textmill.tasks.base import Family
from textmill.tasks.span_extraction import SpanExtraction

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# A dev split without errors would ask for a temperature of 0.
COLDEST, HOTTEST = 0.25, 10.0


def calibrate(
    family: Family, model: PreTrainedModel, dev: Sequence[Example], batch_size: int
) -> dict[str, float]:
    """Fit the temperature on ``dev`` and fold it into ``model``; then the threshold, where one is needed.

    The temperature divides the weights of the last linear map, so that whoever loads the model, this code or
    stock transformers, has the calibrated probabilities; predictions stay as they were. Where n-grams score
    the labels too, their weight is fitted before and folded into their table. Returns ``temperature``,
    ``ngram_weight`` and, for a task with an out_of_scope label, ``threshold``, as far as they are fitted; for
    spans ``threshold``, the margin over no answer; nothing for other tasks.
    """
    if isinstance(family, SpanExtraction):
        return {"threshold": family.fit_threshold(dev, model, batch_size)}
    if not family.task.one_label:
        return {}
    labels = [label for label in family.task.labels or () if label != family.task.finetune.out_of_scope]
    within = np.array([family.learns(example) for example in dev])
    gold = [family.gold(example) for example in dev]
    truth = np.array([labels.index(label) for label in gold if label in labels])
    last = [m for m in model.modules() if getattr(m, "out_features", None) == len(labels)][-1]
    parts = [*last.parameters()]
    found = {}

    def probabilities() -> np.ndarray:
        """What the model gives each label of each example, (examples, labels)."""
        _, outputs = family.outputs(model, dev, batch_size)
        return np.array([row[0] for row in outputs], dtype=float)

    if (ngrams := getattr(model, "ngrams", None)) is not None:
        with _silent([ngrams.table]):
            deep = probabilities()[within]
        with _silent(parts):
            wide = probabilities()[within]
        found["ngram_weight"] = ngram_weight(deep, wide, truth)
        ngrams.table.data *= found["ngram_weight"]
        parts.append(ngrams.table)
    before = probabilities()
    found["temperature"] = temperature(before[within], truth)
    for parameter in parts:
        parameter.data /= found["temperature"]
    if family.task.finetune.out_of_scope:
        if within.all():
            raise UserError(
                f"the dev split has no example labelled {family.task.finetune.out_of_scope!r}, by which the "
                "threshold of out_of_scope is chosen"
            )
        cooled = softened(before, found["temperature"])
        right = np.zeros(len(dev), dtype=bool)
        right[within] = cooled[within].argmax(axis=1) == truth
        found["threshold"] = threshold(cooled.max(axis=1), right, ~within)
    return found


@contextmanager
def _silent(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Within, the parameters are zero."""
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.data.zero_()
    try:
        yield
    finally:
        for parameter, values in zip(parameters, before, strict=True):
            parameter.data.copy_(values)


def ngram_weight(deep: np.ndarray, wide: np.ndarray, truth: np.ndarray) -> float:
    """How much the scores of n-grams should weigh beside a Transformer's logits: what makes the true labels
    likeliest, at the temperature that suits it.

    deep, wide: the probabilities by each alone, (examples, labels); truth: (examples,) indices of labels.
    """
    from scipy.optimize import minimize

    logits = [np.log(np.maximum(half, 1e-38)) for half in (deep, wide)]

    def loss(logarithms: np.ndarray) -> float:
        """Mean negative log-likelihood in nats at the logarithms of both weights."""
        mixed = sum(weight * half for weight, half in zip(np.exp(logarithms), logits, strict=True))
        mixed = mixed - mixed.max(axis=1, keepdims=True)
        return float((np.log(np.exp(mixed).sum(axis=1)) - mixed[np.arange(len(truth)), truth]).mean())

    bounds = [(np.log(1 / HOTTEST), np.log(1 / COLDEST))] * 2
    fitted = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=bounds).x
    return round(float(np.exp(fitted[1] - fitted[0])), 4)


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
