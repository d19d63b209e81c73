"""Tests of a sentiment model's behaviour (CheckList: Ribeiro et al. 2020), in English and Chinese.

A test changes a text and says what must follow. Invariance: the label stays, whoever is named, wherever it
was, with a typing error or a prefix that says nothing. Direction: the label's probability moves as said, down
under negation, and not down with an intensifier or a sentence that agrees. The texts are short sentences made
from the words below, whose sentiment is plain, or examples of the test split, of which no label is read.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from textmill.records import Example
from textmill.tasks.base import Prediction
from textmill.words import word_offsets

TOLERANCE = 0.1  # of a probability, as in the paper
TEXTS = 100  # examples a language that the tests on whole texts change
SHOWN = 3  # failures that are listed
GOOD, BAD = "positive", "negative"

# What the sentences are made of. {t} thing, {a} adjective, {n} name, {p} place.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "t": ("film", "food", "hotel", "service", "book", "sound"),
        GOOD: ("good", "great", "excellent", "wonderful"),
        BAD: ("bad", "terrible", "awful", "disappointing"),
        "n": ("John", "Mary", "Ahmed", "Mei", "Olga", "Kwame"),
        "p": ("London", "Nairobi", "Shanghai", "Lima", "Warsaw", "Cairo"),
    },
    "zh": {
        "t": ("电影", "饭菜", "酒店", "服务", "书", "音质"),
        GOOD: ("好", "棒", "出色", "满意"),
        BAD: ("差", "糟糕", "烂", "令人失望"),
        "n": ("小明", "王芳", "阿里", "玛丽", "李伟", "卓玛"),
        "p": ("北京", "上海", "拉萨", "伦敦", "昆明", "开罗"),
    },
}
SENTENCES: dict[str, dict[str, str]] = {
    "en": {
        "plain": "The {t} was {a}.",
        "negation": "The {t} was not {a}.",
        "intensifier": "The {t} was really very {a}.",
        "names": "{n} said that the {t} was {a}.",
        "places": "We were in {p}, and the {t} was {a}.",
    },
    "zh": {
        "plain": "{t}很{a}。",
        "negation": "{t}一点也不{a}。",
        "intensifier": "{t}真的非常{a}。",
        "names": "{n}说{t}很{a}。",
        "places": "我们在{p}，{t}很{a}。",
    },
}
PREFIX = {"en": "This is what I have to say. ", "zh": "下面说说我的看法。"}
AGREEING = {
    "en": {GOOD: " I liked it very much.", BAD: " I did not like it at all."},
    "zh": {GOOD: "我非常喜欢。", BAD: "我一点也不喜欢。"},
}


@dataclass(frozen=True)
class Case:
    """A text, what it was changed into, and which label's probability is watched; ``id`` of an example."""

    before: str
    after: str
    label: str = ""
    id: str | None = None


@dataclass(frozen=True)
class Test:
    """Cases of one language, and what has to hold between the predictions before and after."""

    name: str
    kind: str  # invariance or direction
    language: str
    cases: Sequence[Case]
    holds: Callable[[Case, Prediction, Prediction], bool]


def same_label(case: Case, before: Prediction, after: Prediction) -> bool:
    """The answer stays."""
    return bool(before["prediction"] == after["prediction"])


def falls(case: Case, before: Prediction, after: Prediction) -> bool:
    """The label's probability falls by more than the tolerance."""
    return bool(after["probabilities"][case.label] < before["probabilities"][case.label] - TOLERANCE)


def stays_up(case: Case, before: Prediction, after: Prediction) -> bool:
    """The label's probability does not fall by more than the tolerance."""
    return not falls(case, before, after)


def sentiment_tests(examples: Sequence[Example], languages: Sequence[str], seed: int) -> list[Test]:
    """The tests in those of ``languages`` that there are words for; ``examples`` without a language count as
    the first of them. The same seed makes the same cases.
    """
    tests: list[Test] = []
    for language in (code for code in languages if code in WORDS):
        draw = random.Random(f"{seed}:{language}:behaviour")
        tests += _sentences(language, draw)
        texts = [e for e in examples if e.get("language", languages[0]) == language]
        tests += _texts(language, draw.sample(texts, min(TEXTS, len(texts))), draw)
    return tests


