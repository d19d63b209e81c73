"""The family that rows are of, the fields that hold what it needs, and the labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from textmill.tasks.inspect.formats import Found, joining
from textmill.tasks.readers.tags import find_scheme, tag_spans
from textmill.words import join_tokens

FEW = 200  # different values that a column of labels has at most
TEXT_NAMES = ("text", "sentence", "review", "content", "text_a", "utterance", "question", "body", "comment")
LABEL_NAMES = ("label", "labels", "class", "category", "intent", "sentiment", "target", "y")
# The two columns of a pair of texts, in lower case.
PAIRS = (
    ("sentence1", "sentence2"), ("sentence_a", "sentence_b"), ("premise", "hypothesis"), ("text_a", "text_b"),
    ("question1", "question2"), ("text1", "text2"), ("text", "pair"),
)  # fmt: skip
# Columns of answers in flat tables of questions, in lower case.
ANSWERS = {
    "context": ("context", "passage", "review", "paragraph"),
    "answer": ("answer", "answers", "answer_text", "human_ans_spans"),
    "start": ("start", "answer_start", "human_ans_indices"),
}


# Columns of tags beside one of tokens.
TAGS = ("ner_tags", "tags", "labels")


@dataclass
class Shape:
    """``family`` None where the rows do not tell; ``fields`` maps an example's fields to columns."""

    family: str | None
    text: Any  # the column that lengths and copies are counted of
    labels: list[str] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    fields: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # of the reader, beside the format's own


def shape(found: Found) -> Shape:
    """The shape of the rows of a file."""
    rows, columns = found.rows, keys(found.rows)
    if found.format == "squad":
        return Shape("span_extraction", "question")
    if found.format == "semeval":
        return _labelled("relation_classification", "text", Counter(row["label"] for row in rows))
    if found.format == "conll":
        return _labelled("token_classification", "text", _entities([row["tags"] for row in rows]))
    if found.format == "spert":
        entities = Counter(e["type"] for row in rows for e in row.get("entities", []))
        entities = entities or Counter(
            tag[2:] for row in rows for tag in row.get("tags", []) if tag[:2] in ("B-", "U-", "S-")
        )
        return _labelled("token_classification", "text", entities)
    if found.format in ("doccano", "label_studio"):
        spans, names = _annotated(found)
        if spans or not names:
            return _labelled("token_classification", "text", spans)
        return _labelled("sequence_classification", "text", names)
    if "turns" in columns:
        return Shape("dialogue", "turns")
    if {"source", "target"} <= set(columns):
        return Shape("sequence_to_sequence", "source")
    if "spans" in columns and all(isinstance(row.get("spans"), list) for row in rows):
        return _labelled(
            "token_classification", "text", Counter(s["label"] for row in rows for s in row["spans"])
        )
    return _tagged(found, columns) or _questions(rows, columns) or _classes(rows, columns)


def keys(rows: Sequence[Any]) -> list[Any]:
    """The columns: names, or numbers from 0."""
    if rows and isinstance(rows[0], dict):
        return list(dict.fromkeys(key for row in rows[:100] for key in row))
    return list(range(len(rows[0]))) if rows and isinstance(rows[0], list) else []


def at(row: Any, key: Any) -> Any:
    """A row's value in a column, None where it has none."""
    return row.get(key) if isinstance(row, dict) else row[key] if key < len(row) else None


def text_of(row: Any, shape: Shape) -> str:
    """The text of a row, with that of its pair or context."""
    parts = [
        at(row, shape.text),
        *(at(row, shape.fields[key]) for key in ("pair", "context") if key in shape.fields),
    ]
    return "\n".join(part if isinstance(part, str) else _written(part, shape) for part in parts)


def _written(part: Any, shape: Shape) -> str:
    """A list of tokens as the reader joins them, and anything else as JSON."""
    if _is_tokens(part):
        return join_tokens(part, shape.options.get("join"))[0]
    return json.dumps(part, ensure_ascii=False, default=str)


def _is_tokens(part: Any) -> bool:
    return isinstance(part, list) and bool(part) and all(isinstance(token, str) and token for token in part)


def _labelled(family: str, text: Any, counts: Counter[str]) -> Shape:
    return Shape(family, text, _ordered(counts), counts)


def _annotated(found: Found) -> tuple[Counter[str], Counter[str]]:
    """The labels of spans and of whole texts in an annotation tool's export."""
    spans: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for row in found.rows:
        if found.format == "doccano":
            labels = row.get("label", row.get("labels", row.get("cats", [])))
            for label in labels if isinstance(labels, list) else [labels]:
                (spans if isinstance(label, list) else names)[
                    label[2] if isinstance(label, list) else label
                ] += 1
            spans.update(entity["label"] for entity in row.get("entities", []))
            continue
        for annotation in row.get("annotations", [])[-1:]:
            for result in annotation.get("result", []):
                spans.update(result.get("value", {}).get("labels", []))
                names.update(result.get("value", {}).get("choices", []))
    return spans, names


