"""The task_data stage: labelled rows read, checked one by one, split and written as JSON lines."""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.records import Example, example_texts, half_character, write_jsonl
from textmill.tasks.readers.row import shorten, writable
from textmill.tasks.readers.table import SPLITS, read_task
from textmill.words import normalised

if TYPE_CHECKING:
    from textmill.params import Params

SHOWN = 10  # bad rows that a message names


def prepare(params: Params, name: str, output: Path) -> dict[str, float | int]:
    """Write output/{train,dev,test}.jsonl and skipped.jsonl for the task ``name``; returns counts.

    A bad row stops the work with a UserError that names file, line and field, or, where the task says
    ``on_bad_row: skip``, is left out, counted and kept in skipped.jsonl with the reason and what stood there.
    Splits that the data lack are cut from the training rows by seed; all rows of one text or group stay on
    one side.
    """
    task = params.tasks[name]
    rows = read_task(name, task, params)
    skipped: list[dict[str, Any]] = []
    splits: dict[str, list[Example]] = {}
    for split, found in rows.items():
        splits[split] = []
        for row in found:
            problem = row.problem or problem_of(row.example or {}, task)
            if problem:
                told = {"split": split, "place": row.place, "problem": writable(problem)}
                skipped.append({**told, "row": row.kept()})
            elif row.example is not None:
                splits[split].append({"place": row.place, **row.example})
    if skipped and task.data.on_bad_row == "fail":
        shown = "\n".join(f"  {row['place']}: {row['problem']}" for row in skipped[:SHOWN])
        more = f"\n  and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
        raise UserError(
            f"tasks.{name}: {len(skipped)} bad row(s) of {sum(map(len, rows.values()))}; mend them, or set "
            f"tasks.{name}.data.on_bad_row: skip\n{shown}{more}"
        )
    empty = [split for split, found in splits.items() if not found]
    if empty:
        first = skipped[0] if skipped else {"place": "", "problem": ""}
        raise UserError(
            f"tasks.{name}: the {empty[0]} split has no good row; the first bad one: "
            f"{first['place']}: {first['problem']}"
        )
    _cut(splits, task, params.seed, name)
    if task.data.limit:
        kept = random.Random(f"{params.seed}:{name}:limit").sample(
            range(len(splits["train"])), min(task.data.limit, len(splits["train"]))
        )
        splits["train"] = [splits["train"][i] for i in sorted(kept)]
    metrics: dict[str, float | int] = {"skipped": len(skipped)}
    seen = Counter(same_text(example) for example in splits["train"])
    own = Counter(str(e["id"]) for found in splits.values() for e in found if e.get("id") is not None)
    for split in SPLITS:
        examples = _numbered(splits[split], split, own)
        write_jsonl(output / f"{split}.jsonl", examples)
        metrics[f"{split}_examples"] = len(examples)
        if split != "train":
            metrics[f"{split}_seen_in_train"] = sum(same_text(example) in seen for example in examples)
    metrics["train_duplicates"] = len(splits["train"]) - len(seen)
    lengths = [sum(map(len, example_texts(example))) for example in splits["train"]]
    metrics["train_mean_characters"] = round(sum(lengths) / len(lengths), 1)
    write_jsonl(output / "skipped.jsonl", skipped)
    return metrics


def _numbered(examples: Sequence[Example], split: str, own: Counter[str]) -> list[Example]:
    """The examples with an id each, their own where it is one of a kind in ``own``, those of all splits."""
    numbered = []
    for number, example in enumerate(examples, 1):
        given = str(example.get("id"))
        chosen = given if own[given] == 1 else f"{split}-{number}"
        rest = {key: value for key, value in example.items() if key not in ("id", "place")}
        numbered.append({"id": chosen, **rest})
    return numbered


