"""The format of a file, from its content."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import Any

from textmill.errors import UserError
from textmill.inspect import encodings, names
from textmill.inspect.layout import WORDS
from textmill.tasks.readers.conll import columns_of, layout
from textmill.tasks.readers.documents import SEMEVAL_LINE, parts
from textmill.tasks.readers.files import File
from textmill.tasks.readers.row import shorten
from textmill.tasks.readers.tables import parse_json, parse_parquet
from textmill.tasks.readers.tags import find_scheme
from textmill.words import has_han, join_tokens, words

LABELLED = re.compile(r"(?P<label>\S+)\s+(?P<text>.+)")
TAG = r"(O|[BIESLUM][-_]\S+)"
DIVIDER = re.compile(r"__\w+__")
TAGS = 60  # kinds of tags that a language has at most
NUMBER = re.compile(r"[\d.,-]+")
LONG = 40  # characters that few names of columns have
JSON_MIN = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")  # beside the data
FREQUENT = 5  # rows that have each value of a column of labels


@dataclass
class Found:
    """A format with the reader's options, the rows (mappings or lists), and what was noticed."""

    format: str
    rows: list[Any]
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)  # split -> list of it, where one JSON file has several
    fields: dict[str, str] = field(default_factory=dict)  # what the reader finds under another name
    # Of what is not ASCII; utf-8 where the reader needs none named, None of ASCII.
    encoding: str | None = None


def detect(file: File, like: Found | None = None) -> Found:
    """The format of a file; what another of the same data is ``like`` helps with its encoding and header.

    Raises UserError where the file is empty or broken.
    """
    if file.content.startswith(b"PAR1"):
        return whole(file, Found("parquet", parse_parquet(file).to_dicts()))
    options: dict[str, Any] = {}
    notes: list[str] = []
    if wide := _utf16(file.content):
        options["encoding"] = wide
        notes = [f"encoding: UTF-16 without a byte-order mark; read as {wide}"]
    try:
        lines = file.lines(wide)
    except UserError as error:
        if wide:
            raise
        encoding = like.options.get("encoding") if like else None
        if encoding and encodings.fits(file.content, encoding):
            told = f"read as {encoding} like the other files"
        else:
            encoding, told = encodings.guess(file.content)
        if encoding:
            options["encoding"] = encoding
        numbered = list(file.numbered(encoding))
        lines = [line for _, line, problem in numbered if not problem]
        notes = [f"{str(error).partition(';')[0]}; {told}"]
        if len(lines) < len(numbered):
            notes.append(f"lines that cannot be read: {len(numbered) - len(lines):,}")
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise UserError(f"{file.name}: the file is empty")
    if re.fullmatch('"?sep=."?', filled[0]):
        raise UserError(
            f"{file.name}:1: {filled[0]!r} is for Excel, and would be read as the header; take the line out"
        )
    if filled[0].lstrip()[:1] in "[{":
        found = whole(file, _json(file, options.get("encoding"), filled))
    elif sum(bool(SEMEVAL_LINE.fullmatch(line)) for line in filled[:90]) > len(filled[:90]) // 4:
        found = _semeval(lines)
    elif _is_conll(lines):
        found = _conll(lines)
    else:
        found = _table(file, filled, like) or _lines(filled)
    if not found.rows:
        raise UserError(f"{file.name}: there are no rows below the header")
    encoding = options.get("encoding") or (None if file.content.isascii() else "utf-8")
    options |= found.options
    return replace(found, options=options, notes=notes + found.notes, encoding=encoding)


def whole(file: File, found: Found) -> Found:
    """What was found without the rows that are not built as the format has them; its reader counts these.

    Raises UserError where no row is left.
    """
    kinds = Counter(type(row) for row in found.rows if row and isinstance(row, (dict, list)))
    kind = kinds.most_common(1)[0][0] if kinds else None
    rows = [row for row in found.rows if row and type(row) is kind and _is_whole(row, found.format)]
    if not rows:
        raise UserError(f"{file.name}: there are no rows of the format {found.format}")
    left = len(found.rows) - len(rows)
    notes = [f"malformed rows, left out of what follows: {left:,}"] if left else []
    return replace(found, rows=rows, notes=found.notes + notes)


