"""``textmill inspect PATH``: what a file of labels holds, and the ``tasks:`` block that would read it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textmill.errors import UserError
from textmill.tasks.readers.files import File, open_files
from textmill.tasks.readers.row import shorten
from textmill.tasks.words import has_han

ROWS = 20000  # rows that are looked at
FEW = 200  # different values that a column of labels has at most
SPLITS = {"train": ("train",), "dev": ("dev", "valid", "val"), "test": ("test",)}
TEXT_NAMES = ("text", "sentence", "review", "content", "text_a", "utterance", "question", "body", "comment")
LABEL_NAMES = ("label", "labels", "class", "category", "intent", "sentiment", "target", "y")


def inspect(path: str | Path) -> str:
    """A printable report: format, columns, rows, labels, lengths, languages, duplicates, leakage between the
    splits of a folder, and the block of ``params.yaml`` that reads it.

    Raises UserError where there is nothing that can be read.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    splits = _splits(path)
    lines = [f"{path}"]
    tables: dict[str, tuple[dict[str, Any], list[Any]]] = {}
    for split, file in splits.items():
        found, rows = detect(open_files(path.parent if path.is_file() else path, file.name)[0])
        tables[split] = (found, rows)
    found, rows = tables["train"]
    shape = _shape(found, rows)
    for split, (kind, part) in tables.items():
        more = " (the first ones)" if len(part) >= ROWS else ""
        lines.append(f"{split}: {splits[split].name}: {kind['format']}, {len(part):,} rows{more}")
    lines += ["", *_columns(rows), "", *_texts(rows, shape)]
    train = {_text(row, shape) for row in rows}
    lines.append(f"duplicates: {len(rows) - len(train):,} rows repeat a text")
    for split, (_, part) in tables.items():
        if split != "train":
            leaked = sum(_text(row, shape) in train for row in part)
            lines.append(f"leakage: {leaked:,} of {len(part):,} {split} rows are in train too")
    lines += ["", _block(path, splits, found, rows, shape)]
    return "\n".join(lines)


def detect(file: File) -> tuple[dict[str, Any], list[Any]]:
    """The format of a file with its options, and its first rows: mappings, lists, or (text, spans)."""
    if file.content.startswith(b"PAR1"):
        import polars

        return {"format": "parquet", "options": {}}, polars.read_parquet(io.BytesIO(file.content)).head(
            ROWS
        ).to_dicts()
    options: dict[str, Any] = {}
    try:
        lines = file.lines()
    except UserError:
        options["encoding"] = "gb18030" if _decodes(file, "gb18030") else "latin-1"
        lines = file.lines(options["encoding"])
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise UserError(f"{file.name}: the file is empty")
    text = "\n".join(lines)
    if filled[0].lstrip()[:1] in "[{":
        return _json(file, text, filled, options)
    if _is_conll(lines):
        from textmill.tasks.readers.conll import find_scheme

        sentences = [block.splitlines() for block in re.split(r"\n\s*\n", text) if block.strip()][:ROWS]
        tags = [[line.split()[-1] for line in sentence if line.split()] for sentence in sentences]
        rows = [
            {"text": " ".join(line.split()[0] for line in s if line.split()), "tags": t}
            for s, t in zip(sentences, tags, strict=True)
        ]
        return {"format": "conll", "options": options, "scheme": find_scheme(tags)}, rows
    return _table(filled, options, file)


def _json(
    file: File, text: str, filled: Sequence[str], options: dict[str, Any]
) -> tuple[dict[str, Any], list[Any]]:
    try:
        rows = [json.loads(line) for line in filled[:ROWS]]
        if (
            len(filled) > 1
            or not isinstance(rows[0], list)
            or not rows[0]
            or not isinstance(rows[0][0], (dict, list))
        ):
            kind = "doccano" if isinstance(rows[0], dict) and _has_triples(rows[0]) else "jsonl"
            if not (len(filled) == 1 and isinstance(rows[0], dict) and _lists(rows[0])):
                return {"format": kind, "options": options}, rows
    except json.JSONDecodeError:
        pass
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file.name}:{error.lineno}: not JSON at column {error.colno}: {error.msg}"
        ) from None
    if isinstance(tree, dict) and "data" in tree and tree["data"] and "paragraphs" in tree["data"][0]:
        rows = [
            {"question": q["question"], "context": p["context"], "answers": q.get("answers", [])}
            for article in tree["data"] for p in article["paragraphs"] for q in p["qas"]
        ]  # fmt: skip
        return {"format": "squad", "options": options}, rows[:ROWS]
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        if "tokens" in tree[0]:
            rows = [{**row, "text": " ".join(row["tokens"])} for row in tree[:ROWS]]
            return {"format": "spert", "options": options}, rows
        if "annotations" in tree[0]:
            return {"format": "label_studio", "options": options}, [
                {"text": row["data"].get("text", ""), "annotations": row["annotations"]}
                for row in tree[:ROWS]
            ]
    if isinstance(tree, dict) and _lists(tree):
        key = "train" if "train" in tree else _lists(tree)[0]
        return {"format": "jsonl", "options": {**options, "key": key}}, tree[key][:ROWS]
    return {"format": "jsonl", "options": options}, (tree if isinstance(tree, list) else [tree])[:ROWS]


