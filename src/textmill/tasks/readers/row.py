"""A row as a reader gives it, and the mapping of its fields and labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from textmill.params import Task
from textmill.records import EXAMPLE_FIELDS, Example


@dataclass(frozen=True)
class Row:
    """``place`` is file:line for messages; without an example, ``problem`` is "field: what is wrong"."""

    place: str
    example: Example | None
    problem: str | None = None


class RowError(Exception):
    """A row that cannot be read: field and reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")


def rows_of(place: str, rows: Iterator[Row]) -> list[Row]:
    """The rows of one item of a file; a single bad row where the item is not built as its format has it."""
    try:
        return list(rows)
    except KeyError as error:
        return [Row(place, None, f"{error.args[0]}: missing")]
    except (AttributeError, IndexError, TypeError) as error:
        return [Row(place, None, f"malformed: not what this format has here: {error}")]


def to_row(place: str, raw: Any, task: Task) -> Row:
    """The example that a raw record (mapping or list) holds, by the task's fields and label names."""
    try:
        return Row(place, _example(raw, task))
    except RowError as problem:
        return Row(place, None, str(problem))


def _example(raw: Any, task: Task) -> Example:
    names = task.data.fields
    if task.family == "span_extraction" and "answers" not in names and "answer" in names:
        return _answered(raw, task)
    example: Example = {}
    optional = ("id", "language", "group")
    for field in (*EXAMPLE_FIELDS[task.family], *optional):
        name = field.rstrip("?")
        at = names.get(name, name)
        value = lookup(raw, at)
        if value is None:
            if field.endswith("?") or name in optional:
                continue
            raise RowError(name, f"there is no {at!r}; found {_known(raw)}")
        example[name] = value
    return rename_labels(example, task)


def _answered(raw: Any, task: Task) -> Example:
    """An example of span extraction from a flat record with the fields ``answer`` and ``start``.

    ``start`` may hold two numbers, the end too; without it the first occurrence in the context counts.
    """
    names, none = task.data.fields, task.data.options.get("no_answer", "")
    found = {}
    for field in ("question", "context", "answer"):
        value = lookup(raw, names.get(field, field))
        if value is None:
            raise RowError(field, f"there is no {names.get(field, field)!r}; found {_known(raw)}")
        found[field] = str(value)
    context, answer = found["context"], found["answer"]
    if none:
        context = context.removesuffix(none).rstrip()
    answers = []
    if answer.strip() and answer != none:
        numbers = re.findall(r"\d+", str(lookup(raw, names["start"]))) if "start" in names else []
        start = int(numbers[0]) if numbers else context.find(answer)
        if len(numbers) == 2:  # the place is known, and the answer's text may be tokenised otherwise
            answer = context[start : int(numbers[1])]
        if start < 0 or not answer:
            raise RowError("answer", f"{shorten(answer)!r} does not occur in the context")
        answers.append({"text": answer, "start": start})
    example = {"question": found["question"], "context": context, "answers": answers}
    if "id" in names and lookup(raw, names["id"]) is not None:
        example["id"] = lookup(raw, names["id"])
    return example


def rename_labels(example: Example, task: Task) -> Example:
    """The example with labels as ``label_names`` maps them; numbers become text first."""
    renamed = task.data.label_names

    def new(label: Any) -> Any:
        """The label's name here; what is neither text nor a whole number stays."""
        if isinstance(label, (int, bool)) or (isinstance(label, float) and label.is_integer()):
            label = str(int(label))
        return renamed.get(label, label) if isinstance(label, str) else label

    if "label" in example and not task.regression:
        label = example["label"]
        example["label"] = [new(part) for part in label] if isinstance(label, list) else new(label)
    if isinstance(example.get("spans"), list):
        example["spans"] = [
            {**span, "label": new(span.get("label"))} if isinstance(span, dict) else span
            for span in example["spans"]
        ]
    return example


def lookup(raw: Any, at: Any) -> Any:
    """A record's value by name, by position, or by a path of names with dots."""
    if isinstance(at, int):
        return raw[at] if isinstance(raw, list) and -len(raw) <= at < len(raw) else None
    if isinstance(raw, Mapping):
        if at in raw:
            return raw[at]
        value: Any = raw
        for part in str(at).split("."):
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        return value
    return None


def shorten(text: str, length: int = 40) -> str:
    """The beginning of a text, for messages."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _known(raw: Any) -> str:
    if isinstance(raw, Mapping):
        return ", ".join(str(key) for key in raw) or "nothing"
    return f"{len(raw)} columns" if isinstance(raw, list) else type(raw).__name__
