# ruff: noqa: E501  (tables of cases read better unbroken)
"""What inspect finds in a file, and that the block it prints reads the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from textmill.errors import UserError
from textmill.params import Params
from textmill.tasks.inspect import inspect
from textmill.tasks.readers import prepare

ROWS = [(f"the tool {i} is {'good' if i % 3 else 'bad'}", "yes" if i % 3 else "no") for i in range(60)]
CONLL = "".join(f"Mara{i} B-person\nmet O\n诺比 B-company\n\n" for i in range(40))
SQUAD = {
    "data": [
        {
            "paragraphs": [
                {"context": f"{i} 韦玛在诺比。", "qas": [{"id": str(i), "question": "谁？", "answers": [{"text": "韦玛", "answer_start": len(str(i)) + 1}]}]}
                for i in range(30)
            ]
        }
    ]
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "content", "family", "form"),
    [
        ("a.tsv", "".join(f"{t}\t{n}\n" for t, n in ROWS), "sequence_classification", "tsv"),
        ("b.csv", "said;class\n" + "".join(f"{t};{n}\n" for t, n in ROWS), "sequence_classification", "csv"),
        ("c.jsonl", "".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in ROWS), "sequence_classification", "jsonl"),
        ("d.json", json.dumps({"train": ROWS}), "sequence_classification", "jsonl"),
        ("e.txt", CONLL, "token_classification", "conll"),
        ("f.json", json.dumps(SQUAD, ensure_ascii=False), "span_extraction", "squad"),
        ("g.jsonl", "".join(json.dumps({"text": t, "label": [[0, 3, n]]}) + "\n" for t, n in ROWS), "token_classification", "doccano"),
    ],
)  # fmt: skip
def test_the_printed_block_reads_the_file(
    tmp_path: Path, params: Params, make_task: Any, file: str, content: str, family: str, form: str
) -> None:
    (tmp_path / file).write_text(content, encoding="utf-8")
    report = inspect(tmp_path / file)
    block = YAML(typ="safe").load(report[report.index("tasks:") :])["tasks"]
    ((_, spec),) = block.items()
    assert (spec["family"], spec["data"]["format"]) == (family, form)
    name = {"sequence_classification": "sentiment", "token_classification": "entities"}.get(
        family, "questions"
    )
    task = make_task(name, data=spec["data"], labels=spec["labels"])
    counts = prepare(params.model_copy(update={"tasks": {name: task}}), name, tmp_path / "out")
    expected = {"conll": 40, "squad": 30}.get(form, 60)
    assert counts["train_examples"] + counts["dev_examples"] + counts["test_examples"] == expected


def test_splits_of_a_folder_are_found_and_leakage_between_them_is_counted(tmp_path: Path) -> None:
    for name, rows in (("train.tsv", ROWS), ("valid.tsv", ROWS[:5]), ("test.tsv", [("new", "no")] * 3)):
        content = "text\tlabel\n" + "".join(f"{t}\t{n}\n" for t, n in rows)
        (tmp_path / name).write_text(content, encoding="utf-8")
    report = inspect(tmp_path)
    assert "leakage: 5 of 5 dev rows are in train too" in report
    assert "leakage: 0 of 3 test rows are in train too" in report
    assert "labels: 2: yes 40 (67%), no 20 (33%)" in report


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        inspect(tmp_path / "nothing")
    with pytest.raises(UserError, match="no file here is called train"):
        inspect(tmp_path)
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="the file is empty"):
        inspect(tmp_path / "empty.csv")
    (tmp_path / "bad.json").write_text('{"a": [\n1,,\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"bad\.json:2: not JSON"):
        inspect(tmp_path / "bad.json")
