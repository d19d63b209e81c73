"""``textmill inspect PATH``: what labelled files hold, and the ``tasks:`` block that would read them."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from textmill.inspect.columns import SAMPLE, languages, leaves
from textmill.inspect.formats import Found
from textmill.inspect.layout import Layout, Names, find
from textmill.inspect.shapes import UNTOLD, Shape, labelled, related, said, shape, text_of
from textmill.inspect.splits import read
from textmill.params import Task, TaskData
from textmill.tasks.readers.files import open_files
from textmill.tasks.readers.prepare import problem_of
from textmill.tasks.readers.row import lookup, shorten
from textmill.tasks.readers.table import READERS

__all__ = ["inspect"]

BAD_SHOWN = 3
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
        labelled("token_classification", "text", _brat_labels(layout, "T"))
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
    train = {said(row, kind) for row in found.rows}
    lines.append(f"duplicates: {len(found.rows) - len(train):,} rows repeat a text")
    for split, table in tables.items():
        if split != "train":
            leaked = sum(said(row, kind) in train for row in table.rows)
            lines.append(f"leakage: {leaked:,} of {len(table.rows):,} {split} rows are in train too")
    if kind.family is None:
        told = UNTOLD
        if found.format == "text":
            told += (
                "\nTake the lines apart with data.options.pattern: a regular expression with named groups."
            )
        return "\n".join([*lines, "", told])
    blocks = _blocks(path, names, found, kind, _relations(layout, found))
    for name, block in blocks.items():
        problems, count = _problems(block)
        lines.append(f"bad rows for {name}: {len(problems):,} of {count:,}")
        if problems:
            lines[-1] += "; mend them, or set data.on_bad_row: skip"
            lines += problems[:BAD_SHOWN]
        if kind.told and len(problems) == count:
            return "\n".join([*lines, "", kind.told])
    return "\n".join([*lines, "", _yaml(blocks)])


def _brat_labels(layout: Layout, kind: str) -> Counter[str]:
    """How many annotations of each label there are, T for spans and R for relations."""
    counts: Counter[str] = Counter()
    for file in open_files(layout.path, layout.names["train"]):
        if file.name.endswith(".ann"):
            counts.update(re.findall(rf"^{kind}\S+\t(\S+) ", file.text(), re.MULTILINE))
    return counts


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
    shares = ", ".join(f"{code} {share:.0%}" for code, share in languages(texts)[:5])
    lines = [
        f"text ({kind.text}): characters at 5%, 50%, 95%: {quantiles}; the longest {lengths.max():,}",
        f"languages{f' of {SAMPLE} texts' if len(texts) > SAMPLE else ''}: {shares}",
        f"empty texts: {sum(not text.strip() for text in texts):,}",
    ]
    if kind.numbers:
        low, high, mean = min(kind.numbers), max(kind.numbers), float(np.mean(kind.numbers))
        lines.append(f"label ({kind.fields['label']}): numbers from {low:g} to {high:g}, mean {mean:.3g}")
    if kind.counts:
        total = sum(kind.counts.values())
        shown = ", ".join(
            f"{label} {count:,} ({count / total:.0%})" for label, count in kind.counts.most_common(12)
        )
        lines.append(f"labels: {len(kind.counts)}: {shown}{' ...' if len(kind.counts) > 12 else ''}")
        if spaced := {label: label.strip() for label in sorted(kind.counts) if label != label.strip()}:
            lines.append(f"labels with spaces around them: mend them, or set data.label_names to {spaced}")
    return lines


def _blocks(
    path: Path, names: dict[str, Names], found: Found, kind: Shape, relations: Counter[str]
) -> dict[str, dict[str, Any]]:
    """The block for params.yaml, ready to be pasted; of joint data a second one, for relations."""
    blocks = {_name(path): _block(path, names, found, kind)}
    if relations:
        none = "none" if "none" not in relations else "no relation"
        both = Shape("relation_classification", "text", [none, *sorted(relations)])
        block = _block(path, names, found, both)
        block["data"]["options"] = {**found.options, "none": none}
        blocks[f"{_name(path)}-relations"] = block
    return blocks


def _relations(layout: Layout, found: Found) -> Counter[str]:
    """How many relations of each label stand beside the entities of train."""
    if layout.form == "brat":
        return _brat_labels(layout, "R")
    given = [part for row in found.rows for part in related(row, found.format)]
    return Counter(label for label in given if isinstance(label, str) and label)


def _problems(block: dict[str, Any]) -> tuple[list[str], int]:
    """What the block's reader says against the rows of the files, and of how many, all of them."""
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
    return problems, count


def _block(path: Path, names: dict[str, Names], found: Found, kind: Shape) -> dict[str, Any]:
    family = kind.family or ""
    texts = [
        str(lookup(row, kind.fields["target"])) if "target" in kind.fields else text_of(row, kind)
        for row in found.rows
    ]
    spoken = [code for code, share in languages(texts) if share >= 0.1 and code != "und"]
    data: dict[str, Any] = {"format": found.format, "path": str(path)}
    data |= {split: list(name) if isinstance(name, tuple) else name for split, name in names.items()}
    data |= {"multi_label": True} if kind.multi_label else {}
    data |= {"regression": True} if kind.numbers else {}
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
        "languages": spoken or ["en"],
        "labels": kind.labels,
        "data": data,
        "finetune": {"budget": {"epochs": 4}},
        "gate": {
            "metric": "pearson" if kind.numbers else METRICS[family],
            "min": None,
            "above_baseline": True,
        },
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
