import numpy as np
import pytest

from textmill.corpus.codes import Codes, hash_of, ngrams


def tokens(text: str) -> list[str]:
    codes = Codes([text])
    return [text[a:b] for a, b in zip(codes.tokens.starts, codes.tokens.ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop -- the cat’s hat...", ["Don't", "stop", "--", "the", "cat’s", "hat", "..."]),
        ("你好，世界。", ["你", "好", "，", "世", "界", "。"]),
        ("GPT4模型?!", ["GPT4", "模", "型", "?", "!"]),
        ("สวัสดี", list("สวัสดี")),
        ("naïve e\u0301t\u00e9", ["naïve", "e\u0301t\u00e9"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_tokens(text, expected):
    assert tokens(text) == expected


def test_texts_do_not_run_together():
    texts = ["one two", "", "three\nfour", "\n"]
    codes = Codes(texts)
    assert codes.tokens.counts.tolist() == [2, 0, 2, 0]
    assert codes.lines.counts.tolist() == [1, 1, 2, 2]
    assert codes.lengths.tolist() == [len(text) for text in texts]


def test_hash_depends_on_content_alone():
    alone = Codes(["fox"])
    within = Codes(["a quick", "brown fox", "fox"])
    hashes = within.hashes(within.tokens)
    assert hashes[3] == hashes[4] == alone.hashes(alone.tokens)[0] == hash_of("fox")
    assert len(set(hashes.tolist())) == 4


def test_hash_is_the_same_everywhere():
    # Signatures and boilerplate keys are compared across runs and machines.
    assert hash_of("the quick 棕色 fox") == 7671459596962409993


def test_folded_hash_ignores_case():
    assert hash_of("Straße ÉTÉ", fold=True) == hash_of("straße été", fold=True)
    assert hash_of("Straße") != hash_of("straße")


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_ngrams_against_plain_python(size):
    texts = ["a b c d a b c d", "", "a b", "x", "c d a b c d e f g"]
    codes = Codes(texts)
    grams, first = ngrams(codes.hashes(codes.tokens), codes.tokens.first, size)
    expected = []
    for text in texts:
        words = text.split()
        expected.append([tuple(words[i : i + size]) for i in range(len(words) - size + 1)])
    assert np.diff(first).tolist() == [len(row) for row in expected]
    flat = [gram for row in expected for gram in row]
    of = dict(zip(flat, grams.tolist(), strict=True))
    assert len(set(of.values())) == len(of)
    assert [of[gram] for gram in flat] == grams.tolist()