def _is_whole(row: Any, form: str) -> bool:
    """Whether a row has the parts from which texts and labels are taken."""
    try:
        if form == "label_studio":
            results = [result for a in row.get("annotations", []) for result in a.get("result", [])]
            values = [result.get("value", {}) for result in results]
            named = [label for v in values for key in ("labels", "choices") for label in v.get(key, [])]
            named += row["data"]  # the names of the task's fields
        elif form == "doccano":
            labels = row.get("label", row.get("labels", row.get("cats", [])))
            labels = labels if isinstance(labels, list) else [labels]
            named = [label[2] if isinstance(label, list) else label for label in labels]
            named += [entity["label"] for entity in row.get("entities", [])]
        elif form == "spert":
            if not isinstance(row["tokens"], list):
                return False
            named = [*row["tokens"], *row.get("tags", [])]
            named += [part["type"] for key in ("entities", "relations") for part in row.get(key, [])]
        elif isinstance(row, dict) and isinstance(row.get("spans"), list):
            named = [span["label"] for span in row["spans"]]
        else:
            return True
    except (AttributeError, IndexError, KeyError, TypeError):
        return False
    return all(isinstance(name, str) and name for name in named)


def _utf16(content: bytes) -> str | None:
    """The encoding of UTF-16 without a byte-order mark: the one in which the lines end; None of other bytes.

    Chinese has few NULs in it, and not only in every second byte; but each end of a line has one.
    """
    if b"\0" not in content or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    even = content[: len(content) // 2 * 2]  # a file that ends within a character is known too
    texts = {name: even.decode(name, "replace") for name in ("utf-16-le", "utf-16-be")}
    name, text = max(texts.items(), key=lambda item: item[1].count("\n"))
    return name if "\n" in text and "\0" not in text and "\ufffd" not in text else None


def _json(file: File, encoding: str | None, filled: Sequence[str]) -> Found:
    if found := _json_lines(filled):
        return found
    tree = parse_json(file, encoding)
    articles = tree.get("data") if isinstance(tree, dict) else None
    if isinstance(articles, list) and any(isinstance(a, dict) and "paragraphs" in a for a in articles):
        rows = [
            {"question": q.get("question"), "context": p.get("context"), "answers": q.get("answers", [])}
            for article in articles for p in parts(article, "paragraphs") for q in parts(p, "qas")
            if isinstance(q, dict)
        ]  # fmt: skip
        return Found("squad", rows)
    first = next((row for row in tree if isinstance(row, dict)), {}) if isinstance(tree, list) else {}
    if "tokens" in first and {"entities", "tags"} & first.keys():
        rows = tree
        whole_ones = [row for row in rows if _is_whole(row, "spert")]
        options = joining([row["tokens"] for row in whole_ones])
        for row in whole_ones:
            row["text"], _ = join_tokens(row["tokens"], options.get("join"))
        return Found("spert", rows, options)
    data = first.get("data")
    if "annotations" in first and isinstance(data, dict) and data:
        field_name = max(data, key=lambda key: (key == "text", len(str(data[key]))))
        options = {} if field_name == "text" else {"text_field": field_name}
        rows = [
            {"text": row["data"].get(field_name, ""), **row} if _is_whole(row, "label_studio") else row
            for row in tree
        ]
        return Found("label_studio", rows, options)
    if isinstance(tree, dict) and (lists := _lists(tree)):
        keys = {
            split: next((key for key in lists if key.lower() in words), "") for split, words in WORDS.items()
        }
        keys = {split: key for split, key in keys.items() if key}
        if not keys:
            left = [f"{key} ({len(tree[key]):,})" for key in lists[1:]]
            notes = [f"other lists, left out: {', '.join(left)}"] if left else []
            return Found("jsonl", tree[lists[0]], {"key": lists[0]}, notes)
        if "train" in keys:
            left = [f"{key} ({len(tree[key]):,})" for key in lists if key not in keys.values()]
            notes = [f"lists that are no split: {', '.join(left)}"] if left else []
            return Found("jsonl", tree[keys["train"]], {"key": dict(keys)}, notes, keys)
    if isinstance(tree, list) and (minimal := _json_min(tree)):
        return minimal
    return _records(tree if isinstance(tree, list) else [tree])


def _json_min(tree: Sequence[Any]) -> Found | None:
    """The rows of Label Studio's JSON-MIN, whose labels stand among the data, as the whole export has them.

    Spans and several choices are told by their form, a single choice by a column of few values.
    """
    rows = [row for row in tree if isinstance(row, dict)]
    if not any({"annotation_id", "lead_time"} <= row.keys() for row in rows):
        return None
    texts = {
        key: [row[key] for row in rows if isinstance(row.get(key), str)]
        for key in dict.fromkeys(key for row in rows for key in row if key not in JSON_MIN)
    }
    field_name = max(texts, key=lambda key: (key == "text", sum(map(len, texts[key]))), default="text")
    kinds = {key: len(set(found)) for key, found in texts.items() if key != field_name}
    few = [key for key, count in kinds.items() if 0 < count <= len(texts[key]) / 2]
    control = min(few, key=lambda key: (key.lower() not in names.LABEL, kinds[key]), default="")
    whole_ones = []
    for row in rows:
        results: list[dict[str, Any]] = []
        for key, value in row.items():
            if isinstance(value, list):
                results += [{"value": part} for part in value if isinstance(part, dict) and "start" in part]
            elif isinstance(value, dict) and "choices" in value:
                results.append({"value": value})
            elif key == control and isinstance(value, str):
                results.append({"value": {"choices": [value]}})
        text = row.get(field_name, "")
        whole_ones.append({"text": text, "data": row, "annotations": [{"result": results}]})
    found = Found("label_studio", whole_ones, {} if field_name == "text" else {"text_field": field_name})
    if control:
        found.fields["label"] = control
    return found


def _json_lines(filled: Sequence[str]) -> Found | None:
    """Records line by line, None in place of a broken one; None where the file is one JSON document."""
    rows = []
    for line in filled:
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError):
            if not rows:
                return None
            rows.append(None)
    if rows.count(None) > len(rows) / 2:
        return None
    if len(filled) == 1:
        only = rows[0]
        if isinstance(only, list) and any(isinstance(part, (dict, list)) for part in only):
            return None
        if isinstance(only, dict) and (_lists(only) and not _is_record(only)):
            return None
    return _records(rows)


