"""Tests of behaviour on models that do what they should, and on some that do not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from textmill.evaluation.behaviour import BAD, GOOD, WORDS, run, sentiment_tests, typing_error

EXAMPLES = [
    {"id": "e1", "language": "en", "text": "The sound is clear and the cable sturdy."},
    {"id": "z1", "language": "zh", "text": "屏幕明亮，电池也很耐用。"},
]


def _positive(text: str) -> float:
    """Right about the made sentences: counts good and bad words, and turns round at a negation."""
    said = text.lower()
    good = any(word in said for words in WORDS.values() for word in words[GOOD])
    bad = any(word in said for words in WORDS.values() for word in words[BAD])
    value = 0.5 + 0.3 * good - 0.3 * bad
    if " not " in said or "一点也不" in said:
        value = 1 - value
    return value + 0.15 * ("liked it" in said or "我非常喜欢" in said)


def _model(positive: Any) -> Any:
    def predict(texts: list[str]) -> list[dict[str, Any]]:
        values = [positive(text) for text in texts]
        return [
            {
                "prediction": GOOD if p > 0.5 else BAD,
                "score": max(p, 1 - p),
                "probabilities": {BAD: 1 - p, GOOD: p},
            }
            for p in values
        ]

    return predict


def _failing(positive: Any) -> dict[tuple[str, str], float]:
    found = run(sentiment_tests(EXAMPLES, ("en", "zh"), 1), _model(positive))
    return {(row["test"], row["language"]): row["failure_rate"] for row in found if row["failures"]}


def test_a_model_that_understands_the_sentences_fails_none() -> None:
    assert _failing(_positive) == {}


def test_a_model_blind_to_negation_fails_there_in_both_languages() -> None:
    def blind(text: str) -> float:
        return _positive(text.replace(" not", "").replace("一点也不", "很"))

    assert {test for test, _ in _failing(blind)} == {"negation"}
    assert {language for _, language in _failing(blind)} == {"en", "zh"}


@pytest.mark.parametrize(("word", "test"), [("Mary", "names"), ("Nairobi", "places"), ("拉萨", "places")])
def test_a_model_with_a_prejudice_fails_where_it_is_named(word: str, test: str) -> None:
    failing = _failing(lambda text: 0.1 if word in text else 0.9)
    assert (test, "zh" if word == "拉萨" else "en") in failing


def test_failures_show_made_sentences_and_of_examples_the_id_alone() -> None:
    found = run(sentiment_tests(EXAMPLES, ("en", "zh"), 1), _model(lambda text: len(text) % 2))
    shown = [example for row in found for example in row["failing"]]
    assert any("before" in example for example in shown)
    assert all(set(example) == {"id", "said"} for example in shown if "id" in example)
    assert any("id" in example for example in shown)


def test_the_seed_makes_the_cases_and_other_languages_have_none() -> None:
    english = [example for example in EXAMPLES if example["language"] == "en"]
    tests = run(sentiment_tests(english, ("en", "zh"), 1), _model(_positive))
    assert {"typing error", "negation"} <= {row["test"] for row in tests if row["language"] == "en"}
    assert "typing error" not in {row["test"] for row in tests if row["language"] == "zh"}
    one, same, other = (sentiment_tests(EXAMPLES, ("en", "zh"), seed) for seed in (1, 1, 2))
    assert [test.cases for test in one] == [test.cases for test in same] != [test.cases for test in other]
    assert sentiment_tests(EXAMPLES, ("de",), 1) == []


@pytest.mark.parametrize(
    "text", ["The sturdy cable", "屏幕明亮，电池也很耐用。", "e\u0301tude \U0001f600 words"]
)
def test_a_typing_error_changes_two_neighbours_round(text: str) -> None:
    found = typing_error(text, random.Random(1))
    assert found != text
    assert sorted(found) == sorted(text)
    assert sum(a != b for a, b in zip(found, text, strict=True)) == 2


def test_a_text_of_short_words_has_no_typing_error() -> None:
    assert typing_error("it is so", random.Random(1)) == "it is so"
