"""Rows of JSON lines as the graph reads them, checked one by one before a model is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.records import half_character, read_jsonl
from textmill.tasks.readers.row import shorten, writable


def read_rows(path: Path, known: bool = False) -> Iterator[dict[str, Any]]:
    """Texts with what is known of them: entities and relations between them, or a pair and its relation.

    Raises UserError that names file, line and field of a row that is none; with ``known`` a row of which
    nothing is known is none either.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    for row, number in zip(read_jsonl(path), _lines(path), strict=True):
        if problem := next(_problems(row, known), None):
            raise UserError(f"{path}:{number}: {problem}")
        yield row


def _lines(path: Path) -> Iterator[int]:
    """The numbers of the lines that hold a row: read_jsonl passes over empty ones."""
    with path.open("rb") as file:
        yield from (number for number, line in enumerate(file, 1) if line.strip())


def _problems(row: Any, known: bool) -> Iterator[str]:
    """What is wrong with a row; each problem is looked for as if there were none before it."""
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        yield f"expected an object with a text; found {_shown(row)}"
    if problem := half_character(row):
        yield problem
    if isinstance(row.get("id"), (dict, list)):
        yield f"id: expected text or a number, found {_shown(row['id'])}"
    if known and not row.keys() & {"spans", "head"}:
        yield f"expected spans, or head, tail and label, beside the text; found {shorten(', '.join(row), 60)}"
    if "spans" in row:
        spans, relations = row["spans"], row.get("relations", [])
        for field, found in (("spans", spans), ("relations", relations)):
            if not isinstance(found, list):
                yield f"{field}: expected a list, found {_shown(found)}"
        for number, span in enumerate(spans):
            yield from _span(f"spans[{number}]", span, row["text"])
        for number, relation in enumerate(relations):
            yield from _relation(f"relations[{number}]", relation, len(spans))
    if "head" in row:
        for side in ("head", "tail"):
            yield from _span(side, row.get(side), row["text"])
        if not isinstance(row.get("label"), str):
            yield f"label: expected the relation of head and tail, found {_shown(row.get('label'))}"


def _span(field: str, span: Any, text: str) -> Iterator[str]:
    wanted = (("start", int), ("end", int), ("label", str))
    if not isinstance(span, dict) or not all(isinstance(span.get(name), kind) for name, kind in wanted):
        yield f"{field}: expected an object with the numbers start and end and a label, found {_shown(span)}"
    if not 0 <= span["start"] < span["end"] <= len(text):
        yield f"{field}: {span['start']} to {span['end']} is no part of the text of {len(text)} characters"


def _relation(field: str, relation: Any, count: int) -> Iterator[str]:
    if not isinstance(relation, dict) or not isinstance(relation.get("label"), str):
        yield f"{field}: expected an object with head, tail and label, found {_shown(relation)}"
    for side in ("head", "tail"):
        place = relation.get(side)
        if not isinstance(place, int) or not 0 <= place < count:
            yield f"{field}: {side}: expected a place among {count} spans, from 0 on, found {_shown(place)}"
    score = relation.get("score", 1.0)
    if not isinstance(score, (int, float)) or not 0 <= score <= 1:
        yield f"{field}: score: expected a number from 0 to 1, found {_shown(score)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "nothing" if value is None else writable(shorten(text, 60))
