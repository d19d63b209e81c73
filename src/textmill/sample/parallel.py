"""English sentences and their Chinese translations, built side by side.

Both sides grow from one choice of words and structure: subject, verb in one of its uses (done, not done,
wanted, planned, asked for), a noun phrase with number and measure word, time and place, and two clauses joined.
"""

# Rules and words are data, one entry a line.
# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple

from textmill.sample import names
from textmill.sample.draw import Draw
from textmill.sample.names import pairs
from textmill.sample.world import KINDS, World


class Pair(NamedTuple):
    """The same thing said in English and in Chinese."""

    english: str
    chinese: str


FOLK = pairs(
    "my sister 我姐姐, my brother 我哥哥, our neighbour 我们的邻居, the teacher 老师, the doctor 医生, the new cook 新来的厨师, "
    "the old driver 老司机, her father 她父亲, his mother 他母亲, the children 孩子们, two engineers 两名工程师, the students 学生们"
)
# English base form, English past, Chinese; all take a thing as their object.
VERBS = (
    ("buy", "bought", "买"), ("sell", "sold", "卖"), ("repair", "repaired", "修"), ("order", "ordered", "订"), ("wash", "washed", "洗"),
    ("borrow", "borrowed", "借"), ("carry", "carried", "搬"), ("draw", "drew", "画"), ("choose", "chose", "选"), ("unpack", "unpacked", "拆"),
)  # fmt: skip
ADJECTIVES = pairs(
    "red 红色的, blue 蓝色的, green 绿色的, black 黑色的, white 白色的, new 新, old 旧, small 小, big 大, cheap 便宜的, expensive 昂贵的, light 轻便的"
)
PAST = pairs(
    "yesterday 昨天, last week 上个星期, last year 去年, on Monday 星期一, on Friday 星期五, two days ago 两天前, in March 三月, in August 八月"
)
FUTURE = pairs(
    "tomorrow 明天, next week 下个星期, next year 明年, on Sunday 星期天, in two days 两天后, in May 五月"
)
SPOTS = pairs(
    "at the market 在市场上, at the station 在车站, at school 在学校, at the office 在办公室, in the garden 在花园里, in the kitchen 在厨房里"
)
COUNTS = pairs("two 两, three 三, four 四, five 五, six 六, seven 七, eight 八, nine 九, ten 十")
STATES = (
    ("it rained all day", "下了一整天雨"), ("the shop was closed", "商店关门了"), ("the train was late", "火车晚点了"),
    ("there was not enough money", "钱不够"), ("nobody was at home", "家里没有人"), ("the road was blocked", "路不通"),
    ("the price was too high", "价格太高"), ("the old one was broken", "旧的坏了"), ("time was short", "时间很紧"),
    ("everyone was tired", "大家都累了"), ("the weather was good", "天气很好"), ("the light went out", "灯灭了"),
)  # fmt: skip
COMPARISONS = pairs(
    "cheaper 便宜, heavier 重, lighter 轻, newer 新, older 旧, smaller 小, bigger 大, better 好"
)


def sentence(draw: Draw, world: World) -> Pair:
    """One sentence and its translation, of one or two clauses."""
    kind = draw.random()
    if kind < 0.2:
        one = _clause(draw, world)
        return _close(one)
    if kind < 0.3:
        return _question(draw, world)
    if kind < 0.4:
        return _close(_comparison(draw))
    if kind < 0.5:
        speaker = _subject(draw)
        heard = _clause(draw, world, future=False, other_than=speaker)
        return _close(
            Pair(f"{speaker.english} said that {heard.english}", f"{speaker.chinese}说{heard.chinese}")
        )
    one = _clause(draw, world, future=False)
    two = _clause(draw, world, future=False) if draw.chance(0.5) else Pair(*draw.choice(STATES))
    english, chinese = draw.choice(
        (
            ("{1} because {2}", "因为{2}，所以{1}"),
            ("although {2}, {1}", "虽然{2}，但是{1}"),
            ("{2}, so {1}", "{2}，所以{1}"),
            ("{2}, but {1}", "{2}，但是{1}"),
            ("{1}, and {2}", "{1}，而且{2}"),
            ("even though {2}, {1}", "尽管{2}，{1}"),
        )
    )
    return _close(
        Pair(
            english.replace("{1}", one.english).replace("{2}", two.english),
            chinese.replace("{1}", one.chinese).replace("{2}", two.chinese),
        )
    )


def _close(pair: Pair, english: str = ".", chinese: str = "。") -> Pair:
    return Pair(pair.english[0].upper() + pair.english[1:] + english, pair.chinese + chinese)


def _subject(draw: Draw) -> Pair:
    if draw.chance(0.5):
        return Pair(*draw.choice(FOLK))
    return Pair(*draw.choice(names.WOMEN if draw.chance(0.5) else names.MEN))


def _thing(draw: Draw) -> Pair:
    """A noun phrase: a red umbrella, three umbrellas, the old umbrella, my umbrella."""
    kind = draw.choice(KINDS)
    english, chinese = (draw.choice(ADJECTIVES)) if draw.chance(0.6) else ("", "")
    noun = f"{english} {kind.english}".strip()
    form = draw.below(4)
    if form == 0:
        count = draw.choice(COUNTS)
        return Pair(
            f"{count[0]} {noun}{'es' if noun.endswith('ch') else 's'}",
            f"{count[1]}{kind.measure}{chinese}{kind.chinese}",
        )
    if form == 1:
        article = "an" if noun[0] in "aeiou" else "a"
        return Pair(f"{article} {noun}", f"一{kind.measure}{chinese}{kind.chinese}")
    if form == 2:
        return Pair(f"the {noun}", f"那{kind.measure}{chinese}{kind.chinese}")
    return Pair(f"my {noun}", f"我的{chinese.replace('的', '') if chinese else ''}{kind.chinese}")


