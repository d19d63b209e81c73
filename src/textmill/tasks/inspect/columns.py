"""The family that rows are of, the fields that hold what it needs, and the labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from textmill.params import Task, TaskData
from textmill.tasks.inspect.formats import Found, joining, scheme_of
from textmill.tasks.readers.row import lookup, rename_labels
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
AS_THEY_ARE = Task.model_construct(data=TaskData.model_construct())  # no label is called otherwise


@dataclass
class Shape:
    """``family`` None where the rows do not tell; ``fields`` maps an example's fields to columns."""

    family: str | None
    text: Any  # the column that lengths and copies are counted of
    labels: list[str] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    fields: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # of the reader, beside the format's own
    multi_label: bool = False


def shape(found: Found) -> Shape:
    """The shape of the rows of a file; notes there what of them is to be told."""
    rows, columns = found.rows, leaves(found.rows)
    if found.format == "squad":
        return Shape("span_extraction", "question")
    if found.format == "semeval":
        return _named(found, "relation_classification", "text", [_names(row["label"]) for row in rows])
    if found.format == "conll":
        return _labelled("token_classification", "text", _entities([row["tags"] for row in rows]))
    if found.format == "spert":
        entities = Counter(e["type"] for row in rows for e in row.get("entities", []))
        entities = entities or Counter(
            tag[2:] for row in rows for tag in row.get("tags", []) if tag[:2] in ("B-", "U-", "S-")
        )
        return _labelled("token_classification", "text", entities)
    if found.format in ("doccano", "label_studio"):
        text = "text" if "text" in columns else "data"
        is_doccano = found.format == "doccano"
        spans, names = _annotated(found)
        if spans or not (is_doccano or any(names)):
            return _labelled("token_classification", text, spans)
        return _named(found, "sequence_classification", text, names)
    if "turns" in columns:
        return Shape("dialogue", "turns")
    if {"source", "target"} <= set(columns):
        return Shape("sequence_to_sequence", "source")
    if "spans" in columns and all(isinstance(row.get("spans"), list) for row in rows):
        return _labelled(
            "token_classification", "text", Counter(s["label"] for row in rows for s in row["spans"])
        )
    return _tagged(found, columns) or _questions(rows, columns) or _classes(found, columns)


def keys(rows: Sequence[Any]) -> list[Any]:
    """The columns: names, or numbers from 0."""
    if rows and isinstance(rows[0], dict):
        return list(dict.fromkeys(key for row in rows[:100] for key in row))
    return list(range(len(rows[0]))) if rows and isinstance(rows[0], list) else []


def leaves(rows: Sequence[Any]) -> list[Any]:
    """The columns with the parts of a mapping in its place, by names with dots as ``fields`` takes them."""
    names = [name for row in rows[:100] if isinstance(row, dict) for name in _leaves(row)]
    return list(dict.fromkeys(names)) or keys(rows)


def _leaves(mapping: dict[str, Any]) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, dict) and value and key != "answers":  # which a reader takes as they are
            yield from (f"{key}.{name}" for name in _leaves(value))
        else:
            yield key


