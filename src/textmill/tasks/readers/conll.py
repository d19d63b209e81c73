"""CoNLL: a token and its tag a line, an empty line between sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from textmill.errors import UserError
from textmill.params import Task
from textmill.tasks.readers.files import File
from textmill.tasks.readers.row import Row, rename_labels
from textmill.tasks.readers.tags import PLACES, find_scheme, named_scheme, spelled, tag_spans
from textmill.words import join_tokens

_TAG = re.compile(r"O|[BIMESLU][-_].+")
TABS, BLANKS = r"\t+", r"[ \t]+"  # what divides columns


def read_conll(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """Two to four columns, the same number in every line, divided by spaces and tabs, or by tabs alone.

    Options: ``token`` and ``tag`` (column numbers, 0 and -1),
    ``join`` (what stands between tokens: a space, or nothing beside Chinese by default),
    ``scheme`` (iob1, iob2, bioes, bmes or tags; one of the first three is found by itself), ``encoding``.
    """
    options = task.data.options
    token_at, tag_at, joiner = options.get("token", 0), options.get("tag", -1), options.get("join")
    for file in files:
        named = named_scheme(options) or ""
        read = _sentences(file, options.get("encoding"), token_at, tag_at, named)
        sentences = [(line, words, spelled(tags, named, task.labels), bad) for line, words, tags, bad in read]
        scheme = named or find_scheme([tags for _, _, tags, problem in sentences if not problem])
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
    file: File, encoding: str | None, token_at: int, tag_at: int, scheme: str
) -> Iterator[tuple[int, list[str], list[str], str | None]]:
    tokens: list[str] = []
    tags: list[str] = []
    problem: str | None = None
    begin = 1
    lines = list(file.numbered(encoding))
    divider, width = layout([line for _, line, _ in lines])
    # Among comments a line such as "#id 3" is one; but with the scheme tags any word may be a hashtag's tag.
    has_comments = any(line.startswith("# ") for _, line, _ in lines)
    mark = "# " if scheme == "tags" else "#"
    for number, line, broken in [*lines, (len(lines) + 1, "", None)]:
        if broken:
            problem = problem or f"line {number}: {broken}"
            continue
        columns = columns_of(line, divider)
        if not columns or columns[0] == "-DOCSTART-":
            if tokens or problem:
                yield begin, tokens, tags, problem
            tokens, tags, problem, begin = [], [], None, number + 1
            continue
        # A # before a sentence begins a comment, unless it is itself a token with its tag.
        tag = columns[tag_at] if -len(columns) <= tag_at < len(columns) else ""
        is_tag = _TAG.fullmatch(tag) or (tag in PLACES and not line.startswith("# "))
        is_token = len(columns) == width and is_tag
        if has_comments and line.startswith(mark) and not tokens and not is_token:
            begin = number + 1
            continue
        if len(columns) != width or width < 2:
            told = f"found {len(columns)}, expected {max(width, 2)}: a token, and a tag"
            problem = problem or f"line {number}: columns: {told}"
            continue
        try:
            token, tag = columns[token_at], columns[tag_at]
        except IndexError:
            told = f"there are {width} columns, from 0"
            raise UserError(f"data.options: token {token_at} and tag {tag_at}: {told}") from None
        tokens.append(token)
        tags.append(tag)


def columns_of(line: str, divider: str) -> list[str]:
    """The columns of a line; no-break and full-width spaces divide none, for they stand within tokens.

    Before a tab a space may be a token itself, as in files of Chinese characters.
    """
    if not line.strip():
        return []
    inner = line.rstrip(" \t").lstrip("\t" if divider == TABS else " \t")
    return [cell.strip(" ") or cell for cell in re.split(divider, inner)]


def layout(lines: Sequence[str]) -> tuple[str, int]:
    """What divides the columns, and how many most lines have that are no comments for sure.

    Tabs alone, between which tokens may have spaces, where more lines agree on the number so.
    """
    chosen = [line for line in lines if line.strip() and not line.startswith("# ")]
    best = (BLANKS, 0, 0)
    for divider in (BLANKS, TABS):
        widths = Counter(len(columns_of(line, divider)) for line in chosen)
        width, agree = widths.most_common(1)[0] if widths else (0, 0)
        if width > 1 and agree > best[2]:
            best = divider, width, agree
    return best[:2]
