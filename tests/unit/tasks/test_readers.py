# ruff: noqa: E501  (tables of cases read better unbroken)
"""Every format read, and every malformed input told by file, row and field."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest

from textmill.errors import UserError
from textmill.params import Params
from textmill.records import read_examples, read_jsonl
from textmill.tasks.readers import prepare
from textmill.tasks.readers.tags import find_scheme, tag_spans
from textmill.words import join_tokens

Prepare = Callable[..., dict[str, list[dict[str, Any]]]]
SAID = (("good tools", "1"), ("bad tools", "0"), ("not bad, really", "1"), ("一点也不好", "0"))
ROWS = [(f"{SAID[i % 4][0]} {i}", SAID[i % 4][1]) for i in range(20)]


@pytest.fixture
def run(tmp_path: Path, params: Params, make_task: Any) -> Prepare:
    """Write files, read them as a task's train split and give all splits."""

    def go(name: str, files: dict[str, str | bytes], **data: Any) -> dict[str, list[dict[str, Any]]]:
        raw = tmp_path / "raw"
        for file, content in files.items():
            path = raw / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        keys = dict(data.pop("task", {}))
        data |= keys.pop("data", {})
        task = make_task(name, data={"path": str(raw), "train": next(iter(files), None), **data}, **keys)
        changed = params.model_copy(update={"tasks": {name: task}})
        prepare(changed, name, tmp_path / "out")
        return {
            split: list(read_examples(tmp_path / "out", split))
            for split in ("train", "dev", "test", "skipped")
        }

    return go


def _all(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for split in ("train", "dev", "test") for row in found[split]]


SENTIMENT = {"label_names": {"0": "negative", "1": "positive"}}


@pytest.mark.parametrize(
    ("file", "content", "data"),
    [
        ("a.tsv", "".join(f"{t}\t{n}\n" for t, n in ROWS), {"format": "tsv", "options": {"header": False}, "fields": {"text": 0, "label": 1}}),
        ("a.csv", "label,said\r\n" + "".join(f'{n},"{t}"\r\n' for t, n in ROWS), {"format": "csv", "fields": {"text": "said"}}),
        ("a.csv", "label;said\n" + "".join(f"{n};{t}\n" for t, n in ROWS), {"format": "csv", "fields": {"text": "said"}, "options": {"delimiter": ";"}}),
        ("a.csv", b"\xef\xbb\xbf" + ("label,text\n" + "".join(f'{n},"{t}"\n' for t, n in ROWS)).encode(), {"format": "csv"}),
        ("a.csv", ("label,text\n" + "".join(f'{n},"{t}"\n' for t, n in ROWS)).encode("utf-16"), {"format": "csv"}),
        ("a.csv", ("label,text\n" + "".join(f'{n},"{t}"\n' for t, n in ROWS)).encode("gb18030"), {"format": "csv", "options": {"encoding": "gb18030"}}),
        ("a.jsonl", "".join(json.dumps({"text": t, "label": int(n)}) + "\n\n" for t, n in ROWS), {"format": "jsonl"}),
        ("a.jsonl", "".join(json.dumps([t, n]) + "\n" for t, n in ROWS), {"format": "jsonl", "fields": {"text": 0, "label": 1}}),
        ("a.json", json.dumps([{"data": {"text": t}, "label": n} for t, n in ROWS]), {"format": "jsonl", "fields": {"text": "data.text"}}),
        ("a.json", json.dumps({"one": [list(r) for r in ROWS[:9]], "two": [list(r) for r in ROWS[9:]]}), {"format": "jsonl", "fields": {"text": 0, "label": 1}, "options": {"key": {"train": ["one", "two"]}}}),
        ("a.txt", "".join(f"{n} {t}\n" for t, n in ROWS), {"format": "text", "options": {"pattern": r"(?P<label>\d) (?P<text>.*)"}}),
        ("a.jsonl", "".join(json.dumps({"text": t, "label": [k]}) + "\n" for (t, _), k in zip(ROWS, ["positive", "negative"] * 10, strict=True)), {"format": "doccano"}),
        ("a.json", json.dumps([{"data": {"text": t}, "annotations": [{"result": [{"type": "choices", "value": {"choices": [n]}}]}]} for t, n in ROWS]), {"format": "label_studio"}),
    ],
)  # fmt: skip
def test_texts_with_labels_are_read(
    run: Prepare, file: str, content: str | bytes, data: dict[str, Any]
) -> None:
    found = _all(run("sentiment", {file: content}, **{**SENTIMENT, **data}))
    names = {"0": "negative", "1": "positive"}
    expected = {text: names[label] for text, label in ROWS}
    if data["format"] != "doccano":  # whose file has other labels
        assert {e["text"]: e["label"] for e in found} == expected
    assert len(found) == len(ROWS)


def test_parquet_compressed_files_and_archives_are_read(run: Prepare, tmp_path: Path) -> None:
    import io

    import polars
    import zstandard

    table = io.BytesIO()
    polars.DataFrame({"text": [t for t, _ in ROWS], "label": [n for _, n in ROWS]}).write_parquet(table)
    assert len(_all(run("sentiment", {"a.parquet": table.getvalue()}, format="parquet", **SENTIMENT))) == len(
        ROWS
    )
    lines = "".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in ROWS).encode()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("inner/a.jsonl", lines[: lines.index(b"\n") + 1] * 1)
        archive.writestr("inner/b.jsonl", lines[lines.index(b"\n") + 1 :])
    files = {
        "a.jsonl.gz": gzip.compress(lines),
        "a.jsonl.zst": zstandard.ZstdCompressor().compress(lines),
        "a.zip": zipped.getvalue(),
    }
    for name in ("a.jsonl.gz", "a.jsonl.zst", "a.zip", "a.zip/inner/*.jsonl", "a.zip/inner"):
        found = _all(run("sentiment", files, format="jsonl", **{**SENTIMENT, "train": name}))
        assert len(found) == len(ROWS), name


def test_pairs_come_from_two_files_line_by_line(run: Prepare) -> None:
    files = {
        "a.en": "\n".join(f"line {i}" for i in range(20)),
        "a.de": "\n".join(f"Zeile {i}" for i in range(20)),
    }
    found = _all(run("translation", files, format="pairs", train=["a.en", "a.de"]))
    assert {e["source"].replace("line", "Zeile") == e["target"] for e in found} == {True}
    with pytest.raises(UserError, match=r"20 lines and .*a\.short has 1"):
        run("translation", {**files, "a.short": "one"}, format="pairs", train=["a.en", "a.short"])


def test_patterns_of_pairs_are_halved_and_not_the_files_they_find(run: Prepare) -> None:
    files = {
        f"{language}/{part}/{i}.txt": f"{language} {part} {i}"
        for language in ("en", "de")
        for part, count in (("old", 9), ("new", 6))
        for i in range(count)
    }
    names = [f"{language}/{part}/*.txt" for language in ("en", "de") for part in ("old", "new")]
    found = _all(run("translation", files, format="pairs", train=names))
    assert {e["source"].replace("en", "de", 1) == e["target"] for e in found} == {True}
    assert len(found) == 15
    with pytest.raises(UserError, match=r"data\.train: .* found 9 of texts and 1 of counterparts"):
        run("translation", files, format="pairs", train=["en/old/*.txt", "de/old/0.txt"])


CONLL = {
    "iob2": "Mara B-person\nVelt I-person\nmet O\nNorbi B-company\n",
    "iob1": "Mara I-person\nVelt I-person\nmet O\nNorbi I-company\n",
    "bioes": "Mara NNP x B-person\nVelt NNP x E-person\nmet V x O\nNorbi NNP x S-company\n",
}


@pytest.mark.parametrize("scheme", CONLL)
def test_conll_is_read_in_every_scheme(run: Prepare, scheme: str) -> None:
    content = "-DOCSTART- O\n\n" + "\n".join(CONLL[scheme].replace("met", f"met{i}") for i in range(20))
    found = _all(run("entities", {"a.txt": content}, format="conll"))
    assert len(found) == 20
    for example in found:
        surfaces = [(example["text"][s["start"] : s["end"]], s["label"]) for s in example["spans"]]
        assert surfaces == [("Mara Velt", "person"), ("Norbi", "company")]


def test_spaces_within_tokens_and_a_hash_are_read_in_conll(run: Prepare) -> None:
    sentences = [f"# sent_id = {i}\n# O\nMara\u00a0V{i} B-person\n\u3000\tO\nmet O\n" for i in range(20)]
    found = _all(run("entities", {"a.txt": "# a comment O\n" + "\n".join(sentences)}, format="conll"))
    assert {e["text"] for e in found} == {f"# Mara\u00a0V{i} \u3000 met" for i in range(20)}
    assert {e["text"][s["start"] : s["end"]] for e in found for s in e["spans"]} == {
        f"Mara\u00a0V{i}" for i in range(20)
    }


def test_tags_become_spans_and_jumps_are_errors() -> None:
    assert tag_spans(["B-a", "B-a", "I-a", "O", "B-b"], "iob2") == [(0, 1, "a"), (1, 3, "a"), (4, 5, "b")]
    assert tag_spans(["I-a", "B-a", "I-b"], "iob1") == [(0, 1, "a"), (1, 2, "a"), (2, 3, "b")]
    assert find_scheme([["O", "B-a", "I-b"]]) == "iob2"
    assert find_scheme([["O", "I-a", "B-a"]]) == "iob1"
    for tags, scheme in (
        (["O", "I-a"], "iob2"),
        (["B-a", "I-b"], "iob2"),
        (["B-a", "O"], "bioes"),
        (["x"], "iob2"),
    ):
        with pytest.raises(ValueError, match=r"token|closed"):
            tag_spans(tags, scheme)


def test_tokens_are_joined_without_spaces_beside_chinese() -> None:
    text, places = join_tokens(["在", "Norbi", "Tools", "工", "作"])
    assert text == "在Norbi Tools工作"
    assert [text[a:b] for a, b in places] == ["在", "Norbi", "Tools", "工", "作"]


