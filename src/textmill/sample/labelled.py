"""Labelled examples of the seven tasks, each with exact gold from the sentence that was composed.

Dev and test examples are told of the part of the world that training and documents never mention
(entities: of both parts), and no example is given twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from textmill.records import Example
from textmill.sample.draw import Draw
from textmill.sample.events import EVENTS
from textmill.sample.grammar import Span, Told
from textmill.sample.news import article, cast
from textmill.sample.parallel import sentence
from textmill.sample.reviews import BAD, GOOD, Reviewer, review
from textmill.sample.statements import Fact, facts_about, state, true_facts
from textmill.sample.talk import dialogue
from textmill.sample.tongue import Tongue, tongue
from textmill.sample.world import Company, Entity, Person, Product, World, world

LABELS: dict[str, tuple[str, ...]] = {
    "sentiment": ("negative", "positive"),
    "entities": ("person", "company", "place", "product"),
    "relations": ("none", "works_for", "founded", "located_in", "makes", "born_in"),
}


def _sentiment(draw: Draw, speech: Tongue, part: World) -> Example:
    label = draw.choice(LABELS["sentiment"])
    told = review(draw, speech, part, draw.choice(part.products), GOOD if label == "positive" else BAD)
    return {"text": told.text, "pair": None, "label": label}


def _entities(draw: Draw, speech: Tongue, part: World) -> Example:
    told = speech.paragraph([_mentioning(draw, speech, part) for _ in range(draw.between(1, 2))])
    return {
        "text": told.text,
        "spans": [_span(span) for span in told.spans if span.label in LABELS["entities"]],
    }


def _mentioning(draw: Draw, speech: Tongue, part: World) -> Told:
    """A sentence with names in it; people now and then by their family name alone."""
    kind = draw.random()
    if kind < 0.5:
        subject: Entity = draw.choice(part.people) if draw.chance(0.5) else draw.choice(part.companies)
        name = subject.mention(speech.code, short=True) if draw.chance(0.25) else None
        return state(draw, speech, facts_about(draw, part, subject, draw.between(1, 2)), subject=name)
    product = draw.choice(part.products)
    if kind < 0.6:
        return Reviewer(draw, speech, part, product).setting()
    slots = cast(draw, speech, part, product)
    if draw.chance(0.3):
        slots["p"] = draw.choice(part.people).mention(speech.code, short=True)
        slots["q"] = draw.choice(part.people).mention(speech.code, short=True)
    return speech.sentence(f"event.{draw.choice(EVENTS)}" if kind < 0.9 else "around.voice", slots, draw)


def _span(span: Span) -> dict[str, object]:
    return {"start": span.start, "end": span.end, "label": span.label}


# Relations: which predicates state a label, of a subject of which kind.
_STATING = {
    "works_for": (("works_for", Person), ("employs", Company)),
    "founded": (("founded", Person), ("founded_by", Company)),
    "located_in": (("located_in", Company),),
    "makes": (("makes", Company),),
    "born_in": (("born_in", Person),),
    "none": (("", Person), ("", Company)),
}
_ARGUMENTS = {("person", "company"), ("company", "place"), ("company", "product"), ("person", "place")}


def _relations(draw: Draw, speech: Tongue, part: World) -> Example:
    wanted = draw.choice((*LABELS["relations"], "none"))
    while True:
        facts, told = scene(draw, speech, part, *draw.choice(_STATING[wanted]))
        stated = {
            (head, tail): label
            for fact in facts
            if (found := fact.relation())
            for head, label, tail in [found]
        }
        pairs = list(_pairs(told.spans, stated, wanted, reverse=draw.chance(0.1)))
        if pairs:
            head, tail = draw.choice(pairs)
            return {"text": told.text, "head": _span(head), "tail": _span(tail), "label": wanted}


def scene(
    draw: Draw, speech: Tongue, part: World, predicate: str, kind: type[Entity]
) -> tuple[list[Fact], Told]:
    """One or two sentences, one of which has ``predicate`` (any, if empty), and the facts they state."""
    pool = part.people if kind is Person else part.companies
    told: list[list[Fact]] = []
    for number in range(draw.between(1, 2)):
        subject: Entity = draw.choice(pool)
        facts = facts_about(draw, part, subject, draw.between(1, 3))
        if predicate and (number == 0 or draw.chance(0.4)):
            if predicate == "founded" and number == 0 and isinstance(subject, Person) and not subject.firm:
                subject = draw.choice(part.companies).founder
                facts = facts_about(draw, part, subject, draw.between(1, 3))
            facts = [fact for fact in facts if fact.predicate != predicate][:2]
            facts += [fact for fact in true_facts(draw, part, subject) if fact.predicate == predicate]
            facts = draw.shuffled(facts) or facts_about(draw, part, subject, 1)
        told.append(facts)
    sentences = [state(draw, speech, facts) for facts in draw.shuffled(told)]
    return [fact for facts in told for fact in facts], speech.paragraph(sentences)


def _pairs(
    spans: list[Span], stated: dict[tuple[str, str], str], wanted: str, reverse: bool
) -> Iterator[tuple[Span, Span]]:
    """The pairs of mentions whose relation is ``wanted``; for none, reversed relations too if asked for."""
    for head in spans:
        for tail in spans:
            if head.key == tail.key:
                continue
            label = stated.get((head.key, tail.key), "none")
            if wanted == "none" and reverse:
                if (tail.key, head.key) in stated:
                    yield head, tail
            elif label == wanted and (head.label, tail.label) in _ARGUMENTS:
                yield head, tail


# Questions: the predicates that are asked about, by kind of subject.
_ASKED = {
    Company: ("located_in", "founded_by", "makes", "staff", "since"),
    Person: ("works_for", "born_in", "role"),
    Product: ("price", "launched"),
}


def _questions(draw: Draw, speech: Tongue, part: World) -> Example:
    kind, pool = draw.choice(
        (
            (Company, part.companies),
            (Company, part.companies),
            (Person, part.people),
            (Product, part.products),
        )
    )
    asked = _ASKED[kind]
    subjects: list[Entity] = draw.some(pool[draw.below(len(pool) - 9) :][:9], 3 if kind is not Company else 2)
    facts = [
        fact
        for subject in subjects
        for fact in draw.some(_known(draw, part, subject), 2 if kind is not Company else 3)
    ]
    facts = draw.shuffled(facts)[: draw.between(4, 6)]
    told = [state(draw, speech, [fact], plain=True) for fact in facts]
    context = speech.paragraph(told)
    stated = {(fact.subject.key, fact.predicate) for fact in facts}
    missing = [
        (subject, predicate)
        for subject in subjects
        for predicate in asked
        if (subject.key, predicate) not in stated
        and any(other.predicate == predicate for other in facts)
        and predicate not in ("role", "since")
    ]
    if missing and draw.chance(0.13):
        subject, predicate = draw.choice(missing)
        answers: list[dict[str, object]] = []
    else:
        number = draw.below(len(facts))
        fact = facts[number]
        subject, predicate = fact.subject, fact.predicate
        before = sum(len(sentence.spans) for sentence in told[:number])
        span = next(span for span in context.spans[before:] if span.key == fact.object.key)
        answers = [{"text": context.text[span.start : span.end], "start": span.start}]
    mark = "?" if speech.code == "en" else "？"
    question = speech.sentence(f"ask.{predicate}", {"s": subject.mention(speech.code)}, draw, stop=mark)
    return {"question": question.text, "context": context.text, "answers": answers}


def _known(draw: Draw, part: World, subject: Entity) -> list[Fact]:
    """What can be asked about ``subject``, each as a fact."""
    literal: list[tuple[str, str, str, str]] = []
    if isinstance(subject, Company):
        literal = [("staff", "number", str(subject.staff), ""), ("since", "year", str(subject.year), "")]
        year = subject.year
    elif isinstance(subject, Person):
        literal = [("role", "role", subject.role[0], subject.role[1])]
        year = draw.between(1961, 2019)
    elif isinstance(subject, Product):
        literal = [("price", "number", str(subject.price), ""), ("launched", "year", str(subject.year), "")]
        year = subject.year
    facts = [
        Fact(
            predicate, subject, Entity(f"{subject.key}.{predicate}", label, english, chinese or english), year
        )
        for predicate, label, english, chinese in literal
    ]
    asked = _ASKED[type(subject)]
    return facts + [fact for fact in true_facts(draw, part, subject) if fact.predicate in asked]


def _headlines(draw: Draw, speech: Tongue, part: World) -> Example:
    found = article(draw, speech, part, draw.between(3, 4))
    return {"source": speech.paragraph(found.sentences).text, "target": found.headline}


def _translation(draw: Draw, speech: Tongue, part: World) -> Example:
    pair = sentence(draw, part)
    return {"source": pair.english, "target": pair.chinese}


def _dialogue(draw: Draw, speech: Tongue, part: World) -> Example:
    turns = dialogue(draw, speech, part)
    return {"turns": [{"role": ("user", "assistant")[i % 2], "text": text} for i, text in enumerate(turns)]}


MAKERS: dict[str, Callable[[Draw, Tongue, World], Example]] = {
    "sentiment": _sentiment,
    "entities": _entities,
    "relations": _relations,
    "questions": _questions,
    "headlines": _headlines,
    "translation": _translation,
    "dialogue": _dialogue,
}


@lru_cache(maxsize=32)
def unseen(seed: int, task: str, test: int, dev: int) -> dict[str, list[Example]]:
    """The test and dev examples of a task."""
    return _make(seed, task, {"test": test, "dev": dev}, set())


def all_splits(seed: int, task: str, train: int, dev: int, test: int) -> dict[str, list[Example]]:
    """The examples of a task by split; none of them occurs twice."""
    held = unseen(seed, task, test, dev)
    seen = {_content(example) for split in held.values() for example in split}
    return {**_make(seed, task, {"train": train}, seen), "dev": held["dev"], "test": held["test"]}


def _make(seed: int, task: str, sizes: dict[str, int], seen: set[str]) -> dict[str, list[Example]]:
    made: dict[str, list[Example]] = {}
    for split, size in sizes.items():
        draw = Draw(seed, "examples", task, split)
        rows = made[split] = []
        while len(rows) < size:
            # Entities need some known names among the unknown, so that knowing names is worth something.
            held = split != "train" and not (task == "entities" and draw.chance(0.35))
            code = draw.choice(("en", "zh"))
            example = MAKERS[task](draw, tongue(code), world(seed, "held" if held else "open"))
            content = _content(example)
            if content in seen:
                continue
            seen.add(content)
            language = "zh" if task == "translation" else code
            rows.append({"id": f"{task}-{split}-{len(rows):04d}", "language": language, **example})
    return made


def _content(example: Example) -> str:
    """What makes an example the same as another: what a model is given."""
    if "turns" in example:
        return "\n".join(turn["text"] for turn in example["turns"][:-1])
    return "\n".join(
        str(example[key])
        for key in ("text", "question", "context", "source", "head", "tail")
        if key in example
    )