def _sentences(language: str, draw: random.Random) -> list[Test]:
    words, forms = WORDS[language], SENTENCES[language]
    plain = [(t, a, label) for label in (GOOD, BAD) for t, a in product(words["t"], words[label])]

    def changed(form: str) -> list[Case]:
        """Plain sentences beside the same in ``form``, a case for each thing and word."""
        return [
            Case(forms["plain"].format(t=t, a=a), forms[form].format(t=t, a=a), label)
            for t, a, label in plain
        ]

    def swapped(form: str, key: str) -> list[Case]:
        """Sentences in ``form`` with two words of ``key``, drawn at random, in the same place."""
        cases = []
        for t, a, label in plain:
            one, other = draw.sample(words[key], 2)
            before, after = (forms[form].format(t=t, a=a, **{key: word}) for word in (one, other))
            cases.append(Case(before, after, label))
        return cases

    return [
        Test("names", "invariance", language, swapped("names", "n"), same_label),
        Test("places", "invariance", language, swapped("places", "p"), same_label),
        Test("negation", "direction", language, changed("negation"), falls),
        Test("intensifier", "direction", language, changed("intensifier"), stays_up),
    ]


def _texts(language: str, examples: Sequence[Example], draw: random.Random) -> list[Test]:
    def cases(change: Callable[[str], str], label: str = "") -> list[Case]:
        """The texts beside what ``change`` makes of them, where that is another."""
        made = [Case(e["text"], change(e["text"]), label, str(e["id"])) for e in examples]
        return [case for case in made if case.before != case.after]

    return [
        Test(
            "typing error", "invariance", language, cases(lambda text: typing_error(text, draw)), same_label
        ),
        Test(
            "neutral prefix", "invariance", language, cases(lambda text: PREFIX[language] + text), same_label
        ),
        *(
            Test(
                f"agreeing {label}",
                "direction",
                language,
                cases(lambda text, more=more: text + more, label),  # type: ignore[misc]
                stays_up,
            )
            for label, more in AGREEING[language].items()
        ),
    ]


def typing_error(text: str, draw: random.Random) -> str:
    """The text with two neighbours changed round: letters inside a word of four or more, or characters that
    are words themselves, as in Chinese."""
    spans = word_offsets(text)
    inside = [i for start, end in spans if end - start >= 4 for i in range(start + 1, end - 2)]
    single = {start for start, end in spans if end - start == 1 and not text[start].isascii()}
    places = [i for i in inside + sorted(i for i in single if i + 1 in single) if text[i] != text[i + 1]]
    if not places:
        return text
    at = draw.choice(places)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def run(tests: Sequence[Test], predict: Callable[[list[str]], list[Prediction]]) -> list[dict[str, Any]]:
    """Each test's cases, failures and failure rate, with some failures: made sentences as they are, examples
    by their id alone. A test without a case, of a language of which there are no texts, is left out."""
    tests = [test for test in tests if test.cases]
    texts = list(
        dict.fromkeys(text for test in tests for case in test.cases for text in (case.before, case.after))
    )
    said: Mapping[str, Prediction] = dict(zip(texts, predict(texts), strict=True))
    results = []
    for test in tests:
        failed = [case for case in test.cases if not test.holds(case, said[case.before], said[case.after])]
        results.append(
            {
                "test": test.name,
                "kind": test.kind,
                "language": test.language,
                "cases": len(test.cases),
                "failures": len(failed),
                "failure_rate": round(len(failed) / len(test.cases), 4),
                "failing": [_shown(case, said[case.before], said[case.after]) for case in failed[:SHOWN]],
            }
        )
    return results


def _shown(case: Case, before: Prediction, after: Prediction) -> dict[str, Any]:
    told = {"id": case.id} if case.id else {"before": case.before, "after": case.after}
    return {**told, "said": [f"{p['prediction']} {p['score']:.2f}" for p in (before, after)]}
