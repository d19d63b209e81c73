# ruff: noqa: E501  (tables of cases read better unbroken)
"""What inspect finds in a file, and that the block it prints reads the file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import polars
import pytest
from ruamel.yaml import YAML

from textmill.errors import UserError
from textmill.inspect import inspect
from textmill.params import Params, Task, merge
from textmill.records import read_jsonl
from textmill.tasks.readers import prepare
from textmill.tasks.readers.files import open_files

ROWS = [(f"the tool {i} is {'good' if i % 3 else 'bad'}", "yes" if i % 3 else "no") for i in range(60)]
CONLL = "".join(f"Mara{i} B-person\nmet O\n诺比 B-company\n\n" for i in range(40))
TOLD = {
    "id": 1,
    "annotator": 1,
    "annotation_id": 1,
    "created_at": "2026",
    "updated_at": "2026",
    "lead_time": 1.5,
}
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
        ("h.txt", "".join(f"{n} {t}\n" for t, n in ROWS).encode() + b"yes caf\xe9 tools\n", "sequence_classification", "text"),
        ("i.csv", "sentence_A,sentence_B,score,judgment\n" + "".join(f"{t},{t[::-1]},{i}.5,{n}\n" for i, (t, n) in enumerate(ROWS)), "sequence_classification", "csv"),
        ("j.csv", "question,review,spans,answer\n" + "".join(f"Who {i}?,It is {n} {i}. NONE,x,{n if i % 2 else 'NONE'}\n" for i, (_, n) in enumerate(ROWS)), "span_extraction", "csv"),
        ("k.txt", "".join(f"Hello {i}? __eou__ Good day. __eou__\n" for i in range(60)), "dialogue", "text"),
        ("l.json", json.dumps([{"tokens": ["Mara", "met", "Norbi", str(i)], "entities": [{"type": "person", "start": 0, "end": 1}]} for i in range(60)]), "token_classification", "spert"),
        ("m.txt", "".join(f'{i}\t"The <e1>saw</e1> of <e2>Norbi {i}</e2>."\n{n}\nComment:\n\n' for i, (_, n) in enumerate(ROWS)), "relation_classification", "semeval"),
        ("n.json", json.dumps([{"data": {"body": t}, "annotations": [{"result": [{"type": "choices", "value": {"choices": [n]}}]}]} for t, n in ROWS]), "sequence_classification", "label_studio"),
        ("o.csv", ",text,label\r\n" + "".join(f'{i},"{t}, and\'s",{n}\r\n' for i, (t, n) in enumerate(ROWS)), "sequence_classification", "csv"),
        ("p.tsv", ("said\tclass\n" + "".join(f"{t} 也不好\t{n}\n" for t, n in ROWS)).encode("gb18030"), "sequence_classification", "tsv"),
        ("r.tsv", "said\tclass\n" + "".join(f'"{t}\n""twice"""\t{n}\n' for t, n in ROWS), "sequence_classification", "tsv"),
        ("s.tsv", "said\tclass\n" + "".join(f'"{t}" he said\t{n}\n' for t, n in ROWS), "sequence_classification", "tsv"),
        ("t.jsonl", "".join(json.dumps({"tokens": ["Mara", "met", "Norbi", str(i)], "ner_tags": ["S-person", "O", "S-company", "O"]}) + "\n" for i in range(60)), "token_classification", "jsonl"),
        ("u.jsonl", "".join(json.dumps({"id": str(i), "question": "Who?", "context": f"{i} is Mara", "answers": {"text": ["Mara"], "answer_start": [4 + len(str(i))]}}) + "\n" for i in range(60)), "span_extraction", "jsonl"),
        ("ap.json", json.dumps([{"tokens": ["Mara", "met", str(i)], "ner_tags": ["B-person", "O", "O"]} for i in range(60)]), "token_classification", "jsonl"),
        ("av.csv", "tokens,ner_tags\n" + "".join(f"\"['Mara', 'met', '{i}']\",\"['B-person', 'O', 'O']\"\n" for i in range(60)), "token_classification", "csv"),
        ("aw.tsv", "tokens\ttags\n" + "".join(f'["Mara", "😀", "{i}"]\t["B-person", "O", "O"]\n' for i in range(60)), "token_classification", "tsv"),
        ("q.jsonl", "".join(json.dumps({"source": t, "target": n}) + "\n" for t, n in ROWS), "sequence_to_sequence", "jsonl"),
        ("ab.csv", "text,label,\n" + "".join(f"{t},{n},\n" for t, n in ROWS), "sequence_classification", "csv"),
        ("ac.csv", "What did you think about the tools that you were sent?,2024\n" + "".join(f"{t},{n}\n" for t, n in ROWS), "sequence_classification", "csv"),
        ("ad.csv", "2023,2024\n" + "".join(f"{t},{i % 2}\n" for i, (t, _) in enumerate(ROWS)), "sequence_classification", "csv"),
        ("ae.csv", "text, label\n" + "".join(f"{t},{n}\n" for t, n in ROWS), "sequence_classification", "csv"),
        ("af.csv", ("text,label\n" + "".join(f"{t},{n}\n" for t, n in ROWS)).encode("utf-16-le"), "sequence_classification", "csv"),
        ("ag.csv", ("text,label\n" + "".join(f"{i}不好一一一一,{n}\n" for i, (_, n) in enumerate(ROWS))).encode("utf-16-be"), "sequence_classification", "csv"),
        ("ah.jsonl", "".join(json.dumps({"text": t, "label": [n]}) + "\n" for t, n in ROWS), "sequence_classification", "doccano"),
        ("ai.jsonl", "".join(json.dumps({"data": t, "labels": [n]}) + "\n" for t, n in ROWS), "sequence_classification", "doccano"),
        ("aj.json", json.dumps([{"text": t, "label": [n]} for t, n in ROWS]), "sequence_classification", "doccano"),
        ("aq.json", json.dumps([{"text": t, "label": [[0, 3, n]]} for t, n in ROWS]), "token_classification", "doccano"),
        ("ar.json", json.dumps([{"body": t, "mood": n, **TOLD} for t, n in ROWS]), "sequence_classification", "label_studio"),
        ("as.json", json.dumps([{"text": t, "origin": "web", "label": n, **TOLD} for t, n in ROWS]), "sequence_classification", "label_studio"),
        ("at.json", json.dumps([{"text": t, "mood": {"choices": [n, "both"]}, **TOLD} for t, n in ROWS]), "sequence_classification", "label_studio"),
        ("au.json", json.dumps([{"text": t, "origin": "web", "label": [{"start": 0, "end": 3, "text": t[:3], "labels": [n]}], **TOLD} for t, n in ROWS]), "token_classification", "label_studio"),
        ("ak.jsonl", "".join(json.dumps({"data": {"text": t, "of": {"label": n}}}) + "\n" for t, n in ROWS), "sequence_classification", "jsonl"),
        ("al.jsonl", "".join(json.dumps({"in": {"question": "谁？", "context": f"{i} 韦玛", "answers": [{"text": "韦玛", "start": 1 + len(str(i))}]}}) + "\n" for i in range(60)), "span_extraction", "jsonl"),
        ("ao.jsonl", "".join(json.dumps({"premise": t, "hypothesis": t[::-1], "label": n, "meta": {"premise": i}}) + "\n" for i, (t, n) in enumerate(ROWS)), "sequence_classification", "jsonl"),
        ("am.jsonl", "".join(json.dumps({"text": t, "label": n == "yes"}) + "\n" for t, n in ROWS), "sequence_classification", "jsonl"),
        ("an.jsonl", "".join(json.dumps({"text": t, "label": float(len(n))}) + "\n" for t, n in ROWS), "sequence_classification", "jsonl"),
        ("g.jsonl", "".join(json.dumps({"text": t, "label": [[0, 3, n]]}) + "\n" for t, n in ROWS), "token_classification", "doccano"),
    ],
)  # fmt: skip
def test_the_printed_block_reads_the_file(
    tmp_path: Path, params: Params, file: str, content: str | bytes, family: str, form: str
) -> None:
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    report = inspect(tmp_path / file)
    ((_, spec),) = blocks(report).items()
    assert (spec["family"], spec["data"]["format"]) == (family, form)
    counts = read(spec, params, tmp_path / "out")
    expected = {"conll": 40, "squad": 30}.get(form, 61 if file == "h.txt" else 60)
    assert counts["train_examples"] + counts["dev_examples"] + counts["test_examples"] == expected
    assert f": 0 of {expected}" in report


