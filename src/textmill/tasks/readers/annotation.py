"""What annotation tools write: brat, Label Studio, doccano."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.records import BESIDE
from textmill.tasks.readers.files import File
from textmill.tasks.readers.offsets import from_utf16
from textmill.tasks.readers.row import Row, rename_labels, rows_of, shorten
from textmill.tasks.readers.tables import parse_json, parse_line

KEPT = (*BESIDE, "pair")  # fields of an example that pass through a tool's export
EXAMPLE_ID = "example"  # in doccano's files, whose own id is the row's number in the tool


def read_brat(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """A folder of NAME.txt with NAME.ann each: text-bound annotations (T), relations (R) between them.

    Where the offsets fit only a text whose lines end in \\r\\n, the text is kept so.
    """
    texts = {f.name.removesuffix(".txt"): f for f in files if f.name.endswith(".txt")}
    notes = {f.name.removesuffix(".ann"): f for f in files if f.name.endswith(".ann")}
    encoding = task.data.options.get("encoding")
    for name in sorted(texts | notes):
        if name not in texts or name not in notes:
            lacking, found = ("ann", texts[name]) if name in texts else ("txt", notes[name])
            yield Row(found.name, None, f"{lacking}: there is no {name}.{lacking} beside it")
            continue
        file = texts[name]
        both = [file, notes[name]]
        broken = [(f"{f.name}:{n}", bad, line) for f in both for n, line, bad in f.numbered(encoding) if bad]
        if broken:
            place, problem, line = broken[0]
            yield Row(place, None, problem, line)
            continue
        lines = notes[name].lines(encoding)
        problem = ""
        for text in dict.fromkeys((file.text(encoding), file.text(encoding, keep_ends=True))):
            try:
                spans, relations = _brat_notes(text, lines)
            except ValueError as error:
                problem = problem or str(error)
            else:
                place, item = f"{name}.txt", {"text": text, "annotations": lines}
                yield from rows_of(place, item, _annotated(place, text, spans, relations, task))
                break
        else:
            yield Row(f"{name}.ann", None, problem, "\n".join(lines))


def _brat_notes(
    text: str, lines: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str, str]]]:
    """The spans and relations of a file of annotations; raises ValueError where one is malformed or off."""
    spans: dict[str, dict[str, Any]] = {}
    relations: list[tuple[str, str, str]] = []
    for number, line in enumerate(lines, 1):
        if found := re.match(r"(T\S+)\t(\S+) ( *\d+ +\d+ *|[\d ]+;[\d; ]+)\t(.*)", line):
            key, label, places, surface = found.groups()
            if ";" in places:
                raise ValueError(f"line {number}: spans: {key} has parts apart, which a span cannot have")
            start, end = (int(part) for part in places.split())
            if text[start:end].replace("\n", " ") != surface:
                raise ValueError(
                    f"line {number}: spans: {key} says {shorten(surface)!r}, "
                    f"but the text at {start} to {end} is {shorten(text[start:end])!r}"
                )
            spans[key] = {"start": start, "end": end, "label": label}
        elif found := re.match(r"R\S+\t(\S+) \S+?:(\S+) \S+?:(\S+)", line):
            label, head, tail = found.groups()
            relations.append((head, tail, label))
        elif line.startswith(("T", "R")):
            kind = "T and its number, a tab, label, start and end, a tab, the text"
            kind = kind if line[0] == "T" else "R and its number, a tab, label and two arguments"
            raise ValueError(f"line {number}: expected {kind}; found {shorten(line)!r}")
    return spans, relations


def read_label_studio(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """Label Studio's JSON export: the last finished annotation of each task."""
    field = task.data.options.get("text_field", "text")
    for file in files:
        tree = parse_json(file, task.data.options.get("encoding"))
        if not isinstance(tree, list):
            raise UserError(f"{file.name}: expected a list of tasks, as Label Studio's JSON export writes it")
        for number, item in enumerate(tree, 1):
            place = f"{file.name}:task[{number}]"
            yield from rows_of(place, item, _label_studio_rows(place, item, field, task))