def test_squad_spert_and_semeval_are_read(run: Prepare) -> None:
    articles = [
        {"context": f"Text {i}. Mara is here.", "qas": [{"id": f"q{i}", "question": "Who?", "answers": [{"text": "Mara", "answer_start": 7 + len(str(i))}]}]}
        for i in range(20)
    ]  # fmt: skip
    articles[0]["qas"] = [{"id": "no", "question": "What?", "answers": [], "is_impossible": True}]
    found = _all(
        run("questions", {"a.json": json.dumps({"data": [{"paragraphs": articles}]})}, format="squad")
    )
    assert sorted(len(e["answers"]) for e in found) == [0] + [1] * 19
    sentence = {
        "tokens": ["Mara", "founded", "Norbi", "Tools"],
        "entities": [{"type": "person", "start": 0, "end": 1}, {"type": "company", "start": 2, "end": 4}],
        "relations": [{"type": "founded", "head": 0, "tail": 1}],
    }
    spert = json.dumps([{**sentence, "tokens": [*sentence["tokens"], str(i)]} for i in range(10)])
    rows = _all(run("relations", {"b.json": spert}, format="spert", options={"none": "none"}))
    assert len(rows) == 20
    right = [r for r in rows if r["label"] == "founded"]
    assert all(r["text"][r["tail"]["start"] : r["tail"]["end"]] == "Norbi Tools" for r in right)
    assert len(right) == 10
    semeval = "".join(
        f'{i}\t"The <e1>saw</e1> of <e2>Norbi {i}</e2>."\nmakes\nComment:\n\n' for i in range(10)
    )
    rows = _all(run("relations", {"c.txt": semeval}, format="semeval"))
    assert {r["text"][r["head"]["start"] : r["head"]["end"]] for r in rows} == {"saw"}
    assert {r["id"] for r in rows} == {str(i) for i in range(10)}


