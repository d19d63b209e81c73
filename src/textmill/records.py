"""What travels between stages: documents in Parquet, labelled examples in JSON lines.

A document table is a polars frame with at least the columns of DOCUMENT. An example is a plain
``dict`` with the fields of its family in EXAMPLE_FIELDS; offsets count characters (code points).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textmill.errors import UserError

# Columns that every document table has; signals and decisions add theirs.
DOCUMENT = ("id", "text", "source", "licence", "file", "line")

# The fields of an example, by family; every example also has "id". A field ending in ? may be null.
#   spans:     [{"start", "end", "label"}]           half-open, not overlapping
#   head/tail: {"start", "end", "label"}             the two arguments of a relation
#   answers:   [{"text", "start"}]                   empty where the question has no answer
#   turns:     [{"role": "user" | "assistant", "text"}]   the last turn is the answer to learn
EXAMPLE_FIELDS: dict[str, tuple[str, ...]] = {
    "sequence_classification": ("text", "pair?", "label"),
    "relation_classification": ("text", "head", "tail", "label"),
    "token_classification": ("text", "spans"),
    "span_extraction": ("question", "context", "answers"),
    "sequence_to_sequence": ("source", "target"),
    "dialogue": ("turns",),
}

BESIDE = ("id", "language", "group")  # what an example of any family may have beside them

Example = dict[str, Any]


def document_id(source: str, text: str) -> str:
    """A document's id: a function of its source and content, 16 hexadecimal digits."""
    return hashlib.blake2b(f"{source}\0{text}".encode(), digest_size=8).hexdigest()


def example_texts(example: Example) -> list[str]:
    """The running texts of an example, for length statistics and decontamination."""
    if "turns" in example:
        return [turn["text"] for turn in example["turns"]]
    return [
        example[key]
        for key in ("text", "pair", "question", "context", "source", "target")
        if example.get(key)
    ]


def half_character(record: Mapping[str, Any]) -> str | None:
    """What is wrong with the field, if any, that has half a character: a surrogate without its other.

    JSON can say one, and no file can hold it and no tokenizer takes it.
    """
    for field, value in record.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"{field}: half a character (\\u{ord(text[error.start]):x} without its other half)"
    return None


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write ``rows`` as JSON lines in UTF-8; returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path) -> Iterator[Any]:
    """The rows of a JSON lines file; raises UserError naming the file and line that do not parse."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    yield json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
                except UnicodeDecodeError as error:
                    raise UserError(f"{path}:{number}: not UTF-8 at byte {error.start} of the line") from None
                except json.JSONDecodeError as error:
                    raise UserError(
                        f"{path}:{number}: not JSON at column {error.colno}: {error.msg}"
                    ) from None
                except (ValueError, RecursionError) as error:  # a number or a depth that Python does not take
                    raise UserError(f"{path}:{number}: JSON that cannot be read: {error}") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as sorted, indented JSON: the same value is always the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file; raises UserError where it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the stage that makes it has not run") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # bytes, a number or a depth that Python does not take
        raise UserError(f"{path}: JSON that cannot be read: {error}") from None


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; raises UserError where there is none, as ``read_json`` does."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise UserError(f"{path}: expected a JSON object, found {json.dumps(found)[:40]}")
    return found


def read_examples(folder: Path, split: str) -> Sequence[Example]:
    """The examples of one split of a task's data folder, as task_data wrote them."""
    return list(read_jsonl(folder / f"{split}.jsonl"))
