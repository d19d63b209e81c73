"""What annotation tools write: brat, Label Studio, doccano."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.records import BESIDE
from textmill.tasks.readers.files import File
from textmill.tasks.readers.offsets import from_utf16
from textmill.tasks.readers.row import Fields, Row, RowError, rename_labels, rows_of, shorten
from textmill.tasks.readers.tables import json_rows, parse_json

KEPT = (*BESIDE, "pair")  # fields of an example that pass through a tool's export
SPAN_LABELS = ("labels", "hypertextlabels")  # of Label Studio's regions
LABELS = ("label", "labels", "cats")  # where a line of doccano has its own, the first that is there
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
    """Label Studio's JSON and JSON-MIN exports: what the annotations of each task say.

    A task is a bad row where none of its annotations is finished, and where they differ, unless one is set
    as the ground truth. Of several controls ``fields.label`` names that whose choices are the labels.
    """
    field = task.data.options.get("text_field", "text")
    fields = Fields(task, KEPT)
    rows: list[Row] = []
    for file in files:
        tree = parse_json(file, task.data.options.get("encoding"))
        if not isinstance(tree, list):
            raise UserError(f"{file.name}: expected a list of tasks, as Label Studio's JSON export writes it")
        for number, item in enumerate(tree, 1):
            place = f"{file.name}:task[{number}]"
            rows += rows_of(place, item, _label_studio_rows(place, item, field, task, fields))
    fields.check(files[0].name)
    yield from _of_this_kind(rows, task)


def _label_studio_rows(place: str, item: Any, field: str, task: Task, fields: Fields) -> Iterator[Row]:
    is_whole = bool({"data", "annotations"} & set(item))  # in JSON-MIN the labels stand among the data
    data = item.get("data", {}) if is_whole else item
    text = data.get(field)
    fields.note(data)
    if not isinstance(text, str):
        yield Row(place, None, f"text: there is no {'data.' if is_whole else ''}{field}")
        return
    annotations = item.get("annotations", []) if is_whole else [{"result": _min_results(item, task)}]
    finished = [a for a in annotations if not a.get("was_cancelled")]
    if not finished:
        told = "the annotator skipped the task" if annotations else "there is none yet"
        yield Row(place, None, f"annotations: {told}")
        return
    kept = {key: data.get(task.data.fields.get(key, key)) for key in KEPT}
    chosen = [a for a in finished if a.get("ground_truth")] or finished
    try:
        said = [list(_result_rows(place, text, a.get("result", []), task, kept)) for a in chosen]
    except RowError as error:
        yield Row(place, None, str(error))
        return
    if any(_in_order(rows) != _in_order(said[-1]) for rows in said):
        yield Row(place, None, f"annotations: {len(said)} differ; set one as the ground truth")
    else:
        yield from said[-1]


def _min_results(item: Mapping[str, Any], task: Task) -> list[dict[str, Any]]:
    """The labels of a record of JSON-MIN as the results of the whole export: lists of spans, and choices.

    Where there is none, what the record has stands for the kind of its results.
    """
    results: list[dict[str, Any]] = []
    for key, value in item.items():
        if isinstance(value, list):
            results += [{"value": part} for part in value if isinstance(part, Mapping) and "start" in part]
        elif isinstance(value, Mapping) and "choices" in value:
            results.append({"from_name": key, "value": value})
        elif isinstance(value, str) and key == task.data.fields.get("label", "label"):
            results.append({"from_name": key, "value": {"choices": [value]}})
    return results or [{"type": ", ".join(item)}]


def _in_order(rows: Sequence[Row]) -> list[str]:
    """What rows say, in a form that is the same where they say the same in another order."""
    examples = [row.example or {} for row in rows]
    told = [{**e, "label": sorted(e["label"])} if isinstance(e.get("label"), list) else e for e in examples]
    return sorted(json.dumps([row.problem, e]) for row, e in zip(rows, told, strict=True))


def _result_rows(
    place: str, text: str, results: Sequence[Any], task: Task, kept: Mapping[str, Any]
) -> Iterator[Row]:
    """The rows of one annotation; raises RowError where a label does not fit the text or the family."""
    control = task.data.fields.get("label")
    spans: dict[str, dict[str, Any]] = {}
    unlabelled: dict[str, str] = {}
    relations: list[tuple[str, str, str]] = []
    choices: list[str] = []
    others: list[str] = []
    for n, result in enumerate(results):
        kind, value, key = result.get("type"), result.get("value", {}), result.get("id", str(n))
        labels: list[str] = next((value[name] for name in SPAN_LABELS if value.get(name)), [])
        if kind == "relation":
            if task.family == "relation_classification":
                relations += _directed(result)
        elif "choices" in value and control in (None, result.get("from_name")):
            choices += value["choices"]
        elif task.family == "sequence_classification" or "choices" in value:
            others.append(kind or "labels")
        elif labels:
            start, end = _region(text, value)
            if len(labels) > 1:
                told = f"{start} to {end} has {', '.join(map(repr, labels))}, and a span takes one"
                raise RowError("spans", told)
            spans[key] = {"start": start, "end": end, "label": labels[0]}
        elif "start" in value:  # as it is where a remark is made on a region that has a label
            unlabelled[key] = f"{value['start']} to {value.get('end')}"
        else:
            others.append(kind or ", ".join(value))
    for key, told in unlabelled.items():
        if key not in spans:
            raise RowError("spans", f"{told} has no label")
    yield from _annotated(place, text, spans, relations, task, choices, kept, others)


def _region(text: str, value: Mapping[str, Any]) -> tuple[int, int]:
    """Start and end of a region in characters; raises RowError where they do not fit its text.

    HyperText has places in the page's tree for them, and beside these offsets in what the page shows.
    """
    offsets = value.get("globalOffsets") or value
    start, end, surface = offsets["start"], offsets["end"], value.get("text")
    if type(start) is not int or type(end) is not int:
        raise RowError("spans", f"start and end must be whole numbers, found {start!r} and {end!r}")
    start, end = _code_points(text, start, end, surface)
    if surface is not None and text[start:end] != surface:
        raise RowError(
            "spans",
            f"the label says {shorten(surface)!r}, "
            f"but the text at {start} to {end} is {shorten(text[start:end])!r}",
        )
    return start, end


def _directed(relation: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Head, tail and label of a relation to the right, to the left or both ways, for each of its labels."""
    one, other, direction = relation["from_id"], relation["to_id"], relation.get("direction", "right")
    if not relation.get("labels"):
        raise RowError("relation", f"that of {one!r} and {other!r} has no label")
    pairs = {"left": [(other, one)], "bi": [(one, other), (other, one)]}.get(direction, [(one, other)])
    return [(head, tail, label) for label in relation["labels"] for head, tail in pairs]


