"""The format of a file, from its content."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from textmill.errors import UserError
from textmill.tasks.inspect.layout import WORDS
from textmill.tasks.readers.conll import columns_of, find_scheme
from textmill.tasks.readers.documents import SEMEVAL_LINE
from textmill.tasks.readers.files import File

ROWS = 20000  # rows that are looked at
LABELLED = re.compile(r"(?P<label>\S+)\s+(?P<text>.+)")
DIVIDER = re.compile(r"__\w+__")


@dataclass
class Found:
    """A format with the reader's options, its first rows (mappings or lists), and what was noticed."""

    format: str
    rows: list[Any]
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)  # split -> list of it, where one JSON file has several


def detect(file: File) -> Found:
    """The format of a file. Raises UserError where it is empty or broken."""
    if file.content.startswith(b"PAR1"):
        import polars

        return Found("parquet", polars.read_parquet(io.BytesIO(file.content)).head(ROWS).to_dicts())
    options: dict[str, Any] = {}
    notes: list[str] = []
    try:
        lines = file.lines()
    except UserError as error:
        options["encoding"], told = _encoding(file.content)
        notes = [f"encoding: {str(error).partition(';')[0]}; {told}"]
        lines = file.lines(options["encoding"])
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise UserError(f"{file.name}: the file is empty")
    if filled[0].lstrip()[:1] in "[{":
        found = _json(file, "\n".join(lines), filled)
    elif sum(bool(SEMEVAL_LINE.fullmatch(line)) for line in filled[:90]) > len(filled[:90]) // 4:
        found = _semeval(lines)
    elif _is_conll(lines):
        found = _conll(lines)
    else:
        found = _table(filled) or _lines(filled)
    return Found(found.format, found.rows, {**options, **found.options}, notes + found.notes, found.keys)


def _encoding(content: bytes) -> tuple[str, str]:
    """The likeliest encoding of bytes that are not UTF-8, and why: in GB 18030 high bytes stand in pairs."""
    broken, whole = 0, 0
    for line in content.split(b"\n"):
        if not line.isascii():
            try:
                line.decode()
                whole += 1
            except UnicodeDecodeError:
                broken += 1
    if whole > broken:
        return (
            "latin-1",
            f"but {whole:,} lines are and {broken:,} are not: the encodings are mixed, mend the file",
        )
    high = re.findall(rb"[\x80-\xff]+", content)
    paired = sum(len(run) for run in high if len(run) > 1)
    if paired > 0.8 * sum(map(len, high)):
        try:
            content.decode("gb18030")
        except UnicodeDecodeError:
            pass
        else:
            return "gb18030", "read as gb18030"
    return "latin-1", "read as latin-1"


def _json(file: File, text: str, filled: Sequence[str]) -> Found:
    if found := _json_lines(filled):
        return found
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file.name}:{error.lineno}: not JSON at column {error.colno}: {error.msg}"
        ) from None
    if isinstance(tree, dict) and isinstance(tree.get("data"), list) and "paragraphs" in tree["data"][0]:
        rows = [
            {"question": q.get("question"), "context": p.get("context"), "answers": q.get("answers", [])}
            for article in tree["data"] for p in article["paragraphs"] for q in p["qas"]
        ]  # fmt: skip
        return Found("squad", rows[:ROWS])
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        if "tokens" in tree[0]:
            return Found("spert", [{**row, "text": " ".join(row["tokens"])} for row in tree[:ROWS]])
        if "annotations" in tree[0] and isinstance(tree[0].get("data"), dict):
            field_name = max(tree[0]["data"], key=lambda key: (key == "text", len(str(tree[0]["data"][key]))))
            options = {} if field_name == "text" else {"text_field": field_name}
            rows = [{"text": row["data"].get(field_name, ""), **row} for row in tree[:ROWS]]
            return Found("label_studio", rows, options)
    if isinstance(tree, dict) and (lists := _lists(tree)):
        keys = {
            split: next((key for key in lists if key.lower() in words), "") for split, words in WORDS.items()
        }
        keys = {split: key for split, key in keys.items() if key} or {"train": lists[0]}
        if "train" in keys:
            left = [f"{key} ({len(tree[key]):,})" for key in lists if key not in keys.values()]
            notes = [f"lists that are no split: {', '.join(left)}"] if left else []
            return Found("jsonl", tree[keys["train"]][:ROWS], {"key": dict(keys)}, notes, keys)
    return Found("jsonl", (tree if isinstance(tree, list) else [tree])[:ROWS])


def _json_lines(filled: Sequence[str]) -> Found | None:
    """Records line by line; None where the file is one JSON document."""
    try:
        rows = [json.loads(line) for line in filled[:ROWS]]
    except json.JSONDecodeError:
        return None
    if len(filled) == 1:
        only = rows[0]
        if isinstance(only, list) and only and isinstance(only[0], (dict, list)):
            return None
        if isinstance(only, dict) and (_lists(only) and not _is_doccano(only) and "spans" not in only):
            return None
    return Found(
        "doccano" if any(isinstance(row, dict) and _is_doccano(row) for row in rows) else "jsonl", rows
    )


