"""The two languages of the world: their grammars and how sentences are put together in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from textmill.sample.draw import Draw
from textmill.sample.grammar import Grammar, Mention, Slots, Told, join, paragraph


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language: its code, its grammar, and its space, comma and full stop."""

    code: str
    grammar: Grammar
    space: str
    comma: str
    stop: str

    def sentence(self, rule: str, slots: Slots, draw: Draw, stop: str | None = None) -> Told:
        """One sentence from a rule, with its full stop."""
        pieces: list[str | Mention] = []
        self.grammar.expand(rule, slots, draw, pieces)
        return self.close(pieces, stop)

    def close(self, pieces: list[str | Mention], stop: str | None = None) -> Told:
        """The sentence that ``pieces`` make; a stop is added where they do not end in one."""
        last = pieces[-1] if isinstance(pieces[-1], str) else ""
        if not last.endswith((".", "!", "?", "。", "！", "？")):
            pieces.append(self.stop if stop is None else stop)
        return join(pieces)

    def paragraph(self, sentences: Iterable[Told]) -> Told:
        """Sentences one after another."""
        return paragraph(sentences, self.space)

    def listed(self, items: list[str]) -> str:
        """An enumeration: "a, b and c"."""
        if len(items) == 1:
            return items[0]
        if self.code == "en":
            return f"{', '.join(items[:-1])} and {items[-1]}"
        return f"{'、'.join(items[:-1])}和{items[-1]}"


@cache
def tongue(code: str) -> Tongue:
    """The language en or zh."""
    from textmill.sample import events, facts, howto, opinions, scenes

    if code == "en":
        return Tongue(
            "en",
            Grammar(facts.ENGLISH, opinions.ENGLISH, events.ENGLISH, scenes.ENGLISH, howto.ENGLISH),
            " ",
            ", ",
            ".",
        )
    return Tongue(
        "zh",
        Grammar(facts.CHINESE, opinions.CHINESE, events.CHINESE, scenes.CHINESE, howto.CHINESE),
        "",
        "，",
        "。",
    )
