"""The options and fields that the readers know: a name that none of them has is an error, not ignored."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.records import BESIDE, EXAMPLE_FIELDS

# For each option the types that its value may have, or the words that it may be.
Option = tuple[type, ...] | tuple[str, ...]

_FILE: dict[str, Option] = {"encoding": (str,)}
_TAGS: dict[str, Option] = {"scheme": ("iob1", "iob2", "bioes", "bmes", "tags"), "join": (str,)}
_RECORDS: dict[str, Option] = {**_TAGS, "no_answer": (str,), "separator": (str,)}
_TABLE: dict[str, Option] = {
    **_FILE,
    "header": (bool,),
    "delimiter": (str,),
    "quoting": (bool,),
    "no_answer": (str,),
    "separator": (str,),
}
OPTIONS: dict[str, dict[str, Option]] = {
    "sample": {},
    "jsonl": {**_FILE, **_RECORDS, "key": (str, list, dict)},
    "csv": _TABLE,
    "tsv": _TABLE,
    "parquet": _RECORDS,
    "text": {
        **_FILE,
        "unit": ("line", "file"),
        "pattern": (str,),
        "turns": (str,),
        "label": ("folder",),
        "separator": (str,),
    },
    "pairs": _FILE,
    "conll": {**_FILE, **_TAGS, "token": (int,), "tag": (int,)},
    "brat": {**_FILE, "none": (str,)},
    "label_studio": {**_FILE, "none": (str,), "text_field": (str,)},
    "doccano": {**_FILE, "none": (str,), "offsets": ("utf-16", "characters")},
    "squad": {**_FILE, "unplaced": ("mend",)},
    "spert": {**_FILE, "none": (str,), "join": (str,)},
    "semeval": _FILE,
    "hub": {**_RECORDS, "config": (str,)},
}
# What a flat record may have in place of the last field of its family.
FLAT = {"span_extraction": ("answer", "start"), "token_classification": ("tokens", "tags")}
FIXED = ("conll", "brat", "squad", "spert", "semeval")  # formats whose fields are called as they are
KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def check(name: str, task: Task) -> None:
    """Raises UserError where ``data`` of the task ``name`` has an option or field that no reader knows."""
    data, where = task.data, f"tasks.{name}.data"
    known = OPTIONS[data.format]
    for key, value in data.options.items():
        _know(key, known, f"{where}.options", f"format {data.format}")
        right: tuple[Any, ...] = known[key]
        if type(value) not in right and value not in right:
            wanted = " or ".join(KINDS.get(kind, str(kind)) for kind in right)
            raise UserError(f"{where}.options.{key}: expected {wanted}, found {value!r}")
    if "separator" in data.options and not (task.multi_label and data.options["separator"]):
        raise UserError(
            f"{where}.options.separator: it divides the labels of a text, with data.multi_label: true"
        )
    for key, column in data.fields.items():
        if data.format in FIXED:
            _know(key, (), f"{where}.fields", f"format {data.format}")
        _know(key, fields_of(task), f"{where}.fields", task.family)
        several = task.multi_label and key == "label" and isinstance(column, list) and column
        if any(type(part) not in (str, int) for part in (column if several else [column])):
            raise UserError(f"{where}.fields.{key}: expected a name or a number, found {column!r}")


def fields_of(task: Task) -> tuple[str, ...]:
    """The fields that a record of the task's family may have."""
    own = (field.rstrip("?") for field in EXAMPLE_FIELDS[task.family])
    return (*own, *FLAT.get(task.family, ()), *BESIDE)


def _know(key: str, names: Collection[str], where: str, whose: str) -> None:
    if key not in names:
        near = difflib.get_close_matches(key, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"{whose} has {', '.join(names) or 'none'}"
        raise UserError(f"{where}.{key}: unknown; {hint}")