def text_of(row: Any, shape: Shape) -> str:
    """The text of a row, with that of its pair or context."""
    parts = [
        lookup(row, shape.text),
        *(lookup(row, shape.fields[key]) for key in ("pair", "context") if key in shape.fields),
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


def _named(found: Found, family: str, text: Any, names: Sequence[Sequence[str]]) -> Shape:
    """Texts with the names of their labels, of which each should have one at least."""
    if missing := sum(not of_text for of_text in names):
        found.notes.append(f"rows without a label: {missing:,}")
    shape = _labelled(family, text, Counter(name for of_text in names for name in of_text))
    shape.multi_label = max(map(len, names)) > 1
    return shape


def _names(value: Any) -> list[str]:
    """The labels in a value, as the reader names them; none where it is empty."""
    named = rename_labels({"label": value}, AS_THEY_ARE)["label"]
    parts = named if isinstance(named, list) else [named]
    return [part for part in parts if isinstance(part, str) and part.strip()]


def _annotated(found: Found) -> tuple[Counter[str], list[list[str]]]:
    """The labels of all spans and of each text, in an annotation tool's export."""
    spans: Counter[str] = Counter()
    names: list[list[str]] = []
    for row in found.rows:
        if found.format == "doccano":
            labels = row.get("label", row.get("labels", row.get("cats", [])))
            labels = labels if isinstance(labels, list) else [labels]
            spans.update(label[2] for label in labels if isinstance(label, list))
            spans.update(entity["label"] for entity in row.get("entities", []))
            names.append([label for label in labels if isinstance(label, str)])
            continue
        # The reader takes the last that was finished, and leaves out what is not annotated yet.
        for annotation in [a for a in row.get("annotations", []) if not a.get("was_cancelled")][-1:]:
            values = [result.get("value", {}) for result in annotation.get("result", [])]
            spans.update(label for value in values for label in value.get("labels", []))
            names.append([label for value in values for label in value.get("choices", [])])
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
    scheme = scheme_of(tags)
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
    plain = _by_name(columns)
    named = {name: next((plain[c] for c in known if c in plain), None) for name, known in ANSWERS.items()}
    if "question" not in plain or named["context"] is None:
        return None
    fields = {"question": plain["question"], "context": named["context"]}
    if "answers" in plain and not isinstance(lookup(rows[0], plain["answers"]), str):
        fields["answers"] = plain["answers"]
    else:
        fields |= {name: key for name, key in named.items() if key is not None}
    shape = Shape("span_extraction", fields["question"], fields=fields)
    if "answer" in fields and (word := _no_answer(rows, fields)):
        shape.options["no_answer"] = word
    return shape


def _no_answer(rows: Sequence[Any], fields: dict[str, Any]) -> str | None:
    """The word that stands for no answer: frequent, and at the end of nearly every context."""
    word, count = Counter(str(lookup(row, fields["answer"])) for row in rows).most_common(1)[0]
    ends = sum(str(lookup(row, fields["context"])).endswith(word) for row in rows)
    return word if word and count > 1 and ends > 0.9 * len(rows) else None


def _classes(found: Found, columns: Sequence[Any]) -> Shape:
    """A column of text, perhaps a second, and a column of few different values."""
    rows = found.rows
    values = {key: [lookup(row, key) for row in rows] for key in columns}
    names = {key: [_names(value) for value in column] for key, column in values.items()}
    kinds = {key: {name for of_text in column for name in of_text} for key, column in names.items()}
    short = {key: of for key, of in kinds.items() if 1 < len(of) <= min(FEW, max(2, len(rows) // 2))}
    lengths = {key: float(np.mean([len(str(v)) for v in column])) for key, column in values.items()}
    if not lengths:
        return Shape(None, None)
    text = max(lengths, key=lambda key: (_plain(key) in TEXT_NAMES, not _is_code(values[key]), lengths[key]))
    fields = {}
    plain = _by_name(columns)
    for one, other in PAIRS:
        if one in plain and other in plain:
            text, fields["pair"] = plain[one], plain[other]
    candidates = [key for key in short if key not in (text, fields.get("pair"))]
    if not candidates:
        return Shape(None, text)

    def rank(key: Any) -> tuple[bool, bool, bool, int]:
        """The higher the likelier a label: by name, then where most rows have one, then text before numbers,
        then fewer values.
        """
        is_called = _plain(key) in LABEL_NAMES or _plain(key).endswith(("label", "judgment"))
        is_filled = sum(map(bool, names[key])) > len(rows) / 2
        return is_called, is_filled, not all(map(_is_fraction, short[key])), -len(short[key])

    label = max(candidates, key=rank)
    shape = _named(found, "sequence_classification", text, names[label])
    shape.fields = {"text": text, "label": label, **fields}
    shape.multi_label = sum(isinstance(value, list) for value in values[label]) > len(rows) / 2
    return shape


def _by_name(columns: Sequence[Any]) -> dict[str, Any]:
    """The columns by their own names; of several called so, the one that stands highest."""
    return {_plain(key): key for key in sorted(columns, key=lambda key: -str(key).count("."))}


def _plain(key: Any) -> str:
    """A column's own name, without those that it stands below."""
    return str(key).lower().rpartition(".")[2]


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
