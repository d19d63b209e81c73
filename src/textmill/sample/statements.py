"""Facts of the world and the sentences that state them.

A sentence states one to three facts about a subject: as verb phrases, in an apposition, turned round, or
as a correction of a wrong fact. What it states is known, so every pair of names in it has a known relation.
"""

from __future__ import annotations

from typing import NamedTuple

from textmill.sample.draw import Draw
from textmill.sample.grammar import Mention, Told
from textmill.sample.tongue import Tongue
from textmill.sample.world import Company, Entity, Person, Product, World

# Predicates that state a relation, and whether the subject is the relation's tail.
RELATION = {
    "works_for": ("works_for", False),
    "founded": ("founded", False),
    "born_in": ("born_in", False),
    "located_in": ("located_in", False),
    "makes": ("makes", False),
    "founded_by": ("founded", True),
    "employs": ("works_for", True),
}
CORRECTED = ("works_for", "founded", "born_in", "located_in", "makes")


class Fact(NamedTuple):
    """What ``predicate`` says of ``subject`` and ``object``; ``wrong`` is what the object is not."""

    predicate: str
    subject: Entity
    object: Entity
    year: int
    role: tuple[str, str] = ("", "")
    wrong: Entity | None = None

    def relation(self) -> tuple[str, str, str] | None:
        """(key of the head, label, key of the tail), or None where no relation is stated."""
        if self.predicate not in RELATION:
            return None
        label, turned = RELATION[self.predicate]
        head, tail = (self.object, self.subject) if turned else (self.subject, self.object)
        return head.key, label, tail.key


def true_facts(draw: Draw, world: World, subject: Entity) -> list[Fact]:
    """The relations that hold of a person or company in the world, one for each predicate."""
    year = draw.between(1961, 2019)
    found: list[Fact] = []
    if isinstance(subject, Person):
        employer, place = subject.employer, subject.born
        wrong: Entity = draw.other(world.companies, employer)
        found.append(Fact("works_for", subject, employer, year, subject.role, wrong))
        found.append(Fact("born_in", subject, place, year, subject.role, draw.other(world.places, place)))
        if subject.firm:
            wrong = draw.other(world.companies, subject.firm)
            found.append(Fact("founded", subject, subject.firm, subject.firm.year, subject.role, wrong))
    elif isinstance(subject, Company):
        place, founder = subject.place, subject.founder
        found.append(Fact("located_in", subject, place, subject.year, wrong=draw.other(world.places, place)))
        found.append(Fact("founded_by", subject, founder, subject.year, founder.role))
        if subject.products:
            own = draw.choice(subject.products)
            found.append(Fact("makes", subject, own, own.year, wrong=draw.other(world.products, own)))
        if subject.people:
            person = draw.choice(subject.people)
            found.append(Fact("employs", subject, person, year, person.role))
    return found


def other_facts(draw: Draw, world: World, subject: Entity) -> list[Fact]:
    """What may be said of a person or company without stating a relation."""
    year = draw.between(1961, 2019)
    found: list[Fact] = []
    if isinstance(subject, Person):
        company = draw.choice(world.companies)
        while company in (subject.employer, subject.firm):
            company = draw.choice(world.companies)
        found.append(Fact("avoids", subject, company, year))
        found.append(Fact("visits", subject, draw.other(world.places, subject.born), year, subject.role))
        found.append(Fact("uses", subject, draw.choice(world.products), year))
    elif isinstance(subject, Company):
        foreign = draw.choice(world.products)
        while foreign.maker is subject:
            foreign = draw.choice(world.products)
        stranger = draw.choice(world.people)
        while stranger.employer is subject or stranger.firm is subject:
            stranger = draw.choice(world.people)
        found.append(Fact("serves", subject, draw.other(world.places, subject.place), year))
        found.append(Fact("sells", subject, foreign, year))
        found.append(Fact("parted", subject, stranger, year, stranger.role))
    return found


def facts_about(draw: Draw, world: World, subject: Entity, count: int, true: float = 0.65) -> list[Fact]:
    """``count`` facts of different predicates, each a relation with probability ``true``."""
    facts: list[Fact] = []
    for _ in range(count):
        used = {fact.predicate for fact in facts}
        kinds = (true_facts, other_facts) if draw.chance(true) else (other_facts, true_facts)
        for kind in kinds:
            options = [fact for fact in kind(draw, world, subject) if fact.predicate not in used]
            if options:
                facts.append(draw.choice(options))
                break
    return facts


def state(
    draw: Draw,
    tongue: Tongue,
    facts: list[Fact],
    *,
    subject: str | Mention | None = None,
    plain: bool = False,
) -> Told:
    """One sentence that states ``facts`` (one to three, about one subject).

    ``subject`` replaces the subject's name (a pronoun); ``plain`` leaves out where it is known from.
    """
    name = subject or facts[0].subject.mention(tongue.code)
    pieces: list[str | Mention] = []
    expand = tongue.grammar.expand
    told_by = draw.chance(0.5)
    if told_by and not plain:
        expand("lead", {}, draw, pieces)
    first = facts[0]
    if len(facts) == 1 and subject is None and draw.chance(0.4):
        form = "pair" if first.wrong and first.predicate in CORRECTED and draw.chance(0.35) else "inv"
        if f"{form}.{first.predicate}" in tongue.grammar:
            expand(f"{form}.{first.predicate}", slots(tongue, first), draw, pieces)
            return tongue.close(pieces)
    if len(facts) > 1 and (len(facts) == 3 or (subject is None and draw.chance(0.5))):
        _apposition(draw, tongue, first, name, pieces)
        facts = facts[1:]
    else:
        pieces.append(name)
        if tongue.code == "en":
            pieces.append(" ")
    for number, fact in enumerate(facts):
        phrase: list[str | Mention] = []
        expand(f"vp.{fact.predicate}", slots(tongue, fact), draw, phrase)
        if number:
            pieces.append(" and " if tongue.code == "en" else "，")
            if isinstance(phrase[0], str) and phrase[0].startswith("的"):
                pieces.append(pronoun(tongue, fact.subject))
        pieces += phrase
    if not (told_by or plain):
        expand("tail", {}, draw, pieces)
    return tongue.close(pieces)


def _apposition(
    draw: Draw, tongue: Tongue, fact: Fact, name: str | Mention, pieces: list[str | Mention]
) -> None:
    """ "Emma Moss, born in Marton, " or, in Chinese, what comes before the name."""
    phrase: list[str | Mention] = []
    tongue.grammar.expand(f"app.{fact.predicate}", slots(tongue, fact), draw, phrase)
    pieces += [name, ", ", *phrase, ", "] if tongue.code == "en" else [*phrase, "的", name]


def slots(tongue: Tongue, fact: Fact) -> dict[str, str | Mention]:
    """What the rules about ``fact`` take."""
    code = tongue.code
    found: dict[str, str | Mention] = {
        "s": fact.subject.mention(code),
        "o": fact.object.mention(code),
        "year": str(fact.year),
        "role": fact.role[code == "zh"],
    }
    if fact.wrong is not None:
        found["t"] = fact.wrong.mention(code)
    if isinstance(fact.object, Product):
        found["kind"] = fact.object.kind.english if code == "en" else fact.object.kind.chinese
    return found


def pronoun(tongue: Tongue, entity: Entity) -> str:
    """The pronoun for a person (she, he) or anything else (it)."""
    if isinstance(entity, Person):
        return ("she", "她")[tongue.code == "zh"] if entity.woman else ("he", "他")[tongue.code == "zh"]
    return ("it", "它")[tongue.code == "zh"]