def _records(rows: list[Any]) -> Found:
    """Records of JSON, which doccano may have written, line by line or as one list."""
    records = [row for row in rows if isinstance(row, dict)]
    doccano = any(map(_is_doccano, records)) or sum(map(_has_names, records)) > len(records) / 2
    return Found("doccano" if doccano else "jsonl", rows)


def _is_record(row: dict[str, Any]) -> bool:
    """Whether an object with lists in it is an example by itself, and not a document of several."""
    return _is_doccano(row) or bool({"spans", "turns", "messages", "conversations", "tokens"} & row.keys())


def _has_names(row: dict[str, Any]) -> bool:
    """Whether a record is a text with a list of names, as doccano writes it; beside tokens they are tags."""
    labels = row.get("label", row.get("labels", row.get("cats")))
    is_named = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    return is_named and isinstance(row.get("text", row.get("data")), str) and "tokens" not in row


def _is_doccano(row: dict[str, Any]) -> bool:
    labels = row.get("label", row.get("labels"))
    if isinstance(labels, list) and labels and isinstance(labels[0], list) and len(labels[0]) == 3:
        return True
    entities = row.get("entities")
    return isinstance(entities, list) and any(isinstance(e, dict) and "start_offset" in e for e in entities)


def _lists(tree: dict[str, Any]) -> list[str]:
    return [
        k
        for k, v in tree.items()
        if isinstance(v, list) and any(isinstance(part, (dict, list)) for part in v)
    ]


def _semeval(lines: Sequence[str]) -> Found:
    rows = []
    for number, line in enumerate(lines):
        if match := SEMEVAL_LINE.fullmatch(line):
            below = lines[number + 1].strip() if number + 1 < len(lines) else ""
            label = "" if SEMEVAL_LINE.fullmatch(below) else below
            rows.append({"text": match.group(2), "label": label})
    return Found("semeval", rows)


