"""``textmill inspect PATH``: what labelled files hold, and the ``tasks:`` block that would read them."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from textmill.corpus.language import identify
from textmill.params import Task, TaskData
from textmill.tasks.inspect.columns import Shape, keys, leaves, shape, text_of
from textmill.tasks.inspect.formats import ROWS, Found, detect, whole
from textmill.tasks.inspect.layout import Layout, Names, find
from textmill.tasks.readers.files import File, open_files
from textmill.tasks.readers.prepare import problem_of
from textmill.tasks.readers.row import lookup, shorten
from textmill.tasks.readers.table import READERS
from textmill.tasks.readers.tables import halves, parse_json

__all__ = ["inspect"]

BAD_SHOWN = 3
SAMPLE = 500  # texts whose language is identified
METRICS = {
    "sequence_classification": "accuracy",
    "relation_classification": "macro_f1",
    "token_classification": "f1",
    "span_extraction": "f1",
    "sequence_to_sequence": "chrf",
    "dialogue": "chrf",
}
MODELS = {"sequence_to_sequence": "seq2seq", "dialogue": "decoder"}


def inspect(path: str | Path) -> str:
    """A printable report: format, columns, rows, labels, lengths, languages, duplicates, leakage between the
    splits, and the block of ``params.yaml`` that reads the files.

    Raises UserError where there is nothing that can be read.
    """
    path = Path(path)
    layout = find(path)
    names, tables = _read(layout)
    found = tables["train"]
    kind = (
        Shape("token_classification", "text", *_brat_labels(layout))
        if layout.form == "brat"
        else shape(found)
    )
    lines = [f"{path}"]
    for split, table in tables.items():
        more = " (the first ones)" if len(table.rows) >= ROWS else ""
        lines.append(f"{split}: {_shown(names[split])}: {table.format}, {len(table.rows):,} rows{more}")
        lines += [f"  {note}" for note in table.notes]
    if layout.left:
        lines.append(f"left out: {shorten(', '.join(layout.left), 200)}")
    lines += ["", *_columns(found), "", *_texts(found, kind)]
    train = {text_of(row, kind) for row in found.rows}
    lines.append(f"duplicates: {len(found.rows) - len(train):,} rows repeat a text")
    for split, table in tables.items():
        if split != "train":
            leaked = sum(text_of(row, kind) in train for row in table.rows)
            lines.append(f"leakage: {leaked:,} of {len(table.rows):,} {split} rows are in train too")
    if kind.family is None:
        told = "No column looks like labels, so which task this is cannot be told."
        if found.format == "text":
            told += " Take the lines apart with data.options.pattern: a regular expression with named groups."
        return "\n".join([*lines, "", told])
    blocks = _blocks(path, layout.folder, names, found, kind)
    for name, block in blocks.items():
        lines += _bad_rows(name, block)
    return "\n".join([*lines, "", _yaml(blocks)])


def _read(layout: Layout) -> tuple[dict[str, Names], dict[str, Found]]:
    """The files and rows of each split: of several files, the first of the same form as train's."""
    names = dict(layout.names)
    tables = {"train": _table(layout, names["train"])}
    first = tables["train"]
    for split, key in first.keys.items():
        if split != "train":
            file = open_files(layout.folder, str(names["train"]))[0]
            rows = parse_json(file, first.options.get("encoding"))[key][:ROWS]
            names[split], tables[split] = names["train"], whole(file, Found("jsonl", rows))
    for split in [split for split in names if split not in tables]:
        candidates: list[Names] = [*layout.other.get(split, [])] or [names[split]]
        for name in candidates:
            table = _table(layout, name)
            if table.format == first.format and keys(table.rows) == keys(first.rows):
                names[split], tables[split] = name, table
                break
        else:
            first.notes.append(f"{split}: {_shown(names[split])} is of another form, and is left out")
            del names[split]
    return names, tables


def _table(layout: Layout, names: Names) -> Found:
    """The rows of a split."""
    files = open_files(layout.folder, names)
    if layout.form == "pairs":
        one, other = ([line for f in part for line in f.lines()] for part in halves(files, "train"))
        return Found("pairs", [{"source": a, "target": b} for a, b in zip(one, other, strict=False)][:ROWS])
    if layout.form == "brat":
        return Found("brat", [{"text": f.text()} for f in files if f.name.endswith(".txt")][:ROWS])
    if len(files) > 1:  # a pattern: each file is an example
        rows = [{"text": _text(file)} for file in files[:ROWS]]
        return Found("text", rows, {"unit": "file"})
    return detect(files[0])


def _text(file: File) -> str:
    return file.content.decode("utf-8", "replace")


def _brat_labels(layout: Layout) -> tuple[list[str], Counter[str]]:
    counts: Counter[str] = Counter()
    for file in open_files(layout.folder, layout.names["train"]):
        if file.name.endswith(".ann"):
            counts.update(re.findall(r"^T\S+\t(\S+) ", file.text(), re.MULTILINE))
    return sorted(counts), counts


def _shown(names: Names) -> str:
    return names if isinstance(names, str) else " + ".join(names)