def _table(lines: Sequence[str], options: dict[str, Any], file: File) -> tuple[dict[str, Any], list[Any]]:
    """The delimiter that cuts most lines into the same number of cells, at least two."""
    shown = lines[:500]
    best, share = "", 0.0
    for delimiter in ("\t", ",", ";", "|"):
        widths = Counter(len(cells) for cells in _cells(shown, delimiter))
        width, count = widths.most_common(1)[0]
        if width > 1 and count / max(sum(widths.values()), 1) > share:
            best, share = delimiter, count / sum(widths.values())
    if not best or share < 0.8:
        found = [{"text": line} for line in lines[:ROWS]]
        return {"format": "text", "options": options}, found
    rows = _cells(lines[:ROWS], best)
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    first = rows[0]
    # A header has short cells, none twice, and no value that its column has again.
    header = len(set(first)) == len(first) and all(0 < len(cell) <= 40 for cell in first)
    header = header and not any(
        cell in {row[i] for row in rows[1:] if len(row) > i} for i, cell in enumerate(first)
    )
    header = header and not any(re.fullmatch(r"[\d.,-]+", cell) for cell in first)
    kind = "tsv" if best == "\t" else "csv"
    if kind == "csv" and best != ",":
        options["delimiter"] = best
    if not header:
        options["header"] = False
        return {"format": kind, "options": options}, [row for row in rows if len(row) == width]
    return {"format": kind, "options": options}, [
        dict(zip(first, row, strict=True)) for row in rows[1:] if len(row) == width
    ]


def _cells(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    quoting: Any = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    csv.field_size_limit(2**31 - 1)
    return [
        row for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, quoting=quoting) if row
    ]