def _clause(draw: Draw, world: World, future: bool = True, other_than: Pair | None = None) -> Pair:
    who = _subject(draw)
    while who == other_than:
        who = _subject(draw)
    if draw.chance(0.25):
        return _journey(draw, world, who)
    base, past, verb = draw.choice(VERBS)
    thing = _thing(draw)
    where = _where(draw, world) if draw.chance(0.45) else Pair("", "")
    use = draw.choice(range(8) if future else (0, 1, 4, 5, 6, 7))
    when = Pair(*draw.choice(FUTURE if use in (2, 3) else PAST)) if draw.chance(0.6) else Pair("", "")
    spot, object_ = where.chinese, thing.chinese
    english, chinese = (
        (f"{past} {thing.english}", f"{spot}{verb}了{object_}"),
        (f"did not {base} {thing.english}", f"没有{spot}{verb}{object_}"),
        (f"will {base} {thing.english}", f"会{spot}{verb}{object_}"),
        (f"will not {base} {thing.english}", f"不会{spot}{verb}{object_}"),
        (f"wanted to {base} {thing.english}", f"想{spot}{verb}{object_}"),
        (f"had to {base} {thing.english}", f"不得不{spot}{verb}{object_}"),
        (f"forgot to {base} {thing.english}", f"忘了{spot}{verb}{object_}"),
        (f"helped {{q}} to {base} {thing.english}", f"帮{{q}}{spot}{verb}了{object_}"),
    )[use]
    if "{q}" in english:
        helped = draw.other(FOLK, (who.english, who.chinese))
        english, chinese = english.replace("{q}", helped[0]), chinese.replace("{q}", helped[1])
    ends = [part for part in (where.english, when.english) if part]
    return Pair(" ".join([who.english, english, *ends]), f"{who.chinese}{when.chinese}{chinese}")


def _where(draw: Draw, world: World) -> Pair:
    if draw.chance(0.5):
        return Pair(*draw.choice(SPOTS))
    place = draw.choice(world.places)
    return Pair(f"in {place.english}", f"在{place.chinese}")


def _journey(draw: Draw, world: World, who: Pair) -> Pair:
    place = draw.choice(world.places)
    when = Pair(*draw.choice(PAST))
    by = draw.choice(
        (
            ("by train", "坐火车"),
            ("by bus", "坐公共汽车"),
            ("on foot", "走路"),
            ("with friends", "和朋友一起"),
            ("", ""),
        )
    )
    english, chinese = draw.choice(
        (
            ("went to {l}", "去了{l}"),
            ("did not go to {l}", "没有去{l}"),
            ("came back from {l}", "从{l}回来了"),
            ("moved to {l}", "搬到了{l}"),
            ("wanted to travel to {l}", "想去{l}旅行"),
        )
    )
    ends = [part for part in (by[0], when.english) if part]
    return Pair(
        " ".join([who.english, english.replace("{l}", place.english), *ends]),
        f"{who.chinese}{when.chinese}{_by(chinese.replace('{l}', place.chinese), by[1])}",
    )


def _by(verb: str, means: str) -> str:
    """How one travelled goes before the verb but after what negates or wishes it."""
    for opening in ("没有", "想"):
        if verb.startswith(opening):
            return opening + means + verb[len(opening) :]
    return means + verb


def _question(draw: Draw, world: World) -> Pair:
    who, thing = _subject(draw), _thing(draw)
    base, past, verb = draw.choice(VERBS)
    when = Pair(*draw.choice(PAST))
    where = _where(draw, world)
    english, chinese = draw.choice(
        (
            (
                f"did {who.english} {base} {thing.english} {when.english}",
                f"{who.chinese}{when.chinese}{verb}了{thing.chinese}吗",
            ),
            (
                f"where did {who.english} {base} {thing.english}",
                f"{who.chinese}在哪里{verb}了{thing.chinese}",
            ),
            (
                f"when will {who.english} {base} {thing.english}",
                f"{who.chinese}什么时候会{verb}{thing.chinese}",
            ),
            (f"who {past} {thing.english} {where.english}", f"谁{where.chinese}{verb}了{thing.chinese}"),
            (
                f"why did {who.english} not {base} {thing.english}",
                f"{who.chinese}为什么没有{verb}{thing.chinese}",
            ),
        )
    )
    return _close(Pair(english, chinese), "?", "？")


def _comparison(draw: Draw) -> Pair:
    one, two = draw.some(KINDS, 2)
    word = draw.choice(COMPARISONS)
    colours = draw.some(ADJECTIVES[:5], 2)
    first = f"the {colours[0][0]} {one.english}", f"那{one.measure}{colours[0][1]}{one.chinese}"
    second = f"the {colours[1][0]} {two.english}", f"那{two.measure}{colours[1][1]}{two.chinese}"
    if draw.chance(0.3):
        return Pair(f"{first[0]} is not {word[0]} than {second[0]}", f"{first[1]}不比{second[1]}{word[1]}")
    return Pair(f"{first[0]} is {word[0]} than {second[0]}", f"{first[1]}比{second[1]}{word[1]}")