def _label_studio_rows(place: str, item: Any, field: str, task: Task) -> Iterator[Row]:
    text = item.get("data", {}).get(field)
    annotations = [a for a in item.get("annotations", []) if not a.get("was_cancelled")]
    if not isinstance(text, str):
        yield Row(place, None, f"text: there is no data.{field}")
        return
    if not annotations:
        return  # not annotated yet
    spans: dict[str, dict[str, Any]] = {}
    relations: list[tuple[str, str, str]] = []
    choices: list[str] = []
    for n, result in enumerate(annotations[-1].get("result", [])):
        value = result.get("value", {})
        if result.get("type") == "relation":
            label = (result.get("labels") or [""])[0]
            ends = (result["from_id"], result["to_id"])
            head, tail = reversed(ends) if result.get("direction") == "left" else ends
            relations.append((head, tail, label))
        elif "choices" in value:
            choices += value["choices"]
        elif value.get("labels"):
            start, end = _code_points(text, value["start"], value["end"], value.get("text"))
            if value.get("text") is not None and text[start:end] != value["text"]:
                problem = (
                    f"spans: the label says {shorten(value['text'])!r}, "
                    f"but the text at {start} to {end} is {shorten(text[start:end])!r}"
                )
                yield Row(place, None, problem)
                return
            if len(value["labels"]) > 1:
                told = f"{start} to {end} has {', '.join(map(repr, value['labels']))}, and a span takes one"
                yield Row(place, None, f"spans: {told}")
                return
            key = result.get("id", str(n))
            spans[key] = {"start": start, "end": end, "label": value["labels"][0]}
    kept = {key: item["data"].get(task.data.fields.get(key, key)) for key in KEPT}
    yield from _annotated(place, text, spans, relations, task, choices, kept)


