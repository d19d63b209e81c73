"""The notation of the grammar."""

from __future__ import annotations

import pytest

from textmill.sample.draw import Draw
from textmill.sample.grammar import Grammar, Mention, join, paragraph, parse


def test_alternatives_rules_and_slots() -> None:
    grammar = Grammar({"s": "{x} [sees|hears[ well|]] <what>", "what": ("it", "nothing")})
    assert grammar.plans("s") == 6
    found = {grammar.phrase("s", Draw(i), {"x": "Ann"}) for i in range(200)}
    assert found == {
        f"Ann {verb} {what}" for verb in ("sees", "hears", "hears well") for what in ("it", "nothing")
    }


@pytest.mark.parametrize("source", ["[a|b", "a]", "a|b"])
def test_brackets_must_match(source: str) -> None:
    with pytest.raises(ValueError, match=r"bracket|unmatched"):
        parse(source)


def test_a_rule_may_stand_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Grammar({"s": "a"}, {"s": "b"})


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a ", "engineer"], "An engineer"),
        (["is ", "a", " ", "engineer"], "Is an engineer"),
        (["as a ", "driver"], "As a driver"),
        (["Marta ", "is"], "Marta is"),
        (["a ", "European"], "A European"),
        (["a ", "hour"], "An hour"),
    ],
)
def test_articles(pieces: list[str], text: str) -> None:
    assert join(pieces).text == text


def test_spans_follow_the_text() -> None:
    one = join(["a ", Mention("Ember", "company", "c1"), " grew."])
    both = paragraph([one, join(["in ", Mention("Marton", "place", "l1"), "."])], " ")
    assert [(both.text[s.start : s.end], s.label) for s in both.spans] == [
        ("Ember", "company"),
        ("Marton", "place"),
    ]


def test_shuffling_keeps_what_it_shuffles() -> None:
    assert sorted(Draw(1, "x").shuffled(range(50))) == list(range(50))
    assert Draw(1, "x").shuffled(range(50)) == Draw(1, "x").shuffled(range(50))