def _columns(found: Found) -> list[str]:
    lines = ["columns:"]
    for key in leaves(found.rows):
        values = [lookup(row, key) for row in found.rows]
        missing = sum(value in (None, "") for value in values)
        different = len({json.dumps(value, ensure_ascii=False, default=str) for value in values})
        example = shorten(str(next((v for v in values if v not in (None, "")), "")).replace("\n", " "), 50)
        empty = f", {missing:,} empty" if missing else ""
        lines.append(f"  {key}: {different:,} different{empty}, e.g. {example!r}")
    return lines


def _texts(found: Found, kind: Shape) -> list[str]:
    texts = [text_of(row, kind) for row in found.rows]
    lengths = np.array([len(text) for text in texts])
    quantiles = ", ".join(f"{int(q)}" for q in np.quantile(lengths, [0.05, 0.5, 0.95]))
    languages = ", ".join(f"{code} {share:.0%}" for code, share in _languages(texts)[:5])
    lines = [
        f"text ({kind.text}): characters at 5%, 50%, 95%: {quantiles}; the longest {lengths.max():,}",
        f"languages: {languages}",
        f"empty texts: {sum(not text.strip() for text in texts):,}",
    ]
    if kind.counts:
        total = sum(kind.counts.values())
        shown = ", ".join(
            f"{label} {count:,} ({count / total:.0%})" for label, count in kind.counts.most_common(12)
        )
        lines.append(f"labels: {len(kind.counts)}: {shown}{' ...' if len(kind.counts) > 12 else ''}")
    return lines


def _languages(texts: list[str]) -> list[tuple[str, float]]:
    """The languages of some texts and their shares; short texts are put together, for one says too little."""
    chosen = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
    joined = [" ".join(chosen[i : i + 5]) for i in range(0, len(chosen), 5)]
    counts = Counter(identify(joined)["language"].to_list())
    return [(code, count / len(joined)) for code, count in counts.most_common()]


def _blocks(
    path: Path, folder: Path, names: dict[str, Names], found: Found, kind: Shape
) -> dict[str, dict[str, Any]]:
    """The block for params.yaml, ready to be pasted; of joint data a second one, for relations."""
    blocks = {_name(path): _block(folder, names, found, kind)}
    relations = Counter(
        relation["type"]
        for row in found.rows
        if found.format == "spert"
        for relation in row.get("relations", [])
    )
    if relations:
        both = Shape("relation_classification", "text", ["none", *sorted(relations)])
        block = _block(folder, names, found, both)
        block["data"]["options"] = {**found.options, "none": "none"}
        blocks[f"{_name(path)}-relations"] = block
    return blocks


def _bad_rows(name: str, block: dict[str, Any]) -> list[str]:
    """What the block's reader says against the rows of the files, all of them."""
    data = TaskData.model_validate_json(json.dumps(block["data"]))
    labels = tuple(block["labels"]) if block["labels"] else None
    task = Task.model_construct(family=block["family"], labels=labels, data=data)
    problems, count = [], 0
    for split in ("train", "dev", "test"):
        if split in block["data"]:
            for row in READERS[data.format](open_files(Path(data.path), block["data"][split]), task, split):
                count += 1
                problem = row.problem or problem_of(row.example or {}, task)
                if problem:
                    problems.append(f"  {row.place}: {problem}")
    what = f"bad rows for {name}: {len(problems):,} of {count:,}"
    if not problems:
        return [what]
    return [f"{what}; mend them, or set data.on_bad_row: skip", *problems[:BAD_SHOWN]]


def _block(folder: Path, names: dict[str, Names], found: Found, kind: Shape) -> dict[str, Any]:
    family = kind.family or ""
    texts = [lookup(row, "target") if found.format == "pairs" else text_of(row, kind) for row in found.rows]
    languages = [code for code, share in _languages(texts) if share >= 0.1 and code != "und"]
    data: dict[str, Any] = {"format": found.format, "path": str(folder)}
    data |= {split: list(name) if isinstance(name, tuple) else name for split, name in names.items()}
    if kind.multi_label:
        data["multi_label"] = True
    if options := {**found.options, **kind.options}:
        data["options"] = options
    # These tell the reader how the table is built, so they are named though the columns are called so.
    telling = ("answer", "start", "tokens")
    fields = {name: key for name, key in kind.fields.items() if name != key or name in telling}
    if fields:
        data["fields"] = fields
    return {
        "family": family,
        "model": MODELS.get(family, "encoder"),
        "languages": languages or ["en"],
        "labels": kind.labels,
        "data": data,
        "finetune": {"budget": {"epochs": 4}},
        "gate": {"metric": METRICS[family], "min": None, "above_baseline": True},
    }


def _yaml(blocks: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    out = io.StringIO()
    yaml = YAML()
    yaml.width = 110
    yaml.dump({"tasks": blocks}, out)
    return out.getvalue().rstrip()


def _name(path: Path) -> str:
    base = path.name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"[^a-z0-9_-]+", "-", base.lower()).strip("-_0123456789") or "mine"
