"""Reading: from the files of a source to rows of text with their file, line, group and date.

Whatever cannot be read is told as ``BadInput``: with ``on_bad_input: fail`` it ends the run with its file
and line, with ``skip`` it is counted and listed, and reading goes on behind it.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Any

from textmill.corpus.files import extra, files, from_driver, opened, streams
from textmill.errors import UserError
from textmill.params import Params, Source
from textmill.words import join_tokens


@dataclass(frozen=True)
class Row:
    """One document as it stands in its source.

    ``line`` counts from 1, ``group`` is kept in one split, ``date`` (YYYY-MM-DD) may say which.
    """

    text: str
    file: str
    line: int
    group: str | None = None
    date: str | None = None


@dataclass(frozen=True)
class BadInput:
    """Something in a file that cannot be read: ``line`` 0 where it concerns the whole file."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}" if self.line else f"{self.file}: {self.why}"


Items = Iterator[Row | BadInput]


def read(name: str, params: Params, only: Sequence[str] | None = None) -> Items:
    """The rows of one source, or of some of its files, in a fixed order.

    Raises UserError where its files cannot be found at all.
    """
    source = params.corpus.sources[name]
    limit = params.corpus.text.max_bytes
    if source.format == "sample":
        from textmill import sample

        texts = sample.documents(params.seed, params.sample)
        return (Row(text, "sample", number) for number, text in enumerate(texts, 1))
    if source.format == "docstrings":
        from textmill.corpus.docstrings import docstrings

        return (Row(text, file, line) for file, line, text in docstrings())
    if source.format == "hub":
        return _hub(name, source)
    paths = [file.path for file in files(name, source)] if only is None else only
    return _files(name, source, limit, paths)


def _files(name: str, source: Source, limit: int, paths: Sequence[str]) -> Items:
    reader = _READERS[source.format]
    for path in paths:
        yield from read_file(path, source, limit, reader, f"corpus.sources.{name}")


def read_file(path: str, source: Source, limit: int, reader: Reader, where: str) -> Items:
    """The rows of one file; what breaks its reading ends it with a BadInput."""
    whole = source.format == "parquet"
    try:
        if whole:
            yield from _parquet(path, source, where)
            return
        with opened(path) as file:
            for name, stream in streams(path, file, source.glob):
                yield from reader(name, stream, source, limit)
    except FileNotFoundError:
        yield BadInput(path, 0, "no such file")
    except PermissionError:
        yield BadInput(path, 0, "cannot be read: permission denied")
    except (EOFError, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile) as error:
        yield BadInput(path, 0, f"damaged or cut short: {error}")
    except OSError as error:
        yield BadInput(path, 0, f"cannot be read: {error.strerror or error}")
    except UserError:
        raise
    except Exception as error:
        if not from_driver(error):
            raise
        yield BadInput(path, 0, f"damaged or cut short: {error}")


Reader = Callable[[str, IO[bytes], Source, int], Items]


def _lines(name: str, stream: IO[bytes], source: Source, limit: int) -> Iterator[tuple[int, str] | BadInput]:
    """The lines of a stream with their numbers, without more than ``limit`` bytes of one in memory."""
    number = 0
    empty = True
    while line := stream.readline(limit + 1):
        number += 1
        empty = False
        if len(line) > limit:
            while line and not line.endswith(b"\n"):
                line = stream.readline(1 << 20)
            yield BadInput(
                name,
                number,
                f"a line of more than {limit} bytes (corpus.text.max_bytes); split it or raise the limit",
            )
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if b"\0" in line:
            yield BadInput(name, number, "not text: it contains zero bytes")
            return
        try:
            yield number, line.decode(source.encoding).rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield _undecodable(name, number, source, error)
    if empty:
        yield BadInput(name, 0, "empty file")


