"""A small notation for sentence plans, and the text that grows out of it.

A rule is written as a string::

    {P} [started|set up] {C}[ in {year}|], and <verdict.good>

``[a|b|]`` chooses one alternative (the last one here is empty), ``{slot}`` takes what the caller hands
in, ``<rule>`` continues with another rule of the grammar. Rules nest, so a few hundred short strings
give many thousands of sentence plans; ``Grammar.plans`` counts them.

A slot's value is a string or a ``Mention``; where mentions end up in the finished text is recorded, which
makes the gold of every labelled example exact by construction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from textmill.sample.draw import Draw


class Mention(NamedTuple):
    """An entity's name as it stands in a text."""

    surface: str
    label: str
    key: str


class Span(NamedTuple):
    """Where a mention stands: characters ``start`` to ``end`` (half-open)."""

    start: int
    end: int
    label: str
    key: str


Slots = Mapping[str, "str | Mention"]
# A compiled plan: literal text, ("{", slot), ("<", rule) or ("[", alternatives), one after another.
Node = object
_TOKEN = re.compile(r"\{(\w+)\}|<([\w.]+)>|([\[\]|])")


def parse(source: str) -> tuple[Node, ...]:
    """The plan that ``source`` writes down; raises ValueError where brackets do not match."""
    stack: list[list[list[Node]]] = [[[]]]
    place = 0
    for match in _TOKEN.finditer(source):
        literal = source[place : match.start()]
        place = match.end()
        if literal:
            stack[-1][-1].append(literal)
        slot, rule, mark = match.groups()
        if slot:
            stack[-1][-1].append(("{", slot))
        elif rule:
            stack[-1][-1].append(("<", rule))
        elif mark == "[":
            stack.append([[]])
        elif mark == "|" and len(stack) > 1:
            stack[-1].append([])
        elif mark == "]" and len(stack) > 1:
            alternatives = tuple(tuple(part) for part in stack.pop())
            stack[-1][-1].append(("[", alternatives))
        else:
            raise ValueError(f"unmatched {mark!r} at {match.start()} of {source!r}")
    if len(stack) > 1:
        raise ValueError(f"a bracket is not closed in {source!r}")
    if source[place:]:
        stack[-1][-1].append(source[place:])
    return tuple(stack[0][0])


class Grammar:
    """The rules of one language, by name.

    A rule may be given as one string or as several, which are its alternatives.
    """

    def __init__(self, *parts: Mapping[str, str | tuple[str, ...]]) -> None:
        self._sources: dict[str, tuple[str, ...]] = {}
        for part in parts:
            for name, source in part.items():
                if name in self._sources:
                    raise ValueError(f"the rule {name} is given twice")
                self._sources[name] = (source,) if isinstance(source, str) else tuple(source)
        self._plans: dict[str, tuple[Node, ...]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def names(self) -> list[str]:
        """The names of all rules."""
        return list(self._sources)

    def plan(self, name: str) -> tuple[Node, ...]:
        """The compiled rule ``name``."""
        plan = self._plans.get(name)
        if plan is None:
            sources = self._sources[name]
            plan = parse(sources[0]) if len(sources) == 1 else (("[", tuple(map(parse, sources))),)
            self._plans[name] = plan
        return plan

    def expand(self, name: str, slots: Slots, draw: Draw, out: list[str | Mention]) -> None:
        """Append the pieces of one expansion of the rule ``name`` to ``out``."""
        self._walk(self.plan(name), slots, draw.random, out)

    def expand_nth(self, name: str, number: int, slots: Slots, draw: Draw, out: list[str | Mention]) -> None:
        """As ``expand``, with the ``number``-th of the rule's alternatives."""
        plan = self.plan(name)
        if len(self._sources[name]) > 1:
            plan = plan[0][1][number]  # type: ignore[index]
        self._walk(plan, slots, draw.random, out)

    def _walk(self, plan: tuple, slots: Slots, random, out: list[str | Mention]) -> None:  # type: ignore[no-untyped-def]
        for node in plan:
            if node.__class__ is str:
                out.append(node)
                continue
            kind, value = node
            if kind == "[":
                self._walk(value[int(random() * len(value))], slots, random, out)
            elif kind == "{":
                out.append(slots[value])
            else:
                self._walk(self.plan(value), slots, random, out)

    def plans(self, name: str) -> int:
        """How many different plans the rule ``name`` can yield, slots left open."""
        return _count(self, self.plan(name))

    def phrase(self, name: str, draw: Draw, slots: Slots | None = None) -> str:
        """One expansion of a rule as a string."""
        out: list[str | Mention] = []
        self.expand(name, slots or {}, draw, out)
        return join(out, capital=False).text


def _count(grammar: Grammar, plan: Iterable) -> int:  # type: ignore[type-arg]
    total = 1
    for node in plan:
        if isinstance(node, tuple):
            kind, value = node
            if kind == "[":
                total *= sum(_count(grammar, alternative) for alternative in value)
            elif kind == "<":
                total *= grammar.plans(value)
    return total


@dataclass(slots=True)
class Told:
    """A finished text and where its mentions stand."""

    text: str
    spans: list[Span]


# What takes "an": a vowel that sounds like one (not European, one, used), a silent h, and 8, 11, 18.
_VOWEL = re.compile(r"(?i)(?!eu|one|uni|use|usu)[aeiou]|hour|honest|8|1[18]\b")


def join(pieces: Iterable[str | Mention], capital: bool = True) -> Told:
    """One sentence out of its pieces: "a" becomes "an" before a vowel, the first letter a capital."""
    parts: list[str] = []
    spans: list[Span] = []
    length = 0
    tail = ""  # the last three characters
    for piece in pieces:
        surface = piece if isinstance(piece, str) else piece.surface
        if not surface:
            continue
        if tail in (" a ", "a ") and _VOWEL.match(surface):
            parts[-1] = f"{parts[-1][:-1]}n "
            length += 1
        if not isinstance(piece, str):
            spans.append(Span(length, length + len(surface), piece.label, piece.key))
        parts.append(surface)
        length += len(surface)
        tail = (tail + surface[-3:])[-3:]
    text = "".join(parts)
    return Told(text[:1].upper() + text[1:] if capital else text, spans)


def paragraph(sentences: Iterable[Told], separator: str) -> Told:
    """Sentences one after another, with their spans moved along."""
    parts: list[str] = []
    spans: list[Span] = []
    length = 0
    for sentence in sentences:
        if parts:
            parts.append(separator)
            length += len(separator)
        parts.append(sentence.text)
        spans += [Span(s.start + length, s.end + length, s.label, s.key) for s in sentence.spans]
        length += len(sentence.text)
    return Told("".join(parts), spans)