def read_doccano(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """doccano's JSON: ``label`` as [start, end, label] or names, or ``entities`` with ``relations``.

    doccano counts UTF-16 code units; ``options.offsets: characters`` is for files in which others did not,
    or whose project counts grapheme clusters and has one code point in each.
    """
    utf16 = task.data.options.get("offsets", "utf-16") == "utf-16"
    fields = Fields(task, KEPT)

    def rows(place: str, raw: Any) -> list[Row]:
        fields.note(raw)
        return rows_of(place, raw, _doccano_rows(place, raw, utf16, task))

    found = [row for f in files for row in json_rows(f, task.data.options.get("encoding"), rows)]
    fields.check(files[0].name)
    yield from _of_this_kind(found, task)


def _doccano_rows(place: str, raw: Any, utf16: bool, task: Task) -> Iterator[Row]:
    text = raw.get("text", raw.get("data")) if isinstance(raw, dict) else None
    if not isinstance(text, str):
        yield Row(place, None, "text: there is none")
        return
    if not {*LABELS, "entities"} & set(raw):
        yield Row(place, None, f"label: there is none of {', '.join(LABELS)}; found {', '.join(raw)}")
        return
    try:
        spans = _doccano_spans(raw, text, utf16)
    except ValueError as error:
        yield Row(place, None, f"spans: {error}")
        return
    relations = [(str(r["from_id"]), str(r["to_id"]), r["type"]) for r in raw.get("relations", [])]
    labels: Any = next((raw[key] for key in LABELS if key in raw), [])
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
    others: Sequence[str] = (),
) -> Iterator[Row]:
    """The rows that one annotated text gives to the task's family, with what is ``kept`` of its record.

    ``others`` names the kinds of what else is annotated there.
    """
    kept = {key: value for key, value in (kept or {}).items() if value is not None}
    if task.family == "token_classification":
        ordered = sorted(spans.values(), key=lambda span: (span["start"], span["end"]))
        unused = "" if spans else ", ".join(sorted({*others, *(["choices"] if choices else [])}))
        yield Row(place, rename_labels({**kept, "text": text, "spans": ordered}, task), unused=unused)
    elif task.family == "relation_classification":
        yield from relation_rows(place, text, spans, relations, task, kept)
    elif task.family == "sequence_classification":
        if task.multi_label or len(choices) == 1:
            label: Any = list(choices) if task.multi_label else choices[0]
            unused = "" if choices else ", ".join(sorted({*others, *(["labels"] if spans else [])}))
            yield Row(place, rename_labels({**kept, "text": text, "label": label}, task), unused=unused)
        elif choices:
            told = f"{len(choices)}, {', '.join(map(repr, choices))}, and the task takes one"
            yield Row(place, None, f"label: there are {told} (data.multi_label: true takes several)")
        else:
            yield Row(place, None, f"label: there is none{'; found ' if others else ''}{', '.join(others)}")
    else:
        raise UserError(f"data of format {task.data.format} cannot serve the family {task.family}")


def _of_this_kind(rows: Sequence[Row], task: Task) -> Iterator[Row]:
    """The rows; where no text has what the family learns, those that are annotated otherwise are bad rows.

    Beside others that have it they may well have none: a project may ask for spans and for choices.
    """
    field = "spans" if task.family == "token_classification" else "label"
    is_one = any(row.example and row.example.get(field) for row in rows)
    for row in rows:
        told = f"{field}: no text here has any; found {row.unused}"
        yield row if is_one or not row.unused else Row(row.place, None, told, row.raw)


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
                    example = {**common, "head": spans[head], "tail": spans[tail]}
                    yield Row(place, {**rename_labels(example, task), "label": none})


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
