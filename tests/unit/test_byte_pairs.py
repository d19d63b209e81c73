"""Byte pairs by tiktoken: the ids of the tokenizer's own library, for any text, or nothing."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from textmill import byte_pairs, params
from textmill.tokenizer import encoder_of, train

TEXTS = [
    "the mill's miller hasn't milled 1,234 sacks; they're   waiting!\n\n\tHe'd said: 'soon'. ",
    "磨坊整天研磨文字。磨坊主读磨坊研磨出来的文字。2026年",
    "naïve café aaaaaaa abababab <s> </s>",
] * 20
TOKENIZER = train(TEXTS, params.Tokenizer(kind="bpe", vocabulary_size=400, path=None))
TOKENIZER.backend_tokenizer.encode_special_tokens = True
END = TOKENIZER.eos_token_id


def by_its_own(texts):
    rows = TOKENIZER.backend_tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [[*row.ids, END] for row in rows]


def split(encoded):
    ids, counts = encoded
    return [part.tolist() for part in np.split(ids, counts.cumsum()[:-1])] if len(counts) else []


FAST = byte_pairs.encoder(TOKENIZER.backend_tokenizer, END)
ALPHABET = "ab tTheml'sdr1２ \n\t\r\x85\xa0\u180e\u2028\u3000é磨坊日カ🤦🏽\u200d\u0301.!<>s/²Ⅷ"


@settings(max_examples=400, deadline=None)
@given(texts=st.lists(st.one_of(st.text(), st.text(alphabet=ALPHABET, max_size=60)), max_size=8))
def test_ids_are_identical(texts):
    assert split(FAST(texts)) == by_its_own(texts)


def test_hard_cases():
    texts = ["", " " * 5000, " " * 5000 + "a", "x" * 5000, "\n" * 3000 + "b", "'ll'LL", "a##b", *TEXTS[:3]]
    assert split(FAST(texts)) == by_its_own(texts)
    assert encoder_of(TOKENIZER)(texts)[0].dtype == np.uint32


WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False)


@pytest.mark.slow
def test_both_know_the_same_letters_digits_and_spaces():
    # A letter, a digit, a sign and a space, each merged with whatever byte follows it in the same word.
    shown = {byte: character for character, byte in byte_pairs.alphabet().items()}
    merges = [(shown[lead], shown[byte]) for lead in b"a1!\n" for byte in range(256)]
    tokenizer = tiny(merges)
    encode = byte_pairs.encoder(tokenizer, 0)
    characters = [chr(i) for i in range(sys.maxunicode + 1) if not 0xD800 <= i < 0xE000]
    for start in range(0, len(characters), 1 << 15):
        texts = [f"a{c}1{c}!{c}\n{c}" for c in characters[start : start + (1 << 15)]]
        theirs = [[*row.ids, 0] for row in tokenizer.encode_batch_fast(texts)]
        assert split(encode(texts)) == theirs


def tiny(merges, **options):
    """A tokenizer of the bytes and ``merges``, without its own training."""
    tokens = [*byte_pairs.alphabet(), *dict.fromkeys("".join(pair) for pair in merges)]
    model = models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges, **options)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = WORDS
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def test_order_of_merges_counts_and_not_of_ids():
    tokenizer = tiny([("b", "c"), ("a", "b"), ("ab", "d")])
    encode = byte_pairs.encoder(tokenizer, 0)
    for text in ("abc", "abd", "abcd"):
        assert encode([text])[0].tolist()[:-1] == tokenizer.encode(text).ids


@pytest.mark.parametrize(
    "merges",
    [
        [("b", "c"), ("a", "b"), ("ab", "c")],  # abc is never reached: b c goes first
        [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")],  # two ways to one token
    ],
)
def test_what_could_differ_is_left_to_the_library(merges):
    assert byte_pairs.encoder(tiny(merges), 0) is None


def test_other_kinds_are_left_to_the_library():
    assert byte_pairs.encoder(tiny([("a", "b")], ignore_merges=True), 0) is None
    spaced = tiny([("a", "b")])
    spaced.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    assert byte_pairs.encoder(spaced, 0) is None
    for kind in ("wordpiece", "character"):
        other = train(
            TEXTS,
            params.Tokenizer(kind=kind, vocabulary_size=620 if kind == "wordpiece" else None, path=None),
        )
        assert byte_pairs.encoder(other.backend_tokenizer, END) is None
