"""The corpus: documents of five kinds in two languages, and the defects planted among them.

A clean document shares no run of 13 words (in Chinese: characters) with a dev or test example of any task,
so that what decontamination ought to find is exactly what was planted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from textmill.params import Sample
from textmill.records import Example, example_texts
from textmill.sample import defects, foreign
from textmill.sample.draw import Draw
from textmill.sample.grammar import Told
from textmill.sample.howto import howto
from textmill.sample.labelled import MAKERS, unseen
from textmill.sample.news import article
from textmill.sample.opinions import ASPECTS
from textmill.sample.reviews import BAD, GOOD, IN_DOCUMENTS, Reviewer
from textmill.sample.statements import Fact, facts_about, pronoun, state, true_facts
from textmill.sample.talk import dialogue
from textmill.sample.tongue import Tongue, tongue
from textmill.sample.world import Company, Entity, Person, World, world

NGRAM = 13
# Shares of the documents that carry each defect. The first five are documents of their own.
OWN = {
    "exact_duplicate": 0.02,
    "near_duplicate": 0.02,
    "gibberish": 0.015,
    "foreign": 0.04,
    "contamination": 0.015,
}
WITHIN = {"boilerplate": 0.08, "mojibake": 0.015, "email": 0.015, "phone": 0.015, "id_number": 0.012}
_TOKEN = re.compile("[\u4e00-\u9fff]|[a-z0-9]+")


class Row(NamedTuple):
    """A document on its way into the corpus; ``of`` is the place of the row it is a copy of."""

    text: str
    code: str
    kind: str | None = None
    of: int | None = None
    task: str | None = None
    value: str | None = None


def _news(draw: Draw, speech: Tongue, part: World) -> str:
    found = article(draw, speech, part, draw.between(6, 8))
    text = speech.paragraph(found.sentences).text
    return f"{found.headline}\n{text}" if draw.chance(0.3) else text


def _review(draw: Draw, speech: Tongue, part: World) -> str:
    polarity = draw.choice((GOOD, BAD))
    reviewer = Reviewer(draw, speech, part, draw.choice(part.products))
    sentences = [reviewer.unit(polarity, IN_DOCUMENTS) for _ in range(draw.between(4, 7))]
    sentences.insert(0, reviewer.setting())
    sentences.append(reviewer.verdict(polarity))
    return speech.paragraph(sentences).text


def _portrait(draw: Draw, speech: Tongue, part: World) -> str:
    """A company or person, those around it, and sometimes a question about what was said."""
    first: Entity = draw.choice(part.companies) if draw.chance(0.6) else draw.choice(part.people)
    told: list[Told] = []
    known: list[Fact] = []
    met: list[Entity] = []
    subject = first
    for _ in range(draw.between(3, 4) + (speech.code == "zh")):
        facts = facts_about(draw, part, subject, draw.between(1, 2), 0.9)
        told.append(state(draw, speech, facts))
        more = [
            f for f in true_facts(draw, part, subject) if all(f.predicate != fact.predicate for fact in facts)
        ]
        if more:
            told.append(
                state(draw, speech, [draw.choice(more)], subject=pronoun(speech, subject), plain=True)
            )
        known += [fact for fact in facts if fact.relation()]
        met.append(subject)
        near = [
            f.object
            for f in [*facts, *more]
            if isinstance(f.object, (Company, Person)) and f.object not in met
        ]
        subject = draw.choice(near) if near else draw.choice(part.people)
    text = speech.paragraph(told).text
    asked = [fact for fact in known if f"ask.{fact.predicate}" in speech.grammar]
    if asked and draw.chance(0.6):
        fact = draw.choice(asked)
        mark, frame = ("?", "{q} {a}.") if speech.code == "en" else ("？", "{q}{a}。")
        question = speech.sentence(
            f"ask.{fact.predicate}", {"s": fact.subject.mention(speech.code)}, draw, stop=mark
        )
        text += "\n" + frame.replace("{q}", question.text).replace(
            "{a}", fact.object.mention(speech.code).surface
        )
    return text


def _instructions(draw: Draw, speech: Tongue, part: World) -> str:
    return howto(draw, speech, ASPECTS).text


def _talk(draw: Draw, speech: Tongue, part: World) -> str:
    one, two = (
        person.mention(speech.code).surface for person in draw.some(part.people[draw.below(500) :][:20], 2)
    )
    colon = ": " if speech.code == "en" else "："
    lines = [
        f"{(one, two)[i % 2]}{colon}{turn}"
        for _ in range(2 if speech.code == "en" else 3)
        for i, turn in enumerate(dialogue(draw, speech, part))
    ]
    return "\n".join(lines)


KINDS_OF_DOCUMENT: tuple[tuple[float, Callable[[Draw, Tongue, World], str]], ...] = (
    (0.26, _news),
    (0.5, _review),
    (0.74, _portrait),
    (0.84, _instructions),
    (1.0, _talk),
)


def _clean(draw: Draw, part: World, held: set[tuple[str, ...]]) -> Row:
    """A document without defects, and without any run of words of a dev or test example."""
    code = draw.choice(("en", "zh"))
    while True:
        mark = draw.random()
        make = next(make for bound, make in KINDS_OF_DOCUMENT if mark < bound)
        text = make(draw, tongue(code), part)
        if (len(text) >= 110 if code == "zh" else text.count(" ") >= 52) and held.isdisjoint(ngrams(text)):
            return Row(text, code)


def ngrams(text: str) -> Iterator[tuple[str, ...]]:
    """Runs of 13 words (English) or characters (Chinese), punctuation and case aside."""
    tokens = _TOKEN.findall(text.lower())
    return zip(*(tokens[start:] for start in range(NGRAM)), strict=False)


def _counts(size: int) -> dict[str, int]:
    return {kind: round(share * size) for kind, share in (OWN | WITHIN).items()}


@lru_cache(maxsize=2)
def _corpus(seed: int, size: Sample) -> tuple[Row, ...]:
    """The rows in the order of the corpus; ``of`` points into it."""
    draw = Draw(seed, "documents")
    part = world(seed, "open")
    unseen_by_task = {task: unseen(seed, task, size.test, size.dev) for task in MAKERS}
    held: set[tuple[str, ...]] = set()
    for splits in unseen_by_task.values():
        for split in splits.values():
            for example in split:
                for text in example_texts(example):
                    held.update(ngrams(text))
    counts = _counts(size.documents)
    rows = [_clean(draw, part, held) for _ in range(size.documents - sum(counts[kind] for kind in OWN))]
    place = 0
    for kind in WITHIN:
        for _ in range(counts[kind]):
            rows[place] = _spoil(draw, kind, rows[place], part)
            place += 1
    untouched = place
    for kind in ("exact_duplicate", "near_duplicate"):
        for _ in range(counts[kind]):
            source = rows[untouched]
            text = (
                source.text if kind == "exact_duplicate" else defects.edited(draw, source.text, source.code)
            )
            rows.append(Row(text, source.code, kind, of=untouched))
            untouched += 1
    rows += [Row(defects.gibberish(draw), "", "gibberish") for _ in range(counts["gibberish"])]
    for _ in range(counts["foreign"]):
        text, language = foreign.document(draw, part)
        rows.append(Row(text, language, "foreign", value=language))
    rows += _contaminated(draw, counts["contamination"], unseen_by_task, part, held)
    order = draw.shuffled(range(len(rows)))
    where = {old: new for new, old in enumerate(order)}
    return tuple(
        row if row.of is None else row._replace(of=where[row.of]) for row in (rows[old] for old in order)
    )


def _spoil(draw: Draw, kind: str, row: Row, part: World) -> Row:
    """A clean row with one defect."""
    speech = tongue(row.code)
    if kind == "boilerplate":
        line = draw.choice(defects.BOILERPLATE[row.code])
        text = f"{row.text}\n{line}" if draw.chance(0.7) else f"{line}\n{row.text}"
        return row._replace(text=text, kind=kind, value=line)
    if kind == "mojibake":
        intact = defects.accented(row.text) if row.code == "en" else row.text
        return row._replace(text=defects.mojibake(intact, row.code), kind=kind, value=intact)
    if kind == "email":
        sentence, value = defects.email(draw, speech, part)
    elif kind == "phone":
        sentence, value = defects.phone(draw, speech)
    else:
        sentence, value = defects.id_number(draw, speech)
    return row._replace(text=row.text + speech.space + sentence, kind=kind, value=value)


def _contaminated(
    draw: Draw,
    count: int,
    examples: dict[str, dict[str, list[Example]]],
    part: World,
    held: set[tuple[str, ...]],
) -> list[Row]:
    """Clean documents into which the text of a test example was copied, task by task in turn."""
    rows: list[Row] = []
    long = {task: [e for e in splits["test"] if _longest(e)] for task, splits in examples.items()}
    tasks = [task for task in long if long[task]]
    while tasks and len(rows) < count:
        task = tasks[len(rows) % len(tasks)]
        example = draw.choice(long[task])
        text = _longest(example)
        code = "zh" if re.search("[\u4e00-\u9fff]", text) else "en"
        host = _clean(draw, part, held)
        while host.code != code:
            host = _clean(draw, part, held)
        rows.append(Row(f"{text}\n{host.text}", code, "contamination", task=task, value=example["id"]))
    return rows


def _longest(example: Example) -> str:
    """The longest text of an example if it is long enough to be recognised, else nothing."""
    text = max(example_texts(example), key=len)
    return text if len(_TOKEN.findall(text.lower())) >= NGRAM + 2 else ""


def documents(seed: int, size: Sample) -> list[str]:
    """The texts of the corpus, planted defects included, in a shuffled order."""
    return [row.text for row in _corpus(seed, size)]


def planted(seed: int, size: Sample) -> list[dict[str, Any]]:
    """The truth about the planted defects, by place in ``documents``.

    ``of`` is the original of a duplicate, ``task`` the task whose test example was copied. ``value`` is the
    line of boilerplate, the intact text of mojibake, the address or number, the language or the example's id.
    """
    return [
        {"index": index, "kind": row.kind, "of": row.of, "task": row.task, "value": row.value}
        for index, row in enumerate(_corpus(seed, size))
        if row.kind
    ]