def test_sentences_of_semeval_without_labels_are_left_out(tmp_path: Path, params: Params) -> None:
    lines = [f'{i}\t"The <e1>saw</e1> of <e2>Norbi {i}</e2>."\n' for i in range(60)]
    labelled = "".join(
        f"{line}{('Other', 'Made-By(e1,e2)')[i % 2]}\nComment:\n\n" for i, line in enumerate(lines)
    )
    for name, content in (
        ("TRAIN.TXT", labelled),
        ("TEST_CLEAN.TXT", "".join(lines)),
        ("TEST_FULL.TXT", labelled),
    ):
        (tmp_path / name).write_text(content)
    report = inspect(tmp_path)
    ((_, spec),) = blocks(report).items()
    assert spec["data"]["test"] == "TEST_FULL.TXT"
    assert "left out: TEST_CLEAN.TXT (semeval without labels)" in report
    assert ": 0 of 120" in report


@pytest.mark.parametrize("archive", [False, True])
def test_folders_that_are_called_as_the_labels(tmp_path: Path, params: Params, archive: bool) -> None:
    files = {
        f"reviews/{split}/{label}/{i}.txt": f"{split} {label} 很好 {i}\nsecond line {i}\n"
        for split, labels in (("train", ("neg", "pos", "unsup")), ("test", ("neg", "pos")))
        for label in labels
        for i in range(20)
    }
    path = tmp_path / "reviews.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
        if not archive:
            packed.extractall(tmp_path)
    report = inspect(path if archive else tmp_path / "reviews")
    ((_, spec),) = blocks(report).items()
    assert (spec["labels"], spec["data"]["options"]) == (["neg", "pos"], {"unit": "file", "label": "folder"})
    counts = read(spec, params, tmp_path / "out")
    assert counts["train_examples"] + counts["dev_examples"] == counts["test_examples"] == 40
    for line in (tmp_path / "out" / "test.jsonl").open(encoding="utf-8"):
        example = json.loads(line)
        assert example["text"].startswith(f"test {example['label']} 很好 ")
        assert "\nsecond line" in example["text"]


def test_folders_of_languages_with_files_of_splits_are_no_labels(tmp_path: Path) -> None:
    for folder in ("sw", "yo"):
        (tmp_path / folder).mkdir()
        for name in ("train", "dev", "test", "train2", "train3", "train4"):
            (tmp_path / folder / f"{name}.txt").write_text(CONLL, encoding="utf-8")
    assert "format: conll" in inspect(tmp_path)


@pytest.mark.parametrize(
    ("content", "labels", "options"),
    [
        ("text,label\n" + "".join(f"{t},{('yes', 'no', 'yes|no')[i % 3]}\n" for i, (t, _) in enumerate(ROWS)), ["no", "yes"], {"separator": "|"}),
        ("文本,标签\n" + "".join(f"{t},{('好', '快', '好、快', '贵、快')[i % 4]}\n" for i, (t, _) in enumerate(ROWS)), ["好", "快", "贵"], {"separator": "、"}),
        ('text,label\n' + "".join(f'{t},"{("a, b", "b, c", "a", "c,a")[i % 4]}"\n' for i, (t, _) in enumerate(ROWS)), ["a", "b", "c"], {"separator": ","}),
        ("id,text,toxic,insult,threat\n" + "".join(f"{i},{t},{i % 2},{i % 3 % 2},0\n" for i, (t, _) in enumerate(ROWS)), ["toxic", "insult", "threat"], None),
    ],
)  # fmt: skip
def test_several_labels_in_a_cell_or_in_columns_are_found(
    tmp_path: Path, params: Params, content: str, labels: list[str], options: dict[str, Any] | None
) -> None:
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    report = inspect(tmp_path / "a.csv")
    ((_, spec),) = blocks(report).items()
    assert spec["labels"] == labels
    assert spec["data"]["multi_label"] is True
    assert spec["data"].get("options") == options
    counts = read(spec, params, tmp_path / "out")
    assert sum(counts[f"{split}_examples"] for split in ("train", "dev", "test")) == 60


