"""Defects to plant into documents: each returns the spoilt text and what curation ought to find in it."""

from __future__ import annotations

import re

from textmill.sample.draw import Draw
from textmill.sample.tongue import Tongue
from textmill.sample.world import World

# Lines that pages of one site share; each stands on a line of its own.
BOILERPLATE = {
    "en": (
        "We use cookies to give you the best experience; read more in our privacy notice.",
        "Home | News | Reviews | About us | Contact",
        "Subscribe to our newsletter and never miss a story.",
        "All rights reserved. No part of this page may be reproduced.",
    ),
    "zh": (
        "本站使用缓存文件改善您的体验，详情请阅读隐私声明。",
        "首页 | 新闻 | 评测 | 关于我们 | 联系方式",
        "订阅我们的简报，不错过任何一篇文章。",
        "版权所有，未经许可不得转载本页内容。",
    ),
}
_REGIONS = ("110105", "310115", "440305", "510104", "330106", "420102")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def _digits(draw: Draw, count: int) -> str:
    return "".join(str(draw.below(10)) for _ in range(count))


def email(draw: Draw, tongue: Tongue, world: World) -> tuple[str, str]:
    """A sentence with an invented e-mail address, and the address."""
    person, company = draw.choice(world.people), draw.choice(world.companies)
    name = person.english.lower().replace(" ", draw.choice((".", "_", "")))
    host = company.english.lower().replace(" & ", "-").replace(" ", "-")
    value = f"{name}@{host}.{draw.choice(('com', 'net', 'org', 'cn'))}"
    if tongue.code == "en":
        return draw.choice((f"Write to {value} for details.", f"Questions are answered at {value}.")), value
    return draw.choice((f"详情请写信至{value}。", f"有问题请联系{value}。")), value


def phone(draw: Draw, tongue: Tongue) -> tuple[str, str]:
    """A sentence with an invented telephone number, and the number.

    International numbers are from ranges reserved for fiction; Chinese ones are of a mobile's form.
    """
    if draw.chance(0.5) and tongue.code == "en":
        value = draw.choice(
            (
                f"+44 20 7946 0{_digits(draw, 3)}",
                f"+44 1632 960{_digits(draw, 3)}",
                f"+1 202-555-01{_digits(draw, 2)}",
            )
        )
    else:
        head, middle, tail = f"1{draw.choice('3578')}{draw.below(10)}", _digits(draw, 4), _digits(draw, 4)
        value = draw.choice(
            (
                head + middle + tail,
                f"{head} {middle} {tail}",
                f"{head}-{middle}-{tail}",
                f"+86 {head}{middle}{tail}",
            )
        )
    if tongue.code == "en":
        return draw.choice((f"Call {value} before noon.", f"The shop can be reached at {value}.")), value
    return draw.choice((f"请在中午以前拨打{value}。", f"店里的电话是{value}。")), value


def id_number(draw: Draw, tongue: Tongue) -> tuple[str, str]:
    """A sentence with an invented Chinese identity number whose check digit is right (GB 11643-1999)."""
    born = f"{draw.between(1950, 2004)}{draw.between(1, 12):02d}{draw.between(1, 28):02d}"
    value = draw.choice(_REGIONS) + born + _digits(draw, 3)
    total = sum(int(digit) * weight for digit, weight in zip(value, _WEIGHTS, strict=True))
    value += "10X98765432"[total % 11]
    if tongue.code == "en":
        return draw.choice(
            (f"The identity number {value} was on the form.", f"The form names the holder as {value}.")
        ), value
    return draw.choice((f"登记的身份证号{value}已经核对。", f"表格上写着身份证号码：{value}。")), value


def mojibake(text: str, code: str) -> str:
    """The text as it looks when its UTF-8 bytes are read as Latin-1 (Chinese) or Windows-1252 (English)."""
    return text.encode("utf-8").decode("latin-1" if code == "zh" else "cp1252")


def accented(text: str) -> str:
    """English with the typographic characters that mojibake spoils visibly."""
    return (
        text.replace("“", "‘").replace("”", "’").replace(", ", " – ", 1).replace("'", "’")
        + " That’s all – for now, at the café."
    )


def gibberish(draw: Draw) -> str:
    """Text of about the length of a document that no language would claim."""
    form = draw.below(4)
    if form == 0:  # a cat on the keyboard
        return " ".join(
            "".join(draw.choice("asdfghjkl;qwertyzxcvb") for _ in range(draw.between(3, 14)))
            for _ in range(70)
        )
    if form == 1:  # characters at random
        return "".join(chr(0x4E00 + draw.below(0x51A5)) for _ in range(draw.between(160, 260)))
    if form == 2:  # a table that lost its cells
        return " ".join(
            f"{_digits(draw, 3)}.{_digits(draw, 2)} | {draw.choice('ABCDEF')}{draw.below(99)} ##"
            for _ in range(50)
        )
    word = "".join(draw.choice("bcdfghklmnprstvwz") + draw.choice("aeiou") for _ in range(2))
    return " ".join(f"{word}{draw.choice(('', '!', '...'))}" for _ in range(120))


_REMARKS_EN = ("More on this soon. ", "That much is known. ", "So it goes. ", "This was corrected later. ")
_REMARKS_ZH = ("详情另行报道。", "目前就知道这些。", "事情就是这样。", "内容有更正。")


def edited(draw: Draw, text: str, code: str) -> str:
    """The text after a light editor: a remark or two put in, nearly the same document still."""
    remarks, mark = (_REMARKS_EN, ". ") if code == "en" else (_REMARKS_ZH, "。")
    ends = [place.end() for place in re.finditer(re.escape(mark), text)] or [0]
    place = draw.choice(ends)
    changed = text[:place] + draw.choice(remarks) + text[place:]
    return changed + draw.choice(remarks) if code == "zh" and draw.chance(0.5) else changed