def _is_conll(lines: Sequence[str]) -> bool:
    """Whether lines are a token and a tag each, with empty lines between.

    Other tags than of entities, bare ones or parts of speech, are told by how few there are.
    """
    if all(line.strip() for line in lines[:2000]):
        return False
    shown = [line for line in lines[:400] if line.strip()]
    tags = sum(bool(re.fullmatch(rf"\S+(\s+\S+){{0,2}}\s+{TAG}", line)) for line in shown)
    if tags > 0.9 * len(shown):
        return True
    cells = [line.split() for line in lines if line.strip()]
    sentences = sum(bool(line.strip()) and not below.strip() for line, below in pairwise([*lines, ""]))
    kinds = {row[-1] for row in cells}
    return (
        len(cells) > 2 * sentences
        and {len(row) for row in cells} <= {2}
        and len(kinds) <= min(TAGS, len(cells) / 10)
    )


def _conll(lines: Sequence[str]) -> Found:
    sentences: list[list[list[str]]] = [[]]
    divider, _ = layout(lines)
    for line in lines:
        columns = columns_of(line, divider)
        if line.startswith("# ") and not sentences[-1] and not re.fullmatch(TAG, columns[-1]):
            continue  # a comment
        if columns and columns[0] != "-DOCSTART-":
            sentences[-1].append(columns)
        elif sentences[-1]:
            sentences.append([])
    sentences = [sentence for sentence in sentences if sentence]
    tokens = [[columns[0] for columns in sentence] for sentence in sentences]
    # B_person is counted as B-person, whether or not the reader takes it.
    tags = [[re.sub("^([BIESLUM])_", r"\1-", columns[-1]) for columns in sentence] for sentence in sentences]
    options = joining(tokens)
    texts = [join_tokens(sentence, options.get("join"))[0] for sentence in tokens]
    rows = [{"text": text, "tags": row} for text, row in zip(texts, tags, strict=True)]
    scheme = scheme_of(tags)
    if scheme == "bmes":
        options["scheme"] = scheme
    return Found("conll", rows, options)


def scheme_of(sentences: Sequence[Sequence[str]]) -> str:
    """The scheme of tags as it is called: BMES, usual for Chinese, where the middle of an entity has M."""
    has_m = any(tag.startswith("M-") for tags in sentences for tag in tags)
    return "bmes" if has_m else find_scheme(sentences)


