"""Words without a rule that counts spaces: a run of letters and digits, or one Chinese character.

Offsets count characters (code points) everywhere.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

# Scripts written without spaces, in which a character stands for itself: Han, kana, bopomofo.
_WIDE = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3040-\u30ff\u3105-\u312f\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
# What is written on, under or after another character and belongs to it: vowels of Indian scripts, tones,
# and of the further planes Adlam's signs and the selectors of a character's variant.
_MARKS = "".join(c for c in map(chr, range(0x300, 0x10000)) if unicodedata.category(c).startswith("M"))
_MARKS += "\U0001e944-\U0001e94a\U000e0100-\U000e01ef"
_WORD = re.compile(rf"[{_WIDE}][{_MARKS}]*|(?:[^\W_{_WIDE}]+[{_MARKS}]*)+")
_HAN = re.compile(rf"[{_WIDE}]")
# Beside these no space stands: such characters, and the punctuation and full-width forms set with them.
_UNSPACED = re.compile(rf"[{_WIDE}\u3001-\u303f\uff01-\uffef]")
# One piece of text: a character of such a script alone, or a run of anything else up to the next
# space or such character, with the space before it.
_PIECE = re.compile(rf"\s*(?:[{_WIDE}][{_MARKS}]*|[^\s{_WIDE}]+)|\s+$")
# The end of a sentence: a stop before white space, a Chinese stop, the end of a line.
_END = re.compile(r"[.!?]+[\"'”’)]*(?=\s|$)|[。！？]+[\"”’」』）]*|\n+")
_ARTICLES = {"a", "an", "the"}
# What the script of CMRC 2018 leaves out of an answer, and the tokens of the rest.
_CHINESE_SIGNS = set("-:_*^/\\~`+=，。：？！“”；’《》…·、「」（）－～『』")
_CHINESE_TOKEN = re.compile(rf"[{_WIDE}][{_MARKS}]*|[^\s{_WIDE}]+")


def has_han(text: str) -> bool:
    """Whether ``text`` has a character of a script that is written without spaces."""
    return _HAN.search(text) is not None


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case: runs of letters and digits, Chinese characters one by one."""
    return _WORD.findall(text.lower())


def normalised(text: str) -> str:
    """``text`` without differences in white space and case: how the texts of two examples are compared."""
    return " ".join(text.casefold().split())


def word_offsets(text: str) -> list[tuple[int, int]]:
    """Start and end of each word of ``text``, as ``words`` finds them."""
    return [match.span() for match in _WORD.finditer(text)]


def sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence of ``text``, without white space around it."""
    edges = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    spans = [trim(text, start, end) for start, end in pairwise(edges)]
    return [(start, end) for start, end in spans if start < end]


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def pieces(text: str) -> Iterator[tuple[int, int]]:
    """Spans that cover ``text``: no piece holds two Chinese characters or crosses a space."""
    for match in _PIECE.finditer(text):
        if match.end() > match.start():
            yield match.span()


def answer_tokens(text: str, chinese: bool) -> list[str]:
    """Tokens of an answer for comparison, without case.

    SQuAD's normalisation (Rajpurkar et al. 2016) takes punctuation and English articles away; that of CMRC
    2018 (Cui et al. 2019), for answers that are ``chinese``, only its own list of signs, so that 3.5 is not
    35, and characters stand alone.
    """
    lowered = unicodedata.normalize("NFC", text).lower()
    if chinese:
        return _CHINESE_TOKEN.findall("".join(c for c in lowered if c not in _CHINESE_SIGNS))
    # The official script drops ASCII's symbols too: $, +, <, =, >, ^, `, | and ~.
    kept = "".join(
        c for c in lowered if c not in string.punctuation and not unicodedata.category(c).startswith("P")
    )
    return [token for token in kept.split() if token not in _ARTICLES]


def join_tokens(tokens: Sequence[str], joiner: str | None = None) -> tuple[str, list[tuple[int, int]]]:
    """The text of the tokens and the place of each; ``joiner`` stands between them.

    By default a space stands, except beside Chinese and its punctuation, and nowhere in a Chinese text whose
    tokens are single characters.
    """
    if joiner is None and all(len(token) == 1 for token in tokens) and any(map(has_han, tokens)):
        joiner = ""
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    length = 0
    for i, token in enumerate(tokens):
        between = joiner
        if between is None:
            close = i > 0 and (_UNSPACED.match(tokens[i - 1][-1]) or _UNSPACED.match(token[0]))
            between = "" if close else " "
        between = "" if i == 0 else between
        places.append((length + len(between), length + len(between) + len(token)))
        parts += [between, token]
        length = places[-1][1]
    return "".join(parts), places