def _shape(found: dict[str, Any], rows: list[Any]) -> dict[str, Any]:
    """The likely family, the fields that hold text and label, and the labels."""
    if found["format"] in ("squad",):
        return {"family": "span_extraction", "text": "context", "labels": None}
    if found["format"] == "conll":
        labels = Counter(
            tag[2:] for row in rows for tag in row["tags"] if tag[:2] in ("B-", "S-", "U-", "I-")
        )
        return {"family": "token_classification", "text": "text", "labels": sorted(labels), "counts": labels}
    if found["format"] == "spert":
        labels = Counter(e["type"] for row in rows for e in row.get("entities", []))
        labels = labels or Counter(
            t[2:] for row in rows for t in row.get("tags", []) if t[:2] in ("B-", "U-")
        )
        return {"family": "token_classification", "text": "text", "labels": sorted(labels), "counts": labels}
    if found["format"] == "doccano":
        labels = Counter(part[2] for row in rows for part in row.get("label", row.get("labels", [])))
        return {"family": "token_classification", "text": "text", "labels": sorted(labels), "counts": labels}
    columns = _keys(rows)
    if "turns" in columns:
        return {"family": "dialogue", "text": "turns", "labels": None}
    if {"source", "target"} <= set(columns):
        return {"family": "sequence_to_sequence", "text": "source", "labels": None}
    if {"question", "context"} <= set(columns):
        return {"family": "span_extraction", "text": "context", "labels": None}
    if "spans" in columns:
        labels = Counter(s["label"] for row in rows for s in row["spans"])
        return {"family": "token_classification", "text": "text", "labels": sorted(labels), "counts": labels}
    values = {key: [_at(row, key) for row in rows] for key in columns}
    short = {
        key: Counter(map(str, column))
        for key, column in values.items()
        if 1 < len(set(map(str, column))) <= min(FEW, max(2, len(rows) // 2))
    }
    lengths = {key: float(np.mean([len(str(v)) for v in column])) for key, column in values.items()}
    text = max(lengths, key=lambda key: (str(key).lower() in TEXT_NAMES, lengths[key]))
    candidates = [key for key in short if key != text]
    if not candidates:
        return {"family": None, "text": text, "labels": None}
    label = max(candidates, key=lambda key: (str(key).lower() in LABEL_NAMES, -len(short[key])))
    return {
        "family": "sequence_classification", "text": text, "label": label,
        "labels": sorted(short[label]), "counts": short[label],
    }  # fmt: skip


def _columns(rows: list[Any]) -> list[str]:
    lines = ["columns:"]
    for key in _keys(rows):
        values = [_at(row, key) for row in rows]
        missing = sum(value in (None, "") for value in values)
        different = len({json.dumps(value, ensure_ascii=False, default=str) for value in values})
        example = shorten(str(next((v for v in values if v not in (None, "")), "")).replace("\n", " "), 50)
        empty = f", {missing:,} empty" if missing else ""
        lines.append(f"  {key}: {different:,} different{empty}, e.g. {example!r}")
    return lines


def _texts(rows: list[Any], shape: dict[str, Any]) -> list[str]:
    texts = [_text(row, shape) for row in rows]
    lengths = np.array([len(text) for text in texts])
    quantiles = ", ".join(f"{int(q)}" for q in np.quantile(lengths, [0.05, 0.5, 0.95]))
    chinese = float(np.mean([has_han(text) for text in texts]))
    lines = [
        f"text ({shape['text']}): characters at 5%, 50%, 95%: {quantiles}; the longest {lengths.max():,}",
        f"languages: Chinese characters in {chinese:.0%} of the texts",
        f"empty texts: {int((lengths == 0).sum()):,}",
    ]
    counts = shape.get("counts")
    if counts:
        total = sum(counts.values())
        shown = ", ".join(
            f"{label} {count:,} ({count / total:.0%})" for label, count in counts.most_common(12)
        )
        lines.append(f"labels: {len(counts)}: {shown}{' ...' if len(counts) > 12 else ''}")
    return lines


def _block(
    path: Path, splits: dict[str, Path], found: dict[str, Any], rows: list[Any], shape: dict[str, Any]
) -> str:
    """The block for params.yaml, ready to be pasted under ``tasks``."""
    from ruamel.yaml import YAML

    family = shape["family"] or "sequence_classification"
    metric = {
        "sequence_classification": "accuracy",
        "relation_classification": "macro_f1",
        "token_classification": "f1",
        "span_extraction": "f1",
        "sequence_to_sequence": "chrf",
        "dialogue": "chrf",
    }[family]
    model = {"sequence_to_sequence": "seq2seq", "dialogue": "decoder"}.get(family, "encoder")
    chinese = float(np.mean([has_han(_text(row, shape)) for row in rows]))
    languages = ["en"] if chinese < 0.1 else ["zh"] if chinese > 0.9 else ["en", "zh"]
    data: dict[str, Any] = {"format": found["format"], "path": str(path if path.is_dir() else path.parent)}
    data |= {split: file.name for split, file in splits.items()}
    if found["options"]:
        data["options"] = found["options"]
    fields = {name: shape[name] for name in ("text", "label") if name in shape and shape[name] != name}
    if fields and found["format"] not in ("conll", "spert", "squad", "doccano", "label_studio"):
        data["fields"] = fields
    block = {
        "family": family, "model": model, "languages": languages, "labels": shape["labels"], "data": data,
        "finetune": {"budget": {"epochs": 4}},
        "gate": {"metric": metric, "min": None, "above_baseline": True},
    }  # fmt: skip
    out = io.StringIO()
    yaml = YAML()
    yaml.width = 110
    yaml.dump({"tasks": {_name(path): block}}, out)
    return out.getvalue().rstrip()


def _splits(path: Path) -> dict[str, Path]:
    """The files of a folder that look like train, dev and test; a file alone is train."""
    if path.is_file():
        return {"train": path}
    files = sorted(file for file in path.iterdir() if file.is_file())
    found: dict[str, Path] = {}
    for split, names in SPLITS.items():
        for file in files:
            if (
                any(re.search(rf"(^|[^a-z]){name}", file.name.lower()) for name in names)
                and split not in found
            ):
                found[split] = file
    if "train" not in found:
        raise UserError(f"{path}: no file here is called train; name one file")
    return found


def _name(path: Path) -> str:
    base = path.name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"[^a-z0-9_-]+", "-", base.lower()).strip("-_0123456789") or "mine"


def _keys(rows: list[Any]) -> list[Any]:
    if rows and isinstance(rows[0], dict):
        return list(dict.fromkeys(key for row in rows[:100] for key in row))
    return list(range(len(rows[0]))) if rows else []


def _at(row: Any, key: Any) -> Any:
    return row.get(key) if isinstance(row, dict) else row[key] if key < len(row) else None


def _text(row: Any, shape: dict[str, Any]) -> str:
    value = _at(row, shape["text"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _has_triples(row: dict[str, Any]) -> bool:
    labels = row.get("label", row.get("labels"))
    return isinstance(labels, list) and bool(labels) and isinstance(labels[0], list) and len(labels[0]) == 3


def _lists(tree: dict[str, Any]) -> list[str]:
    return [k for k, v in tree.items() if isinstance(v, list) and v and isinstance(v[0], (dict, list))]


def _is_conll(lines: Sequence[str]) -> bool:
    """Whether lines are a token and a tag each, with empty lines between."""
    shown = [line for line in lines[:400] if line.strip()]
    tags = sum(bool(re.fullmatch(r"\S+(\s+\S+){0,2}\s+(O|[BIESLU]-\S+)", line)) for line in shown)
    return tags > 0.9 * len(shown) and any(not line.strip() for line in lines[:2000])


def _decodes(file: File, encoding: str) -> bool:
    try:
        file.content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
