"""The tables of the labelled data: a row an example, and a row a task and split. Numbers only.

A statistic that a family has not (spans in a translation) is null, and its check passes over the row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import polars as pl

from textmill.checks.profile import divergence
from textmill.params import Task
from textmill.records import EXAMPLE_FIELDS, Example
from textmill.words import normalised

Row = dict[str, Any]
Splits = Mapping[str, list[Example]]

COLUMNS = (
    "missing_fields", "empty_text", "duplicate_id", "label_unknown", "label_unseen", "duplicates", "leakage",
    "conflicting_labels", "spans_outside", "spans_overlap", "spans_cut_words", "answers_missing",
    "source_is_target", "length_ratio", "turns_out_of_order", "corpus_overlap",
)  # fmt: skip
# Of these a few in a thousand are no harm; the check is on their share.
RATES = (
    "duplicates",
    "leakage",
    "conflicting_labels",
    "source_is_target",
    "corpus_overlap",
    "spans_cut_words",
)
# One source may well have two targets, and one conversation two answers.
SEVERAL_ANSWERS = ("sequence_to_sequence", "dialogue")
SHOWN = 5
# Two letters or digits of one word. Not of scripts without spaces between words, nor of Korean, whose
# particles are written onto a name: South-East Asian, and what lies from the CJK radicals to Hangul.
_JOINED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_INSIDE = re.compile(rf"[^\W_{_JOINED}]{{2}}")


def tables(
    tasks: Mapping[str, Splits],
    specs: Mapping[str, Task],
    in_corpus: Mapping[str, set[str]],
    skipped: Mapping[str, list[Row]] | None = None,
) -> dict[str, pl.DataFrame]:
    """The tables ``examples``, ``task_splits`` and ``skipped``.

    ``in_corpus``: ids of examples found in the corpus; ``skipped``: the rows that reading set aside, each
    with place and problem.
    """
    rows = [
        row for name, splits in tasks.items() for row in _task(name, splits, specs[name], in_corpus.get(name))
    ]
    schema = {"id": pl.String, "task": pl.String, "split": pl.String}
    examples = pl.DataFrame(rows, schema=schema | dict.fromkeys(COLUMNS, pl.Float64))
    sizes = _task_splits(tasks, specs)
    return {
        "examples": examples,
        "task_splits": sizes.join(_rates(examples), on="id", how="left", maintain_order="left"),
        "skipped": _skipped(tasks, skipped or {}),
    }


def _skipped(tasks: Mapping[str, Splits], skipped: Mapping[str, list[Row]]) -> pl.DataFrame:
    """A row a task: the share of its rows that were set aside, and how many for two reasons that matter."""
    rows = []
    for name, splits in tasks.items():
        aside = skipped.get(name, [])
        fields = Counter(row["problem"].partition(":")[0] for row in aside)
        total = len(aside) + sum(map(len, splits.values()))
        rows.append(
            {
                "id": name,
                "skipped_rows": len(aside) / max(total, 1),
                "tags_malformed": fields["tag"] + fields["tags"],
                "relations_dangling": fields["relation"],
                "ids": [str(row["place"]) for row in aside[:SHOWN]],
            }
        )
    numbers = dict.fromkeys(("skipped_rows", "tags_malformed", "relations_dangling"), pl.Float64)
    return pl.DataFrame(rows, schema={"id": pl.String, **numbers, "ids": pl.List(pl.String)}, strict=False)


def _rates(examples: pl.DataFrame) -> pl.DataFrame:
    """A row a task and split: the share of its examples of which each of RATES holds, and their ids.

    One threshold for all examples together would let a small task leak whole.
    """
    holds = [pl.col(name) > 0 for name in RATES]
    return examples.group_by(pl.format("{}/{}", "task", "split").alias("id")).agg(
        *(condition.mean().alias(name) for name, condition in zip(RATES, holds, strict=True)),
        *(
            pl.col("id").filter(condition).head(SHOWN).alias(f"{name}:ids")
            for name, condition in zip(RATES, holds, strict=True)
        ),
    )


def _task(name: str, splits: Splits, spec: Task, in_corpus: set[str] | None) -> Iterable[Row]:
    """The rows of one task's examples."""
    ids = Counter(str(example.get("id")) for examples in splits.values() for example in examples)
    keys = {split: [_key(example) for example in examples] for split, examples in splits.items()}
    train = set(keys.get("train", []))
    learnt = set(_labels(splits.get("train", [])))
    answers: dict[str, set[str]] = {}
    for split, examples in splits.items():
        for key, example in zip(keys[split], examples, strict=True):
            answers.setdefault(key, set()).add(_answer(example))
    for split, examples in splits.items():
        copies = Counter(keys[split])
        for key, example in zip(keys[split], examples, strict=True):
            row: Row = {
                "id": str(example.get("id")),
                "task": name,
                "split": split,
                "missing_fields": _missing(example, spec.family),
                "duplicate_id": ids[str(example.get("id"))] - 1,
                "duplicates": copies[key] - 1,
                "corpus_overlap": None,
            }
            if split != "train":
                row["leakage"] = int(key in train)
                row["label_unseen"] = sum(label not in learnt for label in _used(example, spec))
                if in_corpus is not None:
                    row["corpus_overlap"] = int(str(example.get("id")) in in_corpus)
            if spec.family not in SEVERAL_ANSWERS:
                row["conflicting_labels"] = len(answers[key]) - 1
            if not row["missing_fields"]:
                row |= _shape(example, spec)
            yield row


