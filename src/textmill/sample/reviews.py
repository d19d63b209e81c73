"""Reviews of products: sentences whose polarity is composed, not counted.

A unit is a clause or two of one polarity. What decides it is the construction: a plain word counts as it
stands, a negation turns it, of a contrast only the main half counts, a hope or fear counts as what became
of it.
"""

from __future__ import annotations

from functools import cache

from textmill.sample.draw import Draw
from textmill.sample.grammar import Mention, Told
from textmill.sample.opinions import ASPECTS, GENERAL
from textmill.sample.tongue import Tongue
from textmill.sample.world import Product, World

GOOD, BAD = "good", "bad"
# The constructions of a sentence of a review, and how often each is taken.
FORMS = ("plain", "turned", "decoy", "hoped", "compared", "contrast", "both")
LABELLED = (0.44, 0.16, 0.06, 0.08, 0.08, 0.18, 0.0)
IN_DOCUMENTS = (0.2, 0.15, 0.1, 0.1, 0.1, 0.2, 0.15)


def other(polarity: str) -> str:
    """The opposite polarity."""
    return BAD if polarity == GOOD else GOOD


@cache
def _words(code: str, aspect: str) -> tuple[str, bool, tuple[str, ...], tuple[str, ...]]:
    """An aspect's noun, whether it is plural, and its good and bad adjectives."""
    english, plural, chinese, good, bad, good_zh, bad_zh = ASPECTS[aspect]
    if code == "en":
        return english, plural, (*good.split(), *GENERAL[0].split()), (*bad.split(), *GENERAL[1].split())
    return chinese, plural, (*good_zh.split(), *GENERAL[2].split()), (*bad_zh.split(), *GENERAL[3].split())


class Reviewer:
    """Writes about one product; aspects come up in turn, so that no two sentences share one."""

    def __init__(self, draw: Draw, tongue: Tongue, world: World, product: Product) -> None:
        self.draw, self.tongue, self.world, self.product = draw, tongue, world, product
        self._aspects = draw.shuffled(product.kind.aspects)
        rival = draw.other(world.products, product)
        english = tongue.code == "en"
        self._common: dict[str, str | Mention] = {
            "x": product.mention(tongue.code),
            "y": rival.mention(tongue.code),
            "it": product.kind.english if english else product.kind.chinese,
            "m": product.kind.measure,
        }

    def clause(self, rule: str) -> list[str | Mention]:
        """The pieces of one clause about the next aspect."""
        draw, code = self.draw, self.tongue.code
        aspect = self._aspects.pop()
        self._aspects.insert(0, aspect)
        noun, plural, good, bad = _words(code, aspect)
        first, second = draw.some(good, 2)
        third, fourth = draw.some(bad, 2)
        slots = dict(self._common)
        slots.update(
            {
                "a": noun,
                "good": first,
                "good2": second,
                "bad": third,
                "bad2": fourth,
                "is": "are" if plural else "is",
                "does": "do" if plural else "does",
                "has": "have" if plural else "has",
            }
        )
        pieces: list[str | Mention] = []
        self.tongue.grammar.expand(rule, slots, draw, pieces)
        return pieces

    def unit(self, polarity: str, weights: tuple[float, ...]) -> Told:
        """One sentence of ``polarity``; ``weights`` are those of FORMS."""
        draw = self.draw
        mark = draw.random() * sum(weights)
        form = FORMS[-1]
        for name, weight in zip(FORMS, weights, strict=True):
            mark -= weight
            if mark < 0:
                form = name
                break
        if form not in ("contrast", "both"):
            return self.tongue.close(self.clause(f"{polarity}.{form}"))
        simple = ("plain", "plain", "turned", "decoy")
        one = self.clause(f"{other(polarity) if form == 'contrast' else polarity}.{draw.choice(simple)}")
        two = self.clause(f"{polarity}.{draw.choice(simple)}")
        frame: list[str | Mention] = []
        self.tongue.grammar.expand(form, {"1": Mention("1", "", ""), "2": Mention("2", "", "")}, draw, frame)
        pieces: list[str | Mention] = []
        for piece in frame:
            pieces += [piece] if isinstance(piece, str) else (one if piece.surface == "1" else two)
        return self.tongue.close(pieces)

    def setting(self) -> Told:
        """A sentence without polarity: where, when and for whom it was bought."""
        return self.tongue.sentence("setting", self._setting_slots(), self.draw)

    def verdict(self, polarity: str) -> Told:
        """A closing sentence that says outright what the reviewer thinks."""
        return self.tongue.sentence(f"{polarity}.verdict", self._setting_slots(), self.draw)

    def _setting_slots(self) -> dict[str, str | Mention]:
        draw, grammar = self.draw, self.tongue.grammar
        slots = dict(self._common)
        slots.update(
            {
                "place": draw.choice(self.world.places).mention(self.tongue.code),
                "n": str(draw.between(3, 20)),
                "kin": grammar.phrase("kin", draw),
                "month": grammar.phrase("month", draw),
                "day": grammar.phrase("day", draw),
            }
        )
        return slots


def review(draw: Draw, tongue: Tongue, world: World, product: Product, polarity: str) -> Told:
    """A labelled review: one unit that decides, now and then with a neutral sentence or a second unit."""
    reviewer = Reviewer(draw, tongue, world, product)
    sentences = [reviewer.unit(polarity, LABELLED)]
    if draw.chance(0.15):
        sentences.append(reviewer.unit(polarity, LABELLED))
    if draw.chance(0.6):
        sentences.insert(draw.below(2) * len(sentences), reviewer.setting())
    return tongue.paragraph(sentences)