def test_english_words_among_chinese_characters_stay_apart(tmp_path: Path, params: Params) -> None:
    said = "".join(f"{c} O\n" for c in "我们昨天在这里看了一场很好的演出和朋友一起")
    sentences = [
        f"{said}{c} O\nNew B-place\nYork I-place\n\n" for c in "的一是不了人有他中大来上个国到说时要就出"
    ]
    (tmp_path / "a.conll").write_text("".join(sentences), encoding="utf-8")
    ((_, spec),) = blocks(inspect(tmp_path / "a.conll")).items()
    read(spec, params, tmp_path / "out")
    assert "New York" in (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("character", ["a", "好"])
def test_a_line_too_long_is_no_wrong_encoding(tmp_path: Path, character: str) -> None:
    rows = [json.dumps({"text": t, "label": n}) for t, n in ROWS]
    rows.append(json.dumps({"text": character * 10_000_001, "label": "yes"}, ensure_ascii=False))
    (tmp_path / "a.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    report = inspect(tmp_path / "a.jsonl")
    ((_, spec),) = blocks(report).items()
    assert "options" not in spec["data"]
    assert f"a.jsonl:{len(rows)}: a line of 10,000,0" in report
    assert f"bad rows for a: 1 of {len(rows)}" in report


def test_a_space_after_some_labels_does_not_make_them_several(tmp_path: Path) -> None:
    rows = "".join(f"{text},{('yes', 'no', 'yes ')[i % 3]}\n" for i, (text, _) in enumerate(ROWS))
    (tmp_path / "a.csv").write_text("text,label\n" + rows, encoding="utf-8")
    report = inspect(tmp_path / "a.csv")
    ((_, spec),) = blocks(report).items()
    assert "multi_label" not in spec["data"]
    assert "options" not in spec["data"]
    assert "set data.label_names to {'yes ': 'yes'}" in report


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["food, drinks", "sports"], ["food, drinks", "sports"]),
        (["Cause-Effect(e1,e2)", "Cause-Effect(e2,e1)", "Other"], ["Cause-Effect(e1,e2)", "Cause-Effect(e2,e1)", "Other"]),
        (["n/a", "n", "a"], ["a", "n", "n/a"]),
    ],
)  # fmt: skip
def test_a_label_that_has_a_sign_in_it_stays_whole(
    tmp_path: Path, cells: list[str], labels: list[str]
) -> None:
    rows = [{"text": t, "label": cells[i % len(cells)]} for i, (t, _) in enumerate(ROWS)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ((_, spec),) = blocks(inspect(tmp_path / "a.jsonl")).items()
    assert spec["labels"] == labels
    assert "multi_label" not in spec["data"]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gb18030", "这家店的服务很好，工具也耐用"),
        ("big5", "這家店的服務很好，工具也耐用"),
        ("cp1252", "It’s a “fine” tool – for 5 €"),
        ("cp1252", "Größe und Übermut tun selten gut"),
        ("cp1251", "Это очень хороший инструмент"),
        ("koi8_r", "Это очень хороший инструмент"),
        ("shift_jis", "部屋が汚くて残念でした。また来たいとは思いません。"),
        ("euc_kr", "이 호텔은 정말 좋았습니다"),
    ],
)
def test_an_encoding_that_is_not_unicode_is_told(
    tmp_path: Path, params: Params, encoding: str, text: str
) -> None:
    rows = "".join(f"{i} {text}\t{label}\n" for i, (_, label) in enumerate(ROWS))
    (tmp_path / "a.tsv").write_bytes(f"said\tclass\n{rows}".encode(encoding))
    report = inspect(tmp_path / "a.tsv")
    assert f"read as {encoding}" in report
    ((_, spec),) = blocks(report).items()
    read(spec, params, tmp_path / "out")
    found = [json.loads(line)["text"] for line in (tmp_path / "out" / "train.jsonl").open(encoding="utf-8")]
    assert all(line.endswith(text) for line in found)


@pytest.mark.parametrize(
    ("encoding", "lines"),
    [
        ("gb18030", [f"The tool of batch {i} was fine,{'坏好'[i % 2]}" for i in range(60)]),
        ("gb18030", ["很好用,好", "不错的,好", "太差了,坏"]),
        ("gb18030", ["张三 said so,1", "李四 said no,0"]),
        ("big5", ["好,1", "壞,0"]),
        ("cp1252", [*["plain words only,1"] * 3000, "It’s a “fine” tool,1"]),
        ("cp1252", ["Größe,1"] * 9),
        ("shift_jis", ["良い,1", "悪い,0"] * 40),
        ("shift_jis", ["ｺﾝﾆﾁﾊ良い,1", "悪い,0"] * 40),
        ("cp1250", ["To jest bardzo dobre narzędzie,1", "Nigdy więcej nie kupię tej książki,0"] * 9),
        ("euc_kr", [f"The tool of batch {i} was fine,{'부긍'[i % 2]}정" for i in range(60)]),
    ],
)
def test_few_bytes_tell_an_encoding_and_it_is_called_a_guess(
    tmp_path: Path, encoding: str, lines: list[str]
) -> None:
    (tmp_path / "a.csv").write_bytes("\n".join(["text,label", *lines]).encode(encoding))
    told = f"read as {encoding}, a guess: where texts look wrong, name another in data.options.encoding"
    assert told in inspect(tmp_path / "a.csv")


def test_a_broken_line_of_another_encoding_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    rows = "".join(f"这家店的服务很好 {i},{i % 2}\n" for i in range(30))
    (tmp_path / "a.csv").write_bytes(f"text,label\n{rows}".encode("gb18030") + b"\xff\xff,1\n")
    report = inspect(tmp_path / "a.csv")
    assert "read as gb18030" in report
    assert "lines that cannot be read: 1" in report
    assert "bad rows for a: 1 of 31" in report


def blocks(report: str) -> dict[str, Any]:
    """The blocks of a report, as pasted into params.yaml."""
    found: dict[str, Any] = YAML(typ="safe").load(report[report.index("\ntasks:") :])["tasks"]
    return found


def read(spec: dict[str, Any], params: Params, output: Path) -> dict[str, float]:
    """The counts of the task_data stage for a printed block, its gate filled in."""
    generation = params.generation.model_dump(mode="json")
    shared = {"finetune": {**params.training.model_dump(mode="json"), "generation": generation}}
    spec["gate"]["min"] = 0.5
    task = Task.model_validate_json(json.dumps(merge(shared, spec)))
    return prepare(params.model_copy(update={"tasks": {"mine": task}}), "mine", output)


