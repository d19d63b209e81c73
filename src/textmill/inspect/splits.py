"""The rows of each split, from all of its files that are of one form."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from textmill.errors import UserError
from textmill.inspect.columns import keys
from textmill.inspect.formats import Found, detect, whole
from textmill.inspect.layout import MANY, Layout, Names, named
from textmill.tasks.readers.files import File, open_files
from textmill.tasks.readers.row import shorten
from textmill.tasks.readers.tables import halves, parse_json

SEEN = 10  # of many files, those by which their form is told
# Options that a form goes with.
BUILT = ("delimiter", "header", "key", "pattern", "turns", "text_field", "unit")


def read(layout: Layout) -> tuple[dict[str, Names], dict[str, Found], list[str]]:
    """The files of each split as the data block names them, their rows, and the files left out, with why.

    A split's files are read where they are of train's form; of train's where they are of the most frequent.
    """
    names: dict[str, Names] = {}
    tables: dict[str, Found] = {}
    left: list[str] = []
    for split, files in layout.names.items():
        if layout.form:
            names[split], tables[split] = files, _formed(layout, files)
            continue
        taken, found, told = _together(layout, files, tables.get("train"))
        left += told
        if found:
            names[split], tables[split] = named(taken, layout.every), found
            first = tables["train"]
            if found.encoding and not first.encoding:  # train is ASCII, so it can be read so too
                first.encoding = found.encoding
                first.options |= {k: v for k, v in found.options.items() if k == "encoding"}
    first = tables["train"]
    for split, key in first.keys.items():
        if split != "train":
            opened, encoding = open_files(layout.path, names["train"]), first.options.get("encoding")
            rows = [row for file in opened for row in parse_json(file, encoding)[key]]
            names[split], tables[split] = names["train"], whole(opened[0], Found("jsonl", rows))
    return names, tables, left


def _formed(layout: Layout, names: Names) -> Found:
    """The rows of a split of pairs, brat or folders."""
    files = open_files(layout.path, names)
    if layout.form == "pairs":
        one, other = ([line for f in part for line in f.lines()] for part in halves(files, "train"))
        return Found("pairs", [{"source": a, "target": b} for a, b in zip(one, other, strict=False)])
    if layout.form == "folders":
        rows = [{"text": f.text().strip(), "label": PurePosixPath(f.name).parent.name} for f in files]
        return Found("text", rows, {"unit": "file", "label": "folder"})
    return Found("brat", [{"text": f.text()} for f in files if f.name.endswith(".txt")])


def _together(
    layout: Layout, names: Sequence[str], like: Found | None
) -> tuple[list[str], Found | None, list[str]]:
    """The files that are of one form, and those left out, with why; ``like`` are train's rows for a split."""
    files = dict(zip(names, open_files(layout.path, named(names, layout.every)), strict=True))
    by_length = sorted(names, key=lambda name: (len(name), name))
    some = _detected({name: files[name] for name in by_length[:: max(1, len(names) // SEEN)]}, like)
    forms = Counter(_form(found) for found in some.values() if isinstance(found, Found))
    if like:
        form = _form(like)
    else:
        form, agree = forms.most_common(1)[0] if forms else (LINES, 0)
        if len(names) > MANY and (form == LINES or 2 * agree <= len(some)):
            form = FILES
        elif not forms:
            raise next(error for error in some.values() if isinstance(error, UserError))
    if form == FILES:
        rows = [{"text": file.content.decode("utf-8", "replace")} for file in files.values()]
        return list(names), Found("text", rows, {"unit": "file"}), []
    taken: dict[str, Found] = {}
    left = []
    encoding = like.encoding if like else None
    for name, found in _detected(files, like).items():
        if isinstance(found, UserError):
            left.append(f"{name} ({found})")
        elif _form(found) != form:
            left.append(f"{name} ({_shown(found)})")
        elif encoding and found.encoding not in (None, encoding):
            left.append(f"{name} (in {found.encoding}, and others are in {encoding})")
        else:
            encoding = encoding or found.encoding
            taken[name] = found
    return list(taken), _joined(taken) if taken else None, left


def _detected(files: Mapping[str, File], like: Found | None) -> dict[str, Found | UserError]:
    """What is in each file, or why that cannot be told; those that were read before help to tell it."""
    found: dict[str, Found | UserError] = {}
    for name, file in files.items():
        try:
            found[name] = there = detect(file, like)
        except UserError as error:
            found[name] = error
        else:
            like = like if like and like.encoding else there
    return found


def _form(found: Found) -> tuple[Any, ...]:
    """What files of one table have in common: format, how it is built, and in tables the usual columns."""
    columns: Any = None
    if found.format in ("jsonl", "csv", "tsv", "parquet"):
        counts = Counter(key for row in found.rows for key in (row if isinstance(row, dict) else [len(row)]))
        columns = frozenset(key for key, count in counts.items() if 2 * count > len(found.rows))
    elif found.format == "semeval":  # what was given out first has no labels
        columns = any(row["label"] for row in found.rows)
    return found.format, json.dumps({key: found.options.get(key) for key in BUILT}), columns


def _joined(tables: Mapping[str, Found]) -> Found:
    """One table of several; each note with the name of its file, where it is not the first one's too."""
    first, *others = tables.values()
    if not others:
        return first
    notes = list(first.notes)
    options = {key: value for found in tables.values() for key, value in found.options.items()}
    for name, found in tables.items():
        notes += [f"{name}: {note}" for note in found.notes if note not in first.notes]
    rows = [row for found in tables.values() for row in found.rows]
    encoding = next((found.encoding for found in tables.values() if found.encoding), None)
    return replace(first, rows=rows, options=options, notes=notes, encoding=encoding)


def _shown(found: Found) -> str:
    """What a file holds, for the list of those left out."""
    if found.format == "semeval":
        return "semeval without labels"
    columns = ", ".join(map(str, keys(found.rows)))
    return f"{found.format} of other columns or build: {shorten(columns, 60)}"


# What many files that are an example each are, and lines of which nothing is known.
FILES = _form(Found("text", [], {"unit": "file"}))
LINES = _form(Found("text", []))