def test_answers_and_tags_as_the_hub_has_them(run: Prepare) -> None:
    answered = [
        {"question": f"Who {i}?", "context": f"{i} Mara, Mara", "answers": {"text": ["Mara", "Mara"], "answer_start": [i // 10 + 2, i // 10 + 8]}}
        for i in range(20)
    ]  # fmt: skip
    answered[0]["answers"] = {"text": [], "answer_start": []}
    found = _all(run("questions", {"a.jsonl": "\n".join(map(json.dumps, answered))}, format="jsonl"))
    assert sorted(len(e["answers"]) for e in found) == [0] + [2] * 19
    own = [
        {**row, "answers": [{"text": "Mara", "answer_start": i // 10 + 2}]} for i, row in enumerate(answered)
    ]
    found = _all(run("questions", {"b.jsonl": "\n".join(map(json.dumps, own))}, format="jsonl"))
    assert {len(e["answers"]) for e in found} == {1}
    fields = {"tokens": "tokens", "tags": "ner_tags"}
    names = {"0": "O", "1": "B-PER", "2": "I-PER", "PER": "person"}
    rows = [
        {"id": f"n{i}", "tokens": ["韦", "玛", "met", str(i)], "ner_tags": [1, 2, 0, 0]} for i in range(20)
    ]
    content = "\n".join(map(json.dumps, rows))
    found = _all(run("entities", {"c.jsonl": content}, format="jsonl", fields=fields, label_names=names))
    assert {e["text"] for e in found} == {f"韦玛met {i}" for i in range(20)}
    assert all(e["spans"] == [{"start": 0, "end": 2, "label": "person"}] for e in found)
    assert {e["id"] for e in found} == {f"n{i}" for i in range(20)}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "tags: found 1 of 2 tokens"),
        (
            {"tokens": ["a", "b"], "tags": ["O", "I-person"]},
            r"tags: 'I-person' \(token 2\) does not continue",
        ),
        ({"tokens": ["a", "b"], "tags": ["O", None]}, "tags: expected names or their numbers, found None"),
        ({"tokens": ["a", "b"], "tags": ["O", 7]}, "tags: '7' \\(token 2\\) is not O or a place"),
        ({"tokens": ["a", ""], "tags": ["O", "O"]}, "tokens: expected texts"),
        ({"tokens": "a b", "tags": ["O", "O"]}, "tokens: expected a list, found 'a b'"),
        ({"tags": ["O", "O"]}, "tokens: there is no 'tokens' in any row; found tags"),
    ],
)
def test_tags_that_do_not_fit_are_told(run: Prepare, row: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        run("entities", {"a.jsonl": json.dumps(row)}, format="jsonl", fields={"tokens": "tokens"})


@pytest.mark.parametrize("form", ["conll", "jsonl"])
def test_a_scheme_that_there_is_not_is_told(run: Prepare, form: str) -> None:
    content = "Mara B-person\n" if form == "conll" else '{"tokens": ["Mara"], "tags": ["B-person"]}'
    where: Any = {"format": form, "options": {"scheme": "bio"}, "fields": {"tokens": "tokens"}}
    with pytest.raises(
        UserError, match=r"data\.options\.scheme: expected iob1 or iob2 or bioes or bmes or tags, found 'bio'"
    ):
        run("entities", {"a.txt": content}, **where)


def test_answers_of_two_lists_of_different_length_are_told(run: Prepare) -> None:
    row = {"question": "Who?", "context": "Mara", "answers": {"text": ["Mara"], "answer_start": []}}
    with pytest.raises(UserError, match="answers: expected a start for each of 1 texts"):
        run("questions", {"a.jsonl": json.dumps(row)}, format="jsonl")


def test_brat_label_studio_and_doccano_give_spans(run: Prepare) -> None:
    files = {}
    for i in range(8):
        files[f"d{i}.txt"] = f"Mara {i} 在诺比。"
        files[f"d{i}.ann"] = "T1\tperson 0 4\tMara\nT2\tcompany 8 10\t诺比\nR1\tworks_for Arg1:T1 Arg2:T2\n"
    found = _all(run("entities", files, format="brat", train="."))
    assert [[e["text"][s["start"] : s["end"]] for s in e["spans"]] for e in found] == [["Mara", "诺比"]] * 8
    emoji = [
        {"data": {"text": f"😀 Mara {i}"}, "annotations": [{"result": [{"type": "labels", "id": "a", "value": {"start": 3, "end": 7, "text": "Mara", "labels": ["person"]}}]}]}
        for i in range(8)
    ]  # fmt: skip
    found = _all(run("entities", {"ls.json": json.dumps(emoji)}, format="label_studio", train="ls.json"))
    assert [(s["start"], s["end"]) for e in found for s in e["spans"]] == [(2, 6)] * 8  # UTF-16 said 3 to 7
    lines = "".join(json.dumps({"text": f"Mara {i}", "label": [[0, 4, "person"]]}) + "\n" for i in range(8))
    found = _all(run("entities", {"d.jsonl": lines}, format="doccano", train="d.jsonl"))
    assert {(s["start"], s["end"], s["label"]) for e in found for s in e["spans"]} == {(0, 4, "person")}


def test_a_label_studio_relation_to_the_left_is_turned(run: Prepare) -> None:
    def item(i: int) -> dict[str, Any]:
        spans = [
            {"type": "labels", "id": key, "value": {"start": at, "end": at + 4, "labels": [label]}}
            for key, at, label in (("a", 0, "person"), ("b", 5, "company"))
        ]
        relation = {
            "type": "relation",
            "from_id": "a",
            "to_id": "b",
            "direction": ("left", "right")[i % 2],
            "labels": ["founded"],
        }
        return {"data": {"text": f"Mara Nor{i % 10}! {i}"}, "annotations": [{"result": [*spans, relation]}]}  # fmt: skip

    content = json.dumps([item(i) for i in range(20)])
    found = _all(run("relations", {"a.json": content}, format="label_studio"))
    assert {(e["text"].split()[1], e["head"]["label"]) for e in found} == {
        (f"Nor{i}!", ("company", "person")[i % 2]) for i in range(10)
    }


def test_answers_come_from_a_table_with_a_word_for_none(run: Prepare) -> None:
    rows = [f'Who?,"Mara {i} is here. NONE",Mara,"({0}, {4})"' for i in range(10)]
    rows += [f'What?,"Rain {i}. NONE",NONE,"(9, 13)"' for i in range(10)]
    found = _all(
        run(
            "questions",
            {"a.csv": "question,review,span,place\n" + "\n".join(rows)},
            format="csv",
            fields={"context": "review", "answer": "span", "start": "place"},
            options={"no_answer": "NONE"},
        )
    )
    assert sorted(len(e["answers"]) for e in found) == [0] * 10 + [1] * 10
    assert not any("NONE" in e["context"] for e in found)


def test_an_empty_answer_is_none(run: Prepare) -> None:
    rows = [
        {"question": "Who?", "context": f"Mara {i}", "answers": [{"text": "Mara" * (i % 2), "start": 0}]}
        for i in range(20)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    found = _all(run("questions", {"a.jsonl": content}, format="jsonl"))
    assert {e["context"]: e["answers"] for e in found} == {
        row["context"]: row["answers"] if i % 2 else [] for i, row in enumerate(rows)
    }


BAD: list[tuple[str, str, str | bytes, dict[str, Any], str]] = [
    ("sentiment", "a.csv", "text,label\ngood;1\n", {"format": "csv"}, r"a\.csv:2: columns: found 1, expected 2"),
    ("sentiment", "a.csv", "good,1\nbad,0\n", {"format": "csv", "fields": {"text": "text"}}, r"a\.csv:1: no column 'text'.*header: false"),
    ("sentiment", "a.csv", 'text,label\n"open,1\n', {"format": "csv"}, r"a\.csv:2: not a row of csv"),
    ("sentiment", "a.csv", "text,label\ngood,great\n", {"format": "csv"}, r"a\.csv:2: label: 'great' is none of"),
    ("sentiment", "a.csv", "text,label\n  ,1\n", {"format": "csv"}, r"a\.csv:2: text: empty"),
    ("sentiment", "a.csv", "text\ngood\n", {"format": "csv"}, r"a\.csv:2: label: there is no 'label'; found text"),
    ("sentiment", "a.csv", b"text,label\ngood,1\ncaf\xe9,1\n", {"format": "csv"}, r"a\.csv:3: byte 0xe9 is not utf-8"),
    ("sentiment", "a.csv", "", {"format": "csv"}, r"a\.csv: the file is empty"),
    ("sentiment", "a.csv", "text,label\ngood,1\n", {"format": "csv", "options": {"header": False}, "fields": {"text": 0, "label": 1}}, r"a\.csv:1: label: 'label' is none of the task's labels"),
    ("sentiment", "a.csv", "text\tlabel\ngood\t1\n", {"format": "csv", "fields": {"text": "text", "label": "label"}}, r"a\.csv:1: no column 'text', 'label'; the header, divided by ',', has 'text\\tlabel'"),
    ("sentiment", "a.tsv", "text,label\ngood,1\n", {"format": "tsv"}, r"a\.tsv:2: text: there is no 'text'; found text,label"),
    ("sentiment", "a.jsonl", '{"text": "caf\u00e9", "label": "1"}\n'.encode() + b'{"text": "caf\xe9", "label": "1"}\n', {"format": "jsonl"}, r"a\.jsonl:2: byte 0xe9 is not utf-8"),
    ("sentiment", "a.jsonl", "\ufeff[1]\n", {"format": "jsonl"}, r"a\.jsonl:1: text: there is no 'text'"),
    ("entities", "a.txt", "\ufeffMara I-person\n\n在 B-place\n", {"format": "conll"}, r"a\.txt:1: tag: 'I-person' \(token 1\)"),
    ("entities", "a.txt", b"Mara B-person\n" + b"caf\xe9 O\n", {"format": "conll"}, r"a\.txt:1: line 2: byte 0xe9 is not utf-8"),
    ("entities", "a.txt", "Mara B-person\nVelt S-person\nmet O\n", {"format": "conll", "options": {"scheme": "bioes"}}, r"a\.txt:1: tag: 'person' is not closed before S-person \(token 2\)"),
    ("entities", "a.json", '[{"data": {"text": "Mara V"}, "annotations": [{"result": [{"value": {"start": 1, "end": 5, "text": "Mara", "labels": ["person"]}}]}]}]', {"format": "label_studio"}, r"a\.json:task\[1\]: spans: the label says 'Mara', but the text at 1 to 5 is 'ara '"),
    ("entities", "a.jsonl", '{"text": "Mara", "label": [[1, 5, "person"]]}', {"format": "doccano"}, r"a\.jsonl:1: spans: 1 to 5 is outside the text of 4"),
    ("entities", "a.json", '[{"tokens": ["a"], "entities": [{"start": 0, "end": 2, "type": "person"}]}]', {"format": "spert"}, r"a\.json:sentence\[1\]: entities: 0 to 2 outside 1 tokens"),
    ("questions", "a.json", '{"data": [{"paragraphs": [{"context": "Mara", "qas": [{"id": "1", "question": "Who?", "answers": [{"text": "Mara", "answer_start": 1}]}]}]}]}', {"format": "squad"}, r"a\.json:question\[1\]: answers: 'Mara' is not what stands in the context at 1"),
    ("sentiment", "a.csv", "text,label\n", {"format": "csv"}, r"data\.train: no rows"),
    ("sentiment", "a.jsonl", '{"text": "a", "label": "1"}\n{"text": \n', {"format": "jsonl"}, r"a\.jsonl:2: not JSON at column"),
    ("sentiment", "a.jsonl", "x" * 10_000_001, {"format": "jsonl"}, r"a\.jsonl:1: a line of 10,000,001 characters"),
    ("sentiment", "a.zip", b"PK broken", {"format": "jsonl"}, r"a\.zip: not a whole archive"),
    ("sentiment", "a.jsonl.gz", b"\x1f\x8b broken", {"format": "jsonl"}, r"a\.jsonl\.gz: cannot be expanded"),
    ("sentiment", "a.parquet", b"PAR? broken", {"format": "parquet"}, r"a\.parquet: not Parquet"),
    ("sentiment", "a.txt", "x good\n", {"format": "text", "options": {"pattern": r"(?P<label>\d) (?P<text>.*)"}}, r"a\.txt:1: pattern:"),
    ("entities", "a.txt", "Mara B-person\nmet O\n\nVelt I-person\n", {"format": "conll"}, r"a\.txt:4: tag: 'I-person'"),
    ("entities", "a.txt", "Mara B-person\nmet\n", {"format": "conll"}, r"a\.txt:1: line 2: columns: found 1, expected 2"),
    ("entities", "a.jsonl", '{"text": "Mara", "spans": [{"start": 0, "end": 9, "label": "person"}]}', {"format": "jsonl"}, r"a\.jsonl:1: spans: 0 to 9 is outside the text of 4"),
    ("entities", "a.jsonl", '{"text": "Mara V", "spans": [{"start": 1, "end": 5, "label": "person", "text": "Mara"}]}', {"format": "jsonl"}, r"spans: says 'Mara', but the text at 1 to 5 is 'ara '"),
    ("entities", "a.jsonl", '{"text": "Mara V", "spans": [{"start": 0, "end": 5, "label": "person"}, {"start": 3, "end": 6, "label": "person"}]}', {"format": "jsonl"}, r"spans: 0 to 5 and 3 to 6 overlap"),
    ("questions", "a.jsonl", '{"question": "Who?", "context": "Mara", "answers": [{"text": "Mara", "start": 1}]}', {"format": "jsonl"}, r"answers: 'Mara' is not what stands in the context at 1"),
    ("relations", "a.json", '[{"tokens": ["a"], "entities": [], "relations": [{"head": 0, "tail": 1, "type": "makes"}]}]', {"format": "spert"}, r"relation: makes points at '0'"),
    *(
        ("sentiment", "a.jsonl", f'{{"text": "good", "label": {label}}}', {"format": "jsonl", "regression": True, "task": {"labels": None, "gate": {"metric": "pearson"}}}, r"a\.jsonl:1: label: expected a finite number")
        for label in ('"nan"', "NaN", '"inf"', "-1e999")
    ),
    ("dialogue", "a.jsonl", '{"turns": [{"role": "user", "text": "a"}, {"role": "user", "text": "b"}]}', {"format": "jsonl"}, r"turns: the last turn is not the assistant's"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "content", "data", "message"), BAD)
def test_bad_input_is_told_by_file_row_and_field(
    run: Prepare, name: str, file: str, content: str | bytes, data: dict[str, Any], message: str
) -> None:
    labels = SENTIMENT if name == "sentiment" else {}
    with pytest.raises(UserError, match=message):
        run(name, {file: content}, **{**labels, **data})


GOOD_SPAN = {"start": 0, "end": 4, "text": "Mara", "labels": ["person"]}
DEEP = "[" * 100_000
MALFORMED: list[tuple[str, str, str, str, str]] = [
    ("entities", "jsonl", '{"text": "Mara", "spans": []}', '{"text": "Mara V", "spans": [{"start": 0, "end": 4, "label": "person", "text": null}]}', r"spans: says 'None'"),
    ("entities", "jsonl", '{"text": "Mara", "spans": []}', f'{{"text": {DEEP}', "nested too deeply"),
    ("entities", "jsonl", '{"text": "Mara", "spans": []}', '{"text": "Mara \\ud83d", "spans": []}', r"text: half a character \(\\ud83d"),
    ("entities", "jsonl", '{"text": "Mara", "spans": []}', '{"text": "Mara", "id": "\\ud83d", "spans": []}', "id: half a character"),
    ("sentiment", "jsonl", '{"text": "Mara", "label": "positive"}', '{"text": "Mara", "\\ud83d": "positive"}', r"found text, \\ud83d"),
    ("entities", "doccano", '{"text": "Mara", "label": []}', '{"text": "Mara", "label": null}', "malformed"),
    ("entities", "doccano", '{"text": "Mara", "label": []}', '{"text": "Mara", "label": 1}', "malformed"),
    ("entities", "doccano", '{"text": "Mara", "label": []}', '{"text": "Mara", "entities": [1]}', "malformed"),
    ("entities", "doccano", '{"text": "Mara", "label": []}', '{"text": "Mara", "entities": [{"id": 1}]}', "start_offset: missing"),
    ("entities", "doccano", '{"text": "Mara", "label": []}', '{"text": "Mara", "label": [[0, 4]]}', r"label: expected names or start, end and label, found \[0, 4\]"),
    ("entities", "doccano", '{"text": "Mara", "label": []}', DEEP, "nested too deeply"),
    ("entities", "label_studio", json.dumps({"data": {"text": "Mara"}, "annotations": [{"result": [{"value": GOOD_SPAN}]}]}), '"text"', "malformed"),
    ("entities", "label_studio", json.dumps({"data": {"text": "Mara"}, "annotations": [{"result": [{"value": GOOD_SPAN}]}]}), '{"data": {"text": "Mara"}, "annotations": null}', "malformed"),
    ("entities", "label_studio", json.dumps({"data": {"text": "Mara"}, "annotations": [{"result": [{"value": GOOD_SPAN}]}]}), '{"data": {"text": "Mara"}, "annotations": [{"result": [{"value": {"end": 4, "labels": ["person"]}}]}]}', "start: missing"),
    ("entities", "spert", '{"tokens": ["Mara"], "entities": []}', '{"tokens": ["Mara", ""], "entities": []}', "tokens: expected texts"),
    ("entities", "spert", '{"tokens": ["Mara"], "entities": []}', '{"tokens": ["Mara"], "entities": [{"start": 0, "end": 1}]}', "type: missing"),
    ("entities", "spert", '{"tokens": ["Mara"], "entities": []}', "5", "malformed"),
    ("questions", "squad", '{"paragraphs": [{"context": "Mara", "qas": [{"id": "1", "question": "Who?"}]}]}', '"an article"', "question: its article"),
    ("questions", "squad", '{"paragraphs": [{"context": "Mara", "qas": [{"id": "1", "question": "Who?"}]}]}', '{"paragraphs": null}', "question: its article"),
    ("questions", "squad", '{"paragraphs": [{"context": "Mara", "qas": [{"id": "1", "question": "Who?"}]}]}', '{"paragraphs": [{"context": "Mara", "qas": [{"id": "2", "question": "Who?", "answers": null}]}]}', "answers: expected a list, found None"),
    ("questions", "squad", '{"paragraphs": [{"context": "Mara", "qas": [{"id": "1", "question": "Who?"}]}]}', '{"paragraphs": [{"context": "Mara", "qas": [{"id": "2", "question": "Who?", "answers": [{"text": "Mara"}]}]}]}', "answer_start: missing"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "form", "good", "bad", "message"), MALFORMED)
def test_a_malformed_item_is_a_bad_row_among_good_ones(
    run: Prepare, tmp_path: Path, name: str, form: str, good: str, bad: str, message: str
) -> None:
    numbered = [good.replace('"Mara"', f'"Mara {i}"', 1) for i in range(20)]  # the text, not a surface
    items = [*numbered[:10], bad, *numbered[10:]]
    content = "\n".join(items) if form in ("jsonl", "doccano") else f"[{','.join(items)}]"
    content = f'{{"data": {content}}}' if form == "squad" else content
    found = run(name, {"a.json": content}, format=form, on_bad_row="skip")
    assert len(_all(found)) == 20
    (skipped,) = read_jsonl(tmp_path / "out" / "skipped.jsonl")
    assert re.search(message, skipped["problem"])
    assert re.search(r"a\.json:(11|\w+\[11\])$", skipped["place"])


def test_a_broken_archive_and_a_long_delimiter_are_told(run: Prepare, tmp_path: Path) -> None:
    path = tmp_path / "raw" / "a.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", "text " * 1000)
    content = bytearray(path.read_bytes())
    content[37:47] = b"\xff" * 10  # the member's own data, behind its name
    with pytest.raises(UserError, match=r"a\.zip: not a whole archive"):
        run("sentiment", {"a.zip": bytes(content)}, format="jsonl")
    with pytest.raises(UserError, match=r"data\.options\.delimiter: expected one character, found '\|\|'"):
        run("sentiment", {"a.csv": "text||label\n"}, format="csv", options={"delimiter": "||"})


def test_a_brat_span_one_off_is_told_and_a_mark_at_the_start_moves_none(run: Prepare) -> None:
    files = {f"d{i}.txt": f"\ufeffMara {i} met." for i in range(8)}
    notes = {f"d{i}.ann": "T1\tperson 0 4\tMara\n" for i in range(8)}
    found = _all(run("entities", {**files, **notes}, format="brat", train="."))
    assert {e["text"][s["start"] : s["end"]] for e in found for s in e["spans"]} == {"Mara"}
    notes["d3.ann"] = "T1\tperson 1 5\tMara\n"
    with pytest.raises(
        UserError, match=r"d3\.ann: line 1: spans: T1 says 'Mara', but the text at 1 to 5 is 'ara '"
    ):
        run("entities", {**files, **notes}, format="brat", train=".")


def test_brat_files_with_other_ends_of_lines_marks_and_encodings(run: Prepare) -> None:
    files: dict[str, str | bytes] = {f"d{i}.txt": f"\ufeffHello {i}.\r\nMara met.\r\n" for i in range(8)}
    notes = {f"d{i}.ann": "T1\tperson 10 14\tMara\r\n" for i in range(8)}  # \r and \n are two characters
    for options in ({}, {"encoding": "utf-8"}):
        found = _all(run("entities", {**files, **notes}, format="brat", train=".", options=options))
        assert {e["text"][s["start"] : s["end"]] for e in found for s in e["spans"]} == {"Mara"}
        assert len(found) == 8
    with pytest.raises(UserError, match="there is no encoding called 'utf8000'"):
        run("entities", {**files, **notes}, format="brat", train=".", options={"encoding": "utf8000"})
    files["d1.txt"] = b"caf\xe9"
    with pytest.raises(UserError, match=r"d1\.txt:1: byte 0xe9 is not utf-8"):
        run("entities", {**files, **notes}, format="brat", train=".", options={"encoding": "utf-8"})


@pytest.mark.parametrize(
    "line", ["T1 person 0 4 Mara", "T1\tperson 0\tMara", "T1\tperson 0 4 9\tMara", "R1 knows Arg1:T1 Arg2:T2"]
)
def test_a_malformed_line_of_brat_is_told(run: Prepare, line: str) -> None:
    files = {"d1.txt": "Mara met.", "d1.ann": f"#1\tAnnotatorNotes T1\tdoubtful\n{line}\n"}
    with pytest.raises(UserError, match=rf"d1\.ann: line 2: expected {line[0]} and its number"):
        run("entities", files, format="brat", train=".")


def test_an_empty_dev_split_is_told(run: Prepare) -> None:
    files = {"a.csv": "text,label\ngood,1\n", "b.csv": "text,label\n", "c.csv": "text,label\nodd,7\n"}
    with pytest.raises(UserError, match=r"data\.dev: no rows in b\.csv"):
        run("sentiment", files, format="csv", dev="b.csv", **SENTIMENT)
    with pytest.raises(
        UserError, match=r"the dev split has no good row; the first bad one: .*c\.csv:2: label"
    ):
        run("sentiment", files, format="csv", dev="c.csv", on_bad_row="skip", **SENTIMENT)


@pytest.mark.parametrize("form", ["csv", "jsonl", "conll", "text"])
def test_broken_lines_among_good_ones_can_be_skipped(run: Prepare, tmp_path: Path, form: str) -> None:
    def line(i: int) -> str:
        if form == "conll":
            return f"Mara{i} B-person\nmet O\n\n"
        row = {"text": f"good {i}", "label": "1"}
        return {"csv": f"good {i},1\n", "text": f"1 good {i}\n", "jsonl": json.dumps(row) + "\n"}[form]

    good = "".join(map(line, range(20))).encode()
    broken = b"caf\xe9\xff O\n\n" if form == "conll" else b"caf\xe9\xff\n"
    huge = b"x" * 10_000_001 + (b"\n\n" if form == "conll" else b"\n")
    head = b"text,label\n" if form == "csv" else b""
    options = {"pattern": r"(?P<label>\d) (?P<text>.*)"} if form == "text" else {}
    task, labels = ("entities", {}) if form == "conll" else ("sentiment", SENTIMENT)
    content = head + good + broken + huge + line(99).encode()
    found = run(task, {"a.txt": content}, format=form, options=options, on_bad_row="skip", **labels)
    assert len(_all(found)) == 21
    skipped = list(read_jsonl(tmp_path / "out" / "skipped.jsonl"))
    assert len(skipped) == 2
    assert "byte 0xe9 is not utf-8" in skipped[0]["problem"]
    assert form == "conll" or skipped[0]["row"] == "caf\ufffd\ufffd"
    assert "a line of 10,000,001 characters" in skipped[1]["problem"]


def test_broken_lines_of_pairs_semeval_and_brat_can_be_skipped(run: Prepare, tmp_path: Path) -> None:
    def skipped() -> list[dict[str, Any]]:
        return list(read_jsonl(tmp_path / "out" / "skipped.jsonl"))

    one = "".join(f"text {i}\n" for i in range(30)).encode()
    files: dict[str, str | bytes] = {"p.en": one + b"fine\n", "p.de": one + b"caf\xe9\n"}
    found = run("translation", files, format="pairs", train=["p.en", "p.de"], on_bad_row="skip")
    assert len(_all(found)) == 30
    (row,) = skipped()
    assert row["place"].endswith("p.de:31")
    assert json.loads(row["row"]) == {"source": "fine", "target": "caf\ufffd"}

    def sentence(i: int) -> bytes:
        return f'{i}\t"The <e1>saw</e1> of <e2>Norbi {i}</e2>."\nmakes\nComment:\n\n'.encode()

    content = b"".join(map(sentence, range(20)))
    content += sentence(20).replace(b"saw", b"s\xe9w") + sentence(21).replace(b"makes", b"m\xe9kes")
    found = run("relations", {"s.txt": content + sentence(22)}, format="semeval", on_bad_row="skip")
    assert len(_all(found)) == 21
    assert [row["place"].rpartition(":")[2] for row in skipped()] == ["81", "86"]
    assert "makes" in skipped()[0]["row"]

    notes = {
        f"b/{i}.{end}": text
        for i in range(20)
        for end, text in (("txt", "Mara met"), ("ann", "T1\tperson 0 4\tMara\n"))
    }
    notes = {name: text.replace("met", f"met {name[2:-4]}") for name, text in notes.items()}
    broken: dict[str, str | bytes] = {
        "b/x.txt": "Mara",
        "b/x.ann": b"T1\tperson 0 4\tMara\n#1\tcaf\xe9\n",
        "b/y.txt": b"caf\xe9",
        "b/y.ann": "",
    }
    found = run("entities", {**notes, **broken}, format="brat", train="b", on_bad_row="skip")
    assert len(_all(found)) == 20
    assert [Path(row["place"]).name for row in skipped()] == ["x.ann:2", "y.txt:1"]


@pytest.mark.parametrize("cell", [b"one\ncaf\xe9\nmore", b"one\ncaf\xe9", b"caf\xe9\nmore"])
def test_a_row_with_a_broken_line_in_a_quoted_cell_is_left_out(
    run: Prepare, tmp_path: Path, cell: bytes
) -> None:
    good = "".join(f'"good {i},\nreally",1\n' for i in range(20)).encode()
    content = b"text,label\n" + good + b'"' + cell + b'",1\n' + b"last,1\n"
    found = _all(run("sentiment", {"a.csv": content}, format="csv", on_bad_row="skip", **SENTIMENT))
    assert {e["text"] for e in found} == {f"good {i},\nreally" for i in range(20)} | {"last"}
    (skipped,) = read_jsonl(tmp_path / "out" / "skipped.jsonl")
    assert "byte 0xe9" in skipped["problem"]


def test_hub_data_are_read_by_class_names_and_told_offline(run: Prepare, monkeypatch: Any) -> None:
    import datasets

    def load(name: str, config: str | None, *, revision: str, split: str) -> Any:
        assert (name, config, revision, split) == ("some/reviews", None, "abc123", "train")
        classes = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
        )
        return datasets.Dataset.from_dict(
            {"text": [f"text {i}" for i in range(20)], "label": [i % 2 for i in range(20)]}, features=classes
        )

    where = {
        "format": "hub",
        "dataset": "some/reviews",
        "revision": "abc123",
        "path": "src/textmill",
        "train": "train",
    }
    monkeypatch.setattr(datasets, "load_dataset", load)
    found = run("sentiment", {}, label_names={"no": "negative", "yes": "positive"}, **where)
    assert {e["label"] for e in _all(found)} == {"negative", "positive"}

    def offline(*arguments: Any, **options: Any) -> Any:
        raise ConnectionError("Couldn't reach 'some/reviews' on the Hub (LocalEntryNotFoundError)\nmore")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(
        UserError, match=r"some/reviews \(split train\) cannot be loaded: .*Without a network: copy"
    ):
        run("sentiment", {}, **where)


def test_numbers_of_tags_on_the_hub_become_their_names(run: Prepare, monkeypatch: Any) -> None:
    import datasets

    kind = datasets.ClassLabel(names=["O", "B-person"])
    features = datasets.Features(
        {"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": datasets.Sequence(kind)}
    )
    rows = {"tokens": [["Mara", str(i)] for i in range(20)], "ner_tags": [[1, 0]] * 20}
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, **__: datasets.Dataset.from_dict(rows, features=features)
    )
    where: Any = {
        "format": "hub",
        "dataset": "some/names",
        "revision": "abc",
        "path": "src",
        "train": "train",
    }
    found = run("entities", {}, fields={"tokens": "tokens", "tags": "ner_tags"}, **where)
    spans = {json.dumps(e["spans"]) for e in _all(found)}
    assert spans == {'[{"start": 0, "end": 4, "label": "person"}]'}


def test_a_missing_file_is_named(run: Prepare) -> None:
    with pytest.raises(UserError, match=r"nothing\.csv: no such file"):
        run("sentiment", {"a.csv": "text,label\ngood,1\n"}, format="csv", train="nothing.csv")


def test_bad_rows_can_be_skipped_counted_and_kept_with_the_reason(run: Prepare, tmp_path: Path) -> None:
    content = "text,label\n" + "".join(f"{t},{n}\n" for t, n in ROWS if "," not in t)
    found = run("sentiment", {"a.csv": content + "odd,3\n"}, format="csv", on_bad_row="skip", **SENTIMENT)
    assert len(_all(found)) == 15
    (skipped,) = read_jsonl(tmp_path / "out" / "skipped.jsonl")
    assert skipped["place"].endswith("a.csv:17")
    assert skipped["problem"].startswith("label: '3'")
    assert json.loads(skipped["row"]) == {"text": "odd", "label": "3"}


def test_a_cut_is_stratified_seeded_and_keeps_copies_of_a_text_on_one_side(run: Prepare) -> None:
    rows = [{"text": f"text {i // 2}", "label": "positive" if i % 8 < 2 else "negative"} for i in range(400)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    one, other = (run("sentiment", {"a.jsonl": content}, format="jsonl") for _ in range(2))
    assert one == other
    sides = [{e["text"] for e in one[split]} for split in ("train", "dev", "test")]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    for split in ("dev", "test"):
        share = sum(e["label"] == "positive" for e in one[split]) / len(one[split])
        assert 36 <= len(one[split]) <= 44
        assert 0.2 < share < 0.3


def test_a_cut_keeps_a_group_and_the_copies_of_its_texts_on_one_side(run: Prepare) -> None:
    rows = [
        {"text": f"text {i // 2}", "group": i if i % 2 == 0 else i // 8 * 8, "label": "positive"}
        for i in range(400)
    ]  # texts in two groups each, so that four texts hang together over the group of the first
    content = "".join(json.dumps(row) + "\n" for row in rows)
    found = run("sentiment", {"a.jsonl": content}, format="jsonl")
    assert all(36 <= len(found[split]) <= 44 for split in ("dev", "test"))
    sides = [{int(e["text"].split()[1]) // 4 for e in found[split]} for split in ("train", "dev", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 50


def test_a_limit_draws_training_examples_by_seed(run: Prepare) -> None:
    content = "".join(json.dumps({"text": f"text {i}", "label": "positive"}) + "\n" for i in range(100))
    found = run("sentiment", {"a.jsonl": content}, format="jsonl", limit=7)
    assert len(found["train"]) == 7
    assert len(found["test"]) == 10


def test_tokens_with_spaces_and_lines_of_another_width_in_conll(run: Prepare, tmp_path: Path) -> None:
    content = "".join(f"In\tO\nNew York\tB-company\n{i} 000\tO\n\n" for i in range(20))
    found = _all(run("entities", {"a.txt": content}, format="conll"))
    assert {e["text"] for e in found} == {f"In New York {i} 000" for i in range(20)}
    four = "".join(f"Mara NNP x B-person\nmet{i} VBZ x O\n\n" for i in range(20))
    with pytest.raises(UserError, match=r"a\.txt:61: line 62: columns: found 3, expected 4"):
        run("entities", {"a.txt": four + "Mara NNP x B-person\nmet VBZ O\n"}, format="conll")
    with pytest.raises(UserError, match="token 7 and tag -1: there are 4 columns, from 0"):
        run("entities", {"a.txt": four}, format="conll", options={"token": 7})


def test_bmes_is_bioes_with_m(run: Prepare) -> None:
    content = "".join(f"韦 B-person\n玛 M-person\n拉 E-person\n{i} O\n她 S-person\n\n" for i in range(20))
    for options in ({}, {"scheme": "bmes"}):
        found = _all(run("entities", {"a.txt": content}, format="conll", options=options))
        assert {tuple(e["text"][s["start"] : s["end"]] for s in e["spans"]) for e in found} == {
            ("韦玛拉", "她")
        }


def test_answers_begin_where_the_row_says(run: Prepare) -> None:
    rows = "".join(f"q{i},Who was {i}?,Bob saw Bob and {i},Bob,{i % 2 * 8}.0\n" for i in range(20))
    found = _all(run("questions", {"a.csv": "id,question,context,answer,start\n" + rows}, format="csv", fields={"answer": "answer"}))  # fmt: skip
    assert {e["id"]: e["answers"][0]["start"] for e in found} == {f"q{i}": i % 2 * 8 for i in range(20)}
    none = {"id": "n", "question": "What?", "answers": [{"text": "", "answer_start": -1}]}
    paragraphs = [
        {"context": f"Mara {i}", "qas": [{**none, "id": str(i), "question": f"What {i}?"}]} for i in range(20)
    ]
    squad = json.dumps({"data": [{"paragraphs": paragraphs}]})
    assert all(not e["answers"] for e in _all(run("questions", {"b.json": squad}, format="squad")))


@pytest.mark.parametrize("form", ["doccano", "label_studio"])
def test_several_labels_are_for_tasks_that_take_several(run: Prepare, form: str) -> None:
    def item(i: int, labels: list[str]) -> Any:
        if form == "doccano":
            return {"text": f"good {i}", "label": labels}
        result = [{"type": "choices", "value": {"choices": labels}}] if labels else []
        return {"data": {"text": f"good {i}"}, "annotations": [{"result": result}]}

    def content(rows: list[Any]) -> str:
        return "\n".join(map(json.dumps, rows)) if form == "doccano" else json.dumps(rows)

    one = [item(i, ["positive"]) for i in range(20)]
    with pytest.raises(UserError, match="label: there are 2, 'positive', 'negative', and the task takes one"):
        run("sentiment", {"a.json": content([*one, item(20, ["positive", "negative"])])}, format=form)
    task = {"gate": {"metric": "micro_f1"}}
    several = content([*one, item(20, ["positive", "negative"]), item(21, [])])
    found = _all(run("sentiment", {"b.json": several}, format=form, multi_label=True, task=task))
    assert sorted(len(e["label"]) for e in found) == [0, *[1] * 20, 2]


def test_a_span_of_several_labels_is_a_bad_row(run: Prepare) -> None:
    value = {"start": 0, "end": 4, "text": "Mara", "labels": ["person", "company"]}
    item = {"data": {"text": "Mara met"}, "annotations": [{"result": [{"type": "labels", "value": value}]}]}
    with pytest.raises(UserError, match="spans: 0 to 4 has 'person', 'company', and a span takes one"):
        run("entities", {"a.json": json.dumps([item])}, format="label_studio")


def test_a_text_and_its_annotations_stand_side_by_side(run: Prepare) -> None:
    files = {f"d{i}.{end}": f"Mara {i}" if end == "txt" else "" for i in range(20) for end in ("txt", "ann")}
    assert all(e["spans"] == [] for e in _all(run("entities", files, format="brat", train=".")))
    with pytest.raises(UserError, match=r"readme\.txt: ann: there is no .*readme\.ann beside it"):
        run("entities", {**files, "readme.txt": "About"}, format="brat", train=".")
    with pytest.raises(UserError, match=r"lost\.ann: txt: there is no .*lost\.txt beside it"):
        run("entities", {**files, "lost.ann": "T1\tperson 0 4\tMara\n"}, format="brat", train=".")


def test_ids_that_begin_anew_in_each_split_are_replaced(run: Prepare) -> None:
    files = {
        name: "id,text,label\n" + "".join(f"{i},{name} {i},1\n" for i in range(size))
        for name, size in (("a.csv", 30), ("b.csv", 10), ("c.csv", 10))
    }
    ids = [
        e["id"] for e in _all(run("sentiment", files, format="csv", dev="b.csv", test="c.csv", **SENTIMENT))
    ]
    assert len(set(ids)) == 50
    assert {"train-1", "dev-1", "test-1", "29"} <= set(ids)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"options": {"headers": False}}, "options.headers: unknown; did you mean header"),
        ({"options": {"unplaced": "mend"}}, "options.unplaced: unknown; format csv has encoding, header"),
        ({"options": {"header": "no"}}, "options.header: expected true or false, found 'no'"),
        ({"options": {"encoding": 5}}, "options.encoding: expected text, found 5"),
        ({"fields": {"lable": "label"}}, "fields.lable: unknown; did you mean label"),
        ({"fields": {"label": ["a", "b"]}}, r"fields.label: expected a name or a number, found \['a', 'b'\]"),
        (
            {"options": {"separator": "|"}},
            "options.separator: it divides the labels of a text, with data.multi_label",
        ),
        ({"fields": {"label": 1.5}}, "fields.label: expected a name or a number, found 1.5"),
        (
            {"format": "text", "options": {"unit": "lines"}},
            "options.unit: expected line or file, found 'lines'",
        ),
        ({"format": "conll", "fields": {"text": "body"}}, "fields.text: unknown; format conll has none"),
        ({"format": "conll", "options": {"token": "0"}}, "options.token: expected a whole number, found '0'"),
    ],
)
def test_options_and_fields_that_no_reader_knows_are_told(run: Prepare, data: Any, told: str) -> None:
    with pytest.raises(UserError, match=rf"tasks\.sentiment\.data\.{told}"):
        run("sentiment", {"a.csv": "text,label\ngood,1\n"}, **{"format": "csv", **data})


def test_a_row_with_a_stray_quote_can_be_skipped(run: Prepare, tmp_path: Path) -> None:
    rows = [f"good {i},1\n" for i in range(20)]
    content = "text,label\n" + "".join([*rows[:5], '"good" indeed,1\n', *rows[5:]])
    found = run("sentiment", {"a.csv": content}, format="csv", on_bad_row="skip", **SENTIMENT)
    assert len(_all(found)) == 20
    (skipped,) = read_jsonl(tmp_path / "out" / "skipped.jsonl")
    assert skipped["place"].endswith("a.csv:7")
    assert "not a row of csv" in skipped["problem"]
    assert skipped["row"] == '"good" indeed,1'


def test_a_column_of_dates_may_be_the_group(run: Prepare) -> None:
    day = datetime.date(2024, 1, 1)
    table = polars.DataFrame(
        {
            "text": [f"good {i}" for i in range(40)],
            "label": ["1"] * 40,
            "group": [day + datetime.timedelta(days=i // 2) for i in range(40)],
        }
    )
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    found = run("sentiment", {"a.parquet": buffer.getvalue()}, format="parquet", **SENTIMENT)
    assert {e["group"] for e in _all(found)} >= {"2024-01-01", "2024-01-20"}


def test_a_member_of_an_archive_may_have_brackets_in_its_name(run: Prepare) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data[1].csv", "text,label\n" + "".join(f"good {i},1\n" for i in range(20)))
    found = run("sentiment", {"all.zip": packed.getvalue()}, format="csv", train="all.zip/data[1].csv", **SENTIMENT)  # fmt: skip
    assert len(_all(found)) == 20


@pytest.mark.parametrize(
    ("file", "content", "data", "told"),
    [
        ("a.jsonl", '{"text": "good", "hypothesis": "fine", "label": "1"}\n', {"format": "jsonl", "fields": {"pair": "hypotesis"}}, r"a\.jsonl: data\.fields\.pair: there is no 'hypotesis' in any row; found text, hypothesis, label"),
        ("a.json", '[{"text": "good", "by": {"user": "u"}, "label": "1"}]', {"format": "jsonl", "fields": {"group": "by.usr"}}, r"data\.fields\.group: there is no 'by\.usr' in any row; found text, by, label"),
        ("a.csv", "good,1\n", {"format": "csv", "options": {"header": False}, "fields": {"text": 0, "label": 1, "pair": 7}}, r"data\.fields\.pair: there is no 7 in any row; found 2 columns"),
        ("a.txt", "1 good\n", {"format": "text", "options": {"pattern": r"(?P<label>\d) (?P<text>.*)"}, "fields": {"language": "lang"}}, r"data\.fields\.language: there is no 'lang' in any row; found label, text"),
    ],
)  # fmt: skip
def test_a_mapped_name_that_no_row_has_is_told(
    run: Prepare, file: str, content: str, data: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        run("sentiment", {file: content}, on_bad_row="skip", **{**SENTIMENT, **data})


def test_a_mapped_name_that_some_rows_lack_may_be_optional(run: Prepare) -> None:
    rows = [{"text": f"good {i}", "label": "1", **({"user": i} if i % 2 else {})} for i in range(20)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    found = _all(
        run("sentiment", {"a.jsonl": content}, format="jsonl", fields={"group": "user"}, **SENTIMENT)
    )
    assert sum("group" in e for e in found) == 10


def test_a_misspelt_column_of_parquet_is_told(run: Prepare) -> None:
    table = io.BytesIO()
    polars.DataFrame({"text": ["good"], "label": ["1"], "user": ["u"]}).write_parquet(table)
    with pytest.raises(UserError, match=r"a\.parquet: data\.fields\.group: there is no 'usr' in any row"):
        run(
            "sentiment",
            {"a.parquet": table.getvalue()},
            format="parquet",
            fields={"group": "usr"},
            **SENTIMENT,
        )


def test_a_value_that_is_null_is_told_as_such(run: Prepare) -> None:
    content = '{"text": null, "label": "1"}\n'
    with pytest.raises(UserError, match=r"a\.jsonl:1: text: 'text' has no value \(null\)"):
        run("sentiment", {"a.jsonl": content}, format="jsonl", **SENTIMENT)


def _task(text: str, *annotations: Any) -> dict[str, Any]:
    """A task of Label Studio with the results of each annotation."""
    return {"data": {"text": text}, "annotations": [{"result": results} for results in annotations]}


def _choice(*names: str, **more: Any) -> dict[str, Any]:
    return {"type": "choices", "value": {"choices": list(names)}, **more}


def _region(start: int, end: int, *labels: str, key: str = "a", kind: str = "labels") -> dict[str, Any]:
    return {"type": kind, "id": key, "value": {"start": start, "end": end, kind: list(labels)}}


def test_regions_of_hypertext_are_spans(run: Prepare) -> None:
    place = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 4}
    value = {**place, "globalOffsets": {"start": 0, "end": 4}, "text": "Mara", "hypertextlabels": ["person"]}
    result = {"type": "hypertextlabels", "id": "a", "value": value}
    content = json.dumps([_task(f"Mara {i}", [result]) for i in range(20)])
    found = _all(run("entities", {"a.json": content}, format="label_studio"))
    assert [e["spans"] for e in found] == [[{"start": 0, "end": 4, "label": "person"}]] * 20
    del value["globalOffsets"]
    with pytest.raises(
        UserError, match=r"task\[1\]: spans: start and end must be whole numbers, found '/p\[1\]"
    ):
        run("entities", {"a.json": json.dumps([_task("Mara", [result])])}, format="label_studio")


def test_a_region_without_a_label_is_a_bad_row_and_a_remark_on_one_is_not(run: Prepare) -> None:
    remark = {"type": "textarea", "id": "a", "value": {"start": 0, "end": 4, "text": ["sure"]}}
    tasks = [_task(f"Mara {i}", [_region(0, 4, "person"), remark]) for i in range(20)]
    assert len(_all(run("entities", {"a.json": json.dumps(tasks)}, format="label_studio"))) == 20
    with pytest.raises(UserError, match=r"a\.json:task\[21\]: spans: 0 to 4 has no label"):
        run(
            "entities",
            {"a.json": json.dumps([*tasks, _task("Mara", [_region(0, 4)])])},
            format="label_studio",
        )


@pytest.mark.parametrize(
    ("form", "name", "item", "told"),
    [
        ("label_studio", "entities", _task("Mara", [_choice("person")]), "spans: no text here has any; found choices"),
        ("label_studio", "sentiment", _task("Mara", [_region(0, 4, "person")]), "label: no text here has any; found labels"),
        ("label_studio", "entities", {"id": 1, "text": "Mara", "mood": "positive"}, "spans: no text here has any; found id, text, mood"),
        ("doccano", "entities", {"text": "Mara", "label": ["person"]}, "spans: no text here has any; found choices"),
        ("doccano", "sentiment", {"text": "Mara", "label": [[0, 4, "person"]]}, "label: no text here has any; found labels"),
        ("doccano", "entities", {"text": "Mara", "tags": []}, "label: there is none of label, labels, cats; found text, tags"),
    ],
)  # fmt: skip
def test_annotations_of_another_kind_than_the_family_s_are_bad_rows(
    run: Prepare, form: str, name: str, item: Any, told: str
) -> None:
    task = {"data": {"multi_label": True}, "gate": {"metric": "micro_f1"}} if name == "sentiment" else {}
    with pytest.raises(UserError, match=rf"a\.json:\S+: {told}"):
        run(name, {"a.json": json.dumps([item])}, format=form, task=task)


def test_a_text_without_spans_may_have_choices_beside_texts_with_spans(run: Prepare) -> None:
    tasks = [
        _task(f"Mara {i}", [_choice("positive"), *[_region(0, 4, "person")] * (i % 2)]) for i in range(20)
    ]
    found = _all(run("entities", {"a.json": json.dumps(tasks)}, format="label_studio"))
    assert sorted(len(e["spans"]) for e in found) == [0] * 10 + [1] * 10


def test_annotations_that_differ_are_a_bad_row_unless_one_is_the_ground_truth(
    run: Prepare, tmp_path: Path
) -> None:
    agreed = [_task(f"good {i}", [_choice("positive")], [_choice("positive", id="b")]) for i in range(20)]
    torn = _task("so so", [_choice("positive")], [_choice("negative")])
    with pytest.raises(UserError, match=r"task\[21\]: annotations: 2 differ; set one as the ground truth"):
        run("sentiment", {"a.json": json.dumps([*agreed, torn])}, format="label_studio")
    torn["annotations"][0]["ground_truth"] = True
    found = _all(run("sentiment", {"a.json": json.dumps([*agreed, torn])}, format="label_studio"))
    assert [e["label"] for e in found] == ["positive"] * 21
    spans = [_region(0, 4, "person"), _region(5, 6, "place", key="b")]
    tasks = [_task(f"Mara {i}", spans, spans[::-1]) for i in range(20)]  # in another order
    assert (
        len(_all(run("entities", {"b.json": json.dumps(tasks)}, format="label_studio", train="b.json"))) == 20
    )


def test_tasks_that_nobody_labelled_are_counted(run: Prepare, tmp_path: Path) -> None:
    skipped = _task("skipped", [])
    skipped["annotations"][0]["was_cancelled"] = True
    tasks = [*(_task(f"good {i}", [_choice("positive")]) for i in range(20)), _task("later"), skipped]
    found = run("sentiment", {"a.json": json.dumps(tasks)}, format="label_studio", on_bad_row="skip")
    assert len(_all(found)) == 20
    aside = list(read_jsonl(tmp_path / "out" / "skipped.jsonl"))
    assert [row["problem"] for row in aside] == [
        "annotations: there is none yet",
        "annotations: the annotator skipped the task",
    ]


def test_a_relation_has_every_label_and_direction_that_it_is_given(run: Prepare) -> None:
    def item(i: int, **relation: Any) -> dict[str, Any]:
        ends = [_region(0, 4, "person"), _region(5, 9, "company", key="b")]
        return _task(
            f"Mara Nor{i % 10}! {i}", [*ends, {"type": "relation", "from_id": "a", "to_id": "b", **relation}]
        )

    both = [item(i, direction="bi", labels=["founded", "works_for"]) for i in range(20)]
    found = _all(run("relations", {"a.json": json.dumps(both)}, format="label_studio"))
    assert len(found) == 80
    assert {(e["head"]["start"], e["label"]) for e in found} == {
        (start, label) for start in (0, 5) for label in ("founded", "works_for")
    }
    with pytest.raises(UserError, match=r"task\[1\]: relation: that of 'a' and 'b' has no label"):
        run("relations", {"a.json": json.dumps([item(0)])}, format="label_studio")


def test_label_studio_s_json_min_and_doccano_s_json_are_read(run: Prepare) -> None:
    span = {"start": 0, "end": 4, "text": "Mara", "labels": ["person"]}
    minimal = [{"id": i, "text": f"Mara {i}", "label": [span], "annotator": 1} for i in range(20)]
    found = _all(run("entities", {"a.json": json.dumps(minimal)}, format="label_studio"))
    assert [e["spans"] for e in found] == [[{"start": 0, "end": 4, "label": "person"}]] * 20
    named = [{"id": i, "text": f"good {i}", "mood": ("positive", "negative")[i % 2]} for i in range(20)]
    with pytest.raises(UserError, match=r"a\.json:task\[1\]: label: there is none; found id, text, mood"):
        run("sentiment", {"a.json": json.dumps(named)}, format="label_studio")
    found = _all(
        run("sentiment", {"a.json": json.dumps(named)}, format="label_studio", fields={"label": "mood"})
    )
    assert sorted(e["label"] for e in found) == ["negative"] * 10 + ["positive"] * 10
    several = [{**row, "mood": {"choices": ["positive", "negative"]}} for row in named]
    task = {"data": {"multi_label": True}, "gate": {"metric": "micro_f1"}}
    found = _all(run("sentiment", {"a.json": json.dumps(several)}, format="label_studio", task=task))
    assert {tuple(e["label"]) for e in found} == {("positive", "negative")}
    listed = [{"id": i, "text": f"Mara {i}", "label": [[0, 4, "person"]]} for i in range(20)]
    found = _all(run("entities", {"a.json": json.dumps(listed, indent=1)}, format="doccano"))
    assert [e["spans"] for e in found] == [[{"start": 0, "end": 4, "label": "person"}]] * 20


@pytest.mark.parametrize("form", ["label_studio", "doccano"])
def test_a_misspelt_field_of_an_annotation_tool_s_export_is_told(run: Prepare, form: str) -> None:
    record = {"text": "good", "user": "u", "label": ["positive"]}
    item = record if form == "doccano" else {**_task("", [_choice("positive")]), "data": record}
    with pytest.raises(
        UserError, match=r"data\.fields\.group: there is no 'usr' in any row; found text, user"
    ):
        run("sentiment", {"a.json": json.dumps([item])}, format=form, fields={"group": "usr"})


def test_a_column_that_occurs_twice_is_told_where_it_is_read(run: Prepare) -> None:
    rows = "".join(f"good {i},1,,2\n" for i in range(20))
    with pytest.raises(UserError, match=r"a\.csv:1: the column 'label' occurs 2 times"):
        run("sentiment", {"a.csv": f"text,label,,label\n{rows}"}, format="csv", **SENTIMENT)
    content = f"text,label,,\n{rows}"
    assert len(_all(run("sentiment", {"a.csv": content}, format="csv", **SENTIMENT))) == 20


def test_lines_of_semeval_that_are_not_as_they_should_be_are_bad_rows(run: Prepare, tmp_path: Path) -> None:
    def block(i: int, sentence: str, between: str = "\t") -> str:
        return f'{i}{between}"{sentence} {i}."\nmakes\nComment: the <e1> is a tool\n\n'

    marked = "The <e1>saw</e1> of <e2>Norbi</e2>"
    content = "".join(block(i, marked) for i in range(20))
    content += block(20, marked, " ") + block(21, marked.replace("of", "<e1>of</e1>"))
    found = run("relations", {"a.txt": content}, format="semeval", on_bad_row="skip")
    assert len(_all(found)) == 20
    told = [row["problem"] for row in read_jsonl(tmp_path / "out" / "skipped.jsonl")]
    assert told == [
        "text: expected a number, a tab, the sentence in quotes; found '20 \"The <e1>saw</e1> of <e2>Norbi</e2> …'",
        "text: <e1> stands there twice",
    ]


@pytest.mark.parametrize(
    "broken", ['{"paragraf": []}', '{"paragraphs": [{"context": "Mara", "questions": []}]}']
)
def test_squad_without_a_list_is_a_bad_row_that_is_kept(run: Prepare, tmp_path: Path, broken: str) -> None:
    question = {"id": "q", "question": "Who?", "answers": []}
    good = json.dumps({"paragraphs": [{"context": f"Mara {i}", "qas": [question]} for i in range(20)]})
    found = run("questions", {"a.json": f'{{"data": [{good}, {broken}]}}'}, format="squad", on_bad_row="skip")
    assert len(_all(found)) == 20
    (skipped,) = read_jsonl(tmp_path / "out" / "skipped.jsonl")
    assert skipped["problem"].endswith("or has no list called paragraphs or qas")
    assert skipped["row"] in broken


@pytest.mark.parametrize(
    ("context", "answer", "start", "expected"),
    [
        ("Mara saw Mara", "Mara", "[0, 9]", [("Mara", 0), ("Mara", 9)]),
        ("Mara saw Mara, Mara", "Mara", "0;9;15", [("Mara", 0), ("Mara", 9), ("Mara", 15)]),
        ("Mara did n't, Bo did", "Mara didn\u2019t", "(0, 12)", [("Mara did n't", 0)]),
        ("Mara often saw Bo", "Mara saw Bo", "(0, 17)", [("Mara often saw Bo", 0)]),
        ("Mara saw Bo", "Bo", "9.0", [("Bo", 9)]),
        ("Mara saw Bo", "Bo", "", [("Bo", 9)]),
        ("韦玛 看见 诺比", "韦玛看见", "0-5", [("韦玛 看见", 0)]),
        ("Mara saw Bo", "Bo", "8.5", "start: expected whole numbers from 0 on, found '8.5'"),
        ("Mara saw Bo", "Bo", "-1", "start: expected whole numbers from 0 on, found '-1'"),
        ("Mara saw Bo", "Bo", "[0, 9]", "answers: 'Bo' is not what stands in the context at 0"),
        ("Mara saw Bo", "Mara", "[0, 10]", "answers: 'Mara' is not what stands in the context at 10"),
    ],
)  # fmt: skip
def test_numbers_are_starts_or_start_and_end_by_what_stands_there(
    run: Prepare, context: str, answer: str, start: str, expected: Any
) -> None:
    rows = [
        {"question": f"Who {i}?", "context": f"{context} ({i})", "answer": answer, "at": start}
        for i in range(20)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    where: Any = {"format": "jsonl", "fields": {"answer": "answer", "start": "at"}}
    if isinstance(expected, str):
        with pytest.raises(UserError, match=re.escape(expected)):
            run("questions", {"a.jsonl": content}, **where)
    else:
        answers = [{"text": text, "start": place} for text, place in expected]
        assert all(e["answers"] == answers for e in _all(run("questions", {"a.jsonl": content}, **where)))


def test_the_types_of_head_and_tail_are_renamed_as_labels_are(run: Prepare) -> None:
    sentence = {
        "entities": [{"type": "PER", "start": 0, "end": 1}, {"type": "ORG", "start": 2, "end": 3}],
        "relations": [{"type": "Found", "head": 0, "tail": 1}],
    }
    spert = json.dumps([{**sentence, "tokens": ["Mara", "founded", "Norbi", str(i)]} for i in range(20)])
    names = {"PER": "person", "Found": "founded"}
    where: Any = {"format": "spert", "options": {"none": "none"}, "label_names": names}
    found = _all(run("relations", {"a.json": spert}, **where))
    assert {(e["head"]["label"], e["tail"]["label"], e["label"]) for e in found} == {
        ("person", "ORG", "founded"),
        ("ORG", "person", "none"),
    }
    head, tail = {"start": 0, "end": 4, "label": "PER"}, {"start": 5, "end": 9}
    row = {"text": "Mara Norb", "head": head, "tail": tail, "label": "Found"}
    with pytest.raises(UserError, match=r"a\.jsonl:1: tail: expected start, end and label"):
        run("relations", {"a.jsonl": json.dumps(row)}, format="jsonl", train="a.jsonl", label_names=names)


MULTI: dict[str, Any] = {
    "labels": ["food", "price"],
    "data": {"multi_label": True},
    "gate": {"metric": "micro_f1"},
}


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl", "text"])
def test_several_labels_in_a_cell_are_divided(run: Prepare, form: str) -> None:
    rows = [(f"good {i}", ("food | price", "food", "")[i % 3]) for i in range(30)]
    options: dict[str, Any] = {"separator": "|"}
    content: str | bytes = ""
    if form in ("csv", "tsv"):
        content = "\n".join(("," if form == "csv" else "\t").join(row) for row in [("text", "label"), *rows])
    elif form == "jsonl":
        content = "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows)
    elif form == "text":
        options["pattern"] = "(?P<text>[^:]*):(?P<label>.*)"
        content = "\n".join(map(":".join, rows))
    else:
        table = io.BytesIO()
        polars.DataFrame({"text": [t for t, _ in rows], "label": [n for _, n in rows]}).write_parquet(table)
        content = table.getvalue()
    found = _all(run("sentiment", {"a.x": content}, format=form, options=options, task=MULTI))
    labels = [["food", "price"], ["food"], []]
    assert {e["text"]: e["label"] for e in found} == {f"good {i}": labels[i % 3] for i in range(30)}


def test_columns_of_0_and_1_are_labels(run: Prepare) -> None:
    rows = "".join(f"good {i},{i % 2},{'True' if i % 4 else 'False'}\n" for i in range(20))
    data: Any = {"format": "csv", "task": MULTI, "label_names": {"pricey": "price"}}
    fields = {"label": ["food", "pricey"]}
    found = _all(run("sentiment", {"a.csv": f"text,food,pricey\n{rows}"}, fields=fields, **data))
    assert {e["text"]: e["label"] for e in found} == {
        f"good {i}": ["food"] * (i % 2) + ["price"] * (i % 4 > 0) for i in range(20)
    }
    with pytest.raises(UserError, match=r"a\.csv:2: label: expected 1 or 0 in 'pricey', found '-1'"):
        run("sentiment", {"a.csv": "text,food,pricey\ngood,1,-1\n"}, fields=fields, **data)
    with pytest.raises(UserError, match=r"a\.csv:1: no column 'pricey'"):
        run("sentiment", {"a.csv": "text,food\ngood,1\n"}, fields=fields, **data)
    with pytest.raises(UserError, match=r"expected a list of labels, found 'a\|b'; data\.options\.separator"):
        run("sentiment", {"a.csv": "text,label\ngood,a|b\n"}, **data)


@pytest.mark.parametrize(
    ("tags", "scheme", "labels", "expected"),
    [
        ("B I O", "iob2", ["person"], [("Mara Velt", "person")]),
        ("I I O", "iob1", ["person"], [("Mara Velt", "person")]),
        ("B E S", "bioes", ["person"], [("Mara Velt", "person"), ("met", "person")]),
        ("B_person I_person O", "iob2", ["person", "place"], [("Mara Velt", "person")]),
        ("B N O", "tags", ["B", "N", "O"], [("Mara", "B"), ("Velt", "N"), ("met", "O")]),
    ],
)
@pytest.mark.parametrize("form", ["conll", "jsonl"])
def test_tags_without_a_hyphen_or_without_a_place(
    run: Prepare, form: str, tags: str, scheme: str, labels: list[str], expected: Any
) -> None:
    rows = [(["Mara", "Velt", "met", str(i)], [*tags.split(), tags.split()[-1]]) for i in range(20)]
    data: Any = {"format": form, "task": {"labels": labels}, "options": {"scheme": scheme}}
    if form == "conll":
        data["options"] = {} if scheme != "tags" else data["options"]  # the others are found
        sentences = ["\n".join(map(" ".join, zip(*row, strict=True))) for row in rows]
        content = "\n\n".join(sentences)
    else:
        content = "\n".join(json.dumps({"tokens": tokens, "tags": row}) for tokens, row in rows)
        data["fields"] = {"tokens": "tokens"}
    found = _all(run("entities", {"a.txt": content}, **data))
    for example in found:
        spans = [(example["text"][s["start"] : s["end"]], s["label"]) for s in example["spans"]]
        assert spans[: len(expected)] == expected


def test_a_tag_without_a_label_is_told_where_the_task_has_several(run: Prepare) -> None:
    with pytest.raises(UserError, match=r"a\.txt:1: tag: 'B' \(token 1\) is not O or a place and a label"):
        run("entities", {"a.txt": "Mara B\nmet O\n"}, format="conll")


@pytest.mark.parametrize(
    "names", [("role", "content", "user", "assistant"), ("from", "value", "human", "gpt")]
)
def test_chats_are_dialogues(run: Prepare, names: tuple[str, ...]) -> None:
    role, text, user, assistant = names
    chats = [[{role: user, text: f"你好 {i}"}, {role: assistant, text: "Hello."}] for i in range(20)]
    content = "\n".join(json.dumps({"messages": chat}) for chat in chats)
    where: Any = {"format": "jsonl", "fields": {"turns": "messages"}}
    found = _all(run("dialogue", {"a.jsonl": content}, **where))
    assert {json.dumps(e["turns"]) for e in found} == {
        json.dumps([{"role": "user", "text": f"你好 {i}"}, {"role": "assistant", "text": "Hello."}])
        for i in range(20)
    }
    content = json.dumps({"messages": [{role: "system", text: "Be kind."}, *chats[0]]})
    with pytest.raises(UserError, match="turns: turn 1 has the role 'system'; expected user or assistant"):
        run("dialogue", {"a.jsonl": content}, **where)


def test_a_space_may_be_a_token_before_a_tab(run: Prepare) -> None:
    content = "".join(f"韦\tB-person\n玛\tI-person\n \tO\n{i % 10}\tO\n来\tO\n\n" for i in range(20))
    found = _all(run("entities", {"a.txt": content}, format="conll"))
    assert {e["text"] for e in found} == {f"韦玛 {i}来" for i in range(10)}
    assert {(s["start"], s["end"]) for e in found for s in e["spans"]} == {(0, 2)}


def test_comments_without_a_space_are_comments_where_others_are(run: Prepare) -> None:
    sentence = "#id {0}\n# text {0}\n#go{0}\tO\nMara\tB-person\n\n"
    content = "".join(sentence.format(i) for i in range(20))
    found = _all(run("entities", {"a.txt": content}, format="conll"))
    assert {e["text"] for e in found} == {f"#go{i} Mara" for i in range(20)}
    task = {"labels": ["N", "V"]}
    content = "".join(f"# text {i}\n#go{i} V\nMara N\n\n" for i in range(20))
    found = _all(run("entities", {"a.txt": content}, format="conll", options={"scheme": "tags"}, task=task))
    assert {e["text"] for e in found} == {f"#go{i} Mara" for i in range(20)}
    content = "".join(f"# text {i}\n#go{i} B\nMara I\n\n" for i in range(20))
    found = _all(run("entities", {"a.txt": content}, format="conll", task={"labels": ["person"]}))
    assert {e["text"] for e in found} == {f"#go{i} Mara" for i in range(20)}


@pytest.mark.parametrize("form", ["conll", "text"])
def test_marks_of_files_put_together_stay_in_no_text(run: Prepare, form: str) -> None:
    line = {"conll": "good{0}\tB-person\n\n", "text": "1 good{0}\n"}[form]
    content = "".join(f"\ufeff{line.format(i)}" for i in range(20))
    data: Any = {"options": {"pattern": r"(?P<label>\d) (?P<text>.*)"}, **SENTIMENT} if form == "text" else {}
    found = _all(run("entities" if form == "conll" else "sentiment", {"a.txt": content}, format=form, **data))
    assert {e["text"] for e in found} == {f"good{i}" for i in range(20)}


def test_files_of_macos_are_left_out_and_capitals_read(run: Prepare) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "text,label\n" + "".join(f"good {i},1\n" for i in range(20)))
        archive.writestr("__MACOSX/._a.csv", b"\x00\x05\x16\x07")
    found = run("sentiment", {"ALL.ZIP": packed.getvalue()}, format="csv", **SENTIMENT)
    assert len(_all(found)) == 20
    lines = gzip.compress("".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in ROWS).encode())
    assert len(_all(run("sentiment", {"A.JSONL.GZ": lines}, format="jsonl", **SENTIMENT))) == len(ROWS)


@pytest.mark.parametrize(
    ("label", "told"),
    [("1_000", "found '1_000'$"), ("3,5", "found '3,5'; its decimal sign has to be a point")],
)
def test_numbers_as_others_write_them_are_told(run: Prepare, label: str, told: str) -> None:
    task = {"labels": None, "data": {"regression": True}, "gate": {"metric": "pearson"}}
    content = json.dumps({"text": "good", "label": label})
    with pytest.raises(UserError, match=rf"a\.jsonl:1: label: expected a number, {told}"):
        run("sentiment", {"a.jsonl": content}, format="jsonl", task=task)


def test_true_is_no_offset(run: Prepare) -> None:
    span = {"start": False, "end": True, "label": "person"}
    with pytest.raises(UserError, match="spans: start and end must be whole numbers, found False and True"):
        run("entities", {"a.jsonl": json.dumps({"text": "Mara", "spans": [span]})}, format="jsonl")
    answer = {"text": "ara", "start": True}
    row = {"question": "Who?", "context": "Mara", "answers": [answer]}
    with pytest.raises(UserError, match="answers: 'ara' is not what stands in the context at True"):
        run("questions", {"a.jsonl": json.dumps(row)}, format="jsonl")


def test_the_folder_of_a_file_is_the_label_of_its_lines(run: Prepare) -> None:
    files = {
        f"{label}/a.txt": "".join(f"{label} {i}\n" for i in range(20)) for label in ("positive", "negative")
    }
    options = {"label": "folder"}
    found = _all(run("sentiment", files, format="text", train="*/a.txt", options=options))
    assert len(found) == 40
    assert all(e["text"].startswith(e["label"]) for e in found)
    with pytest.raises(UserError, match=r"options\.label: expected folder, found 'file'"):
        run("sentiment", files, format="text", train="*/a.txt", options={"label": "file"})
