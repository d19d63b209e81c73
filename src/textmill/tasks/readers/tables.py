"""Tables: JSON, CSV and TSV, Parquet, lines or files taken apart by a pattern, pairs of files, the hub."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.tasks.readers.files import MAX_LINE, File
from textmill.tasks.readers.options import fields_of
from textmill.tasks.readers.row import Fields, Row, columns, to_row

if TYPE_CHECKING:
    import polars


def read_json(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """JSON lines; or one JSON document that is a list, or has lists under ``options.key``.

    ``options.key`` is a key, a list of keys whose lists are joined, or a mapping from split to these.
    """
    encoding, key = task.data.options.get("encoding"), task.data.options.get("key")
    fields = Fields(task)
    for file in files:
        if key is None:
            yield from json_rows(file, encoding, lambda place, raw: [to_row(place, raw, task, fields)])
            continue
        tree = parse_json(file, encoding)
        keys = key.get(split) if isinstance(key, dict) else key
        for name in [None] if keys is None else [keys] if isinstance(keys, str) else keys:
            rows = tree if name is None else tree.get(name) if isinstance(tree, dict) else None
            if not isinstance(rows, list):
                known = ", ".join(tree) if isinstance(tree, dict) else type(tree).__name__
                raise UserError(f"{file.name}: no list called {name!r}; found {known}")
            for number, raw in enumerate(rows, 1):
                yield to_row(f"{file.name}:{name or 'row'}[{number}]", raw, task, fields)
    fields.check(files[0].name)


def json_rows(file: File, encoding: str | None, rows: Callable[[str, Any], Iterable[Row]]) -> Iterator[Row]:
    """What ``rows`` makes of place and record of each line, or of each item of one JSON list."""
    if _is_list(file):
        for number, raw in enumerate(parse_json(file, encoding), 1):
            yield from rows(f"{file.name}:row[{number}]", raw)
        return
    for number, line, problem in file.numbered(encoding):
        place = f"{file.name}:{number}"
        if problem:
            yield Row(place, None, problem, line)
        elif line.strip():
            try:
                raw = _parse_line(line)
            except ValueError as error:
                yield Row(place, None, str(error), line)
            else:
                yield from rows(place, raw)


def _parse_line(line: str) -> Any:
    """The line's JSON value; raises ValueError with what is wrong."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deeply") from None


def parse_json(file: File, encoding: str | None = None) -> Any:
    """The file as one JSON document; raises UserError with the line where it is broken."""
    try:
        return json.loads(file.text(encoding))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file.name}:{error.lineno}: not JSON at column {error.colno}: {error.msg}"
        ) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nested too deeply
        raise UserError(f"{file.name}: not JSON that can be read: {error}") from None