def _whole(name: str, stream: IO[bytes], source: Source, limit: int) -> str | BadInput:
    data = stream.read(limit + 1)
    if len(data) > limit:
        return BadInput(name, 0, f"more than {limit} bytes (corpus.text.max_bytes) in one document")
    if not data:
        return BadInput(name, 0, "empty file")
    if b"\0" in data:
        return BadInput(name, 0, "not text: it contains zero bytes")
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode(source.encoding)
    except UnicodeDecodeError as error:
        return _undecodable(name, data.count(b"\n", 0, error.start) + 1, source, error)


def _undecodable(name: str, line: int, source: Source, error: UnicodeDecodeError) -> BadInput:
    what = "UTF-8" if source.encoding.lower() == "utf-8" else source.encoding
    column = error.start - (error.object.rfind(b"\n", 0, error.start) + 1)
    found = error.object[error.start]
    return BadInput(
        name,
        line,
        f"not {what} at byte {column} of the line (0x{found:02x}); the source's encoding says how to read it",
    )


def _text(name: str, stream: IO[bytes], source: Source, limit: int) -> Items:
    if source.unit == "document":
        found = _whole(name, stream, source, limit)
        yield Row(found, name, 1) if isinstance(found, str) else found
        return
    paragraph: list[str] = []
    begin = 0
    for item in _lines(name, stream, source, limit):
        if isinstance(item, BadInput):
            yield item
            continue
        number, line = item
        if source.unit == "line":
            if line.strip():
                yield Row(line, name, number)
        elif line.strip():
            begin = begin if paragraph else number
            paragraph.append(line)
        elif paragraph:
            yield Row("\n".join(paragraph), name, begin)
            paragraph = []
    if paragraph:
        yield Row("\n".join(paragraph), name, begin)


def _conll(name: str, stream: IO[bytes], source: Source, limit: int) -> Items:
    """A sentence a document: the first column of its lines, joined by spaces, or by nothing in Chinese."""
    for item in _text(name, stream, source, limit):
        if isinstance(item, Row):
            tokens = [line.split()[0] for line in item.text.split("\n")]
            item = dataclasses.replace(item, text=join_tokens(tokens)[0])
        yield item


def _jsonl(name: str, stream: IO[bytes], source: Source, limit: int) -> Items:
    for item in _lines(name, stream, source, limit):
        if isinstance(item, BadInput):
            yield item
            continue
        number, line = item
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            yield BadInput(name, number, f"not JSON at column {error.colno}: {error.msg}")
            continue
        if not isinstance(value, dict):
            yield BadInput(name, number, f"expected a JSON object, found {type(value).__name__}")
            continue
        yield _field(value, name, number, source)


def _field(value: dict[str, Any], name: str, number: int, source: Source) -> Row | BadInput:
    key = str(source.text_field)
    if key not in value:
        return BadInput(name, number, f"no field {key!r}; found: {', '.join(map(str, value)) or 'none'}")
    text = value[key]
    if not isinstance(text, str):
        return BadInput(name, number, f"field {key!r}: expected text, found {type(text).__name__}")
    group = None
    if source.group_field is not None:
        if value.get(source.group_field) is None:
            return BadInput(name, number, f"no field {source.group_field!r} (group_field)")
        group = str(value[source.group_field])
    date = None
    if source.time_field is not None:
        date = _day(value.get(source.time_field))
        if date is None:
            found = json.dumps(value.get(source.time_field), ensure_ascii=False, default=str)
            return BadInput(
                name,
                number,
                f"field {source.time_field!r} (time_field): expected a date as 2024-05-31, found {found}",
            )
    return Row(text, name, number, group, date)


def _day(value: Any) -> str | None:
    """The day of a date or time of ISO 8601, as YYYY-MM-DD; the first of a year or month. None: no date."""
    text = str(value).strip()
    if re.fullmatch(r"\d{4}", text):
        text += "-01-01"
    elif re.fullmatch(r"\d{4}-\d{2}", text):
        text += "-01"
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return None