def test_translations_and_relations_are_found_in_folders_and_archives(tmp_path: Path, params: Params) -> None:
    def put(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    for split, count in (("train", 40), ("val", 5), ("test_2016", 6)):
        put(f"two/raw/{split}.en", "".join(f"A dog {split} {i}.\n" for i in range(count)))
        put(
            f"two/raw/{split}.de",
            "".join(f"Ein kleiner Hund läuft über die grüne Wiese {i}.\n" for i in range(count)),
        )
    put("two/README.md", "about")
    ((_, spec),) = blocks(inspect(tmp_path / "two")).items()
    assert (spec["data"]["train"], spec["languages"]) == (["raw/train.en", "raw/train.de"], ["de"])
    assert [read(spec, params, tmp_path / "out")[f"{s}_examples"] for s in ("train", "dev", "test")] == [
        40,
        5,
        6,
    ]

    for number in range(30):
        put(f"old/{number}/source.txt", f"学而时习之 {number}\n")
        put(f"old/{number}/target.txt", f"学了又时常温习 {number}\n")
    ((_, spec),) = blocks(inspect(tmp_path / "old")).items()
    assert read(spec, params, tmp_path / "out")["train_examples"] == 24

    for number in range(20):
        put(f"brat/d{number}.txt", f"Mara {number} met Norbi.")
        put(f"brat/d{number}.ann", "T1\tperson 0 4\tMara\n")
    ((_, spec),) = blocks(inspect(tmp_path / "brat")).items()
    assert (spec["data"]["format"], spec["labels"]) == ("brat", ["person"])
    assert read(spec, params, tmp_path / "out")["train_examples"] == 16

    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("data/train.txt", CONLL)
        archive.writestr("data/dev.txt", CONLL)
    report = inspect(tmp_path / "all.zip")
    ((_, spec),) = blocks(report).items()
    assert spec["data"]["dev"] == "data/dev.txt"
    assert "leakage: 40 of 40 dev rows" in report
    assert read(spec, params, tmp_path / "out")["dev_examples"] == 40


def test_joint_data_gets_a_block_for_its_relations_too(tmp_path: Path, params: Params) -> None:
    rows = [
        {
            "tokens": ["Mara", "founded", "Norbi", str(i)],
            "entities": [{"type": "person", "start": 0, "end": 1}, {"type": "company", "start": 2, "end": 3}],
            "relations": [{"type": "founded", "head": 0, "tail": 1}],
        }
        for i in range(30)
    ]
    (tmp_path / "joint.json").write_text(json.dumps(rows), encoding="utf-8")
    found = blocks(inspect(tmp_path / "joint.json"))
    assert found["joint-relations"]["labels"] == ["none", "founded"]
    assert (
        sum(
            read(found["joint-relations"], params, tmp_path / "out")[f"{s}_examples"]
            for s in ("train", "dev", "test")
        )
        == 60
    )


def test_bad_rows_mixed_encodings_and_splits_of_one_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(
        "Mara I-person\nmet O\n\n" + "Mara B-person\nVelt I-person\nmet O\n\n" * 20, encoding="utf-8"
    )
    report = inspect(path)
    assert "bad rows for a: 1 of 21; mend them" in report
    assert "a.txt:1: tag: 'I-person' (token 1)" in report
    mixed = "".join(f"text {i} é,{i % 2}\n" for i in range(30)).encode() + b"caf\xe9,1\n"
    (tmp_path / "b.csv").write_bytes(mixed)
    report = inspect(tmp_path / "b.csv")
    assert "30 lines are UTF-8 and 1 are not: the encodings are mixed" in report
    assert "bad rows for b: 1 of 31" in report
    assert blocks(report)["b"]["data"]["options"] == {"header": False}  # and no encoding
    splits = {"train": ROWS, "val": ROWS[:6], "oos_val": ROWS[:3]}
    (tmp_path / "c.json").write_text(json.dumps(splits), encoding="utf-8")
    report = inspect(tmp_path / "c.json")
    assert "lists that are no split: oos_val (3)" in report
    assert "leakage: 6 of 6 dev rows" in report
    assert blocks(report)["c"]["data"]["options"]["key"] == {"train": "train", "dev": "val"}


def test_splits_of_a_folder_are_found_and_leakage_between_them_is_counted(tmp_path: Path) -> None:
    for name, rows in (("train.tsv", ROWS), ("valid.tsv", ROWS[:5]), ("test.tsv", [("new", "no")] * 3)):
        content = "text\tlabel\n" + "".join(f"{t}\t{n}\n" for t, n in rows)
        (tmp_path / name).write_text(content, encoding="utf-8")
    report = inspect(tmp_path)
    assert "leakage: 5 of 5 dev rows are in train too" in report
    assert "leakage: 0 of 3 test rows are in train too" in report
    assert "labels: 2: yes 40 (67%), no 20 (33%)" in report


def _put(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _csv(rows: int, start: int = 0, header: str = "text,label") -> str:
    return f"{header}\n" + "".join(f"the tool {start + i},{'yes' if i % 3 else 'no'}\n" for i in range(rows))


def test_all_files_of_a_split_are_read(tmp_path: Path, params: Params) -> None:
    _put(
        tmp_path,
        {
            "restaurant_train.csv": _csv(30),
            "laptop_train.csv": _csv(20, 30),
            "laptop_train.csv.gz": b"a copy that is packed",
            "laptop_test.csv": _csv(6, 50),
            "restaurant_test.csv": _csv(6, 60),
        },
    )
    report = inspect(tmp_path)
    assert "train: laptop_train.csv + restaurant_train.csv: csv, 50 rows" in report
    assert "left out: laptop_train.csv.gz" in report
    ((_, spec),) = blocks(report).items()
    assert spec["data"]["train"] == ["laptop_train.csv", "restaurant_train.csv"]
    assert spec["data"]["test"] == ["laptop_test.csv", "restaurant_test.csv"]
    counts = read(spec, params, tmp_path / "out")
    assert (counts["train_examples"] + counts["dev_examples"], counts["test_examples"]) == (50, 12)


def test_files_of_a_split_that_are_of_another_form_are_named(tmp_path: Path) -> None:
    _put(
        tmp_path,
        {
            "train.csv": _csv(30),
            "train_ids.csv": "id,place\n" + "".join(f"{i},x{i}\n" for i in range(30)),
            "train_gb.csv": ("text,label\n" + "这家店很好,yes\n" * 9).encode("gb18030"),
            "train_utf8.csv": "text,label\n" + "这家店不好,no\n" * 9,
            "train_odd.csv": "a,b,c\n" + "1,2\n" * 9,
            "test.csv": "text\nfine\n",
        },
    )
    report = inspect(tmp_path)
    assert blocks(report)[tmp_path.name.strip("0123456789_")]["data"]["train"] == [
        "train.csv",
        "train_gb.csv",
    ]
    assert "left out: train_ids.csv (csv of other columns or build: id, place)" in report
    assert "left out: train_utf8.csv (in utf-8, and others are in gb18030)" in report
    assert "left out: train_odd.csv (" in report
    assert "the first line has 3" in report
    assert "left out: test.csv (" in report


@pytest.mark.parametrize("folder", ["", "data/"])
def test_many_files_of_a_split_are_named_by_a_pattern_that_catches_no_others(
    tmp_path: Path, params: Params, folder: str
) -> None:
    for split, count in (("train", 8), ("test", 6)):
        for i in range(count):
            rows = [
                {"text": f"the {split} tool {i} {j}", "label": "no" if j % 3 else "yes"} for j in range(9)
            ]
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            _put(tmp_path / "all", {f"{folder}{split}-{i:05}-of-{count:05}.jsonl": lines})
    report = inspect(tmp_path / "all")
    ((_, spec),) = blocks(report).items()
    assert spec["data"]["format"] == "jsonl"
    assert spec["data"]["train"] == f"{folder}train-*.jsonl"
    assert spec["data"]["test"] == f"{folder}test-*.jsonl"
    assert "bad rows for all: 0 of 126" in report
    counts = read(spec, params, tmp_path / "out")
    assert counts["test_examples"] == 54

    _put(tmp_path / "all", {f"{folder}train-notes.jsonl": "{}"})
    _put(tmp_path / "all", {f"{folder}train-00009.csv": "x"})
    report = inspect(tmp_path / "all")
    ((_, spec),) = blocks(report).items()
    assert len(open_files(tmp_path / "all", spec["data"]["train"])) == 8


def test_parquet_in_shards_is_read_as_tables(tmp_path: Path, params: Params) -> None:
    for i in range(3):
        rows = {"text": [f"tool {i} {j}" for j in range(20)], "label": [j % 2 for j in range(20)]}
        (tmp_path / "hub/data").mkdir(parents=True, exist_ok=True)
        polars.DataFrame(rows).write_parquet(tmp_path / f"hub/data/train-0000{i}-of-00003.parquet")
    report = inspect(tmp_path / "hub")
    assert ": parquet, 60 rows" in report
    ((_, spec),) = blocks(report).items()
    assert len(spec["data"]["train"]) == 3
    counts = read(spec, params, tmp_path / "out")
    assert counts["train_examples"] + counts["dev_examples"] + counts["test_examples"] == 60


def test_many_texts_are_an_example_each(tmp_path: Path) -> None:
    for i in range(9):
        _put(tmp_path / "lines", {f"train/{i}.txt": f"Good {i}, really"})
    assert "train: train/*.txt: text, 9 rows" in inspect(tmp_path / "lines")
    mails = {f"train/{i}.txt": f"Subject: tool {i}\n\nHello, the tool {i}\nworks, thanks\n" for i in range(9)}
    _put(tmp_path / "mails", {**mails, "train/.hidden.txt": "x"})
    report = inspect(tmp_path / "mails")
    assert ": text, 9 rows" in report


def test_a_file_alone_is_the_path_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _put(tmp_path, {"excel.csv": _csv(30)})
    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.writestr("train.csv", _csv(30))
    for name, train in (("excel.csv", "."), ("all.zip", "train.csv")):
        report = inspect(name)
        ((_, spec),) = blocks(report).items()
        assert (spec["data"]["path"], spec["data"]["train"]) == (name, train)
        assert ": 0 of 30" in report
    assert "train: excel.csv: csv, 30 rows" in inspect("excel.csv")


def test_a_folder_that_the_pipeline_writes_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _put(tmp_path, {"data/raw/train.csv": _csv(30), "train.csv": _csv(30)})
    told = "the pipeline writes below this path, which DVC does not take"
    assert told in inspect(".")
    assert told in inspect("data")
    assert told not in inspect("data/raw")


def test_rows_and_labels_are_those_of_the_whole_file(tmp_path: Path, params: Params) -> None:
    for count in (50_000, 2_000):
        rows = (f"the tool {i},{'abc'[3 * i // count]}\n" for i in range(count))
        (tmp_path / "a.csv").write_text("text,label\n" + "".join(rows))
        report = inspect(tmp_path / "a.csv")
        assert f"a.csv: csv, {count:,} rows" in report
        assert blocks(report)["a"]["labels"] == ["a", "b", "c"]
        assert f"bad rows for a: 0 of {count:,}" in report
        assert "languages of 500 texts" in report


def test_a_broken_line_among_json_lines_is_a_bad_row(tmp_path: Path) -> None:
    rows = [json.dumps({"text": t, "label": n}) for t, n in ROWS]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows[:9], '{"text": ', *rows[9:]]))
    report = inspect(tmp_path / "a.jsonl")
    assert "malformed rows, left out of what follows: 1" in report
    assert "bad rows for a: 1 of 61" in report