def _key(example: Example) -> str:
    """What makes two examples the same question, whatever the answer: their input, with its marked spans.

    Differences in white space and case make no other question.
    """
    turns = example.get("turns")
    if isinstance(turns, list):
        return "\0".join(_string(turn.get("text")) for turn in turns[:-1] if isinstance(turn, dict))
    given = [_string(example.get(key)) for key in ("text", "pair", "question", "context", "source")]
    marked = [example.get(key) for key in ("head", "tail")]
    places = [f"{span.get('start')}-{span.get('end')}" for span in marked if isinstance(span, dict)]
    return "\0".join(given + places)


def _string(value: Any) -> str:
    return normalised(value) if isinstance(value, str) else ""


def _members(label: Any) -> list[str]:
    """A label as a list: a text may have any number of them."""
    return [str(item) for item in label] if isinstance(label, list) else [str(label)]


def _answer(example: Example) -> str:
    """An example's labels, spans or answers, in a form that is the same where two examples say the same."""
    spans, answers = example.get("spans"), example.get("answers")
    if isinstance(spans, list):
        told = [
            f"{_place(example, span.get('start'))} {_place(example, span.get('end'))} {span.get('label')}"
            for span in spans
        ]
    elif isinstance(answers, list):
        told = list({_string(answer.get("text")) for answer in answers})
    else:
        told = _members(example.get("label"))
    return "\0".join(sorted(told))


def _place(example: Example, offset: Any) -> int:
    """An offset without the white space before it, of which one text may have more and another less."""
    return len("".join(str(example.get("text"))[:offset].split()))


def _missing(example: Example, family: str) -> int:
    """Fields of the family, and the id, that are absent, or null where they may not be."""
    fields = ("id", *EXAMPLE_FIELDS[family])
    required = [name for name in fields if not name.endswith("?")]
    return sum(example.get(name) is None for name in required)


