"""A row as a reader gives it, and the mapping of its fields and labels."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.records import BESIDE, EXAMPLE_FIELDS, Example
from textmill.tasks.readers.tags import named_scheme, spelled, tag_spans
from textmill.words import join_tokens

FLAGS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
_ROLES = {"human": "user", "gpt": "assistant"}  # as published conversations call them
_ABSENT = object()  # what a record has not, where null may be a value


@dataclass(frozen=True)
class Row:
    """``place`` is file:line for messages; without an example, ``problem`` is "field: what is wrong".

    ``raw`` is what stood there, a line or a record, to be kept aside with the problem. ``unused`` names the
    annotations there, if they are all of kinds that the task's family cannot use.
    """

    place: str
    example: Example | None
    problem: str | None = None
    raw: Any = None
    unused: str = ""

    def kept(self) -> str:
        """What stood there as text that can be written: a line as it is, a record as JSON."""
        raw = self.raw if self.raw is not None else self.example
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
        return writable(text)


class RowError(Exception):
    """A row that cannot be read: field and reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")


def rows_of(place: str, item: Any, rows: Iterator[Row]) -> list[Row]:
    """The rows of one item of a file; a single bad row where the item is not built as its format has it."""
    try:
        return [replace(row, raw=item) if row.problem or row.unused else row for row in rows]
    except KeyError as error:
        return [Row(place, None, f"{error.args[0]}: missing", item)]
    except (AttributeError, IndexError, TypeError) as error:
        return [Row(place, None, f"malformed: not what this format has here: {error}", item)]


class Fields:
    """Which of the names that ``data.fields`` maps to the records of a split have.

    A name that some records lack may be right, where an example may go without; one that all lack is not.
    """

    def __init__(self, task: Task, only: Collection[str] = ()) -> None:
        """``only`` are the fields that the reader looks up in a record, where it does not all."""
        self._missing = [
            (f, at) for f, given in task.data.fields.items() if not only or f in only for at in columns(given)
        ]
        self._known: dict[str, None] = {}

    def note(self, raw: Any) -> None:
        """Take note of what a record has."""
        self._missing = [(f, at) for f, at in self._missing if lookup(raw, at, _ABSENT) is _ABSENT]
        if self._missing:
            self._known |= dict.fromkeys(_names(raw))

    def check(self, where: str) -> None:
        """Raises UserError where ``fields`` names what none of the records has."""
        if self._missing and self._known:
            field, at = self._missing[0]
            known = shorten(", ".join(self._known), 200)
            raise UserError(f"{where}: data.fields.{field}: there is no {at!r} in any row; found {known}")


def to_row(place: str, raw: Any, task: Task, fields: Fields) -> Row:
    """The example that a raw record (mapping or list) holds, by the task's fields and label names."""
    fields.note(raw)
    try:
        return Row(place, _example(raw, task))
    except RowError as problem:
        return Row(place, None, str(problem), raw)


def _example(raw: Any, task: Task) -> Example:
    names = task.data.fields
    if task.family == "span_extraction" and "answers" not in names and "answer" in names:
        return _answered(raw, task)
    if task.family == "token_classification" and "spans" not in names and "tokens" in names:
        return _tagged(raw, task)
    example = _beside(raw, task)
    for field in EXAMPLE_FIELDS[task.family]:
        name = field.rstrip("?")
        if isinstance(names.get(name), list):
            example[name] = _indicated(raw, name, names[name])
        elif name == field:
            example[name] = _needed(raw, name, task)
        elif (value := lookup(raw, names.get(name, name))) is not None:
            example[name] = value
    if "answers" in example:
        example["answers"] = _answer_list(example["answers"])
    if isinstance(example.get("turns"), list):
        example["turns"] = [_turn(turn) for turn in example["turns"]]
    separator = task.data.options.get("separator")
    if separator and isinstance(label := example.get("label"), str):
        example["label"] = [part.strip() for part in label.split(separator) if part.strip()]
    return rename_labels(example, task)


def _needed(raw: Any, field: str, task: Task) -> Any:
    """A record's value of a field that an example has to have; raises RowError where there is none."""
    at = task.data.fields.get(field, field)
    value = lookup(raw, at, _ABSENT)
    if value is _ABSENT:
        raise RowError(field, f"there is no {at!r}; found {', '.join(_names(raw)) or 'nothing'}")
    if value is None:
        raise RowError(field, f"{at!r} has no value (null)")
    return value