RELATION = {
    "text": "Mara met Norbi",
    "head": {"start": 0, "end": 4, "label": "person"},
    "tail": {"start": 9, "end": 14, "label": "person"},
}


def test_relations_of_ones_own_are_relations(tmp_path: Path, params: Params) -> None:
    rows = [
        {**RELATION, "text": f"Mara met Norbi {i}", "label": "met" if i % 3 else "none"} for i in range(30)
    ]
    rows.append({**rows[0], "head": rows[0]["tail"], "tail": rows[0]["head"]})
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = inspect(tmp_path / "a.jsonl")
    assert "duplicates: 0 rows" in report
    ((_, spec),) = blocks(report).items()
    assert (spec["family"], spec["labels"]) == ("relation_classification", ["met", "none"])
    assert "fields" not in spec["data"]
    counts = read(spec, params, tmp_path / "out")
    assert counts["train_examples"] + counts["dev_examples"] + counts["test_examples"] == 31


def _joint(form: str, number: int) -> dict[str, Any]:
    text = f"Mara met Norbi {number}"
    if form == "doccano":
        entities = [
            {"id": 1, "start_offset": 0, "end_offset": 4, "label": "person"},
            {"id": 2, "start_offset": 9, "end_offset": 14, "label": "person"},
        ]
        return {
            "text": text,
            "entities": entities,
            "relations": [{"id": 1, "from_id": 1, "to_id": 2, "type": "met"}],
        }
    spans = [
        {"id": "a", "type": "labels", "value": {"start": 0, "end": 4, "labels": ["person"]}},
        {"id": "b", "type": "labels", "value": {"start": 9, "end": 14, "labels": ["person"]}},
    ]
    met = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right", "labels": ["met"]}
    return {"data": {"text": text}, "annotations": [{"result": [*spans, met]}]}


@pytest.mark.parametrize("form", ["doccano", "label_studio", "brat"])
def test_relations_of_annotation_tools_get_a_block_too(tmp_path: Path, params: Params, form: str) -> None:
    path = tmp_path / "joint"
    rows = [_joint(form, i) for i in range(20)]
    if form == "brat":
        notes = "T1\tperson 0 4\tMara\nT2\tperson 9 14\tNorbi\nR1\tmet Arg1:T1 Arg2:T2\n"
        texts = {f"{i}.txt": f"Mara met Norbi {i}" for i in range(20)}
        _put(path, {**texts, **{f"{i}.ann": notes for i in range(20)}})
    elif form == "doccano":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text(json.dumps(rows))
    report = inspect(path)
    found = blocks(report)
    assert [block["family"] for block in found.values()] == [
        "token_classification",
        "relation_classification",
    ]
    assert found["joint-relations"]["labels"] == ["none", "met"]
    assert "bad rows for joint-relations: 0 of 40" in report
    counts = read(found["joint-relations"], params, tmp_path / "out")
    assert counts["train_examples"] + counts["dev_examples"] + counts["test_examples"] == 40


@pytest.mark.parametrize("written", ["csv", "jsonl"])
def test_numbers_with_fractions_are_foretold(tmp_path: Path, params: Params, written: str) -> None:
    rows = [{"text": f"{t} {i}", "genre": n, "score": i / 8} for i, (t, n) in enumerate(ROWS)]
    lines = {
        "csv": ["text,genre,score", *(",".join(map(str, row.values())) for row in rows)],
        "jsonl": list(map(json.dumps, rows)),
    }
    (tmp_path / "a").write_text("\n".join(lines[written]))
    report = inspect(tmp_path / "a")
    assert "label (score): numbers from 0 to 7.375" in report
    ((_, spec),) = blocks(report).items()
    assert (spec["data"]["regression"], spec["labels"], spec["gate"]["metric"]) == (True, None, "pearson")
    assert spec["data"]["fields"] == {"label": "score"}
    assert "bad rows for a: 0 of 60" in report
    counts = read(spec, params, tmp_path / "out")
    assert counts["train_examples"] + counts["dev_examples"] + counts["test_examples"] == 60


def test_a_question_with_its_context_is_one_text(tmp_path: Path) -> None:
    def asked(context: str) -> dict[str, Any]:
        return {"context": context, "qas": [{"id": context, "question": "Who?", "answers": []}]}

    paragraphs = [asked(f"Mara {i}") for i in range(20)]
    for name, extra in (("train", "mara  3"), ("dev", "")):
        found = [*paragraphs, asked(extra)] if extra else [asked("Mara 5"), asked("Velt")]
        (tmp_path / f"{name}.json").write_text(json.dumps({"data": [{"paragraphs": found}]}))
    report = inspect(tmp_path)
    assert "duplicates: 1 rows repeat a text" in report
    assert "leakage: 1 of 2 dev rows" in report
    assert "characters at 5%, 50%, 95%: 11, 12, 12" in report


