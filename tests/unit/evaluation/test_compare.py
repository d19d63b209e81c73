"""Two folders of predictions compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.evaluation.compare import compare, compare_runs
from textmill.params import load
from textmill.records import write_json, write_jsonl
from textmill.tracking import Tracker


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
    five = compare(task, tmp_path, good, _folder(tmp_path, "five", 85), seed=1)
    assert five["p"] < 0.05 < five["mcnemar"]["p"]  # of five answers that differ the bootstrap is too sure
    assert "do not choose by it" in five["words"]


def test_predictions_for_another_test_set_are_refused(tmp_path: Path) -> None:
    task = load().tasks["sentiment"]
    write_jsonl(tmp_path / "test.jsonl", [{"id": "x", "text": "t", "label": "positive"}])
    one = _folder(tmp_path, "one", 1, count=1)
    with pytest.raises(UserError, match=r"'x' without one"):
        compare(task, tmp_path, one, one, seed=1)


def test_a_test_set_whose_answers_have_changed_is_told(tmp_path: Path) -> None:
    task = load().tasks["sentiment"]
    write_jsonl(tmp_path / "test.jsonl", [{"id": "0", "text": "t", "label": "negative"}])
    one = _folder(tmp_path, "one", 1, count=1)
    with pytest.raises(UserError, match=r"'0' had another answer then"):
        compare(task, tmp_path, one, one, seed=1)


def test_a_label_that_the_task_has_no_more_is_told(tmp_path: Path) -> None:
    task = load().tasks["sentiment"]
    write_jsonl(tmp_path / "test.jsonl", [{"id": "0", "text": "t", "label": "positive"}])
    one = _folder(tmp_path, "one", 1, count=1)
    rows = [{"id": "0", "gold": "positive", "prediction": "neutral"}]
    write_jsonl(tmp_path / "two" / "predictions.jsonl", rows)
    with pytest.raises(UserError, match=r"two: predicts 'neutral', which is none of the task's labels"):
        compare(task, tmp_path, one, tmp_path / "two", seed=1)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, r"run: there is no scores\.json; expected a folder that evaluate wrote"),
        ({"scores.json": "{}"}, r"run: there is no predictions\.jsonl; expected a folder"),
        (
            {"scores.json": "[]", "predictions.jsonl": ""},
            r"scores\.json: names no task; expected what evaluate",
        ),
        (
            {"scores.json": '{"task": "sentiment"}', "predictions.jsonl": '{"prediction": "positive"}\n'},
            r"predictions\.jsonl:1: there is no id; expected what evaluate wrote",
        ),
    ],
)
def test_a_folder_that_evaluate_did_not_write_is_told(
    tmp_path: Path, files: dict[str, str], told: str
) -> None:
    (tmp_path / "run").mkdir()
    for name, content in files.items():
        (tmp_path / "run" / name).write_text(content)
    example = {"id": "1", "text": "a", "label": "positive"}
    write_jsonl(tmp_path / "data" / "tasks" / "sentiment" / "test.jsonl", [example])
    with pytest.raises(UserError, match=told):
        compare_runs(load(), tmp_path, str(tmp_path / "run"), str(tmp_path / "run"))


def test_a_folder_whose_scores_name_no_task_is_told(tmp_path: Path) -> None:
    write_json(tmp_path / "one" / "scores.json", {"accuracy": 1})
    write_jsonl(tmp_path / "one" / "predictions.jsonl", [])
    one = str(tmp_path / "one")
    with pytest.raises(UserError, match=r"one/scores\.json: names no task"):
        compare_runs(load(), tmp_path, one, one)


@pytest.fixture(scope="module", autouse=True)
def own_store() -> Iterator[None]:
    """MLflow leaves the store of an earlier test in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A project with two runs of evaluate in its store, of 90 and 60 right answers, and a run of curate."""
    root = tmp_path_factory.mktemp("runs")
    examples = [{"id": str(i), "text": f"t{i}", "label": "positive"} for i in range(100)]
    write_jsonl(root / "data" / "tasks" / "sentiment" / "test.jsonl", examples)
    tracker = Tracker(load().tracking, root)
    ids = []
    for name, right in (("evaluate@sentiment", 90), ("evaluate@sentiment", 60), ("curate", None)):
        run = tracker.start(name, "state", {})
        if right is not None:
            folder = _folder(root, f"out{right}", right)
            write_json(folder / "scores.json", {"task": "sentiment"})
            for file in folder.iterdir():
                run.log_artifact(file)
        run.finish("FINISHED")
        ids.append(run.id)
    return root, ids


@pytest.mark.slow
def test_runs_are_named_by_id_beginning_name_or_folder(
    logged: tuple[Path, list[str]],
) -> None:
    root, (good, fair, _) = logged
    params = load()
    by_id = compare_runs(params, root, good, fair[:12])
    assert by_id["difference"] == pytest.approx(0.3)
    assert f"{good} is better than {fair[:12]}" in by_id["words"]
    newest = compare_runs(params, root, str(root / "out90"), "evaluate@sentiment")
    assert newest["difference"] == pytest.approx(0.3)


@pytest.mark.slow
def test_what_is_no_run_of_evaluate_is_told(logged: tuple[Path, list[str]]) -> None:
    root, (good, _, other) = logged
    with pytest.raises(UserError, match=r"nothing: no such folder, and no MLflow run"):
        compare_runs(load(), root, good, "nothing")
    with pytest.raises(UserError, match=r"has no scores\.json; is it a run of evaluate"):
        compare_runs(load(), root, good, other)
