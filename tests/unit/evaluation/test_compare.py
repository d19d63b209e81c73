"""Two folders of predictions compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.evaluation.compare import compare
from textmill.params import load
from textmill.records import write_jsonl


def _folder(top: Path, name: str, right: int, count: int = 100) -> Path:
    answers = ["positive" if i < right else "negative" for i in range(count)]
    rows = [{"id": str(i), "gold": "positive", "prediction": answer} for i, answer in enumerate(answers)]
    write_jsonl(top / name / "predictions.jsonl", rows)
    return top / name


def test_a_clear_difference_is_called_one_and_a_small_one_is_not(tmp_path: Path) -> None:
    task = load().tasks["sentiment"]
    examples = [{"id": str(i), "text": f"t{i}", "label": "positive"} for i in range(100)]
    write_jsonl(tmp_path / "test.jsonl", examples)
    good, fair, near = (_folder(tmp_path, name, n) for name, n in (("good", 90), ("fair", 60), ("near", 89)))
    found = compare(task, tmp_path, good, fair, seed=1)
    assert found["difference"] == pytest.approx(0.3)
    assert found["low"] > 0
    assert found["mcnemar"] == {"only_first": 30, "only_second": 0, "p": pytest.approx(2 * 0.5**30)}
    assert f"{good} is better" in found["words"]
    assert f"{good} is better" in compare(task, tmp_path, fair, good, seed=1)["words"]
    assert "do not choose by it" in compare(task, tmp_path, good, near, seed=1)["words"]


def test_predictions_for_another_test_set_are_refused(tmp_path: Path) -> None:
    task = load().tasks["sentiment"]
    write_jsonl(tmp_path / "test.jsonl", [{"id": "x", "text": "t", "label": "positive"}])
    one = _folder(tmp_path, "one", 1, count=1)
    with pytest.raises(UserError, match=r"'x' without one"):
        compare(task, tmp_path, one, one, seed=1)