def _csv(name: str, stream: IO[bytes], source: Source, limit: int) -> Items:
    bad: list[BadInput] = []

    def lines() -> Iterator[str]:
        """The lines that can be read, each with its end; the others go to ``bad``."""
        for item in _lines(name, stream, source, limit):
            if isinstance(item, BadInput):
                bad.append(item)
            else:
                yield item[1] + "\n"

    csv.field_size_limit(max(limit, 131072))
    tabs = PurePosixPath(name).name.removesuffix(".gz").endswith(".tsv")
    quoting: Any = csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL  # as the readers of tasks do
    reader = csv.reader(lines(), delimiter="\t" if tabs else ",", quoting=quoting)
    header: list[str] | None = None
    begin = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield BadInput(name, reader.line_num, f"not CSV: {error}")
            return
        yield from bad
        bad.clear()
        if row is None:
            return
        line, begin = begin, reader.line_num + 1
        if header is None and isinstance(source.text_field, int):  # a file without header
            header = [str(column) for column in range(len(row))]
            if source.text_field >= len(row):
                yield BadInput(name, 1, f"no column {source.text_field}: the first row has {len(row)} fields")
                return
        elif header is None:
            header = row
            if source.text_field not in header:
                yield BadInput(name, 1, f"no column {source.text_field!r}; found: {', '.join(header)}")
                return
            continue
        if row:
            if len(row) != len(header):
                yield BadInput(name, line, f"{len(row)} fields where the header has {len(header)}")
                continue
            yield _field(dict(zip(header, row, strict=True)), name, line, source)


def _parquet(path: str, source: Source, where: str) -> Items:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path) as file:
        try:
            table = pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            yield BadInput(path, 0, f"not Parquet: {error}")
            return
        fields = (source.text_field, source.group_field, source.time_field)
        wanted = [field for field in fields if field]
        missing = [field for field in wanted if field not in table.schema_arrow.names]
        if missing:
            found = ", ".join(table.schema_arrow.names)
            yield BadInput(path, 0, f"no column {missing[0]!r}; found: {found}")
            return
        number = 0
        for batch in table.iter_batches(batch_size=4096, columns=wanted):
            for value in batch.to_pylist():
                number += 1
                yield _field(value, path, number, source)


def _html(name: str, stream: IO[bytes], source: Source, limit: int) -> Items:
    data = stream.read(limit + 1)
    if len(data) > limit:
        yield BadInput(name, 0, f"more than {limit} bytes (corpus.text.max_bytes) in one page")
    elif not data.strip():
        yield BadInput(name, 0, "empty file")
    else:
        text = main_text(data)
        yield Row(text, name, 1) if text else BadInput(name, 0, "no main text found in the page")


def main_text(page: bytes | str) -> str | None:
    """The main text of an HTML page (Barbaresi 2021, trafilatura), or None where there is none."""
    trafilatura = extra("trafilatura", "HTML", "corpus.sources")
    try:
        return trafilatura.extract(page, include_comments=False, include_tables=True, favor_recall=True)
    except (ValueError, AssertionError, RecursionError):
        return None


def _warc(name: str, stream: IO[bytes], source: Source, limit: int) -> Items:
    from textmill.corpus.warc import records

    yield from records(name, stream, limit)


def _hub(name: str, source: Source) -> Items:
    where = f"corpus.sources.{name}"
    try:
        import datasets

        rows = datasets.load_dataset(
            source.dataset, revision=source.revision, split=source.split, streaming=True
        )
        for number, value in enumerate(rows, 1):
            yield _field(value, f"{source.dataset}@{source.revision}", number, source)
    except UserError:
        raise
    except Exception as error:  # the hub client raises a dozen kinds of error without a network
        raise UserError(
            f"{where}: the hub's data set {source.dataset} at revision {source.revision} cannot be read "
            f"({type(error).__name__}). Two ways out: run where there is a network, or download the files "
            f"and read them with format: parquet (or jsonl, csv, text) and path: their folder"
        ) from None


_READERS: dict[str, Reader] = {
    "text": _text,
    "jsonl": _jsonl,
    "csv": _csv,
    "conll": _conll,
    "parquet": _text,  # by _parquet: it needs to jump about in its file
    "html": _html,
    "warc": _warc,
}