def test_case_and_spaces_make_no_other_text(tmp_path: Path) -> None:
    rows = [*ROWS, ("The Tool 3 is  BAD", "no"), ("THE TOOL 0 is bad", "no")]
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"{t},{n}\n" for t, n in rows))
    assert "duplicates: 2 rows" in inspect(tmp_path / "a.csv")


def test_the_delimiter_told_to_excel_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=;\ntext;label\n" + "".join(f"{t};{n}\n" for t, n in ROWS))
    with pytest.raises(UserError, match=r"a\.csv:1: 'sep=;' is for Excel"):
        inspect(tmp_path / "a.csv")


def test_sentences_side_by_side_are_no_header(tmp_path: Path, params: Params) -> None:
    rows = "".join(
        f"The little tool number {i} is good.\t第{i}件小工具很好用，我们都喜欢。\n" for i in range(30)
    )
    (tmp_path / "a.tsv").write_text(rows, encoding="utf-8")
    report = inspect(tmp_path / "a.tsv")
    assert "a.tsv: tsv, 30 rows" in report
    ((_, spec),) = blocks(report).items()
    assert (spec["family"], spec["languages"]) == ("sequence_to_sequence", ["zh"])
    assert spec["data"]["fields"] == {"source": 0, "target": 1}
    assert read(spec, params, tmp_path / "out")["train_examples"] == 24


def test_chinese_columns_and_files_are_known(tmp_path: Path, params: Params) -> None:
    def table(rows: int, start: int) -> str:
        cells = (
            f"{i},这家店的服务{i},{'好' if i % 3 else '坏'},{'网' if i % 2 else '店'}\n"
            for i in range(start, start + rows)
        )
        return "编号,内容,情感,来源\n" + "".join(cells)

    _put(
        tmp_path / "mine",
        {"训练集.csv": table(40, 0), "验证集.csv": table(6, 40), "测试集.csv": table(6, 50)},
    )
    ((_, spec),) = blocks(inspect(tmp_path / "mine")).items()
    data = spec["data"]
    assert (data["train"], data["dev"], data["test"]) == ("训练集.csv", "验证集.csv", "测试集.csv")
    assert data["fields"] == {"id": "编号", "text": "内容", "label": "情感"}
    read(spec, params, tmp_path / "out")
    assert next(iter(read_jsonl(tmp_path / "out/dev.jsonl")))["id"] == "40"


@pytest.mark.parametrize(
    ("row", "family", "fields"),
    [
        ({"句子1": "工具{}", "句子2": "店{}", "标签": "是|否"}, "sequence_classification", {"text": "句子1", "pair": "句子2", "label": "标签"}),
        ({"问题": "谁{}？", "文章": "{}韦玛", "答案": "韦玛"}, "span_extraction", {"question": "问题", "context": "文章", "answer": "答案"}),
        ({"原文": "学而时习之{}", "译文": "学了又时常温习{}"}, "sequence_to_sequence", {"source": "原文", "target": "译文"}),
        ({"document": "long text {}", "summary": "text {}"}, "sequence_to_sequence", {"source": "document", "target": "summary"}),
        ({"id": "{}", "article": "long text {}", "highlights": "text {}"}, "sequence_to_sequence", {"source": "article", "target": "highlights"}),
        ({"translation": {"en": "a tool {}", "de": "ein Werkzeug {}"}}, "sequence_to_sequence", {"source": "translation.en", "target": "translation.de"}),
        ({"source": "web|app", "review": "a tool {}", "stars": "1|2|3|4"}, "sequence_classification", {"text": "review", "label": "stars"}),
        ({"question": "is it {}", "passage": "it is {}", "answer": True}, "sequence_classification", {"text": "question", "pair": "passage", "label": "answer"}),
        ({"text": "a tool {}", "summary": "tool {}", "label": "good|bad"}, "sequence_classification", None),
    ],
)  # fmt: skip
def test_columns_are_known_by_their_names(
    tmp_path: Path, params: Params, row: dict[str, Any], family: str, fields: dict[str, str] | None
) -> None:
    def filled(value: Any, i: int) -> Any:
        if isinstance(value, dict):
            return {key: filled(part, i) for key, part in value.items()}
        if isinstance(value, bool):
            return i % 2 == 0
        return value.split("|")[i % (value.count("|") + 1)].format(i)

    lines = [json.dumps(filled(row, i)) for i in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    report = inspect(tmp_path / "a.jsonl")
    ((_, spec),) = blocks(report).items()
    assert (spec["family"], spec["data"].get("fields")) == (family, fields)
    assert "bad rows for a: 0 of 30" in report
    read(spec, params, tmp_path / "out")


def test_a_dialogue_is_proposed_where_it_can_be_read(tmp_path: Path) -> None:
    def report(key: str, turns: list[Any]) -> str:
        rows = [{"id": i, key: [*turns[:-1], turns[-1]]} for i in range(30)]
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return inspect(tmp_path / "a.jsonl")

    said = report("messages", [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Good day"}])
    ((_, spec),) = blocks(said).items()
    assert (spec["family"], spec["data"]["fields"]) == ("dialogue", {"turns": "messages"})
    assert "characters at 5%, 50%, 95%: 11, 11, 11" in said
    for key, turns in (
        ("turns", ["hi", "hello"]),
        ("conversations", [{"who": "human", "says": "hi"}, {"who": "bot", "says": "hello"}]),
    ):
        said = report(key, turns)
        assert "\ntasks:" not in said
        assert f"No dialogue here can be read: {key} must be a list of turns with role" in said


def _reads_all_or_tells(report: str, told: str) -> bool:
    """Whether a block is there; then no row is bad for it, and otherwise it is told why there is none."""
    if "\ntasks:" in report:
        assert ": 0 of 30" in report
        return True
    assert told in report
    return False


@pytest.mark.parametrize("tags", ["B I O", "B_person I_person O", "NOUN VERB ADV"])
@pytest.mark.parametrize("form", ["conll", "jsonl"])
def test_tags_of_another_make_are_proposed_where_they_can_be_read(
    tmp_path: Path, tags: str, form: str
) -> None:
    one, two, three = tags.split()
    row = {"tokens": ["Mara", "Velt", "slept", "here"], "tags": [one, two, three, three]}
    lines = f"Mara {one}\nVelt {two}\nslept {three}\nhere {three}\n\n"
    (tmp_path / "a").write_text({"conll": lines, "jsonl": f"{json.dumps(row)}\n"}[form] * 30)
    report = inspect(tmp_path / "a")
    assert f"a: {form}, 30 rows" in report
    if "_" not in tags and _reads_all_or_tells(report, "and these are "):
        ((_, spec),) = blocks(report).items()
        assert spec["family"] == "token_classification"
        assert spec["labels"] == {"B": ["entity"], "N": ["ADV", "NOUN", "VERB"]}[tags[0]]


@pytest.mark.parametrize(
    "names", [("role", "content", "user", "assistant"), ("from", "value", "human", "gpt")]
)
def test_chats_are_proposed_where_they_can_be_read(tmp_path: Path, names: tuple[str, ...]) -> None:
    role, text, one, other = names
    turns = [{role: one, text: "Hi"}, {role: other, text: "Good day"}]
    (tmp_path / "a.jsonl").write_text((json.dumps({"messages": turns}) + "\n") * 30)
    report = inspect(tmp_path / "a.jsonl")
    assert "characters at 5%, 50%, 95%: 11, 11, 11" in report
    if _reads_all_or_tells(report, "No dialogue here can be read: messages must be"):
        ((_, spec),) = blocks(report).items()
        assert (spec["family"], spec["data"]["fields"]) == ("dialogue", {"turns": "messages"})


def test_what_was_looked_for_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"said": f"tool {i}"}) + "\n" for i in range(30)))
    report = inspect(tmp_path / "a.jsonl")
    assert "No column looks like labels, so which task this is cannot be told. Looked for were:" in report
    assert "a column of 2 to 200 different values, or of numbers with fractions" in report
    assert "document and summary" in report


