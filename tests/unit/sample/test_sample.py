"""The embedded sample: same bytes from the same seed, exact gold, true accounts of what was planted."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from textmill.params import Sample
from textmill.records import EXAMPLE_FIELDS, example_texts
from textmill.sample import LABELS, TASKS, collection, documents, examples, planted
from textmill.sample.tongue import tongue

SIZE = Sample(documents=400, train=60, dev=20, test=40)
FAMILY = {
    "sentiment": "sequence_classification",
    "entities": "token_classification",
    "relations": "relation_classification",
    "questions": "span_extraction",
    "headlines": "sequence_to_sequence",
    "translation": "sequence_to_sequence",
    "dialogue": "dialogue",
}
# What the small sample of seed 1 hashes to. Changing the grammar changes it, and nothing else may.
GOLDEN = "1f4c0de81f8821f0ebb3760558647a7b"


@cache
def made(task: str) -> dict[str, list[dict[str, Any]]]:
    return examples(1, SIZE, task)


def rows(task: str) -> list[dict[str, Any]]:
    return [example for split in made(task).values() for example in split]


def digest() -> str:
    """One number for everything that seed 1 gives at the small size."""
    whole = [documents(1, SIZE), planted(1, SIZE), {task: examples(1, SIZE, task) for task in TASKS}]
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert digest() == GOLDEN


def test_another_hash_seed_gives_the_same_bytes() -> None:
    code = "; ".join(
        (
            "import importlib.util as util",
            f"spec = util.spec_from_file_location('here', {__file__!r})",
            "here = util.module_from_spec(spec)",
            "spec.loader.exec_module(here)",
            "print(here.digest())",
        )
    )
    environment = {"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(path for path in sys.path if path)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == GOLDEN


def test_another_seed_gives_other_texts() -> None:
    assert not set(documents(1, SIZE)) & set(documents(2, SIZE))


@pytest.mark.parametrize("task", TASKS)
def test_splits_are_as_asked_and_disjoint(task: str) -> None:
    splits = made(task)
    assert {split: len(found) for split, found in splits.items()} == {"train": 60, "dev": 20, "test": 40}
    fields = [field.removesuffix("?") for field in EXAMPLE_FIELDS[FAMILY[task]]]
    assert all(set(example) == {"id", "language", *fields} for example in rows(task))
    assert len({example["id"] for example in rows(task)}) == 120
    given = [
        json.dumps([e.get(f) for f in (*fields, "head", "tail") if f not in ("label", "target")])
        for e in rows(task)
    ]
    assert len(set(given)) == 120
    assert {example["language"] for example in rows(task)} == (
        {"zh"} if task == "translation" else {"en", "zh"}
    )


@pytest.mark.parametrize("task", ["sentiment", "relations"])
def test_labels_are_of_the_set_and_all_occur(task: str) -> None:
    assert {example["label"] for example in rows(task)} == set(LABELS[task])


def test_entity_spans_are_names() -> None:
    labels = set()
    for example in rows("entities"):
        end = 0
        for span in example["spans"]:
            surface = example["text"][span["start"] : span["end"]]
            assert span["start"] >= end, "spans overlap or are out of order"
            assert surface == surface.strip()
            assert not re.search("[.,。，“”]", surface)
            assert surface[0].isupper() or "\u4e00" <= surface[0] <= "\u9fff"
            labels.add(span["label"])
            end = span["end"]
    assert labels == set(LABELS["entities"])


def test_relation_arguments_have_the_kinds_of_the_relation() -> None:
    kinds = {
        "works_for": ("person", "company"),
        "founded": ("person", "company"),
        "located_in": ("company", "place"),
        "makes": ("company", "product"),
        "born_in": ("person", "place"),
    }
    for example in rows("relations"):
        head, tail = example["head"], example["tail"]
        assert head["end"] <= tail["start"] or tail["end"] <= head["start"]
        assert 0 <= head["start"] < head["end"] <= len(example["text"])
        assert 0 <= tail["start"] < tail["end"] <= len(example["text"])
        if example["label"] in kinds:
            assert (head["label"], tail["label"]) == kinds[example["label"]]


def test_answers_stand_where_they_are_said_to() -> None:
    unanswered = 0
    for example in rows("questions"):
        unanswered += not example["answers"]
        for answer in example["answers"]:
            start = answer["start"]
            assert example["context"][start : start + len(answer["text"])] == answer["text"]
    assert 0 < unanswered < 40


def test_dialogues_take_turns_and_end_with_the_assistant() -> None:
    for example in rows("dialogue"):
        roles = [turn["role"] for turn in example["turns"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert len(roles) >= 4


def test_held_out_people_are_not_in_training() -> None:
    seen = {e["text"][s["start"] : s["end"]] for e in made("entities")["train"] for s in e["spans"]}
    asked = [e["text"][s["start"] : s["end"]] for e in made("entities")["test"] for s in e["spans"]]
    assert sum(name in seen for name in asked) < 0.7 * len(asked)


def test_planted_truth_is_found_in_the_documents() -> None:
    texts, truth = documents(1, SIZE), planted(1, SIZE)
    tests = {example["id"]: example for task in TASKS for example in made(task)["test"]}
    assert {row["kind"] for row in truth} == set(collection.OWN) | set(collection.WITHIN)
    assert len({row["index"] for row in truth}) == len(truth)
    for row in truth:
        text, kind, value = texts[row["index"]], row["kind"], row["value"]
        if kind == "exact_duplicate":
            assert text == texts[row["of"]]
        elif kind == "near_duplicate":
            ours, theirs = set(collection.ngrams(text)), set(collection.ngrams(texts[row["of"]]))
            assert text != texts[row["of"]]
            assert 0.4 < len(ours & theirs) / len(ours | theirs) <= 1
        elif kind == "boilerplate":
            assert value in text.split("\n")
        elif kind in ("email", "phone", "id_number"):
            assert value in text
        elif kind == "mojibake":
            assert text != value
            coding = "latin-1" if re.search("[\u4e00-\u9fff]", value) else "cp1252"
            assert text.encode(coding).decode("utf-8") == value
        elif kind == "contamination":
            assert any(len(copied) > 12 and copied in text for copied in example_texts(tests[value]))
            assert value.startswith(row["task"])


def test_identity_numbers_have_the_right_check_digit() -> None:
    numbers = [row["value"] for row in planted(1, SIZE) if row["kind"] == "id_number"]
    assert numbers
    for number in numbers:
        # GB 11643: the weights are the powers of two modulo 11, and the sum with the check digit is 1.
        digits = [10 if sign == "X" else int(sign) for sign in number]
        assert sum(digit * pow(2, 17 - i, 11) for i, digit in enumerate(digits)) % 11 == 1


def test_clean_documents_are_clean() -> None:
    texts = documents(1, SIZE)
    spoilt = {row["index"] for row in planted(1, SIZE)} | {row["of"] for row in planted(1, SIZE)}
    clean = [text for i, text in enumerate(texts) if i not in spoilt]
    assert len(set(clean)) == len(clean)
    held = {
        gram
        for task in TASKS
        for split in ("dev", "test")
        for example in made(task)[split]
        for text in example_texts(example)
        for gram in collection.ngrams(text)
    }
    for text in clean:
        assert "@" not in text
        assert not re.search(r"\d{7,}|\d[ -]\d{3,}[ -]\d", text)
        assert not re.search(r"[\[\]{}<>|]|  | [.,;?!]|[。，][。，.,]|\b[Aa] [aeio](?!ne)", text), text
        assert text[-1] in ".?!。？！”"
        assert len(text) >= 110
        assert held.isdisjoint(collection.ngrams(text))


@pytest.mark.parametrize("code", ["en", "zh"])
def test_the_grammar_has_thousands_of_plans(code: str) -> None:
    grammar = tongue(code).grammar
    whole = [
        name
        for name in grammar.names()
        if name.split(".")[0] in ("inv", "pair", "event", "around", "setting")
    ]
    lead = grammar.plans("lead")
    assert sum(grammar.plans(name) for name in whole) > 400
    # A sentence of one verb phrase with where it is known from; two and three of them multiply.
    assert sum(lead * grammar.plans(name) for name in grammar.names() if name.startswith("vp.")) > 3000


@pytest.mark.parametrize("code", ["en", "zh"])
def test_every_rule_that_is_named_exists(code: str) -> None:
    grammar = tongue(code).grammar
    assert all(grammar.plans(name) > 0 for name in grammar.names())


@pytest.mark.slow
def test_a_bag_of_words_reads_reviews_badly() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    data = examples(1, Sample(documents=1, train=1600, dev=1, test=400), "sentiment")
    x, y = ({s: [e[key] for e in data[s]] for s in ("train", "test")} for key in ("text", "label"))
    words = TfidfVectorizer(ngram_range=(1, 2))
    characters = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LinearSVC()).fit(x["train"], y["train"])
    assert 0.65 < model.score(x["test"], y["test"]) < 0.85