def _is_doccano(row: dict[str, Any]) -> bool:
    labels = row.get("label", row.get("labels"))
    if isinstance(labels, list) and labels and isinstance(labels[0], list) and len(labels[0]) == 3:
        return True
    entities = row.get("entities")
    return isinstance(entities, list) and bool(entities) and "start_offset" in entities[0]


def _lists(tree: dict[str, Any]) -> list[str]:
    return [k for k, v in tree.items() if isinstance(v, list) and v and isinstance(v[0], (dict, list))]


def _semeval(lines: Sequence[str]) -> Found:
    rows = []
    for number, line in enumerate(lines):
        if match := SEMEVAL_LINE.fullmatch(line):
            label = lines[number + 1].strip() if number + 1 < len(lines) else ""
            rows.append({"text": match.group(2), "label": label})
    return Found("semeval", rows[:ROWS])


def _is_conll(lines: Sequence[str]) -> bool:
    """Whether lines are a token and a tag each, with empty lines between."""
    shown = [line for line in lines[:400] if line.strip()]
    tags = sum(bool(re.fullmatch(r"\S+(\s+\S+){0,2}\s+(O|[BIESLU]-\S+)", line)) for line in shown)
    return tags > 0.9 * len(shown) and any(not line.strip() for line in lines[:2000])


def _conll(lines: Sequence[str]) -> Found:
    sentences: list[list[list[str]]] = [[]]
    for line in lines:
        columns = columns_of(line)
        if columns and columns[0] != "-DOCSTART-":
            sentences[-1].append(columns)
        elif sentences[-1]:
            sentences.append([])
    rows = [
        {"text": " ".join(columns[0] for columns in s), "tags": [columns[-1] for columns in s]}
        for s in sentences
        if s
    ][:ROWS]
    scheme = find_scheme([row["tags"] for row in rows])
    return Found("conll", rows, notes=[f"tags: {scheme.upper()}"])


def _table(lines: Sequence[str]) -> Found | None:
    """Rows by the delimiter that cuts most lines into the same number of cells, at least two."""
    shown = lines[:500]
    best, share = "", 0.0
    for delimiter in ("\t", ",", ";", "|"):
        widths = Counter(len(cells) for cells in _cells(shown, delimiter))
        width, count = widths.most_common(1)[0]
        if width > 1 and count / max(sum(widths.values()), 1) > share:
            best, share = delimiter, count / sum(widths.values())
    if not best or share < 0.8:
        return None
    rows = _cells(lines[:ROWS], best)
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    odd = sum(len(row) != width for row in rows)
    notes = [f"rows of another number of columns than {width}: {odd:,}"] if odd else []
    kind = "tsv" if best == "\t" else "csv"
    options: dict[str, Any] = {"delimiter": best} if kind == "csv" and best != "," else {}
    if not _is_header(rows):
        return Found(kind, [row for row in rows if len(row) == width], {**options, "header": False}, notes)
    return Found(
        kind, [dict(zip(rows[0], row, strict=True)) for row in rows[1:] if len(row) == width], options, notes
    )


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """A header has short cells, none twice, no number, and none that its column has again.

    The first cell may be empty: so pandas writes an index.
    """
    first = rows[0]
    if len(set(first)) < len(first) or any(len(cell) > 40 for cell in first) or not all(first[1:]):
        return False
    if any(re.fullmatch(r"[\d.,-]+", cell) for cell in first):
        return False
    return not any(
        cell and cell in {row[i] for row in rows[1:] if len(row) > i} for i, cell in enumerate(first)
    )


def _cells(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    quoting: Any = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    csv.field_size_limit(2**31 - 1)
    text = io.StringIO("\n".join(lines))
    return [row for row in csv.reader(text, delimiter=delimiter, quoting=quoting) if row]


def _lines(lines: Sequence[str]) -> Found:
    """Lines of a label and a text, or of turns with a divider; otherwise lines that need a pattern."""
    dividers = Counter(match for line in lines[:500] for match in DIVIDER.findall(line))
    if dividers and dividers.most_common(1)[0][1] > len(lines[:500]):
        divider = dividers.most_common(1)[0][0]
        turns = [[part.strip() for part in line.split(divider) if part.strip()] for line in lines[:ROWS]]
        return Found("text", [{"turns": said} for said in turns], {"turns": divider})
    matches = [match for line in lines[:ROWS] if (match := LABELLED.fullmatch(line))]
    labels = Counter(match["label"] for match in matches)
    if len(matches) == len(lines[:ROWS]) and 1 < len(labels) <= min(200, len(matches) / 5):
        return Found("text", [match.groupdict() for match in matches], {"pattern": LABELLED.pattern})
    return Found("text", [{"text": line} for line in lines[:ROWS]])