def _label_studio(number: int) -> dict[str, Any]:
    value = {"start": 0, "end": 4, "labels": ["person"]}
    return {"data": {"text": f"Mara {number}"}, "annotations": [{"result": [{"value": value}]}]}


@pytest.mark.parametrize(
    ("good", "bad", "form"),
    [
        ([{"text": t, "label": n} for t, n in ROWS], 5, "jsonl"),
        ([{"text": t, "label": n} for t, n in ROWS], [1], "jsonl"),
        ([{"text": t, "label": n} for t, n in ROWS], "text", "jsonl"),
        ([{"text": t, "spans": [{"start": 0, "end": 3, "label": "word"}]} for t, _ in ROWS], {"text": "Mara", "spans": [1]}, "jsonl"),
        ([{"text": t, "label": [[0, 3, n]]} for t, n in ROWS], {"text": "Mara", "label": None}, "doccano"),
        ([{"text": t, "label": [[0, 3, n]]} for t, n in ROWS], {"text": "Mara", "entities": [1, 2]}, "doccano"),
        ([_label_studio(i) for i in range(60)], {"data": {"text": "Mara"}, "annotations": None}, "label_studio"),
        ([_label_studio(i) for i in range(60)], 5, "label_studio"),
        ([{"tokens": ["Mara", str(i)], "entities": [{"type": "person", "start": 0, "end": 1}]} for i in range(60)], {"tokens": ["Mara"], "entities": [{"start": 0, "end": 1}]}, "spert"),
        ([{"paragraphs": [p]} for p in SQUAD["data"][0]["paragraphs"]] * 2, "an article", "squad"),
        ([{"paragraphs": [p]} for p in SQUAD["data"][0]["paragraphs"]] * 2, {"paragraphs": [{"qas": None}]}, "squad"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 30])
def test_a_malformed_row_is_counted(tmp_path: Path, good: list[Any], bad: Any, form: str, place: int) -> None:
    if form in ("jsonl", "doccano"):
        place = max(place, 1)  # by its first line a file of JSON lines is known
    rows = [*good[:place], bad, *good[place:]]
    lines = "\n".join(map(json.dumps, rows))
    content = {"squad": json.dumps({"data": rows}), "jsonl": lines, "doccano": lines}
    (tmp_path / "a.json").write_text(content.get(form, json.dumps(rows)), encoding="utf-8")
    report = inspect(tmp_path / "a.json")
    ((_, spec),) = blocks(report).items()
    assert spec["data"]["format"] == form
    assert "bad rows for a: 1 of 61; mend them" in report


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "no rows"),
        ("{}", "no rows"),
        ('{"data": [{"paragraphs": [{"context": "Mara"}]}]}', "no rows of the format squad"),
        ('{"text": "Mara", "entities": [{"start_offset": 0}, 2]}', "no rows of the format doccano"),
        ("[" * 100_000, "not JSON that can be read"),
        (b"PAR1 broken PAR1", "not Parquet"),
        ("text,label\n", "no rows below the header"),
        ("text,label\nfine,yes\n".encode("utf-16-le")[:-1], "is not utf-16-le"),
    ],
)
def test_a_file_without_a_row_is_told(tmp_path: Path, content: str | bytes, told: str) -> None:
    (tmp_path / "a.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=rf"a\.json:.*{told}"):
        inspect(tmp_path / "a.json")


def test_tags_that_are_numbers_are_noticed(tmp_path: Path) -> None:
    rows = [{"tokens": ["Mara", str(i)], "ner_tags": [1, 0]} for i in range(30)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = inspect(tmp_path / "a.jsonl")
    assert "the tags are numbers: name them in data.label_names" in report
    ((_, spec),) = blocks(report).items()
    assert (spec["family"], spec["data"]["fields"]) == (
        "token_classification", {"tokens": "tokens", "tags": "ner_tags"},
    )  # fmt: skip


def test_a_column_called_start_says_where_answers_stand(tmp_path: Path, params: Params) -> None:
    rows = "".join(f"Who was second {i}?,Bob saw Bob and {i},Bob,8\n" for i in range(30))
    (tmp_path / "a.csv").write_text("question,context,answer,start\n" + rows)
    ((_, spec),) = blocks(inspect(tmp_path / "a.csv")).items()
    read(spec, params, tmp_path / "out")
    starts = [row["answers"][0]["start"] for row in read_jsonl(tmp_path / "out/train.jsonl")]
    assert set(starts) == {8}


ASKED = "What did you think about the tools that you were sent?"


@pytest.mark.parametrize(
    ("first", "below", "rows"),
    [
        ("text,label,", "tool {0},{1},", 30),
        ("text,,", "tool {0},so {0},", 30),
        (f"{ASKED},id", "fine {0},x{0}", 30),
        (f"{ASKED},grade", "the tools of batch {0} were good,{1}", 30),
        ("text,2024", "tool {0},so {0}", 30),
        ("2023,2024", "tool {0},{1}", 30),
        ("文本,2024", "工具 {0},{1}", 30),
        (f"{ASKED} {ASKED},x", f"{ASKED} {{0}},x{{0}}", 31),
        ("such a tool,1", "tool {0},{1}", 31),
        ("12,x", "{0},y{0}", 31),
        ("the tool,,it is", "tool {0},so {0},as {0}", 31),
    ],
)
def test_the_first_line_is_a_header_where_the_rows_are_not_like_it(
    tmp_path: Path, first: str, below: str, rows: int
) -> None:
    lines = [first, *(below.format(i, i % 2) for i in range(30))]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    assert f"a.csv: csv, {rows} rows" in inspect(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("first", "columns"), [("text,label", 3), ("What people said of tools in 2024", 2), ("text,label,", 2)]
)
def test_a_first_line_of_another_width_than_the_rows_is_told(
    tmp_path: Path, first: str, columns: int
) -> None:
    rows = [",".join((str(i), t, n)[3 - columns :]) for i, (t, n) in enumerate(ROWS)]
    (tmp_path / "a.csv").write_text("\n".join([first, *rows]), encoding="utf-8")
    width = first.count(",") + 1
    told = rf"a\.csv: columns: the first line has {width} \('{first}'\), and 60 of 60 rows have {columns}"
    with pytest.raises(UserError, match=told):
        inspect(tmp_path / "a.csv")


HAN = [*"韦玛和AB公司的张三在诺比。"]
HAN_TAGS = ["B-person", "I-person", "O", "B-company", *["I-company"] * 3, *["O"] * 7]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.txt", "\n\n".join("\n".join(map(" ".join, zip(HAN, HAN_TAGS, strict=True))) for _ in range(30))),
        ("a.jsonl", "\n".join(json.dumps({"tokens": HAN, "tags": HAN_TAGS}) for _ in range(30))),
        (
            "a.json",
            json.dumps([{"tokens": HAN, "entities": [{"type": "person", "start": 0, "end": 2}]}] * 30),
        ),
    ],
)
def test_characters_of_chinese_are_joined_without_spaces(tmp_path: Path, file: str, content: str) -> None:
    (tmp_path / file).write_text(content, encoding="utf-8")
    report = inspect(tmp_path / file)
    assert "characters at 5%, 50%, 95%: 14, 14, 14;" in report
    ((_, spec),) = blocks(report).items()
    assert spec["data"]["options"] == {"join": ""}
    assert "bad rows for a: 0 of 30" in report