def _shape(example: Example, spec: Task) -> Row:
    """The statistics that depend on the family, of an example with all its fields."""
    row: Row = {"empty_text": sum(not text.strip() for text in _all_texts(example))}
    known = set(spec.labels or ())
    if "label" in example and known:
        row["label_unknown"] = sum(label not in known for label in _members(example["label"]))
    if "spans" in example:
        spans = example["spans"]
        row["spans_outside"] = _outside(spans, example["text"])
        row["spans_overlap"] = _overlapping(spans)
        row["spans_cut_words"] = sum(_cuts_word(span, example["text"]) for span in spans)
        if known:
            row["label_unknown"] = sum(span.get("label") not in known for span in spans)
    if "head" in example and "tail" in example:
        arguments = [example["head"], example["tail"]]
        row["spans_outside"] = _outside(arguments, example["text"])
        row["spans_overlap"] = _overlapping(arguments)
    if "answers" in example:
        context = example["context"]
        row["answers_missing"] = sum(
            not answer["text"]
            or answer["start"] < 0
            or context[answer["start"] : answer["start"] + len(answer["text"])] != answer["text"]
            for answer in example["answers"]
        )
    if "target" in example:
        source, target = example["source"].strip(), example["target"].strip()
        row["source_is_target"] = int(source == target)
        row["length_ratio"] = len(target) / max(len(source), 1)
    if "turns" in example:
        row["turns_out_of_order"] = _out_of_order(example["turns"])
    return row


def _all_texts(example: Example) -> list[str]:
    """Every text of an example, empty ones included (``example_texts`` leaves them out)."""
    if "turns" in example:
        return [turn["text"] for turn in example["turns"]]
    names = ("text", "question", "context", "source", "target")
    return [example[name] for name in names if isinstance(example.get(name), str)]


def _outside(spans: Iterable[Row], text: str) -> int:
    """Spans that are empty, turned round, or reach beyond the text."""
    return sum(not 0 <= span["start"] < span["end"] <= len(text) for span in spans)


def _cuts_word(span: Row, text: str) -> bool:
    """Whether an edge of a span stands inside a word that is written with spaces around it, or on a space."""
    start, end = span["start"], span["end"]
    inside = text[start:end]
    if not inside or inside != inside.strip():
        return True
    return any(
        0 < place < len(text) and _INSIDE.fullmatch(text[place - 1 : place + 1]) for place in (start, end)
    )


def _overlapping(spans: Iterable[Row]) -> int:
    ordered = sorted((span["start"], span["end"]) for span in spans)
    return sum(second[0] < first[1] for first, second in pairwise(ordered))


def _out_of_order(turns: list[Row]) -> int:
    """Turns whose role is not the one expected, counted back from the assistant's answer at the end."""
    roles = ("assistant", "user")
    wrong = sum(turn.get("role") != roles[i % 2] for i, turn in enumerate(reversed(turns)))
    return wrong + (len(turns) < 2)


def _task_splits(tasks: Mapping[str, Splits], specs: Mapping[str, Task]) -> pl.DataFrame:
    """A row a task and split: size, and the distribution of its labels where it has any."""
    rows = []
    for name, splits in tasks.items():
        known = specs[name].labels or ()
        counts = {split: _labels(examples) for split, examples in splits.items()}
        for split, examples in splits.items():
            found = {label: counts[split].get(label, 0) for label in known}
            total = sum(found.values())
            rows.append(
                {
                    "id": f"{name}/{split}",
                    "examples": len(examples),
                    "label_unused": sum(not n for n in found.values()) if known else None,
                    "class_share": min(found.values()) / total if total else None,
                    "label_drift": divergence(found, counts["train"]) if total else None,
                    "ids": [str(example.get("id")) for example in examples[:SHOWN]],
                }
            )
    numbers = ("examples", "label_unused", "class_share", "label_drift")
    schema: dict[str, Any] = {"id": pl.String, **dict.fromkeys(numbers, pl.Float64)}
    schema["ids"] = pl.List(pl.String)
    return pl.DataFrame(rows, schema=schema, strict=False)


def _used(example: Example, spec: Task) -> list[str]:
    """The labels of an example that are the task's."""
    return [label for label in _labels([example]).elements() if label in (spec.labels or ())]


def _labels(examples: Iterable[Example]) -> Counter[str]:
    """How often each label is used, by examples or by their spans."""
    counts: Counter[str] = Counter()
    for example in examples:
        if "label" in example:
            counts.update(_members(example["label"]))
        elif isinstance(example.get("spans"), list):
            counts.update(str(span.get("label")) for span in example["spans"])
    return counts
