"""Each figure against a plain and slow calculation of it, on texts of random words."""

import random
from collections import Counter

import pytest

from textmill.corpus.signals import measure, share
from textmill.params import QUALITY_RULES
from textmill.params.corpus import MEASURED_ON_DEMAND

WORDS = [
    "the",
    "be",
    "to",
    "of",
    "fox",
    "#tag",
    "3",
    "wood-shed",
    "...",
    "Ant",
    "…",
    "你好",
    "don't",
    ",",
    "lorem ipsum",
]


def texts(seed: int, count: int = 60) -> list[str]:
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        vocabulary = draw.sample(WORDS, draw.randint(2, len(WORDS)))
        lines = [" ".join(draw.choices(vocabulary, k=draw.randint(1, 14))) for _ in range(draw.randint(1, 6))]
        lines += draw.choices(lines, k=draw.randint(0, 3))
        made.append(draw.choice(["\n", "\n\n"]).join(lines) + draw.choice(["", ".", "!"]))
    return made


def words(text: str) -> list[str]:
    from textmill.corpus.codes import Codes

    codes = Codes([text])
    return [text[a:b] for a, b in zip(codes.words.starts, codes.words.ends, strict=True)]


def figure(name: str) -> tuple[list[str], list[float]]:
    made = texts(7)
    return made, measure(made)[name].to_list()


@pytest.mark.parametrize("size", [2, 3, 4])
def test_top_ngram(size):
    made, found = figure(f"gopher_top_{size}gram")
    for text, value in zip(made, found, strict=True):
        tokens = words(text)
        grams = Counter(" ".join(tokens[i : i + size]) for i in range(len(tokens) - size + 1))
        if not grams:
            assert value == 0
            continue
        gram, count = grams.most_common(1)[0]
        assert value == pytest.approx(len(gram) * count / len(text)), text


@pytest.mark.parametrize("size", [5, 6, 8, 10])
def test_duplicate_ngrams_cover_every_later_occurrence(size):
    made, found = figure(f"gopher_duplicate_{size}grams")
    assert any(found)
    for text, value in zip(made, found, strict=True):
        tokens = words(text)
        seen, covered = set(), set()
        for place in range(len(tokens) - size + 1):
            gram = tuple(tokens[place : place + size])
            if gram in seen:
                covered |= set(range(place, place + size))
            seen.add(gram)
        expected = sum(len(tokens[place]) for place in covered) / len(text)
        assert value == pytest.approx(expected), text


def test_duplicate_lines_and_paragraphs():
    text = "one two\nthree\none two\n\nthree\n\nthree\n\nfour"
    row = measure([text, "one two\nthree"]).to_dicts()[0]
    # lines: one two, three, one two*, three*, three*, four; paragraphs: [3 lines], three, three*, four
    assert row["gopher_duplicate_lines"] == pytest.approx(3 / 6)
    assert row["gopher_duplicate_line_characters"] == pytest.approx((7 + 5 + 5) / len(text))
    assert row["gopher_duplicate_paragraphs"] == pytest.approx(1 / 4)
    assert row["gopher_duplicate_paragraph_characters"] == pytest.approx(5 / len(text))
    assert row["fineweb_duplicate_line_characters"] == pytest.approx(17 / len(text.replace("\n", "")))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("gopher_words", "The cat, the 3 hats!", 5),
        ("gopher_word_length", "an oxen", 3.0),
        ("gopher_hashes", "#a #b", 2 / 2),
        ("gopher_ellipses", "well... so…", 2 / 2),
        ("gopher_alphabetic_words", "one 2 , three", 2 / 3),
        ("gopher_stop_words", "the of the with xyz", 3),
        ("gopher_bullet_lines", "- one\n• two\nthree\n\n  - four", 3 / 4),
        ("gopher_ellipsis_lines", "one...\ntwo…\nthree.", 2 / 3),
        ("fineweb_line_punctuation", "One.\ntwo\n“Three.”\n四。", 2 / 4),
        ("fineweb_short_lines", "short\n" + "long " * 10, 1 / 2),
        ("fineweb_newlines", "one\ntwo\nthree four", 2 / 4),
        ("c4_curly_brackets", "int f() { return 1; }", 2),
        ("c4_lorem_ipsum", "Lorem ipsum dolor. lorem Ipsum", 2),
        (
            "c4_sentences",
            "One two three. Four five!\nno mark here\nIt is so.\nToo few.\nSee our privacy policy now.",
            3,
        ),
        ("c4_sentences", "今天天气很好。我们去公园吧！", 2),
        ("unspaced_characters", "今天 is 好", 3),
        ("unspaced_distinct_characters", "好好好好", 1 / 4),
        ("unspaced_common_characters", "的是鑫", 2 / 3),
        ("unspaced_letters", "今天，好。", 3 / 5),
        ("letters", "ab1!", 1 / 2),
        ("digits", "ab1!", 1 / 4),
        ("symbols", "ab1!", 1 / 4),
        ("replacement_characters", "ab\ufffd\ufffd", 1 / 2),
        ("longest_token", "a abcdefgh bc", 8),
        ("characters", "今天 a", 4),
    ],
)
def test_figure(name, text, expected):
    alone = measure([text])[name][0]
    among = measure(["The first.\nText of three lines\nand more", text, "", "另一个文档。"])[name][1]
    assert alone == pytest.approx(expected)
    assert among == alone


def test_every_rule_has_its_figure():
    assert set(QUALITY_RULES) <= {*measure(["a"]).columns, *MEASURED_ON_DEMAND}


def test_empty_batch_and_empty_texts():
    assert measure([]).height == 0
    row = measure(["", " "]).to_dicts()[0]
    assert all(value == 0 for value in row.values())


def test_share_of_nothing_is_zero():
    import numpy as np

    assert share(np.array([1, 2]), np.array([0, 4])).tolist() == [0, 0.5]
