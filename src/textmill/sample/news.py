"""News: articles about one event each, and their headlines."""

from __future__ import annotations

from typing import NamedTuple

from textmill.sample.draw import Draw
from textmill.sample.events import EVENTS
from textmill.sample.grammar import Mention, Told
from textmill.sample.names import ROLES
from textmill.sample.statements import facts_about, state
from textmill.sample.tongue import Tongue
from textmill.sample.world import Product, World

# Words that the report and the headline share: both are drawn by one number.
_SHARED = ("site", "part", "good_cause", "prize")


class Article(NamedTuple):
    """A headline, the sentences, and which of them reports the event."""

    headline: str
    sentences: list[Told]
    at: int


def article(draw: Draw, tongue: Tongue, world: World, sentences: int) -> Article:
    """An article of ``sentences`` sentences; the event is reported in the first in one of five."""
    event = draw.choice(EVENTS)
    product = draw.choice(world.products)
    slots = cast(draw, tongue, world, product)
    report = tongue.sentence(f"event.{event}", slots, draw)
    pieces: list[str | Mention] = []
    tongue.grammar.expand(f"head.{event}", slots, draw, pieces)
    headline = tongue.close(pieces, stop="").text
    others = [
        tongue.sentence(f"around.{kind}", slots, draw)
        for kind in draw.some(("colour", "before", "voice"), min(3, sentences - 1))
    ]
    maker = product.maker
    circle = [maker, maker.founder, *maker.people, *world.people]
    others += [
        state(draw, tongue, facts_about(draw, world, subject, draw.between(1, 2), 0.9))
        for subject in circle[: max(0, sentences - 1 - len(others))]
    ]
    others = draw.shuffled(others)
    at = 0 if draw.chance(0.2) else draw.between(1, len(others))
    told = [*others[:at], report, *others[at:]]
    if draw.chance(0.5):
        told.insert(at + 1, tongue.sentence(f"more.{event}", slots, draw))
    return Article(headline, told, at)


def cast(draw: Draw, tongue: Tongue, world: World, product: Product) -> dict[str, str | Mention]:
    """Who and what an event is about, as the rules of news take it."""
    code = tongue.code
    company = product.maker
    low = draw.between(4, 90) * 10
    role = draw.choice(ROLES)
    rival = draw.other(world.companies, company)
    slots: dict[str, str | Mention] = {
        "c": company.mention(code),
        "d": rival.mention(code),
        "e": draw.other(world.companies, company, rival).mention(code),
        "l": company.place.mention(code),
        "k": draw.other(world.places, company.place).mention(code),
        "p": draw.choice(world.people).mention(code),
        "q": draw.choice(world.people).mention(code),
        "x": product.mention(code),
        "kind": product.kind.english if code == "en" else product.kind.chinese,
        "trade": company.sector.trade if code == "en" else company.sector.trade_chinese,
        "role": role[code == "zh"],
        "n": str(draw.between(4, 19) * 5),
        "w": str(draw.between(3, 29)),
        "m": str(low),
        "h": str(low + draw.between(1, 9) * 10),
        "year": str(draw.between(1991, 2019)),
    }
    for name in _SHARED:
        slots[name] = tongue.grammar.phrase(name, draw)
    return slots
