"""The family that rows are of, the fields that hold what it needs, and the labels."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from textmill.inspect import names
from textmill.inspect.columns import (
    FEW,
    are_flags,
    by_name,
    is_code,
    is_fraction,
    is_label,
    is_number,
    is_score,
    languages,
    leaves,
    plain_name,
    scores_of,
    separator_of,
    split_cell,
)
from textmill.inspect.formats import Found, joining, scheme_of
from textmill.params import Task, TaskData
from textmill.tasks.readers.annotation import SPAN_LABELS
from textmill.tasks.readers.row import FLAGS, lookup, rename_labels, spelt_list
from textmill.tasks.readers.tags import find_scheme, tag_spans
from textmill.words import join_tokens, normalised

CODE = re.compile("[a-z]{2}")  # of a language
UNTOLD = f"""\
No column looks like labels, so which task this is cannot be told. Looked for were:
  a column of 2 to {FEW} different values, or of numbers with fractions
  a text and its counterpart: {", ".join(" and ".join(pair) for pair in names.SEQUENCES)}
  columns of text in two languages
  a question and its context with answers: {", ".join((*names.QUESTION, *names.ANSWERS["context"]))}
  tokens with {", ".join(names.TAGS)}; spans; head and tail; {", ".join(names.TURNS)}