def joining(sentences: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The option that puts nothing between tokens, where nearly all are characters, most of them Han.

    Not where words of another script are more often neighbours, which would become one, than its characters.
    """
    tokens = [token for sentence in sentences for token in sentence]
    single = sum(len(token) == 1 for token in tokens)
    if single <= 0.9 * len(tokens) or 2 * sum(map(has_han, tokens)) <= len(tokens):
        return {}
    neighbours = [
        {len(a) == 1, len(b) == 1}
        for sentence in sentences
        for a, b in pairwise(sentence)
        if not has_han(a + b) and (a + b).isalnum()
    ]
    return {} if neighbours.count({False}) > neighbours.count({True}) else {"join": ""}


def _table(file: File, lines: Sequence[str], like: Found | None) -> Found | None:
    """Rows by the delimiter that cuts most lines into the same number of cells, at least two.

    Raises UserError where the first line has another number, for by it the reader counts.
    """
    shown = lines[:500]
    best, share = "", 0.0
    quoted = _is_quoted(lines)
    for delimiter in ("\t", ",", ";", "|"):
        widths = Counter(len(cells) for cells in _cells(shown, delimiter, quoted))
        width, count = widths.most_common(1)[0]
        if width > 1 and count / max(sum(widths.values()), 1) > share:
            best, share = delimiter, count / sum(widths.values())
    if not best or share < 0.8:
        return None
    rows = _cells(lines, best, quoted)
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    odd = sum(len(row) != width for row in rows)
    if len(rows[0]) != width:
        raise UserError(
            f"{file.name}: columns: the first line has {len(rows[0])} ({shorten(lines[0])!r}), and "
            f"{len(rows) - odd:,} of {len(rows) - 1:,} rows have {width}, divided by {best!r}; a header "
            "names every column, and a title above it has to go"
        )
    notes = [f"rows of another number of columns than {width}: {odd:,}"] if odd else []
    kind = "tsv" if best == "\t" else "csv"
    options: dict[str, Any] = {"delimiter": best} if kind == "csv" and best != "," else {}
    if kind == "tsv" and quoted:
        options["quoting"] = True
    rows = [row for row in rows if len(row) == width]
    names = [cell.strip() for cell in rows[0]]  # as the reader takes them
    first = like.rows[0] if like and like.format == kind else None
    is_header = _is_header(names, rows[1:]) if first is None else names == list(first)
    if isinstance(first, dict) and not is_header:  # of other columns, or of none
        is_header = _is_header(names, rows[1:])
    if not is_header:
        return Found(kind, rows, {**options, "header": False}, notes)
    return Found(kind, [dict(zip(names, row, strict=True)) for row in rows[1:]], options, notes)


def _is_header(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """A header has no name that its column has again; nor, unless one stands above labels, a name twice.

    Nor then one as long as its column's texts, a number above numbers, or an empty one above values: only the
    first, for so pandas writes an index, and the last ones may be. Nor sentences alone.
    """
    columns = [[row[i] for row in rows] for i in range(len(names))]
    pairs = list(zip(names, columns, strict=True))
    if any(name and name in column for name, column in pairs):
        return False
    if any(name and _are_labels(column) for name, column in pairs):
        return True
    named = [name for name in names if name]
    last = max((i for i, name in enumerate(names) if name), default=0)
    unnamed = any(not name and any(column) for name, column in pairs[1:last])
    if len(set(named)) < len(named) or unnamed or any(_is_like(*pair) for pair in pairs):
        return False
    return not all(_is_sentence(*pair) for pair in pairs)


def _are_labels(column: Sequence[str]) -> bool:
    """Whether each value of a column is frequent."""
    counts = Counter(cell for cell in column if cell.strip())
    return bool(counts) and min(counts.values()) >= FREQUENT


def _is_like(name: str, column: Sequence[str]) -> bool:
    """Whether a cell is as long as texts, or a number, and so is most of its column."""
    cells = [name, *column]
    if len(name) > LONG:
        return median(map(len, cells)) > LONG / 4
    return bool(NUMBER.fullmatch(name)) and sum(bool(NUMBER.fullmatch(c)) for c in cells) > len(cells) / 2


def _is_sentence(name: str, column: Sequence[str]) -> bool:
    """Whether a cell ends as a sentence does, or has the words and about the length of its column's texts."""
    is_long = len(words(name)) >= 5 and len(name) > 0.6 * median(map(len, [name, *column]))
    return is_long or name.endswith((".", "!", "。", "！"))


def _is_quoted(lines: Sequence[str]) -> bool:
    """Whether cells between tabs stand in quotes, not texts that have quotes: then every row comes out."""
    if not any(cell.startswith('"') for line in lines for cell in line.split("\t")):
        return False
    try:
        widths = {len(row) for row in csv.reader(io.StringIO("\n".join(lines)), delimiter="\t", strict=True)}
    except csv.Error:
        return False
    return len(widths) == 1 and widths != {1}


def _cells(lines: Sequence[str], delimiter: str, quoted: bool) -> list[list[str]]:
    """The cells of each line; between tabs quotes are text where the table is not ``quoted``."""
    quoting: Any = csv.QUOTE_NONE if delimiter == "\t" and not quoted else csv.QUOTE_MINIMAL
    csv.field_size_limit(2**31 - 1)
    text = io.StringIO("\n".join(lines))
    return [row for row in csv.reader(text, delimiter=delimiter, quoting=quoting) if row]


def _lines(lines: Sequence[str]) -> Found:
    """Lines of a label and a text, or of turns with a divider; otherwise lines that need a pattern."""
    dividers = Counter(match for line in lines[:500] for match in DIVIDER.findall(line))
    if dividers and dividers.most_common(1)[0][1] > len(lines[:500]):
        divider = dividers.most_common(1)[0][0]
        turns = [[part.strip() for part in line.split(divider) if part.strip()] for line in lines]
        return Found("text", [{"turns": said} for said in turns], {"turns": divider})
    matches = [match for line in lines if (match := LABELLED.fullmatch(line))]
    labels = Counter(match["label"] for match in matches)
    if len(matches) == len(lines) and 1 < len(labels) <= min(200, len(matches) / 5):
        return Found("text", [match.groupdict() for match in matches], {"pattern": LABELLED.pattern})
    return Found("text", [{"text": line} for line in lines])