def test_words_keep_the_spaces_between_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("诺比公司 B-company\n雇用 O\nMara O\nVelt O\n\n" * 30, encoding="utf-8")
    report = inspect(tmp_path / "a.txt")
    assert "characters at 5%, 50%, 95%: 15, 15, 15;" in report
    assert "options" not in blocks(report)["a"]["data"]


@pytest.mark.parametrize("form", ["conll", "jsonl"])
def test_bmes_is_called_so_and_read(tmp_path: Path, form: str) -> None:
    tokens, tags = [*"韦小玛在乌门"], ["B-person", "M-person", "E-person", "O", "B-place", "E-place"]
    lines = "\n".join(map(" ".join, zip(tokens, tags, strict=True)))
    row = json.dumps({"tokens": tokens, "tags": tags})
    (tmp_path / "a.txt").write_text(
        {"conll": f"{lines}\n\n", "jsonl": f"{row}\n"}[form] * 30, encoding="utf-8"
    )
    report = inspect(tmp_path / "a.txt")
    assert blocks(report)["a"]["data"]["options"] == {"join": "", "scheme": "bmes"}
    assert "labels: 2: person 30 (50%), place 30 (50%)" in report
    assert "bad rows for a: 0 of 30" in report
    assert ("tags: BMES" in report) == (form == "conll")


def test_entities_are_counted_as_the_scheme_has_them(tmp_path: Path) -> None:
    rest = "met O\n" * 20 + "\n"
    text = f"# 1\nMara I-ORG\n{rest}" * 20 + f"# 2\nUlmen I-LOC\nVelt B-LOC\n{rest}" * 20
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    report = inspect(tmp_path / "a.txt")
    assert "tags: IOB1" in report
    assert "labels: 2: LOC 40 (67%), ORG 20 (33%)" in report


def _chosen(text: str, names: list[str]) -> dict[str, Any]:
    """A task of Label Studio with choices, and an annotation after them that was cancelled."""
    result = [{"type": "choices", "value": {"choices": names}}]
    return {
        "data": {"text": text},
        "annotations": [{"result": result}, {"was_cancelled": True, "result": []}],
    }


@pytest.mark.parametrize("form", ["label_studio", "doccano", "jsonl"])
def test_several_labels_of_a_text_are_told_and_each_is_counted(
    tmp_path: Path, params: Params, form: str
) -> None:
    rows = [(t, [n, "轻"] if i % 4 == 0 else [n]) for i, (t, n) in enumerate(ROWS)]
    if form == "doccano":
        rows.append(("nothing of it", []))
    (tmp_path / "a.json").write_text({
        "label_studio": json.dumps([_chosen(t, names) for t, names in rows]),
        "doccano": "".join(json.dumps({"id": i, "text": t, "label": names}) + "\n" for i, (t, names) in enumerate(rows)),
        "jsonl": "".join(json.dumps({"sentence": t, "class": names}) + "\n" for t, names in rows),
    }[form])  # fmt: skip
    report = inspect(tmp_path / "a.json")
    assert "labels: 3: yes 40 (53%), no 20 (27%), 轻 15 (20%)" in report
    ((_, spec),) = blocks(report).items()
    assert spec["data"]["multi_label"]
    read(spec, params, tmp_path / "out")
    labels = [
        row["label"]
        for split in ("train", "dev", "test")
        for row in read_jsonl(tmp_path / f"out/{split}.jsonl")
    ]
    assert sorted(labels) == sorted(names for _, names in rows)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.csv", "text,label\n" + "".join(f"{t},{n}\n" for t, n in ROWS) + "new,\nnewer,  \n"),
        ("a.jsonl", "".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in [*ROWS, ("new", None), ("newer", "")])),
        ("c.txt", "".join(f'{i}\t"The <e1>saw</e1> of <e2>{t}</e2>."\n{n}\n\n' for i, (t, n) in enumerate([*ROWS, ("new", ""), ("newer", "")]))),
        ("b.jsonl", "".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in [*((t, [n]) for t, n in ROWS), ("new", []), ("newer", [])])),
    ],
)  # fmt: skip
def test_rows_without_a_label_are_counted_and_no_class(tmp_path: Path, file: str, content: str) -> None:
    (tmp_path / file).write_text(content, encoding="utf-8")
    report = inspect(tmp_path / file)
    assert "rows without a label: 2" in report
    assert "labels: 2: yes 40 (67%), no 20 (33%)" in report
    assert "2 of 62" in report
    ((_, spec),) = blocks(report).items()
    assert spec["labels"] == ["no", "yes"]


def test_labels_are_called_as_the_reader_calls_them(tmp_path: Path) -> None:
    rows = [{"text": t, "label": True if n == "yes" else 0.0} for t, n in ROWS]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "labels: 2: 1 40 (67%), 0 20 (33%)" in inspect(tmp_path / "a.jsonl")


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


def test_regions_of_hypertext_are_entities(tmp_path: Path, params: Params) -> None:
    place = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "globalOffsets": {"start": 0, "end": 4}}
    region = {"type": "hypertextlabels", "id": "a", "value": {**place, "hypertextlabels": ["person"]}}
    tasks = [{"data": {"text": f"Mara {i}"}, "annotations": [{"result": [region]}]} for i in range(60)]
    (tmp_path / "a.json").write_text(json.dumps(tasks), encoding="utf-8")
    report = inspect(tmp_path / "a.json")
    ((_, spec),) = blocks(report).items()
    assert (spec["family"], spec["labels"]) == ("token_classification", ["person"])
    read(spec, params, tmp_path / "out")
    assert "labels: 1: person 60 (100%)" in report
