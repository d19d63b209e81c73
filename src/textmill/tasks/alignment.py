"""Tokens of a text with the characters that each covers, such that no token crosses a Chinese character.

A tokenizer may join Chinese characters over the edge of an entity or an answer, which its tokens then cannot
express. So Chinese text is handed to it in pieces of one character, other text in words, as it would cut it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textmill.words import has_han, pieces, trim

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ATTACHED = ("Mn", "Mc", "Me", "Cf")  # categories of marks, and of signs without a place of their own


@dataclass(frozen=True)
class Window:
    """A part of the encoding: what the model takes, and for each token the span of the last text that it is
    the first to cover, without white space; (0, 0) for tokens of nothing or of another text."""

    inputs: dict[str, list[int]]
    spans: list[tuple[int, int]]


def windows(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, stride: int
) -> list[Window]:
    """The overlapping windows of a text, or of a question (whole in each) and a context.

    ``stride`` is the number of tokens that two windows share.
    """
    split = any(has_han(text) for text in texts)
    parts = [list(pieces(text)) for text in texts]
    given: list[Any] = [
        [text[start:end] for start, end in cut] if split else text
        for text, cut in zip(texts, parts, strict=True)
    ]
    encoding = tokenizer(
        *given,
        is_split_into_words=split,
        truncation="only_second" if len(texts) == 2 else True,
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        split_special_tokens=True,
    )
    last = len(texts) - 1
    found = []
    for row, offsets in enumerate(encoding["offset_mapping"]):
        sides, words = encoding.sequence_ids(row), encoding.word_ids(row)
        places = []
        for (start, end), side, word in zip(offsets, sides, words, strict=True):
            if side != last:
                places.append((0, 0))
            else:
                begin = parts[last][word][0] if split else 0
                places.append((begin + start, begin + end))
        inputs = {k: list(encoding[k][row]) for k in tokenizer.model_input_names if k in encoding}
        found.append(Window(inputs, first_covers(texts[last], places)))
    return found


def first_covers(text: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The characters that each token is the first to cover, without white space; (0, 0) for none.

    A byte-level tokenizer writes one emoji or Chinese character as several tokens with the same offsets,
    and may count a space as part of the word behind it. A tokenizer that takes marks away leaves them to the
    token of what they are written on.
    """
    covered, own = 0, []
    for start, end in offsets:
        start, end = trim(text, max(start, covered), max(end, covered))
        own.append((start, end) if start < end else (0, 0))
        covered = max(covered, end)
    following = len(text)
    for place, (start, end) in reversed(list(enumerate(own))):
        if start < end:
            while end < following and unicodedata.category(text[end]) in _ATTACHED:
                end += 1
            own[place], following = (start, end), start
    return own
