"""Intervals, comparisons and analysis on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from textmill.evaluation.calibration import expected_error
from textmill.evaluation.metrics import bootstrap, mcnemar, paired_bootstrap
from textmill.evaluation.slices import groups, seen_in, slices
from textmill.tasks import scores


def test_the_interval_of_a_share_is_that_of_the_normal_law() -> None:
    right = np.r_[np.ones(600), np.zeros(400)]
    low, high = bootstrap(scores.means({"accuracy": right.tolist()}), seed=1)["accuracy"]
    half = norm.ppf(0.975) * np.sqrt(0.6 * 0.4 / 1000)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.004)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    measured = scores.means({"x": list(np.random.default_rng(0).random(50))})
    assert bootstrap(measured, 1) == bootstrap(measured, 1)
    assert bootstrap(measured, 1) != bootstrap(measured, 2)


def test_intervals_of_a_large_set_are_drawn_in_parts_that_fit_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = scores.means({"x": list(np.random.default_rng(0).random(40))})
    whole = bootstrap(measured, 1)
    monkeypatch.setattr("textmill.evaluation.metrics._CHUNK", 40 * 7)
    assert bootstrap(measured, 1) == whole


def test_a_difference_on_the_same_examples_is_surer_than_the_intervals_apart() -> None:
    draw = np.random.default_rng(3)
    hard = draw.random(500)  # an example is hard for both systems alike
    ours = scores.means({"x": list(hard + 0.02 + draw.normal(0, 0.02, 500))})
    theirs = scores.means({"x": list(hard)})
    found = paired_bootstrap(ours, theirs, "x", seed=1)
    assert found["low"] > 0
    assert found["p"] <= 0.01
    assert bootstrap(ours, 1)["x"][0] < bootstrap(theirs, 1)["x"][1]
    assert found["p"] == 2 / 1001  # no resample has the other sign
    assert paired_bootstrap(ours, ours, "x", seed=1)["p"] == 1.0
    back = paired_bootstrap(theirs, ours, "x", seed=1)
    assert back["difference"] == pytest.approx(-found["difference"])


def test_mcnemar_counts_only_where_the_systems_differ() -> None:
    ours = np.r_[np.ones(90, bool), np.ones(10, bool), np.zeros(0, bool)]
    theirs = np.r_[np.ones(90, bool), np.zeros(10, bool)]
    assert mcnemar(ours, theirs) == {"only_first": 10, "only_second": 0, "p": pytest.approx(2 * 0.5**10)}
    assert mcnemar(ours, ours)["p"] == 1.0


def test_calibration_is_the_gap_between_what_is_said_and_what_is_right() -> None:
    certainty = np.r_[np.full(100, 0.95), np.full(100, 0.55)]
    right = np.r_[np.ones(95), np.zeros(5), np.ones(35), np.zeros(65)].astype(bool)
    found = expected_error(certainty, right)
    assert found["expected_calibration_error"] == pytest.approx(0.5 * 0.0 + 0.5 * 0.2)
    assert [row["examples"] for row in found["bins"]] == [100, 100]


def test_slices_name_where_the_score_drops_most_first() -> None:
    examples = [
        {"text": "x" * (10 + i), "language": "en" if i < 60 else "zh", "label": "a"} for i in range(120)
    ]
    right = [1.0 if e["language"] == "en" else 0.0 for e in examples]
    seen = np.zeros(120, dtype=bool)
    found = slices(examples, scores.means({"accuracy": right}), "accuracy", seen, seed=1)
    assert found[0]["score"] == 0
    assert {row["slice"] for row in found} >= {"language en", "language zh"}
    assert all("label" not in row["slice"] for row in found)  # a slice of everything says nothing


def test_two_properties_together_are_a_slice_where_they_are_worse_than_each() -> None:
    examples = [
        {"text": "x" * (10 + i % 40), "language": ("en", "zh")[i % 2], "label": ("a", "b")[i // 120]}
        for i in range(240)
    ]
    right = [0.0 if (e["language"], e["label"]) == ("zh", "b") else 1.0 for e in examples]
    seen = np.zeros(240, dtype=bool)
    found = slices(examples, scores.means({"accuracy": right}), "accuracy", seen, seed=1)
    assert found[0] == {
        "slice": "language zh, label b", "examples": 60, "metric": "accuracy", "score": 0.0, "low": 0.0,
        "high": 0.0, "difference": -0.75,
    }  # fmt: skip
    assert not any("language en, label" in row["slice"] for row in found)


def test_examples_of_one_label_are_not_blamed_for_a_mean_over_labels() -> None:
    labels = ["a", "b", "c"]
    gold = [labels[i % 3] for i in range(300)]
    said = ["b" if i % 30 == 0 else label for i, label in enumerate(gold)]  # one a in ten is taken for a b
    examples = [{"text": "x" * (i % 7), "label": label} for i, label in enumerate(gold)]
    found = slices(
        examples, scores.classification(gold, said, labels), "macro_f1", np.zeros(300, dtype=bool), seed=1
    )
    alone = {row["slice"]: (row["metric"], row["score"]) for row in found if row["slice"].startswith("label")}
    assert alone["label a"] == ("accuracy", 0.9)
    assert alone["label c"] == ("accuracy", 1.0)
    assert all(row["metric"] == "macro_f1" for row in found if "label" not in row["slice"])


def test_texts_without_entities_are_no_slice() -> None:
    entity = {"start": 0, "end": 4, "label": "person"}
    gold = [[(0, 4, "person")] if i < 120 else [] for i in range(180)]
    examples = [{"text": f"Mara {'x' * (i % 40)}", "spans": [entity] if i < 120 else []} for i in range(180)]
    seen = np.arange(180) >= 120
    found = slices(examples, scores.spans(gold, gold), "f1", seen, seed=1)
    assert {row["score"] for row in found} == {1.0}
    assert not any("also in train" in row["slice"] for row in found)


def test_length_slices_are_thirds() -> None:
    examples = [{"text": "x" * i} for i in range(1, 91)]
    found = groups(examples, np.zeros(90, dtype=bool))
    assert [int(mask.sum()) for kind, _, mask in found if kind == "length"] == [30, 30, 30]


def test_a_text_without_entities_is_no_part_of_its_own() -> None:
    examples = [{"text": "x", "spans": [{"start": 0, "end": 1, "label": "a"}] * (i % 2)} for i in range(60)]
    kinds = [(kind, name) for kind, name, _ in groups(examples, np.zeros(60, dtype=bool)) if kind == "label"]
    assert kinds == [("label", "label a")]


def test_examples_that_train_has_too_are_found_whatever_their_case_and_label() -> None:
    train = [{"text": "Good  food", "label": "a"}, {"text": "Bad", "pair": "worse", "label": "a"}]
    test = [
        {"text": "good food", "label": "b"},
        {"text": "Bad", "label": "a"},
        {"text": "food", "label": "a"},
    ]
    assert seen_in(train, test).tolist() == [True, False, False]