def same_text(example: Example) -> str:
    """What makes two rows the same text: their running texts, without differences in white space and case."""
    texts = example_texts(example)[:1] if "source" in example else example_texts(example)
    if "turns" in example:
        texts = texts[:-1]
    if "head" in example:
        texts += [f"{example[side]['start']} {example[side]['end']}" for side in ("head", "tail")]
    return "\0".join(map(normalised, texts))


def _sides(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """For each example a key of what must stay on one side of a cut with it.

    That is all that is said of one text, and all of the group that a row names; groups with a text in common
    are therefore one.
    """
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(key: tuple[str, str]) -> tuple[str, str]:
        """The key that stands for all that ``key`` is joined with."""
        while above.setdefault(key, key) != key:
            above[key] = above[above[key]]
            key = above[key]
        return key

    texts = []
    for example in examples:
        alone = example.get("context") or (example["text"] if "head" in example else None)
        texts.append(("text", alone or same_text(example)))
        if example.get("group") not in (None, ""):
            above[top(("group", str(example["group"])))] = top(texts[-1])
    return [top(text) for text in texts]


def _stratum(example: Example) -> str:
    """What the cut keeps in proportion: the label, whether there is an answer, the language."""
    kind = example.get("label", bool(example.get("answers", example.get("spans"))))
    return f"{kind if not isinstance(kind, float) else ''}|{example.get('language', '')}"


def _cut(splits: dict[str, list[Example]], task: Task, seed: int, name: str) -> None:
    """Cut the missing dev and test splits from the training rows, stratified, by groups of equal texts."""
    for split, share in (("test", task.data.test_share), ("dev", task.data.dev_share)):
        if split in splits:
            continue
        groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
        for key, example in zip(_sides(splits["train"]), splits["train"], strict=True):
            groups[key].append(example)
        strata: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for key, members in groups.items():
            strata[_stratum(members[0])].append(key)
        draw = random.Random(f"{seed}:{name}:{split}")
        chosen: set[tuple[str, str]] = set()
        owed = 0.0  # rounding is carried over, so that many small strata still give the share
        for stratum in sorted(strata):
            keys = strata[stratum]
            draw.shuffle(keys)
            owed += share * sum(len(groups[key]) for key in keys)
            for key in keys:
                if owed < len(groups[key]) / 2:
                    break
                chosen.add(key)
                owed -= len(groups[key])
        of = {id(example): key for key, members in groups.items() for example in members}
        splits[split] = [e for e in splits["train"] if of[id(e)] in chosen]
        splits["train"] = [e for e in splits["train"] if of[id(e)] not in chosen]
        if not splits[split] or not splits["train"]:
            raise UserError(
                f"tasks.{name}: {len(groups)} different texts are too few to cut a {split} split of "
                f"{share:.0%}; name one in tasks.{name}.data.{split}"
            )


def problem_of(example: Example, task: Task) -> str | None:
    """What is wrong with an example of the task's family, as "field: reason"; None where it is right."""
    return _CHECKS[task.family](example, task) or half_character(example)


def _text(example: Example, field: str) -> str | None:
    value = example.get(field)
    if value is None:
        return f"{field}: missing"
    if not isinstance(value, str):
        return f"{field}: expected text, found {type(value).__name__} {shorten(repr(value))}"
    return None if value.strip() else f"{field}: empty"


def _label(label: Any, task: Task, field: str = "label") -> str | None:
    if label in (task.labels or ()):
        return None
    return f"{field}: {label!r} is none of the task's labels: {', '.join(task.labels or ())}"


def _sequence(example: Example, task: Task) -> str | None:
    problem = _text(example, "text")
    if example.get("pair") is not None:
        problem = problem or _text(example, "pair")
    label = example.get("label")
    if problem or label is None:
        return problem or "label: missing"
    if task.regression:
        try:
            # In Python's own numbers _ may stand between digits.
            example["label"] = float("" if "_" in str(label) else label)
        except (TypeError, ValueError, OverflowError):
            comma = isinstance(label, str) and re.fullmatch(r"\s*[-+]?\d+,\d+\s*", label)
            told = "; its decimal sign has to be a point" if comma else ""
            return f"label: expected a number, found {label!r}{told}"
        # No loss and no score can be computed against NaN or infinity.
        return (
            None if math.isfinite(example["label"]) else f"label: expected a finite number, found {label!r}"
        )
    if task.multi_label:
        if not isinstance(label, list):
            told = "; data.options.separator divides a text" if isinstance(label, str) else ""
            return f"label: expected a list of labels, found {shorten(repr(label))}{told}"
        return next((p for p in (_label(part, task) for part in label) if p), None)
    return _label(label, task)


def _span(span: Any, text: str, field: str) -> str | None:
    if not isinstance(span, dict) or not {"start", "end", "label"} <= set(span):
        return f"{field}: expected start, end and label, found {shorten(repr(span))}"
    start, end = span["start"], span["end"]
    if type(start) is not int or type(end) is not int:  # true and false are neither
        return f"{field}: start and end must be whole numbers, found {start!r} and {end!r}"
    if not 0 <= start < end <= len(text):
        return f"{field}: {start} to {end} is outside the text of {len(text)} characters"
    if "text" in span and text[start:end] != span["text"]:
        there = shorten(text[start:end])
        return f"{field}: says {shorten(str(span['text']))!r}, but the text at {start} to {end} is {there!r}"
    return None


def _relation(example: Example, task: Task) -> str | None:
    problem = _text(example, "text")
    for field in ("head", "tail"):
        problem = problem or _span(example.get(field), example["text"], field)
    return problem or _label(example.get("label"), task)


def _token(example: Example, task: Task) -> str | None:
    problem = _text(example, "text")
    if problem:
        return problem
    spans = example.get("spans")
    if not isinstance(spans, list):
        return f"spans: expected a list, found {shorten(repr(spans))}"
    for span in spans:
        problem = _span(span, example["text"], "spans") or _label(span["label"], task, "spans")
        if problem:
            return problem
    ordered = sorted(spans, key=lambda span: span["start"])
    for before, span in pairwise(ordered):
        if span["start"] < before["end"]:
            return f"spans: {before['start']} to {before['end']} and {span['start']} to {span['end']} overlap"
    return None


def _answers(example: Example, task: Task) -> str | None:
    problem = _text(example, "question") or _text(example, "context")
    if problem:
        return problem
    answers = example.get("answers")
    if not isinstance(answers, list):
        return f"answers: expected a list, found {shorten(repr(answers))}"
    for answer in answers:
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str) or "start" not in answer:
            return f"answers: expected text and start, found {shorten(repr(answer))}"
    # An empty answer is how some files say that there is none.
    example["answers"] = [answer for answer in answers if answer["text"].strip()]
    for answer in example["answers"]:
        start, text = answer["start"], answer["text"]
        if type(start) is not int or example["context"][max(start, 0) : start + len(text)] != text:
            return f"answers: {shorten(text)!r} is not what stands in the context at {start!r}"
    return None


def _transduction(example: Example, task: Task) -> str | None:
    return _text(example, "source") or _text(example, "target")


def _turns(example: Example, task: Task) -> str | None:
    turns = example.get("turns")
    if not isinstance(turns, list) or len(turns) < 2:
        return f"turns: expected a list of at least two, found {shorten(repr(turns))}"
    for number, turn in enumerate(turns, 1):
        role = turn.get("role") if isinstance(turn, dict) else None
        if role not in ("user", "assistant"):
            return f"turns: turn {number} has the role {role!r}; expected user or assistant"
        if not isinstance(turn.get("text"), str) or not turn["text"].strip():
            return f"turns: turn {number} has no text"
    return None if turns[-1]["role"] == "assistant" else "turns: the last turn is not the assistant's"


_CHECKS = {
    "sequence_classification": _sequence,
    "relation_classification": _relation,
    "token_classification": _token,
    "span_extraction": _answers,
    "sequence_to_sequence": _transduction,
    "dialogue": _turns,
}