def _indicated(raw: Any, field: str, names: Sequence[Any]) -> list[Any]:
    """Those of the columns that have 1 or true; raises RowError where one has neither that nor 0 or false."""
    found = []
    for name in names:
        value = lookup(raw, name)
        flag = FLAGS.get(str(value).casefold())
        if flag is None:
            raise RowError(field, f"expected 1 or 0 in {name!r}, found {shorten(repr(value))}")
        if flag:
            found.append(name)
    return found


def _turn(turn: Any) -> Any:
    """A turn as an example has it: chats have role and content, or from and value."""
    if not isinstance(turn, Mapping) or "text" in turn:
        return turn
    role = turn.get("role", turn.get("from"))
    return {"role": _ROLES.get(str(role), role), "text": turn.get("content", turn.get("value"))}


def _answer_list(answers: Any) -> Any:
    """Answers as the list of text and start that an example has, where they are written as the hub has them.

    The hub's SQuAD data sets have an object of two lists, ``text`` and ``answer_start``.
    """
    if isinstance(answers, Mapping) and isinstance(answers.get("text"), list):
        texts, starts = answers["text"], answers.get("answer_start", answers.get("start"))
        if not isinstance(starts, list) or len(starts) != len(texts):
            found = shorten(repr(starts))
            raise RowError("answers", f"expected a start for each of {len(texts)} texts, found {found}")
        return [{"text": text, "start": start} for text, start in zip(texts, starts, strict=True)]
    if isinstance(answers, list):
        return [
            {"text": a.get("text"), "start": a["answer_start"]}
            if isinstance(a, Mapping) and "answer_start" in a
            else a
            for a in answers
        ]
    return answers


def _tagged(raw: Any, task: Task) -> Example:
    """An example of token classification from a record with the fields ``tokens`` and ``tags``.

    Numbers of tags become names by ``label_names``; ``options.scheme`` is iob2 where it is not named.
    """
    options = task.data.options
    scheme = named_scheme(options) or "iob2"
    found = {}
    for field in ("tokens", "tags"):
        found[field] = spelt_list(_needed(raw, field, task))
        if not isinstance(found[field], list):
            raise RowError(field, f"expected a list, found {shorten(repr(found[field]))}")
    tokens, tags = found["tokens"], [_renamed(tag, task) for tag in found["tags"]]
    if not all(isinstance(token, str) and token for token in tokens):
        raise RowError("tokens", "expected texts, and none of them empty")
    if len(tags) != len(tokens):
        raise RowError("tags", f"found {len(tags)} of {len(tokens)} tokens")
    if odd := [tag for tag in tags if not isinstance(tag, str)]:
        raise RowError("tags", f"expected names or their numbers, found {shorten(repr(odd[0]))}")
    try:
        spans = tag_spans(spelled(tags, scheme, task.labels), scheme)
    except ValueError as error:
        raise RowError("tags", str(error)) from None
    text, places = join_tokens(tokens, options.get("join"))
    example: Example = {
        "text": text,
        "spans": [{"start": places[a][0], "end": places[b - 1][1], "label": label} for a, b, label in spans],
    }
    return rename_labels({**_beside(raw, task), **example}, task)


def spelt_list(value: Any) -> Any:
    """The list that a cell of a CSV file spells, as JSON or as Python does; any other value as it is."""
    if isinstance(value, str) and value.startswith("["):
        for read in (json.loads, ast.literal_eval):
            with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
                return read(value)
    return value


def _answered(raw: Any, task: Task) -> Example:
    """An example of span extraction from a flat record with the fields ``answer`` and ``start``.

    ``start`` may hold a number, written 8.0 where others of its column are missing, or several, of the places
    where the answer stands, or start and end. Without it the first occurrence in the context counts.
    """
    names, none = task.data.fields, task.data.options.get("no_answer", "")
    found = {field: str(_needed(raw, field, task)) for field in ("question", "context", "answer")}
    context, answer = found["context"], found["answer"]
    if none:
        context = context.removesuffix(none).rstrip()
    answers = []
    if answer.strip() and answer != none:
        starts = _whole_numbers(lookup(raw, names.get("start", "start"))) or [context.find(answer)]
        if len(starts) == 2 and _is_range(context, answer, *starts):
            answer, starts = context[slice(*starts)], starts[:1]
        if starts[0] < 0:
            raise RowError("answer", f"{shorten(answer)!r} does not occur in the context")
        answers = [{"text": answer, "start": start} for start in starts]
    return {**_beside(raw, task), "question": found["question"], "context": context, "answers": answers}