def read_csv(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """CSV or TSV.

    Options: ``header`` (true), ``delimiter``, ``quoting`` (true for CSV, false for TSV), ``encoding``.
    Without a header, ``fields`` holds column numbers from 0.
    """
    options = task.data.options
    tabs = task.data.format == "tsv"
    delimiter = options.get("delimiter", "\t" if tabs else ",")
    quoting: Any = csv.QUOTE_MINIMAL if options.get("quoting", not tabs) else csv.QUOTE_NONE
    header = options.get("header", True)
    csv.field_size_limit(min(sys.maxsize, 10 * MAX_LINE))
    fields = Fields(task)
    for file in files:
        lines = list(file.numbered(options.get("encoding")))
        broken = {number for number, _, problem in lines if problem}
        for number, line, problem in lines:
            if problem:
                yield Row(f"{file.name}:{number}", None, problem, line)
        text = "\n".join(line for _, line, _ in lines) + "\n"
        source = io.StringIO(text, newline="")
        try:
            reader = csv.reader(source, delimiter=delimiter, quoting=quoting, strict=True)
        except (TypeError, ValueError):
            raise UserError(f"data.options.delimiter: expected one character, found {delimiter!r}") from None
        names: list[str] | None = None
        width = 0
        while True:
            begin = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                told = f"not a row of {task.data.format}: {error}; see data.options.quoting and delimiter"
                # Without its header a table cannot be read, and a quote that nothing closes holds the rest.
                if (header and names is None) or str(error) == "unexpected end of data":
                    raise UserError(f"{file.name}:{begin}: {told}") from None
                if broken.isdisjoint(range(begin, reader.line_num + 1)):
                    row = "\n".join(line for _, line, _ in lines[begin - 1 : reader.line_num])
                    yield Row(f"{file.name}:{begin}", None, told, row)
                continue
            if not cells or not broken.isdisjoint(range(begin, reader.line_num + 1)):
                continue  # a row with a broken line in it, which is told already
            if header and names is None:
                names, width = [cell.strip() for cell in cells], len(cells)
                _need_columns(file, names, task, delimiter)
                continue
            width = width or len(cells)
            place = f"{file.name}:{begin}"
            if len(cells) != width:
                told = f"columns: found {len(cells)}, expected {width} divided by {delimiter!r}"
                yield Row(place, None, told, cells)
            else:
                raw = dict(zip(names, cells, strict=True)) if names else cells
                yield to_row(place, raw, task, fields)
    fields.check(files[0].name)


def _need_columns(file: File, names: list[str], task: Task, delimiter: str) -> None:
    """Raises UserError for a mapped column that the header lacks, or one read from that it has twice.

    Told once, and not again in every row.
    """
    mapped = [at for given in task.data.fields.values() for at in columns(given)]
    taken = {*mapped, *(field for field in fields_of(task) if field not in task.data.fields)}
    twice = sorted({name for name in names if names.count(name) > 1 and name in taken})
    if twice:
        raise UserError(f"{file.name}:1: the column {twice[0]!r} occurs {names.count(twice[0])} times")
    missing = [at for at in mapped if isinstance(at, str) and at not in names]
    if missing:
        shown = ", ".join(repr(name) for name in names)
        raise UserError(
            f"{file.name}:1: no column {', '.join(map(repr, missing))}; the header, divided by "
            f"{delimiter!r}, has {shown}. If this line is data, "
            "set data.options.header: false and number the columns from 0"
        )


def read_parquet(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """Parquet, a row an example."""
    fields = Fields(task)
    for file in files:
        for number, raw in enumerate(parse_parquet(file).iter_rows(named=True), 1):
            yield to_row(f"{file.name}:{number}", raw, task, fields)
    fields.check(files[0].name)


def parse_parquet(file: File) -> polars.DataFrame:
    """The file as a table; raises UserError where it is broken."""
    import polars

    try:
        return polars.read_parquet(io.BytesIO(file.content))
    except Exception as error:  # polars has several
        raise UserError(f"{file.name}: not Parquet: {str(error).splitlines()[0]}") from None


def read_text(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """Lines (``options.unit: line``) or whole files (``file``) taken apart by ``options.pattern``.

    The pattern is a regular expression whose named groups are the fields; . matches the end of a line too
    where the unit is a file. ``options.turns`` instead divides a dialogue's text at this string. With
    ``options.label: folder`` the label is the name of the folder that a file lies in.
    """
    options = task.data.options
    whole, divider, labelled = options.get("unit", "line") == "file", options.get("turns"), "label" in options
    pattern = options.get("pattern") or ("(?P<text>.*)" if labelled else None)
    if not pattern and not divider:
        raise UserError(
            "data of format text needs options.pattern (with named groups), options.turns or options.label"
        )
    try:
        expression = re.compile(pattern or "", re.DOTALL if whole else 0)
    except re.error as error:
        raise UserError(f"data.options.pattern: not a regular expression: {error}") from None
    fields = Fields(task)
    for file in files:
        encoding = options.get("encoding")
        units = [(1, file.text(encoding), None)] if whole else file.numbered(encoding)
        for number, unit, problem in units:
            place = file.name if whole else f"{file.name}:{number}"
            if problem:
                yield Row(place, None, problem, unit)
                continue
            if not unit.strip():
                continue
            if divider:
                said = [part.strip() for part in unit.split(divider) if part.strip()]
                said = said[: len(said) - len(said) % 2]  # the last turn is to be the assistant's
                roles = ("user", "assistant")
                turns = [{"role": roles[i % 2], "text": part} for i, part in enumerate(said)]
                yield to_row(place, {"turns": turns}, task, fields)
                continue
            match = expression.fullmatch(unit)
            if match is None:
                yield Row(place, None, f"pattern: {pattern!r} does not match", unit)
            else:
                groups = {key: value and value.strip() for key, value in match.groupdict().items()}
                if labelled:
                    groups["label"] = PurePosixPath(file.name).parent.name
                yield to_row(place, groups, task, fields)
    fields.check(files[0].name)


def read_pairs(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """Texts in one file and their counterparts, line by line, in another.

    The split names two files or patterns, or more of them, the first half for the texts and the second for
    the counterparts in the same order; line i of the one file belongs to line i of the other.
    """
    encoding, fields = task.data.options.get("encoding"), Fields(task)
    for one, other in zip(*halves(files, split), strict=True):
        sources, targets = list(one.numbered(encoding)), list(other.numbered(encoding))
        if len(sources) != len(targets):
            raise UserError(
                f"{one.name} has {len(sources)} lines and {other.name} has {len(targets)}; "
                "line i of the one must belong to line i of the other"
            )
        for (number, source, wrong), (_, target, wrong_too) in zip(sources, targets, strict=True):
            pair = {"source": source.strip(), "target": target.strip()}
            if wrong or wrong_too:
                yield Row(f"{(one if wrong else other).name}:{number}", None, wrong or wrong_too, pair)
            else:
                yield to_row(f"{one.name}:{number}", pair, task, fields)
    fields.check(files[0].name)


def halves(files: Sequence[File], split: str) -> tuple[Sequence[File], Sequence[File]]:
    """The files of the texts and as many of their counterparts; raises UserError where they are not as many.

    An even number of names is halved, for their patterns may find different numbers of files; otherwise the
    files are.
    """
    names = files[-1].asked + 1
    half = len(files) // 2 if names % 2 else sum(file.asked < names // 2 for file in files)
    sources, targets = files[:half], files[half:]
    if len(sources) != len(targets):
        raise UserError(
            f"data.{split}: a pair of files is needed, found {len(sources)} of texts and {len(targets)} of "
            "counterparts"
        )
    return sources, targets


def read_hub(task: Task, split: str) -> Iterator[Row]:
    """A split of a hub data set at a pinned revision; numbers of classes become their names."""
    import datasets

    data = task.data
    name = getattr(data, split)
    try:
        rows = datasets.load_dataset(
            data.dataset, data.options.get("config"), revision=data.revision, split=name
        )
    except Exception as error:
        raise UserError(
            f"{data.dataset} (split {name}) cannot be loaded: {str(error).splitlines()[0]}. "
            "Without a network: copy the data set's Parquet files and set data.format: "
            "parquet with path, train, dev and test; "
            "or load it once where there is a network and copy that machine's hub cache here"
        ) from None
    # The names of a column of classes, or of lists of classes such as tags.
    kinds = {key: getattr(kind, "feature", kind) for key, kind in rows.features.items()}
    names = {key: kind.names for key, kind in kinds.items() if hasattr(kind, "names")}
    fields = Fields(task)
    for number, raw in enumerate(rows, 1):
        for key, classes in names.items():
            value = raw[key]
            raw[key] = (
                [_class_name(part, classes) for part in value]
                if isinstance(value, list)
                else _class_name(value, classes)
            )
        yield to_row(f"{data.dataset}:{name}[{number}]", raw, task, fields)
    fields.check(f"{data.dataset}:{name}")


def _class_name(value: Any, classes: Sequence[str]) -> Any:
    """The name of a class's number; -1, the hub's mark of no label, and what is no number stay."""
    return classes[value] if isinstance(value, int) and 0 <= value < len(classes) else value


def _is_list(file: File) -> bool:
    """Whether the file is one JSON list and not JSON lines (whose records may be lists too)."""
    start = file.content[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith(b"["):
        return False
    first = file.content.split(b"\n", 1)[0].strip()
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return True  # the list goes on behind the first line
    return b"\n" not in file.content.strip() and (start[1:].lstrip()[:1] in (b"{", b"["))