Call the columns so, or name them in data.fields."""
TURNS = "a list of turns with role (user or assistant) and text"
PLACES = set("BIMESLUO")  # what a tag is without its label
AS_THEY_ARE = Task.model_construct(data=TaskData.model_construct())  # no label is called otherwise


@dataclass
class Shape:
    """``family`` None where the rows do not tell; ``fields`` maps an example's fields to columns.

    ``told`` is to be said then, or where the reader takes none of the rows.
    """

    family: str | None
    text: Any  # the column that lengths and copies are counted of
    labels: list[str] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    fields: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # of the reader, beside the format's own
    multi_label: bool = False
    numbers: list[float] = field(default_factory=list)  # the labels, where they are numbers to be foretold
    told: str = ""


def shape(found: Found) -> Shape:
    """The shape of the rows of a file; notes there what of them is to be told."""
    rows, columns = found.rows, leaves(found.rows)
    if found.format == "squad":
        return Shape("span_extraction", "question", fields={"question": "question", "context": "context"})
    if found.format == "semeval":
        return _named(found, "relation_classification", "text", [_names(row["label"]) for row in rows])
    if found.format == "conll":
        tags = [row["tags"] for row in rows]
        if bare := _bare(found, "text", tags):
            return bare
        found.notes.append(f"tags: {scheme_of(tags).upper()}")
        return labelled("token_classification", "text", _entities(tags))
    if found.format == "spert":
        entities = Counter(e["type"] for row in rows for e in row.get("entities", []))
        entities = entities or Counter(
            tag[2:] for row in rows for tag in row.get("tags", []) if tag[:2] in ("B-", "U-", "S-")
        )
        return labelled("token_classification", "text", entities)
    if found.format in ("doccano", "label_studio"):
        text = "text" if "text" in columns else "data"
        is_doccano = found.format == "doccano"
        spans, labels = _annotated(found)
        if spans or not (is_doccano or any(labels)):
            return labelled("token_classification", text, spans)
        shape = _named(found, "sequence_classification", text, labels)
        shape.fields = dict(found.fields)
        return shape
    if turns := _turns(rows, columns):
        told = f"No dialogue here can be read: {turns} must be {TURNS}, the last turn the assistant's."
        return Shape("dialogue", turns, fields={"turns": turns}, told=told)
    if _is_related(rows):
        labels = [_names(row.get("label")) for row in rows]
        return _named(found, "relation_classification", "text", labels)
    if "spans" in columns and all(isinstance(row.get("spans"), list) for row in rows):
        return labelled(
            "token_classification", "text", Counter(s["label"] for row in rows for s in row["spans"])
        )
    return (
        _tagged(found, columns)
        or _sequences(rows, columns)
        or _questions(rows, columns)
        or _classes(found, columns)
    )


def text_of(row: Any, shape: Shape) -> str:
    """The text of a row, with that of its pair or context."""
    return "\n".join(_parts(row, shape))


def said(row: Any, shape: Shape) -> str:
    """What makes two rows the same text, as the task_data stage has it: of a dialogue all but the answer."""
    parts = _parts(row, shape)
    if shape.family == "dialogue":
        parts = parts[:-1]
    if shape.family == "relation_classification" and isinstance(row, dict) and "head" in row:
        parts += [json.dumps([row[side].get(edge) for edge in ("start", "end")]) for side in ("head", "tail")]
    return "\0".join(map(normalised, parts))


def _parts(row: Any, shape: Shape) -> list[str]:
    """The texts of a row: one, the two of a pair, a question with its context, the turns of a dialogue."""
    values = [lookup(row, shape.text)]
    if shape.family == "dialogue" and isinstance(values[0], list):
        values = [
            next((turn[key] for key in ("text", "content", "value") if key in turn), turn)
            if isinstance(turn, dict)
            else turn
            for turn in values[0]
        ]
    values += [lookup(row, shape.fields[key]) for key in ("pair", "context") if key in shape.fields]
    return [value if isinstance(value, str) else _written(value, shape) for value in values]


def _written(part: Any, shape: Shape) -> str:
    """A list of tokens as the reader joins them, and anything else as JSON."""
    if _is_tokens(part):
        return join_tokens(part, shape.options.get("join"))[0]
    return json.dumps(part, ensure_ascii=False, default=str)


def _is_tokens(part: Any) -> bool:
    return isinstance(part, list) and bool(part) and all(isinstance(token, str) and token for token in part)


def related(row: Any, form: str) -> list[Any]:
    """The labels of the relations in a row of joint data."""
    if form == "label_studio":
        done = [a for a in row.get("annotations", []) if not a.get("was_cancelled")]
        results = [result for a in done for result in a.get("result", [])]
        return [label for r in results if r.get("type") == "relation" for label in r.get("labels") or []]
    given = row.get("relations") if form in ("spert", "doccano") else None
    return [part.get("type") for part in given if isinstance(part, dict)] if isinstance(given, list) else []


def labelled(family: str, text: Any, counts: Counter[str]) -> Shape:
    """Texts whose labels are counted."""
    return Shape(family, text, _ordered(counts), counts)


def _named(found: Found, family: str, text: Any, labels: Sequence[Sequence[str]]) -> Shape:
    """Texts with the names of their labels, of which each should have one at least."""
    if missing := sum(not of_text for of_text in labels):
        found.notes.append(f"rows without a label: {missing:,}")
    shape = labelled(family, text, Counter(name for of_text in labels for name in of_text))
    shape.multi_label = max(map(len, labels)) > 1
    return shape


def _names(value: Any) -> list[str]:
    """The labels in a value, as the reader names them; none where it is empty."""
    named = rename_labels({"label": value}, AS_THEY_ARE)["label"]
    parts = named if isinstance(named, list) else [named]
    return [part for part in parts if isinstance(part, str) and part.strip()]


def _annotated(found: Found) -> tuple[Counter[str], list[list[str]]]:
    """The labels of all spans and of each text, in an annotation tool's export."""
    spans: Counter[str] = Counter()
    labelled: list[list[str]] = []
    for row in found.rows:
        if found.format == "doccano":
            labels = row.get("label", row.get("labels", row.get("cats", [])))
            labels = labels if isinstance(labels, list) else [labels]
            spans.update(label[2] for label in labels if isinstance(label, list))
            spans.update(entity["label"] for entity in row.get("entities", []))
            labelled.append([label for label in labels if isinstance(label, str)])
            continue
        # Annotations that differ are a bad row, and those that agree are one.
        for annotation in [a for a in row.get("annotations", []) if not a.get("was_cancelled")][-1:]:
            values = [result.get("value", {}) for result in annotation.get("result", [])]
            spans.update(label for v in values for key in SPAN_LABELS for label in v.get(key, []))
            labelled.append([label for value in values for label in value.get("choices", [])])
    return spans, labelled


def _turns(rows: Sequence[Any], columns: Sequence[Any]) -> Any:
    """The column of dialogues, lists of turns; None where there is none."""
    plain = by_name(columns)
    lists = (
        plain[name]
        for name in names.TURNS
        if name in plain and all(isinstance(lookup(row, plain[name]), list) for row in rows[:100])
    )
    return next(lists, None)