def read_doccano(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """doccano's JSON lines: ``label`` as [start, end, label] or names, or ``entities`` with ``relations``.

    doccano counts UTF-16 code units; ``options.offsets: characters`` is for files in which others did not,
    or whose project counts grapheme clusters and has one code point in each.
    """
    counted = task.data.options.get("offsets", "utf-16")
    for file in files:
        for number, line, problem in file.numbered(task.data.options.get("encoding")):
            place = f"{file.name}:{number}"
            if problem:
                yield Row(place, None, problem, line)
                continue
            if not line.strip():
                continue
            try:
                raw = parse_line(line)
            except ValueError as error:
                yield Row(place, None, str(error), line)
            else:
                yield from rows_of(place, raw, _doccano_rows(place, raw, counted == "utf-16", task))


def _doccano_rows(place: str, raw: Any, utf16: bool, task: Task) -> Iterator[Row]:
    text = raw.get("text", raw.get("data")) if isinstance(raw, dict) else None
    if not isinstance(text, str):
        yield Row(place, None, "text: there is none")
        return
    try:
        spans = _doccano_spans(raw, text, utf16)
    except ValueError as error:
        yield Row(place, None, f"spans: {error}")
        return
    relations = [(str(r["from_id"]), str(r["to_id"]), r["type"]) for r in raw.get("relations", [])]
    labels = raw.get("label", raw.get("labels", raw.get("cats", [])))
    labels = [labels] if isinstance(labels, str) else labels
    odd = [part for part in labels if not isinstance(part, str) and not _is_triple(part)]
    if odd:
        yield Row(
            place, None, f"label: expected names or start, end and label, found {shorten(repr(odd[0]))}"
        )
        return
    choices = [label for label in labels if isinstance(label, str)]
    kept = {key: raw.get(task.data.fields.get(key, key)) for key in KEPT}
    kept["id"] = raw.get(task.data.fields.get("id", EXAMPLE_ID))
    yield from _annotated(place, text, spans, relations, task, choices, kept)


def _is_triple(label: Any) -> bool:
    return isinstance(label, list) and len(label) == 3


def _doccano_spans(raw: Mapping[str, Any], text: str, utf16: bool) -> dict[str, dict[str, Any]]:
    """The spans of a line by their ids; raises ValueError where an offset is not between two characters."""
    labels = raw.get("label", raw.get("labels", []))
    given = {
        str(n): (label[0], label[1], label[2])
        for n, label in enumerate(labels if isinstance(labels, list) else [labels])
        if _is_triple(label)
    }
    for entity in raw.get("entities", []):
        given[str(entity["id"])] = entity["start_offset"], entity["end_offset"], entity["label"]
    spans = {}
    for key, (start, end, label) in given.items():
        if utf16 and not text.isascii():
            first, last = from_utf16(text, start), from_utf16(text, end)
            if first is None or last is None:
                raise ValueError(
                    f"{start} to {end} in UTF-16 code units is beyond the text or inside a character; "
                    "for offsets in characters set data.options.offsets: characters"
                )
            start, end = first, last
        spans[key] = {"start": start, "end": end, "label": label}
    return spans


def _annotated(
    place: str,
    text: str,
    spans: Mapping[str, dict[str, Any]],
    relations: Sequence[tuple[str, str, str]],
    task: Task,
    choices: Sequence[str] = (),
    kept: Mapping[str, Any] | None = None,
) -> Iterator[Row]:
    """The rows that one annotated text gives to the task's family, with what is ``kept`` of its record."""
    kept = {key: value for key, value in (kept or {}).items() if value is not None}
    if task.family == "token_classification":
        ordered = sorted(spans.values(), key=lambda span: (span["start"], span["end"]))
        yield Row(place, rename_labels({**kept, "text": text, "spans": ordered}, task))
    elif task.family == "relation_classification":
        yield from relation_rows(place, text, spans, relations, task, kept)
    elif task.family == "sequence_classification":
        if task.multi_label or len(choices) == 1:
            label: Any = list(choices) if task.multi_label else choices[0]
            yield Row(place, rename_labels({**kept, "text": text, "label": label}, task))
        elif choices:
            told = f"{len(choices)}, {', '.join(map(repr, choices))}, and the task takes one"
            yield Row(place, None, f"label: there are {told} (data.multi_label: true takes several)")
        else:
            yield Row(place, None, "label: there is none")
    else:
        raise UserError(f"data of format {task.data.format} cannot serve the family {task.family}")


def relation_rows(
    place: str,
    text: str,
    spans: Mapping[str, dict[str, Any]],
    relations: Sequence[tuple[str, str, str]],
    task: Task,
    kept: Mapping[str, Any] | None = None,
) -> Iterator[Row]:
    """A row for each relation; with ``options.none`` also for each ordered pair without one, so labelled."""
    none = task.data.options.get("none")
    common = {**(kept or {}), "text": text}
    related = set()
    for head, tail, label in relations:
        if head not in spans or tail not in spans:
            missing = head if head not in spans else tail
            yield Row(place, None, f"relation: {label} points at {missing!r}, and there is no such entity")
            continue
        related.add((head, tail))
        example = {**common, "head": spans[head], "tail": spans[tail], "label": label}
        yield Row(place, rename_labels(example, task))
    if none:
        for head in spans:
            for tail in spans:
                if head != tail and (head, tail) not in related:
                    yield Row(place, {**common, "head": spans[head], "tail": spans[tail], "label": none})


def _code_points(text: str, start: int, end: int, surface: str | None) -> tuple[int, int]:
    """Offsets in characters, from offsets that a browser may have counted in UTF-16 units."""
    if surface is None or text[start:end] == surface:
        return start, end
    first, last = from_utf16(text, start), from_utf16(text, end)
    return (
        (first, last)
        if first is not None and last is not None and text[first:last] == surface
        else (start, end)
    )