def _whole_numbers(given: Any) -> list[int]:
    """The numbers in a cell or a list; raises RowError where one is negative or has a fraction."""
    numbers = re.findall(r"(?:(?<!\d)-)?\d+(?:\.\d+)?", str(given))
    if any(number.startswith("-") or float(number) % 1 for number in numbers):
        raise RowError("start", f"expected whole numbers from 0 on, found {shorten(repr(given))}")
    return [int(number.partition(".")[0]) for number in numbers]


def _is_range(context: str, answer: str, start: int, end: int) -> bool:
    """Whether two numbers are start and end of an answer, and not two places where it stands.

    They are where its letters and digits stand between them, for the context may be tokenised otherwise, and
    where only its first word stands there, for people may have marked its words one by one. An answer that
    stands whole at the start ends elsewhere.
    """
    wanted, there = _characters(answer), _characters(context[start:end])
    if _characters(context[start:]).startswith(wanted):
        return there == wanted
    return there.startswith(_characters(answer.split()[0]))


def _characters(text: str) -> str:
    """The letters and digits of a text without case, or all but spaces where it has none of them."""
    return "".join(filter(str.isalnum, text.casefold())) or "".join(text.split())


def _beside(raw: Any, task: Task) -> Example:
    """What an example may have beside its family's fields, as text: a column may hold dates or numbers."""
    at = {field: task.data.fields.get(field, field) for field in BESIDE}
    return {field: str(value) for field, name in at.items() if (value := lookup(raw, name)) is not None}


def rename_labels(example: Example, task: Task) -> Example:
    """The example with labels as ``label_names`` maps them; numbers become text first."""
    if "label" in example and not task.regression:
        label = example["label"]
        example["label"] = (
            [_renamed(part, task) for part in label] if isinstance(label, list) else _renamed(label, task)
        )
    if isinstance(example.get("spans"), list):
        example["spans"] = [
            {**span, "label": _renamed(span.get("label"), task)} if isinstance(span, dict) else span
            for span in example["spans"]
        ]
    for side in ("head", "tail"):
        if isinstance(span := example.get(side), dict) and "label" in span:
            example[side] = {**span, "label": _renamed(span["label"], task)}
    return example


def _renamed(label: Any, task: Task) -> Any:
    """The label's name here; what is neither text nor a whole number stays."""
    if isinstance(label, (int, bool)) or (isinstance(label, float) and label.is_integer()):
        label = str(int(label))
    return task.data.label_names.get(label, label) if isinstance(label, str) else label


def columns(given: Any) -> list[Any]:
    """The names or numbers of columns that a value of ``data.fields`` holds."""
    return given if isinstance(given, list) else [given]


def lookup(raw: Any, at: Any, default: Any = None) -> Any:
    """A record's value by name, by position, or by a path of names with dots; else ``default``."""
    if isinstance(at, int):
        return raw[at] if isinstance(raw, list) and -len(raw) <= at < len(raw) else default
    if isinstance(raw, Mapping):
        if at in raw:
            return raw[at]
        value: Any = raw
        for part in str(at).split("."):
            if not isinstance(value, Mapping) or part not in value:
                return default
            value = value[part]
        return value
    return default


def shorten(text: str, length: int = 40) -> str:
    """The beginning of a text, for messages."""
    return text if len(text) <= length else text[: length - 1] + "…"


def writable(text: str) -> str:
    """The text with \\u and four digits for half a character, which JSON can say and no file can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _names(raw: Any) -> list[str]:
    """What a record has, for messages."""
    if isinstance(raw, Mapping):
        return [str(key) for key in raw]
    return [f"{len(raw)} columns" if isinstance(raw, list) else type(raw).__name__]
