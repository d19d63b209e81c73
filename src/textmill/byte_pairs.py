"""Byte-level BPE by tiktoken, which is faster than the library that trained it, to the same ids.

Both merge, step by step, the leftmost of the adjacent pairs that come first in the order of the merges. Two
things could part them, and a tokenizer with either is left to its own library:

- tiktoken looks a pair up by the bytes it makes, and not by its two halves. A second way to make the same
  token is never taken if every token, given alone, is merged back to itself: the steps inside a token's bytes
  do not depend on what stands around them, and they come by one pair of halves only.
- the rule that cuts a text into words must be GPT-2's (Radford et al. 2019, section 2.2), which both know.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# GPT-2's words, with possessive quantifiers where nothing is gained by going back.
WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"

Encode = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]


@cache
def alphabet() -> dict[str, int]:
    """The byte that each character of a byte-level token stands for: bytes that do not print are shifted."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    shifted = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(shifted)}


def encoder(tokenizer: Tokenizer, end: int) -> Encode | None:
    """A function from texts to (ids of all, each text ended by ``end``; ids of each text).

    None where tiktoken could differ from ``tokenizer``, which must take special tokens in a text for text.
    """
    spec = json.loads(tokenizer.to_str())
    ordered = _tokens(spec)
    if ordered is None:
        return None
    model: Any = tokenizer.model
    if any(len(model.tokenize(token)) != 1 for token in ordered):
        return None
    import tiktoken

    ranks = {bytes(alphabet()[c] for c in token): rank for rank, token in enumerate(ordered)}
    pairs = tiktoken.Encoding("byte-pairs", pat_str=WORDS, mergeable_ranks=ranks, special_tokens={})
    vocabulary = spec["model"]["vocab"]
    ids = np.array([*(vocabulary[token] for token in ordered), end], np.uint32)
    stop = np.array([len(ordered)], np.uint32)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def part(texts: Sequence[str]) -> list[np.ndarray]:
        return [pairs.encode_to_numpy(text, disallowed_special=()) for text in texts]

    def encode(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all texts, (tokens,), and how many each text has with its end, (texts,)."""
        size = max(-(-len(texts) // (4 * threads)), 1)
        parts = [texts[i : i + size] for i in range(0, len(texts), size)]
        with ThreadPoolExecutor(threads) as pool:
            rows = [row for found in pool.map(part, parts) for row in found]
        counts = np.fromiter((len(row) + 1 for row in rows), np.int64, len(rows))
        flat = np.concatenate([piece for row in rows for piece in (row, stop)] or [stop[:0]])
        return ids[flat], counts

    return encode


def _tokens(spec: dict[str, Any]) -> list[str] | None:
    """The bytes and then the merges' tokens in their order; None for what is not GPT-2's kind of BPE."""
    model, words = spec["model"], spec["pre_tokenizer"]
    plain = (
        model["type"] == "BPE"
        and not any(model.get(key) for key in ("dropout", "byte_fallback", "ignore_merges"))
        and not any(model.get(key) for key in ("continuing_subword_prefix", "end_of_word_suffix"))
        and spec["normalizer"] is None
        and words is not None
        and words["type"] == "ByteLevel"
        and words["use_regex"]
        and not words["add_prefix_space"]
        and all(token["special"] for token in spec["added_tokens"])
        and alphabet().keys() <= model["vocab"].keys()
    )
    if not plain:
        return None
    halves = (pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"])
    ordered = [*alphabet(), *("".join(pair) for pair in halves)]
    known = len(set(ordered)) == len(ordered) and all(set(token) <= alphabet().keys() for token in ordered)
    return ordered if known else None
