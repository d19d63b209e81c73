"""The tables of labelled data: good data is inside all bounds, and which rows a defect names."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

from textmill.checks import labels
from textmill.checks.definitions import LABELS
from textmill.params import Params

Tasks = dict[str, dict[str, list[dict[str, Any]]]]


def outside(
    tasks: Tasks, params: Params, in_corpus: dict[str, set[str]] | None = None
) -> dict[str, list[str]]:
    """Name of each check -> rows outside its bounds."""
    tables = labels.tables(
        tasks, params.tasks, in_corpus if in_corpus is not None else {t: set() for t in tasks}
    )
    found = {}
    for definition in LABELS:
        bounds = getattr(params.checks.labels, definition.name)
        table = tables[definition.table]
        value = pl.col(definition.name)
        wrong = pl.lit(False)
        if bounds.min is not None:
            wrong |= value < bounds.min
        if bounds.max is not None:
            wrong |= value > bounds.max
        ids = table.filter(wrong)["id"].to_list()
        if ids:
            found[definition.name] = ids
    return found


def test_good_data_is_inside_every_bound(tasks: Tasks, params: Params) -> None:
    assert outside(tasks, params) == {}


def test_ids_are_unique_across_splits(tasks: Tasks, params: Params) -> None:
    tasks["entities"]["test"][0]["id"] = tasks["entities"]["train"][1]["id"]
    assert outside(tasks, params) == {"duplicate_id": ["entities-train-1"] * 2}


def test_a_training_example_in_the_test_split_leaks(tasks: Tasks, params: Params) -> None:
    tasks["sentiment"]["test"][3]["text"] = tasks["sentiment"]["train"][3]["text"]
    assert outside(tasks, params) == {"leakage": ["sentiment/test"]}
    tables = labels.tables(tasks, params.tasks, {})
    row = tables["task_splits"].filter(pl.col("id") == "sentiment/test")
    assert row["leakage:ids"][0].to_list() == ["sentiment-test-3"]
    assert row["leakage"][0] == pytest.approx(1 / 30)


def test_the_same_text_with_other_arguments_is_another_question(tasks: Tasks, params: Params) -> None:
    """Two relations of one sentence are two examples."""
    train, test = tasks["relations"]["train"][0], tasks["relations"]["test"][0]
    test |= {"text": train["text"], "head": train["tail"], "tail": train["head"]}
    assert outside(tasks, params) == {}


def test_repeated_examples(tasks: Tasks, params: Params) -> None:
    for i in range(4):
        tasks["headlines"]["train"][i]["source"] = tasks["headlines"]["train"][9]["source"]
    assert outside(tasks, params) == {"duplicates": ["headlines/train"]}


def test_one_text_with_two_labels(tasks: Tasks, params: Params) -> None:
    tasks["sentiment"]["train"][0]["text"] = tasks["sentiment"]["train"][1]["text"]
    found = outside(tasks, params)
    assert found["conflicting_labels"] == ["sentiment/train"]
    assert set(found) <= {"conflicting_labels", "duplicates"}


def test_one_text_with_other_spans_and_one_question_with_two_answers(tasks: Tasks, params: Params) -> None:
    for name, changed in (
        ("entities", {"spans": [{"start": 0, "end": 4, "label": "place"}]}),
        ("questions", {"answers": [{"text": "韦玛", "start": 0}]}),
    ):
        first = tasks[name]["train"][0]
        first |= (
            {"text": "韦玛在乌尔门"}
            if name == "entities"
            else {"context": "韦玛在乌尔门", "question": "谁？"}
        )
        tasks[name]["train"][1] = {**first, **changed, "id": "other"}
    rows = labels.tables(tasks, params.tasks, {})["examples"].filter(pl.col("conflicting_labels") > 0)
    assert rows["id"].to_list() == ["entities-train-0", "other", "questions-train-0", "other"]


def test_white_space_and_case_make_no_other_question_and_no_other_answer(
    tasks: Tasks, params: Params
) -> None:
    entities, questions = tasks["entities"], tasks["questions"]
    span = {"start": 5, "end": 9, "label": "person"}
    entities["train"][0] |= {"text": "Good Mara", "spans": [span]}
    entities["test"][0] |= {"text": "good  mara ", "spans": [{**span, "start": 6, "end": 10}]}
    asked = {"question": "谁 是 Mara?", "context": "Mara 是 MARA", "answers": [{"text": "Mara", "start": 0}]}
    questions["train"][0] |= asked
    questions["test"][0] |= {
        **asked,
        "question": "谁 是\u3000mara?",
        "answers": [{"text": "MARA", "start": 7}],
    }
    tasks["headlines"]["train"][1]["source"] = tasks["headlines"]["train"][0]["source"]
    found = labels.tables(tasks, params.tasks, {})["examples"]
    leaked = found.filter(pl.col("leakage") > 0)["id"].to_list()
    assert leaked == ["entities-test-0", "questions-test-0"]
    assert found["conflicting_labels"].sum() == 0


def test_targets_that_copy_their_source(tasks: Tasks, params: Params) -> None:
    example = tasks["headlines"]["dev"][0]
    example["target"] = example["source"]
    assert outside(tasks, params) == {"source_is_target": ["headlines/dev"]}


def test_examples_found_in_the_corpus(tasks: Tasks, params: Params) -> None:
    known = {name: set() for name in tasks} | {"questions": {"questions-test-1"}}
    assert outside(tasks, params, known) == {"corpus_overlap": ["questions/test"]}


def test_a_label_that_is_never_used(tasks: Tasks, params: Params) -> None:
    for example in tasks["sentiment"]["dev"]:
        example["label"] = "positive"
    assert set(outside(tasks, params)) == {"label_unused", "class_share", "label_drift"}


def test_too_few_examples(tasks: Tasks, params: Params) -> None:
    tasks["dialogue"]["dev"] = tasks["dialogue"]["dev"][:5]
    assert outside(tasks, params) == {"examples": ["dialogue/dev"]}


def test_a_skewed_split_drifts(tasks: Tasks, params: Params) -> None:
    draw = random.Random(1)
    for example in tasks["sentiment"]["test"]:
        example["label"] = "positive" if draw.random() < 0.93 else "negative"
    assert outside(tasks, params) == {"label_drift": ["sentiment/test"]}


def test_a_label_that_training_lacks_is_named_in_the_test_split(tasks: Tasks, params: Params) -> None:
    for example in tasks["sentiment"]["train"]:
        example["label"] = "positive"
    found = outside(tasks, params)
    assert found["label_unseen"] == [
        f"sentiment-{split}-{i}" for split in ("dev", "test") for i in range(0, 30, 2)
    ]
    assert "label_unknown" not in found


@pytest.mark.parametrize(
    ("text", "start", "end", "cut"),
    [
        ("Mara met him", 0, 4, False),
        ("Mara met him", 1, 5, True),
        ("Mara met him", 0, 3, True),
        ("Mara met him", 0, 5, True),
        ("(Mara)", 1, 5, False),
        ("Mara's", 0, 4, False),
        ("在乌尔门的", 1, 4, False),
        ("在Norbi工作", 1, 6, False),
        ("在Norbi工作", 1, 5, True),
        ("서울에서", 0, 2, False),
        ("😀Mara", 1, 5, False),
    ],
)
def test_spans_one_off_cut_words(text: str, start: int, end: int, cut: bool) -> None:
    assert labels._cuts_word({"start": start, "end": end}, text) == cut


def test_spans_one_off_fail_together(tasks: Tasks, params: Params) -> None:
    for example in tasks["entities"]["dev"]:
        example["spans"][0]["end"] += 1
    assert outside(tasks, params) == {"spans_cut_words": ["entities/dev"]}


def test_rows_set_aside_are_counted_by_reason(tasks: Tasks, params: Params) -> None:
    problems = ["tag: 'I-LOC' (token 1) does not continue", "relation: makes points at '0'", "text: empty"]
    skipped = {"entities": [{"place": f"a.txt:{i}", "problem": p} for i, p in enumerate(problems)]}
    table = labels.tables(tasks, params.tasks, {}, skipped)["skipped"]
    row = table.filter(pl.col("id") == "entities").row(0, named=True)
    assert row["skipped_rows"] == pytest.approx(3 / 93)
    assert (row["tags_malformed"], row["relations_dangling"]) == (1, 1)
    assert row["ids"] == ["a.txt:0", "a.txt:1", "a.txt:2"]
    assert table.filter(pl.col("id") == "sentiment")["skipped_rows"][0] == 0


def test_labels_that_are_sets_count_each_member(params: Params) -> None:
    """A task with any number of labels for a text."""
    spec = params.tasks["sentiment"]
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"multi_label": True})})
    both = ["negative", "positive"]
    rows = [{"id": f"x{i}", "text": f"text {i}", "label": both[: i % 3]} for i in range(30)]
    tables = labels.tables({"sentiment": {"train": rows}}, {"sentiment": spec}, {})
    assert tables["examples"]["label_unknown"].sum() == 0
    assert tables["task_splits"]["label_unused"][0] == 0