def _is_related(rows: Sequence[Any]) -> bool:
    """Whether rows are relations: of a text, its label, and places of a head and a tail in it."""
    return all(
        isinstance(row, dict)
        and {"text", "label", "head", "tail"} <= row.keys()
        and all(isinstance(row[side], dict) and "start" in row[side] for side in ("head", "tail"))
        for row in rows
    )


def _sequences(rows: Sequence[Any], columns: Sequence[Any]) -> Shape | None:
    """A text and what is to be written from it, by their names; codes of two languages are translations."""
    plain = by_name(columns)
    has_labels = any(name in plain for name in names.LABEL)
    pairs = [
        (plain[one], plain[other])
        for one, other in names.SEQUENCES
        # Reviews have summaries too.
        if one in plain and other in plain and not (one in names.TEXT and has_labels)
    ]
    codes = [key for key in columns if CODE.fullmatch(plain_name(key)) and plain_name(key) != "id"]
    if len(codes) == 2 and not any(is_number(lookup(row, key)) for row in rows[:100] for key in codes):
        pairs.append((codes[0], codes[1]))
    for source, target in pairs:
        texts = [lookup(row, key) for row in rows for key in (source, target)]
        if sum(isinstance(text, str) for text in texts) > len(texts) / 2:
            fields = {"source": source, "target": target}
            return Shape("sequence_to_sequence", source, fields=fields)
    return None


def _tagged(found: Found, columns: Sequence[Any]) -> Shape | None:
    """Lists of tokens with a list of their tags beside, as the hub's data sets of entities have them."""
    key = next((key for key in names.TAGS if key in columns), None)
    if "tokens" not in columns or key is None:
        return None
    for row in found.rows:
        row |= {name: spelt_list(row[name]) for name in ("tokens", key) if name in row}
    options = joining([row["tokens"] for row in found.rows if _is_tokens(row.get("tokens"))])
    shape = Shape("token_classification", "tokens", fields={"tokens": "tokens", "tags": key}, options=options)
    tags = [row[key] for row in found.rows if isinstance(row.get(key), list)]
    if not all(isinstance(tag, str) for row in tags for tag in row):
        found.notes.append(
            "the tags are numbers: name them in data.label_names, as in {'0': O, '1': B-person}"
        )
        return shape
    if bare := _bare(found, "tokens", tags):
        bare.fields, bare.options = shape.fields, {**shape.options, **bare.options}
        return bare
    scheme = scheme_of(tags)
    if scheme != "iob2":
        shape.options["scheme"] = scheme
    shape.counts = _entities(tags)
    shape.labels = _ordered(shape.counts)
    return shape