def _tagged(found: Found, columns: Sequence[Any]) -> Shape | None:
    """Lists of tokens with a list of their tags beside, as the hub's data sets of entities have them."""
    key = next((key for key in TAGS if key in columns), None)
    if "tokens" not in columns or key is None:
        return None
    options = joining([row["tokens"] for row in found.rows if _is_tokens(row.get("tokens"))])
    shape = Shape("token_classification", "tokens", fields={"tokens": "tokens", "tags": key}, options=options)
    tags = [row[key] for row in found.rows if isinstance(row.get(key), list)]
    if not all(isinstance(tag, str) for row in tags for tag in row):
        found.notes.append(
            "the tags are numbers: name them in data.label_names, as in {'0': O, '1': B-person}"
        )
        return shape
    scheme = find_scheme(tags)
    if scheme != "iob2":
        shape.options["scheme"] = scheme
    shape.counts = _entities(tags)
    shape.labels = _ordered(shape.counts)
    return shape


def _entities(sentences: Sequence[Sequence[str]]) -> Counter[str]:
    """How many entities of each label the reader makes of the tags."""
    scheme = find_scheme(sentences)
    return Counter(label for tags in sentences for _, _, label in _spans(tags, scheme))


def _spans(tags: Sequence[str], scheme: str) -> list[tuple[int, int, str]]:
    """The spans of tags, none where these jump, which the reader tells."""
    try:
        return tag_spans(tags, scheme)
    except ValueError:
        return []


def _questions(rows: Sequence[Any], columns: Sequence[Any]) -> Shape | None:
    """Questions with their contexts, and answers in ``answers`` or in columns of their own."""
    lower = {str(key).lower(): key for key in columns}
    named = {name: next((lower[c] for c in known if c in lower), None) for name, known in ANSWERS.items()}
    if "question" not in lower or named["context"] is None:
        return None
    fields = {"question": lower["question"], "context": named["context"]}
    if "answers" not in columns:
        fields |= {name: key for name, key in named.items() if key is not None}
    shape = Shape("span_extraction", fields["question"], fields=fields)
    if "answer" in fields and (word := _no_answer(rows, fields)):
        shape.options["no_answer"] = word
    return shape


def _no_answer(rows: Sequence[Any], fields: dict[str, Any]) -> str | None:
    """The word that stands for no answer: frequent, and at the end of nearly every context."""
    word, count = Counter(str(at(row, fields["answer"])) for row in rows).most_common(1)[0]
    ends = sum(str(at(row, fields["context"])).endswith(word) for row in rows)
    return word if word and count > 1 and ends > 0.9 * len(rows) else None


def _classes(rows: Sequence[Any], columns: Sequence[Any]) -> Shape:
    """A column of text, perhaps a second, and a column of few different values."""
    values = {key: [at(row, key) for row in rows] for key in columns}
    short = {
        key: Counter(map(str, column))
        for key, column in values.items()
        if 1 < len(set(map(str, column))) <= min(FEW, max(2, len(rows) // 2))
    }
    lengths = {key: float(np.mean([len(str(v)) for v in column])) for key, column in values.items()}
    if not lengths:
        return Shape(None, None)
    text = max(
        lengths, key=lambda key: (str(key).lower() in TEXT_NAMES, not _is_code(values[key]), lengths[key])
    )
    fields = {}
    lower = {str(key).lower(): key for key in columns}
    for one, other in PAIRS:
        if one in lower and other in lower:
            text, fields["pair"] = lower[one], lower[other]
    candidates = [key for key in short if key not in (text, fields.get("pair"))]
    if not candidates:
        return Shape(None, text)

    def rank(key: Any) -> tuple[bool, bool, int]:
        """The higher the likelier a label: by name, then text before numbers, then fewer values."""
        name = str(key).lower()
        numbers = all(_is_fraction(value) for value in short[key])
        return name in LABEL_NAMES or name.endswith(("label", "judgment")), not numbers, -len(short[key])

    label = max(candidates, key=rank)
    return Shape(
        "sequence_classification", text, _ordered(short[label]), short[label],
        {"text": text, "label": label, **fields},
    )  # fmt: skip


def _ordered(labels: Iterable[str]) -> list[str]:
    """Labels in order; numbers by their value."""
    return sorted(
        labels, key=lambda label: (label.isdecimal(), int(label) if label.isdecimal() else 0, label)
    )


def _is_code(values: Sequence[Any]) -> bool:
    """Whether most values are lists or mappings, or such written as text."""
    return sum(not isinstance(v, str) or v[:1] in ("[", "{", "(") for v in values) > len(values) / 2


def _is_fraction(value: str) -> bool:
    try:
        return not float(value).is_integer()
    except ValueError:
        return False
