"""CoNLL: a token and its tag a line, an empty line between sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from textmill.params import Task
from textmill.tasks.readers.files import File
from textmill.tasks.readers.row import Row, rename_labels
from textmill.tasks.readers.tags import find_scheme, named_scheme, tag_spans
from textmill.words import join_tokens

_TAG = re.compile(r"O|[BIESLU]-.+")


def read_conll(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """Two to four columns divided by spaces or tabs.

    Options: ``token`` and ``tag`` (column numbers, 0 and -1),
    ``join`` (what stands between tokens: a space, or nothing beside Chinese characters by default),
    ``scheme`` (iob1, iob2, bioes; found by itself by default), ``encoding``.
    """
    options = task.data.options
    token_at, tag_at, joiner = options.get("token", 0), options.get("tag", -1), options.get("join")
    for file in files:
        sentences = list(_sentences(file, options.get("encoding"), token_at, tag_at))
        scheme = named_scheme(options) or find_scheme(
            [tags for _, _, tags, problem in sentences if not problem]
        )
        for line, tokens, tags, problem in sentences:
            place = f"{file.name}:{line}"
            if problem:
                yield Row(place, None, problem, {"tokens": tokens, "tags": tags})
                continue
            try:
                spans = tag_spans(tags, scheme)
            except ValueError as error:
                yield Row(place, None, f"tag: {error}", {"tokens": tokens, "tags": tags})
                continue
            text, places = join_tokens(tokens, joiner)
            found = [
                {"start": places[start][0], "end": places[end - 1][1], "label": label}
                for start, end, label in spans
            ]
            yield Row(place, rename_labels({"text": text, "spans": found}, task))


def _sentences(
    file: File, encoding: str | None, token_at: int, tag_at: int
) -> Iterator[tuple[int, list[str], list[str], str | None]]:
    tokens: list[str] = []
    tags: list[str] = []
    problem: str | None = None
    begin = 1
    lines = list(file.numbered(encoding))
    width = _width([line for _, line, _ in lines])
    for number, line, broken in [*lines, (len(lines) + 1, "", None)]:
        if broken:
            problem = problem or f"line {number}: {broken}"
            continue
        columns = columns_of(line)
        if not columns or columns[0] == "-DOCSTART-":
            if tokens or problem:
                yield begin, tokens, tags, problem
            tokens, tags, problem, begin = [], [], None, number + 1
            continue
        # A # before a sentence begins a comment, unless it is itself a token with its tag.
        tag = columns[tag_at] if -len(columns) <= tag_at < len(columns) else ""
        is_token = len(columns) == width and _TAG.fullmatch(tag)
        if line.startswith("# ") and not tokens and not is_token:
            begin = number + 1
            continue
        try:
            if len(columns) < 2:
                raise IndexError
            token, tag = columns[token_at], columns[tag_at]
        except IndexError:
            problem = (
                problem or f"line {number}: tag: found {len(columns)} column, expected a token and a tag"
            )
            continue
        tokens.append(token)
        tags.append(tag)


def columns_of(line: str) -> list[str]:
    """The columns of a line; no-break and full-width spaces divide none, for they stand within tokens."""
    return re.split(r"[ \t]+", line.strip(" \t")) if line.strip() else []


def _width(lines: Sequence[str]) -> int:
    """How many columns most lines have that are no comments for sure."""
    widths = Counter(len(columns_of(line)) for line in lines if line.strip() and not line.startswith("# "))
    return widths.most_common(1)[0][0] if widths else 0
