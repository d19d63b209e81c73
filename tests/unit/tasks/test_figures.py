"""Pictures of results whose labels are any text."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from textmill.drawing import METADATA, drawing
from textmill.evaluation.learning_curve import write_curve
from textmill.tasks.figures import bars, confusion_matrix


def test_labels_in_chinese_and_with_dollars_are_drawn_as_they_are() -> None:
    with warnings.catch_warnings(action="error"):
        for figure in (
            confusion_matrix(np.eye(2, dtype=int), ["正面", "a_$%$"]),
            bars({"正面": 0.5, "a_$%$": 0.25}, "F1"),
        ):
            file = io.StringIO()
            with drawing():
                figure.savefig(file, format="svg", metadata=METADATA)
            assert "正面" in file.getvalue()
            assert "a_$%$" in file.getvalue()


def test_a_learning_curve_is_the_same_bytes_again(tmp_path: Path) -> None:
    rows = [
        {"examples": size, "accuracy": 0.5, "low": 0.4, "high": 0.6, "baseline": 0.5} for size in (10, 100)
    ]
    for folder in ("one", "two"):
        write_curve(tmp_path / folder, "sentiment", "accuracy", rows)
    one, two = ((tmp_path / folder / "sentiment.svg").read_bytes() for folder in ("one", "two"))
    assert one == two
