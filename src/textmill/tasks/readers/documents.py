"""Formats of published data sets: SQuAD, SpERT, SemEval-2010 Task 8."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.tasks.readers.annotation import relation_rows
from textmill.tasks.readers.conll import join_tokens
from textmill.tasks.readers.files import File
from textmill.tasks.readers.row import Row, rename_labels
from textmill.tasks.readers.tables import parse_json


def read_squad(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """SQuAD 1.1 and 2.0 JSON; without answers, or with ``is_impossible``, a question has none."""
    for file in files:
        tree = parse_json(file, task.data.options.get("encoding"))
        articles = tree.get("data") if isinstance(tree, dict) else None
        if not isinstance(articles, list):
            raise UserError(f"{file.name}: expected SQuAD JSON: an object with a list called data")
        number = 0
        for article in articles:
            for paragraph in article.get("paragraphs", []):
                for question in paragraph.get("qas", []):
                    number += 1
                    place = f"{file.name}:question[{number}]"
                    missing = [key for key in ("question", "id") if key not in question]
                    if missing or "context" not in paragraph:
                        yield Row(place, None, f"{(missing or ['context'])[0]}: missing")
                        continue
                    answers = [] if question.get("is_impossible") else question.get("answers", [])
                    yield Row(
                        place,
                        {
                            "id": question["id"],
                            "question": question["question"],
                            "context": paragraph["context"],
                            "answers": [
                                {"text": answer["text"], "start": answer["answer_start"]}
                                for answer in answers
                            ],
                        },
                    )


def read_spert(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """SpERT's JSON: tokens, entities and relations; serves entities and relations alike."""
    for file in files:
        tree = parse_json(file, task.data.options.get("encoding"))
        if not isinstance(tree, list):
            raise UserError(f"{file.name}: expected SpERT JSON: a list of sentences")
        for number, item in enumerate(tree, 1):
            place = f"{file.name}:sentence[{number}]"
            missing = [key for key in ("tokens", "entities") if key not in item]
            if missing:
                yield Row(place, None, f"{missing[0]}: missing")
                continue
            text, places = join_tokens(item["tokens"], task.data.options.get("join"))
            outside = [e for e in item["entities"] if not 0 <= e["start"] < e["end"] <= len(places)]
            if outside:
                e = outside[0]
                yield Row(place, None, f"entities: {e['start']} to {e['end']} outside {len(places)} tokens")
                continue
            spans = {
                str(i): {"start": places[e["start"]][0], "end": places[e["end"] - 1][1], "label": e["type"]}
                for i, e in enumerate(item["entities"])
            }
            if task.family == "relation_classification":
                relations = [(str(r["head"]), str(r["tail"]), r["type"]) for r in item.get("relations", [])]
                yield from relation_rows(place, text, spans, relations, task)
            else:
                ordered = sorted(spans.values(), key=lambda span: (span["start"], span["end"]))
                yield Row(place, rename_labels({"text": text, "spans": ordered}, task))


def read_semeval(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """SemEval-2010 Task 8: number, sentence with <e1> and <e2>, relation with direction, comment."""
    for file in files:
        lines = file.lines(task.data.options.get("encoding"))
        for number, line in enumerate(lines, 1):
            found = re.fullmatch(r'(\d+)\t"?(.*?)"?\s*', line)
            if found is None:
                continue
            place = f"{file.name}:{number}"
            label = lines[number].strip() if number < len(lines) else ""
            if not label:
                yield Row(place, None, "label: the line below the sentence has none")
                continue
            try:
                text, spans = _marked(found.group(2))
            except ValueError as error:
                yield Row(place, None, f"text: {error}")
                continue
            example: dict[str, Any] = {"id": found.group(1), "text": text, "label": label}
            example |= {"head": {**spans["e1"], "label": "e1"}, "tail": {**spans["e2"], "label": "e2"}}
            yield Row(place, rename_labels(example, task))


def _marked(sentence: str) -> tuple[str, dict[str, dict[str, int]]]:
    """The sentence without its marks, and where e1 and e2 stood."""
    parts: list[str] = []
    spans: dict[str, dict[str, int]] = {}
    length = 0
    for part in re.split(r"(</?e[12]>)", sentence):
        if mark := re.fullmatch(r"<(/?)(e[12])>", part):
            spans.setdefault(mark.group(2), {})["end" if mark.group(1) else "start"] = length
        else:
            parts.append(part)
            length += len(part)
    if set(spans) != {"e1", "e2"} or any(set(span) != {"start", "end"} for span in spans.values()):
        raise ValueError("expected <e1>...</e1> and <e2>...</e2> once each")
    return "".join(parts), spans