def _bare(found: Found, text: Any, sentences: Sequence[Sequence[str]]) -> Shape | None:
    """Tags that are a place without a label, or a label without a place; None where they have both."""
    tags = Counter(tag for tags in sentences for tag in tags)
    if set(tags) <= {"O"} or any(tag[:1] in PLACES and tag[1:2] == "-" for tag in tags):
        return None
    shown = ", ".join(tag for tag, _ in tags.most_common(8))
    if set(tags) <= PLACES:
        found.notes.append(f"tags without a label, {shown}: the only label is called entity here")
        whole = [[tag if tag == "O" else f"{tag}-entity" for tag in tags] for tags in sentences]
        shape = labelled("token_classification", text, _entities(whole))
    else:
        found.notes.append(
            "tags without a place, as of parts of speech: each token is an example of its label"
        )
        shape = labelled("token_classification", text, tags)
        shape.options["scheme"] = "tags"
    shape.told = (
        "The rows look like a token and a tag each, in sentences; but the tags of entities are O, or a place "
        f"and a label such as B-person and I-person, and these are {shown}."
    )
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
    plain = by_name(columns)
    known = {**names.ANSWERS, "question": names.QUESTION}
    named = {name: next((plain[c] for c in called if c in plain), None) for name, called in known.items()}
    if named["question"] is None or named["context"] is None or named["answer"] is None:
        return None
    fields = {"question": named["question"], "context": named["context"]}
    answer = plain.get("answers", named["answer"])
    given = (lookup(row, answer) for row in rows)
    first = next((value for value in given if value is not None), None)
    if isinstance(first, (bool, int, float)):  # whether it is so, or which of several
        return None
    if not isinstance(first, str):
        fields["answers"] = answer
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
    """A column of text, perhaps a second, and a column of few different values, or of scores."""
    rows = found.rows
    values = {key: [lookup(row, key) for row in rows] for key in columns}
    labels = {key: [_names(value) for value in column] for key, column in values.items()}
    separators = {key: sign for key in columns if is_label(key) and (sign := separator_of(labels[key]))}
    for key, sign in separators.items():
        labels[key] = [split_cell(cell, sign) for cell in labels[key]]
    kinds = {key: {name for of_text in column for name in of_text} for key, column in labels.items()}
    short = {key: of for key, of in kinds.items() if 1 < len(of) <= min(FEW, max(2, len(rows) // 2))}
    scores = {key: numbers for key, column in values.items() if (numbers := scores_of(column))}
    lengths = {key: float(np.mean([len(str(v)) for v in column])) for key, column in values.items()}
    if not lengths:
        return Shape(None, None)
    text = max(
        lengths, key=lambda key: (plain_name(key) in names.TEXT, not is_code(values[key]), lengths[key])
    )
    fields = {}
    plain = by_name(columns)
    for one, other in names.PAIRS:
        if one in plain and other in plain:
            text, fields["pair"] = plain[one], plain[other]
    if called := [plain[name] for name in names.ID if name in plain]:
        fields["id"] = called[0]
    taken = (text, *fields.values())
    flags = [key for key, column in values.items() if key not in taken and are_flags(column)]
    if len(flags) > 1 and not any(is_label(key) for key in short) and isinstance(rows[0], dict):
        found.notes.append(
            f"columns of 0 and 1, each a label here: {', '.join(flags)}; of one alone fields.label is it"
        )
        marked = [[key for key in flags if FLAGS[str(lookup(row, key)).casefold()]] for row in rows]
        shape = labelled("sequence_classification", text, Counter(key for of in marked for key in of))
        shape.labels, shape.multi_label = flags, True
        shape.fields = {"text": text, "label": flags, **fields}
        return shape
    candidates = [key for key in short if key not in (*taken, *scores)]
    score = max((key for key in scores if key not in taken), key=is_score, default=None)

    def rank(key: Any) -> tuple[bool, bool, bool, bool, int]:
        """The higher the likelier a label: by name, then where most rows have one, then text before numbers,
        then fewer values.
        """
        is_filled = sum(map(bool, labels[key])) > len(rows) / 2
        return (
            is_label(key),
            is_score(key),
            is_filled,
            not all(map(is_fraction, short[key])),
            -len(short[key]),
        )

    label = max(candidates, key=rank, default=None)
    if score is not None and (label is None or (is_score(score) and not is_label(label))):
        if empty := len(rows) - len(scores[score]):
            found.notes.append(f"rows without a label: {empty:,}")
        fields |= {"text": text, "label": score}
        return Shape("sequence_classification", text, fields=fields, numbers=scores[score])
    if label is None:
        return _translated(values) or Shape(None, text)
    if score is not None and is_score(score):
        found.notes.append(
            f"{score}: numbers, which a second task can foretell: fields.label: {score}, labels: null, "
            "data.regression: true"
        )
    shape = _named(found, "sequence_classification", text, labels[label])
    shape.fields = {"text": text, "label": label, **fields}
    shape.multi_label = sum(isinstance(value, list) for value in values[label]) > len(rows) / 2
    if label in separators:
        shape.multi_label, shape.options = True, {"separator": separators[label]}
    return shape


def _translated(values: dict[Any, list[Any]]) -> Shape | None:
    """Two columns of text in different languages, which translate each other."""
    texts = {
        key: column
        for key, column in values.items()
        if len(set(map(str, column))) > len(column) / 2 and all(isinstance(v, str) for v in column)
    }
    texts = {key: column for key, column in texts.items() if not any(map(is_number, column[:100]))}
    codes = [languages(column)[0][0] for column in texts.values()] if len(texts) == 2 else []
    if len(set(codes) - {"und"}) < 2:
        return None
    source, target = texts
    return Shape("sequence_to_sequence", source, fields={"source": source, "target": target})


def _ordered(labels: Iterable[str]) -> list[str]:
    """Labels in order; numbers by their value."""
    return sorted(
        labels, key=lambda label: (label.isdecimal(), int(label) if label.isdecimal() else 0, label)
    )
