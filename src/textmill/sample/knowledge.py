"""The world as a knowledge graph, and texts of which every entity and relation is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textmill.sample.draw import Draw
from textmill.sample.labelled import LABELS, scene
from textmill.sample.tongue import tongue
from textmill.sample.world import Company, Entity, Person, World, world

Edge = tuple[str, str, str, str, str]  # head, its type, relation, tail, its type


def annotated(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """``count`` texts about the part of the world that training never mentions, annotated in full.

    Each has "id", "language", "text", "spans" and "relations" [{"head", "tail": places of spans, "label"}].
    """
    draw, part = Draw(seed, "knowledge"), world(seed, "held")
    for number in range(count):
        code = draw.choice(("en", "zh"))
        facts, told = scene(draw, tongue(code), part, "", draw.choice((Person, Company)))
        spans = [span for span in told.spans if span.label in LABELS["entities"]]
        stated = {found for fact in facts if (found := fact.relation())}
        yield {
            "id": f"knowledge-{number:04d}",
            "language": code,
            "text": told.text,
            "spans": [{"start": span.start, "end": span.end, "label": span.label} for span in spans],
            "relations": [
                {"head": i, "tail": j, "label": label}
                for i, head in enumerate(spans)
                for j, tail in enumerate(spans)
                for from_, label, to in sorted(stated)
                if (head.key, tail.key) == (from_, to)
            ],
        }


def edges(seed: int, part: str) -> set[Edge]:
    """All that holds in a part of the world, ``open`` or ``held``, told with the names of both languages."""
    known: World = world(seed, part)
    facts: list[tuple[Entity, str, Entity]] = []
    for person in known.people:
        facts += [(person, "works_for", person.employer), (person, "born_in", person.born)]
        if person.firm:
            facts.append((person, "founded", person.firm))
    for company in known.companies:
        facts.append((company, "located_in", company.place))
        facts += [(company, "makes", product) for product in company.products]
    return {
        (head.mention(code).surface, head.label, relation, tail.mention(code).surface, tail.label)
        for head, relation, tail in facts
        for code in ("en", "zh")
    }
