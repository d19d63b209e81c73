"""What a model is asked on the command line: texts or JSON objects, a line each of a file or of stdin."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from textmill.errors import UserError

Item = str | dict[str, Any]


def parsed(line: str, where: str) -> Item:
    """A line as an input: a JSON object where it begins as one, else a text.

    Raises UserError, which begins with ``where``, for an object that cannot be read.
    """
    if not line.lstrip().startswith("{"):
        return line
    try:
        return dict(json.loads(line))
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of too many digits, lists too deep in each other
        raise UserError(f"{where}: cannot be read: {error}") from None


def read(texts: Sequence[str], file: Path | None, check: Callable[[Item, str], None]) -> Iterator[Item]:
    """``texts`` or, without any, the lines of ``file`` or of standard input, as they come.

    ``check`` is given each line's input with file and line, and raises UserError for one that is wrong, as
    this does for a line that is none.
    """
    if texts:
        if file:
            raise UserError(f"--file {file}: give texts or a file of them, not both")
        yield from texts
        return
    name = str(file or "standard input")
    try:
        stream = file.open("rb") if file else _standard_input()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    with stream:
        for number, raw in enumerate(stream, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
            except UnicodeDecodeError as error:
                raise UserError(f"{name}:{number}: not UTF-8 at byte {error.start} of the line") from None
            if line.strip():
                item = parsed(line, f"{name}:{number}")
                check(item, f"{name}:{number}")
                yield item


def whole() -> str:
    """All of standard input as one text; raises UserError where it is closed or not UTF-8."""
    try:
        return _standard_input().read().decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UserError(f"standard input: not UTF-8 at byte {error.start}") from None


def _standard_input() -> BinaryIO:
    """The bytes of standard input, which is closed where a shell was told ``<&-``."""
    if sys.stdin is None:
        raise UserError("standard input is closed: give the text as an argument")
    return sys.stdin.buffer
