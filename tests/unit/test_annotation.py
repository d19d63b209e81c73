"""The least sure examples for annotation tools, and back in again through the readers, offsets included."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from textmill.annotation import check, export, labelling_interface, least_sure
from textmill.errors import UserError
from textmill.params import Params
from textmill.records import read_examples
from textmill.tasks.readers import prepare
from textmill.tasks.readers.offsets import from_utf16, to_utf16

TEXT = "👨🏻‍🚒 Mara 在𠮷野的 Norbi Tools 😀 工作。"
SPANS = [
    {"start": TEXT.index("Mara"), "end": TEXT.index("Mara") + 4, "label": "person"},
    {"start": TEXT.index("𠮷"), "end": TEXT.index("𠮷") + 2, "label": "place"},
    {"start": TEXT.index("Norbi"), "end": TEXT.index("Norbi") + 11, "label": "company"},
]


def pairs(answers: list[Any], **fields: Any) -> list[Any]:
    """Examples with predictions, the first the least sure."""
    return [
        ({"id": f"e{i}", "text": f"{TEXT} {i}", **fields}, {"prediction": answer, "score": 0.3 + i / 100})
        for i, answer in enumerate(answers)
    ]


def back(
    name: str, task: Any, form: str, content: str, params: Params, folder: Path, **options: Any
) -> list[dict[str, Any]]:
    """What the readers make of a file that a tool wrote."""
    (folder / "raw").mkdir()
    (folder / "raw" / "a.json").write_text(content, encoding="utf-8")
    data = task.data.model_copy(
        update={"format": form, "path": str(folder / "raw"), "train": "a.json", "options": options}
    )
    changed = params.model_copy(update={"tasks": {name: task.model_copy(update={"data": data})}})
    prepare(changed, name, folder / "out")
    found = [e for split in ("train", "dev", "test") for e in read_examples(folder / "out", split)]
    return sorted(found, key=lambda example: example["text"])


def labelled(form: str, content: str) -> str:
    """The file as the tool writes it when somebody has accepted every pre-annotation."""
    if form == "doccano":
        return content
    rows = json.loads(content)
    for row in rows:
        row["annotations"] = [{"result": row.pop("predictions")[0]["result"], "was_cancelled": False}]
    return json.dumps(rows)


@pytest.mark.parametrize("form", ["label_studio", "doccano"])
def test_spans_survive_the_way_out_and_back(
    form: str, params: Params, make_task: Any, tmp_path: Path
) -> None:
    task = make_task("entities")
    out = export(task, pairs([SPANS] * 20), form, "entities")
    found = back("entities", task, form, labelled(form, out), params, tmp_path)
    assert len(found) == 20
    for example in found:
        assert example["spans"] == SPANS
        assert example["text"].startswith(TEXT)


@pytest.mark.parametrize("form", ["label_studio", "doccano"])
def test_labels_and_relations_survive_the_way_out_and_back(
    form: str, params: Params, make_task: Any, tmp_path: Path
) -> None:
    task = make_task("sentiment")
    (tmp_path / "one").mkdir()
    out = export(task, pairs(["positive", "negative"] * 10), form, "sentiment")
    found = back("sentiment", task, form, labelled(form, out), params, tmp_path / "one")
    assert {e["text"]: e["label"] for e in found} == {
        f"{TEXT} {i}": ("positive", "negative")[i % 2] for i in range(20)
    }
    task = make_task("relations")
    (tmp_path / "two").mkdir()
    head, tail = SPANS[0], SPANS[2]
    out = export(task, pairs(["works_for"] * 20, head=head, tail=tail), form, "relations")
    found = back("relations", task, form, labelled(form, out), params, tmp_path / "two")
    assert all((e["head"], e["tail"]) == (head, tail) for e in found)  # types too
    assert {e["label"] for e in found} == {"works_for"}


@pytest.mark.parametrize("form", ["label_studio", "doccano"])
def test_a_second_text_and_the_id_survive_the_way_out_and_back(
    form: str, params: Params, make_task: Any, tmp_path: Path
) -> None:
    task = make_task("sentiment")
    chosen = pairs(["positive", "negative"] * 10, pair="第二", language="zh")
    out = export(task, chosen, form, "sentiment")
    found = back("sentiment", task, form, labelled(form, out), params, tmp_path)
    assert {e["id"] for e in found} == {f"e{i}" for i in range(20)}
    assert {(e["pair"], e["language"]) for e in found} == {("第二", "zh")}
    shown = ElementTree.fromstring(labelling_interface(task, [example for example, _ in chosen]))
    assert [element.get("value") for element in shown.iter("Text")] == ["$text", "$pair"]


def test_doccano_counts_utf16_and_others_may_not(params: Params, make_task: Any, tmp_path: Path) -> None:
    task = make_task("entities")
    line = {"text": "😀 Mara", "label": [[3, 7, "person"]]}
    content = "".join(json.dumps({**line, "text": f"😀 Mara {i}"}) + "\n" for i in range(20))
    (tmp_path / "one").mkdir()
    found = back("entities", task, "doccano", content, params, tmp_path / "one")
    assert {(s["start"], s["end"]) for e in found for s in e["spans"]} == {(2, 6)}
    (tmp_path / "two").mkdir()
    content = content.replace("[3, 7", "[2, 6")
    found = back("entities", task, "doccano", content, params, tmp_path / "two", offsets="characters")
    assert {(s["start"], s["end"]) for e in found for s in e["spans"]} == {(2, 6)}
    (tmp_path / "three").mkdir()
    content = content.replace("[2, 6", "[1, 6")
    with pytest.raises(
        UserError, match=r"a\.json:1: spans: 1 to 6 in UTF-16 code units is .* inside a character"
    ):
        back("entities", task, "doccano", content, params, tmp_path / "three")


def test_offsets_are_turned_both_ways() -> None:
    for place in range(len(TEXT) + 1):
        assert from_utf16(TEXT, to_utf16(TEXT, place)) == place
    assert from_utf16("😀", 1) is None
    assert from_utf16("a", 2) is None


def test_the_least_sure_come_first_and_a_text_once() -> None:
    rows = pairs(["a", "b", "c", "d"])
    rows[2][1]["score"] = 0.1
    rows[3][0]["text"] = rows[0][0]["text"]
    assert [p["prediction"] for _, p in least_sure(rows, 9, "x")] == ["c", "a", "b"]
    assert len(least_sure(rows, 2, "x")) == 2
    with pytest.raises(UserError, match="carry no certainty"):
        least_sure([({"text": "a"}, {"prediction": 1.5})], 1, "x")


def test_out_of_scope_the_least_sure_are_nearest_to_the_threshold() -> None:
    scores = {"other 1": 0.2, "other 2": 0.69, "negative 1": 0.72, "negative 2": 0.95}
    pairs: Any = [
        ({"text": name}, {"prediction": name[:-2], "score": score}) for name, score in scores.items()
    ]
    chosen = least_sure(pairs, 3, "a", threshold=0.7)
    assert [example["text"] for example, _ in chosen] == ["other 2", "negative 1", "negative 2"]


def test_label_studio_s_interface_finds_a_second_text_in_every_task(make_task: Any) -> None:
    task = make_task("sentiment")
    said = {"prediction": "positive", "score": 0.5}
    pairs: Any = [({"text": "a", "pair": "b"}, said), ({"text": "c"}, said)]
    exported = json.loads(export(task, pairs, "label_studio", "m"))
    assert [row["data"]["pair"] for row in exported] == ["b", ""]
    assert "$pair" in labelling_interface(task, [example for example, _ in pairs])


def test_the_interface_names_every_label_and_other_families_are_told(make_task: Any) -> None:
    arguments = {"head": SPANS[0], "tail": {"start": 0, "end": 1}}  # whose type nobody knows
    for name, further in (("sentiment", {}), ("entities", {}), ("relations", arguments)):
        task = make_task(name, labels=["a & b", 'say "c"'])
        tree = ElementTree.fromstring(labelling_interface(task, [{"text": TEXT, **further}]))
        assert {"a & b", 'say "c"'} <= {element.get("value") for element in tree.iter()}
    assert {element.get("value") for element in tree.iter("Label")} == {"person", "tail"}
    with pytest.raises(UserError, match="headlines is sequence_to_sequence"):
        check(make_task("headlines"), "doccano", "headlines")
