"""Formats of published data sets: SQuAD, SpERT, SemEval-2010 Task 8."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.tasks.readers.annotation import relation_rows
from textmill.tasks.readers.files import File
from textmill.tasks.readers.row import Row, rename_labels, rows_of, shorten
from textmill.tasks.readers.tables import parse_json
from textmill.tasks.readers.tags import find_scheme, tag_spans
from textmill.words import join_tokens

# A sentence of SemEval-2010 Task 8: its number, a tab, the sentence in quotes.
SEMEVAL_LINE = re.compile(r'(\d+)\t"?(.*<e[12]>.*?)"?\s*')
# What is meant as one: a number and a quote, or marks in a line that is no comment.
_LIKE_A_SENTENCE = re.compile(r'\d+ *"|(?!Comment).*</?e[12]>')


def read_squad(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """SQuAD 1.1 and 2.0 JSON; without answers, or with ``is_impossible``, a question has none.

    ``options.unplaced: mend`` moves an answer that does not stand where the file says to the nearest place
    where it does, and leaves it out where there is none and the question has others; without it such a
    question is a bad row.
    """
    for file in files:
        tree = parse_json(file, task.data.options.get("encoding"))
        articles = tree.get("data") if isinstance(tree, dict) else None
        if not isinstance(articles, list):
            raise UserError(f"{file.name}: expected SQuAD JSON: an object with a list called data")
        number = 0
        for article in articles:
            for paragraph in parts(article, "paragraphs"):
                for question in parts(paragraph, "qas"):
                    number += 1
                    place = f"{file.name}:question[{number}]"
                    there = question or paragraph or article
                    yield from rows_of(place, there, _squad_rows(place, paragraph, question, task))


def parts(whole: Any, key: str) -> list[Any]:
    """The list under ``key``; where there cannot be one, None in its place, which becomes a bad row."""
    parts = whole.get(key) if isinstance(whole, dict) else None
    return parts if isinstance(parts, list) else [None]


def _squad_rows(place: str, paragraph: Any, question: Any, task: Task) -> Iterator[Row]:
    if not isinstance(question, dict):
        told = "is no object, or has no list called paragraphs or qas"
        yield Row(place, None, f"question: its article, its paragraph or itself {told}")
        return
    missing = [key for key in ("question", "id") if key not in question]
    if missing or "context" not in paragraph:
        yield Row(place, None, f"{(missing or ['context'])[0]}: missing")
        return
    context = paragraph["context"]
    found = [] if question.get("is_impossible") else question.get("answers", [])
    if not isinstance(found, list):
        yield Row(place, None, f"answers: expected a list, found {shorten(repr(found))}")
        return
    answers = [{"text": a["text"], "start": a["answer_start"]} for a in found]
    if task.data.options.get("unplaced") == "mend":
        answers = _placed(answers, context) or answers
    asked = {"id": question["id"], "question": question["question"]}
    yield Row(place, {**asked, "context": context, "answers": answers})


def _placed(answers: Sequence[dict[str, Any]], context: str) -> list[dict[str, Any]]:
    """The answers that occur in the context, each at its occurrence nearest to where it is said to be."""
    found = []
    for answer in answers:
        places = [m.start() for m in re.finditer(re.escape(answer["text"]), context)]
        if answer["text"] and places:
            nearest = min(places, key=lambda place: abs(place - answer["start"]))
            found.append({"text": answer["text"], "start": nearest})
    return found


def read_spert(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """SpERT's JSON: tokens, entities (or BILOU tags) and relations; serves entities and relations alike."""
    for file in files:
        tree = parse_json(file, task.data.options.get("encoding"))
        if not isinstance(tree, list):
            raise UserError(f"{file.name}: expected SpERT JSON: a list of sentences")
        for number, item in enumerate(tree, 1):
            place = f"{file.name}:sentence[{number}]"
            yield from rows_of(place, item, _spert_rows(place, item, task))


def _spert_rows(place: str, item: Any, task: Task) -> Iterator[Row]:
    if "tokens" not in item or not {"entities", "tags"} & set(item):
        yield Row(place, None, f"{'entities' if 'tokens' in item else 'tokens'}: missing")
        return
    if not all(isinstance(token, str) and token for token in item["tokens"]):
        yield Row(place, None, "tokens: expected texts, and none of them empty")
        return
    text, places = join_tokens(item["tokens"], task.data.options.get("join"))
    try:
        entities = item["entities"] if "entities" in item else _tagged(item["tags"])
    except ValueError as error:
        yield Row(place, None, f"tags: {error}")
        return
    outside = [e for e in entities if not 0 <= e["start"] < e["end"] <= len(places)]
    if outside:
        e = outside[0]
        yield Row(place, None, f"entities: {e['start']} to {e['end']} outside {len(places)} tokens")
        return
    spans = {
        str(i): {"start": places[e["start"]][0], "end": places[e["end"] - 1][1], "label": e["type"]}
        for i, e in enumerate(entities)
    }
    if task.family == "relation_classification":
        relations = [(str(r["head"]), str(r["tail"]), r["type"]) for r in item.get("relations", [])]
        yield from relation_rows(place, text, spans, relations, task)
    else:
        ordered = sorted(spans.values(), key=lambda span: (span["start"], span["end"]))
        yield Row(place, rename_labels({"text": text, "spans": ordered}, task))


def _tagged(tags: Sequence[str]) -> list[dict[str, Any]]:
    """Entities in the order of their beginnings, from tags."""
    found = tag_spans(tags, find_scheme([tags]))
    return [{"start": start, "end": end, "type": label} for start, end, label in found]


def read_semeval(files: Sequence[File], task: Task, split: str) -> Iterator[Row]:
    """SemEval-2010 Task 8: number, sentence with <e1> and <e2>, relation with direction, comment."""
    for file in files:
        lines = [*file.numbered(task.data.options.get("encoding")), (0, "", None)]
        for (number, line, problem), (_, below, problem_below) in pairwise(lines):
            found = re.fullmatch(r'(\d+)\t"?(.*?)"?\s*', line)
            place, label, lost = f"{file.name}:{number}", below.strip(), "\n".join((line, below))
            if problem and not found:  # a sentence whose line is too long, a label, or a comment
                yield Row(place, None, problem, line)
            elif not found and _LIKE_A_SENTENCE.match(line):
                told = f"expected a number, a tab, the sentence in quotes; found {shorten(line)!r}"
                yield Row(place, None, f"text: {told}", lost)
            if not found or problem_below:
                continue
            if problem or not label:
                told = problem or "label: the line below the sentence has none"
                yield Row(place, None, told, lost)
                continue
            try:
                text, spans = _marked(found.group(2))
            except ValueError as error:
                yield Row(place, None, f"text: {error}", lost)
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
            span, edge = spans.setdefault(mark.group(2), {}), "end" if mark.group(1) else "start"
            if edge in span:
                raise ValueError(f"{part} stands there twice")
            span[edge] = length
        else:
            parts.append(part)
            length += len(part)
    if set(spans) != {"e1", "e2"} or any(set(span) != {"start", "end"} for span in spans.values()):
        raise ValueError("expected <e1>...</e1> and <e2>...</e2> once each")
    return "".join(parts), spans
