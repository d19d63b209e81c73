"""What is right, the errors that a model was surest of, how calibrated it was, and what seeds add."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from textmill.evaluation.analysis import confident_errors, correct
from textmill.evaluation.calibration import calibration
from textmill.evaluation.evaluate import over_seeds
from textmill.evaluation.metrics import paired_bootstrap
from textmill.params import Task
from textmill.tasks import FAMILIES, scores
from textmill.training.calibration import softened


@pytest.fixture
def family(make_task: Callable[..., Task], tokenizer: Any) -> Callable[..., Any]:
    """A family of the task sentiment with some keys changed."""

    def make(**changes: Any) -> Any:
        task = make_task("sentiment", **changes)
        return FAMILIES[task.family](task, tokenizer)

    return make


def test_several_labels_are_right_in_any_order(family: Callable[..., Any]) -> None:
    several = family(labels=["a", "b", "c"], data={"multi_label": True}, gate={"metric": "accuracy"})
    examples = [{"id": "1", "text": "x", "label": ["b", "a"]}, {"id": "2", "text": "x", "label": ["a"]}]
    predictions = [{"prediction": ["a", "b"], "score": 0.9}, {"prediction": ["a", "b"], "score": 0.8}]
    found = correct(several, examples, predictions)
    assert found is not None
    assert found.tolist() == [True, False]
    assert several.score(examples, predictions)["accuracy"] == 0.5
    assert confident_errors(several, examples, predictions) == ["2"]


def test_the_surest_errors_come_first(family: Callable[..., Any]) -> None:
    examples = [{"id": str(i), "text": "x", "label": "positive"} for i in range(4)]
    said = [("negative", 0.6), ("negative", 0.9), ("positive", 0.99), ("negative", 0.7)]
    predictions = [{"prediction": label, "score": sure} for label, sure in said]
    assert confident_errors(family(), examples, predictions) == ["1", "3", "0"]


@pytest.mark.parametrize("temperature", [0.4, 2.5])
def test_certainty_before_the_temperature_is_what_it_was(
    family: Callable[..., Any], temperature: float
) -> None:
    labels = [f"l{i:03}" for i in range(150)]
    many = family(labels=labels)
    draw = np.random.default_rng(5)
    logits = draw.normal(size=(200, 150))
    logits[np.arange(200), draw.integers(0, 150, 200)] += 6
    warm = softened(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), 1.0)
    cooled = softened(warm, temperature)
    examples = [
        {"id": str(i), "text": "x", "label": labels[row.argmax() if i % 10 else 0]}
        for i, row in enumerate(warm)
    ]
    predictions = [many.decode(e, [], [row]) for e, row in zip(examples, cooled, strict=True)]
    plain = [many.decode(e, [], [row]) for e, row in zip(examples, warm, strict=True)]
    found = calibration(many, examples, predictions, temperature)
    expected = calibration(many, examples, plain, None)
    assert found is not None
    assert expected is not None
    before = found["before"]["expected_calibration_error"]
    assert before == pytest.approx(expected["expected_calibration_error"], abs=1e-4)
    assert found["expected_calibration_error"] != pytest.approx(before, abs=0.01)


def test_several_labels_state_the_certainty_that_all_are_right(family: Callable[..., Any]) -> None:
    labels = [f"l{i}" for i in range(10)]
    several = family(labels=labels, data={"multi_label": True})
    draw = np.random.default_rng(4)
    odds = draw.choice([0.05, 0.95], size=(2000, 10))
    truth = draw.random((2000, 10)) < odds
    examples = [
        {"id": str(i), "text": "x", "label": [name for name, holds in zip(labels, row, strict=True) if holds]}
        for i, row in enumerate(truth)
    ]
    predictions = [several.decode(e, [], [row]) for e, row in zip(examples, odds, strict=True)]
    assert predictions[0]["score"] == pytest.approx(0.95**10, rel=1e-5)
    found = calibration(several, examples, predictions, None)
    assert found is not None
    assert found["expected_calibration_error"] < 0.03  # the share of 2,000 has a deviation of 0.011


def test_seeds_have_a_mean_and_the_deviation_of_a_sample() -> None:
    measured = {
        str(i): scores.means({"accuracy": [1.0] * right + [0.0] * (10 - right)})
        for i, right in enumerate((6, 7, 8))
    }
    found = over_seeds(measured)
    assert found["mean"]["accuracy"] == pytest.approx(0.7)
    assert found["deviation"]["accuracy"] == pytest.approx(0.1)


def test_p_is_of_a_difference_to_either_side() -> None:
    # A difference of noise alone, that a one-sided p would call half as likely.
    draw = np.random.default_rng(2)
    gap = draw.normal(0, 1, 400)
    gap += 1.3 * gap.std() / math.sqrt(400) - gap.mean()  # 1.3 standard errors from 0
    found = paired_bootstrap(
        scores.means({"x": list(5 + gap)}), scores.means({"x": [5.0] * 400}), "x", seed=1
    )
    assert found["p"] == pytest.approx(0.194, abs=0.03)


def test_scope_is_measured_inside_and_outside() -> None:
    gold, said = ["a", "a", "a", "oos", "oos"], ["a", "b", "oos", "oos", "a"]
    found = scores.scope(gold, said, "oos").values()
    assert found == pytest.approx({"in_scope_accuracy": 1 / 3, "out_of_scope_recall": 0.5})


def test_moments_of_large_numbers_do_not_cancel() -> None:
    gold = 1.6e9 + np.arange(50.0)
    said = gold + np.where(np.arange(50) % 2, 3.0, -3.0)
    found = scores.regression(list(gold), list(said)).values()
    assert found["pearson"] == pytest.approx(np.corrcoef(gold, said)[0, 1], abs=1e-6)
    assert found["rmse"] == pytest.approx(3.0, abs=1e-6)
    shifted = scores.regression([1.0, 2.0, 4.0], [2.0, 3.0, 5.0]).values()
    assert shifted == pytest.approx({"pearson": 1.0, "rmse": 1.0})
