"""Conversations whose last answer follows from what was told before."""

# Rules and words are data, one entry a line.
# ruff: noqa: E501

from __future__ import annotations

from textmill.sample import names
from textmill.sample.draw import Draw
from textmill.sample.grammar import Mention
from textmill.sample.names import pairs
from textmill.sample.parallel import ADJECTIVES, COUNTS
from textmill.sample.scenes import SCENES
from textmill.sample.tongue import Tongue
from textmill.sample.world import KINDS, World

KIN = pairs(
    "sister 姐姐, brother 哥哥, mother 妈妈, father 爸爸, aunt 姑姑, uncle 叔叔, daughter 女儿, son 儿子, cousin 表弟, neighbour 邻居"
)
# Whether one's relative of that name is a woman; a neighbour may be either.
_GENDER = {word: i % 2 == 0 for i, pair in enumerate(KIN[:8]) for word in pair} | {
    "cousin": False,
    "表弟": False,
}
DAYS = pairs(
    "Monday 星期一, Tuesday 星期二, Wednesday 星期三, Thursday 星期四, Friday 星期五, Saturday 星期六, Sunday 星期天"
)
SPOTS = pairs(
    "in the cellar 在地下室, on the balcony 在阳台上, under the stairs 在楼梯下面, behind the door 在门后面, in the attic 在阁楼里, "
    "next to the window 在窗户旁边, in the garage 在车库里, on the shelf 在架子上, in the hall 在走廊里"
)
HOURS = ("一", "两", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")


def dialogue(draw: Draw, tongue: Tongue, world: World) -> list[str]:
    """The turns of a conversation, the user's first; the last turn answers from the facts told."""
    scene = draw.choice(tuple(SCENES))
    subject, first, second, questions = SCENES[scene]
    facts: list[dict[str, str | Mention]] = []
    for _ in range(draw.between(2, 3)):
        fact: dict[str, str | Mention] = {}
        while not fact or any(fact[key] == told[key] for told in facts for key in "pvw" if key in told):
            fact = {"m": ""}
            for key, kind in (("p", subject), ("v", first), ("w", second)):
                _fill(draw, tongue, world, kind, key, fact)
        facts.append(fact)
    asked = draw.choice(facts)
    number = draw.between(1, questions)

    def say(rule: str, slots: dict[str, str | Mention]) -> str:
        return tongue.grammar.phrase(rule, draw, slots)

    stop = tongue.stop
    told = [say(f"tell.{scene}", fact) for fact in facts]
    split = draw.between(1, len(told))
    greeting, news = say("open", {}), _sentences(told[:split], tongue, draw)
    turns = [_capital(greeting) + (_capital(news) if greeting.endswith(". ") else news)]
    turns[0] = _capital(turns[0]) + stop
    turns.append(say("ack", {}).strip())
    if told[split:]:
        turns.append(_capital(say("also", {}) + _sentences(told[split:], tongue, draw)) + stop)
        turns.append(say("ack", {}).strip())
    mark = "?" if tongue.code == "en" else "？"
    opening, question = say("before_ask", {}), say(f"ask.{scene}.{number}", asked)
    if opening.endswith(". "):
        question = _capital(question)
    turns.append(_capital(opening + question) + mark)
    turns.append(_capital(say(f"answer.{scene}.{number}", asked)))
    return turns


def _sentences(clauses: list[str], tongue: Tongue, draw: Draw) -> str:
    """Clauses joined with "and" or as sentences of their own."""
    if tongue.code == "zh":
        return draw.choice(("，", "。")).join(clauses)
    if draw.chance(0.5):
        return ", and ".join(clauses)
    return ". ".join([clauses[0], *(_capital(clause) for clause in clauses[1:])])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _fill(
    draw: Draw, tongue: Tongue, world: World, kind: str, key: str, fact: dict[str, str | Mention]
) -> None:
    """Give the slot ``key`` a value of ``kind``; things bring their measure word along."""
    chinese = tongue.code == "zh"
    if kind == "thing":
        thing = draw.choice(KINDS)
        fact[key] = thing.chinese if chinese else thing.english
        fact["m"] = thing.measure
    elif kind == "number":
        fact[key] = str(draw.between(11, 98))
    elif kind == "clock":
        hour, half = draw.between(1, 12), draw.chance(0.5)
        fact[key] = (
            f"{HOURS[hour - 1]}点{'半' if half else ''}" if chinese else f"{hour}:{'30' if half else '00'}"
        )
    elif kind == "place":
        fact[key] = draw.choice(world.places).mention(tongue.code).surface
    elif kind == "given":
        woman = draw.chance(0.5) if fact.get("p") not in _GENDER else _GENDER[str(fact["p"])]
        fact[key] = draw.choice(names.WOMEN if woman else names.MEN)[chinese]
    else:
        words = {
            "kin": KIN,
            "role": names.ROLES,
            "colour": ADJECTIVES[:5],
            "day": DAYS,
            "count": COUNTS,
            "spot": SPOTS,
        }[kind]
        fact[key] = draw.choice(words)[chinese]
