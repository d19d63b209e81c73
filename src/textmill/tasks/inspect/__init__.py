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
from textmill.tasks.inspect.columns import Shape, leaves, shape, text_of
from textmill.tasks.inspect.formats import Found
from textmill.tasks.inspect.layout import Layout, Names, find
from textmill.tasks.inspect.splits import read
from textmill.tasks.readers.files import open_files
from textmill.tasks.readers.prepare import problem_of
from textmill.tasks.readers.row import lookup, shorten
from textmill.tasks.readers.table import READERS

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
    names, tables, left = read(layout)
    found = tables["train"]
    kind = (
        Shape("token_classification", "text", *_brat_labels(layout))
        if layout.form == "brat"
        else shape(found)
    )
    lines = [f"{path}"]
    for split, table in tables.items():
        shown = path.name if path.is_file() and names[split] == "." else _shown(names[split])
        lines.append(f"{split}: {shown}: {table.format}, {len(table.rows):,} rows")
        lines += [f"  {note}" for note in table.notes]
    lines += [f"left out: {file}" for file in left]
    if layout.left:
        lines.append(f"left out: {shorten(', '.join(layout.left), 200)}")
    here = Path.cwd()
    if any(path.resolve() == place for place in (here, here / "data", *here.parents)):
        lines.append(
            "the pipeline writes below this path, which DVC does not take: "
            "move the files to a folder of their own, such as data/raw/mine"
        )
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
    blocks = _blocks(path, names, found, kind)
    for name, block in blocks.items():
        lines += _bad_rows(name, block)
    return "\n".join([*lines, "", _yaml(blocks)])


def _brat_labels(layout: Layout) -> tuple[list[str], Counter[str]]:
    counts: Counter[str] = Counter()
    for file in open_files(layout.path, layout.names["train"]):
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


def _blocks(path: Path, names: dict[str, Names], found: Found, kind: Shape) -> dict[str, dict[str, Any]]:
    """The block for params.yaml, ready to be pasted; of joint data a second one, for relations."""
    blocks = {_name(path): _block(path, names, found, kind)}
    relations = Counter(
        relation["type"]
        for row in found.rows
        if found.format == "spert"
        for relation in row.get("relations", [])
    )
    if relations:
        both = Shape("relation_classification", "text", ["none", *sorted(relations)])
        block = _block(path, names, found, both)
        block["data"]["options"] = {**found.options, "none": "none"}
        blocks[f"{_name(path)}-relations"] = block
    return blocks


def _bad_rows(name: str, block: dict[str, Any]) -> list[str]:
    """What the block's reader says against the rows of the files, all of them."""
    data = TaskData.model_validate_json(json.dumps(block["data"]))
    labels = tuple(block["labels"]) if block["labels"] else None
    task = Task.model_construct(
        family=block["family"], labels=labels, multi_label=block.get("multi_label", False), data=data
    )
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


def _block(path: Path, names: dict[str, Names], found: Found, kind: Shape) -> dict[str, Any]:
    family = kind.family or ""
    texts = [lookup(row, "target") if found.format == "pairs" else text_of(row, kind) for row in found.rows]
    languages = [code for code, share in _languages(texts) if share >= 0.1 and code != "und"]
    data: dict[str, Any] = {"format": found.format, "path": str(path)}
    data |= {split: list(name) if isinstance(name, tuple) else name for split, name in names.items()}
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
        **({"multi_label": True} if kind.multi_label else {}),
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
