"""A clean corpus with labelled data, small enough for milliseconds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from textmill.params import Params, load
from textmill.records import document_id

ROOT = Path(__file__).parents[3]
WORDS = [
    "the", "river", "town", "market", "child", "window", "garden", "letter", "morning", "teacher",
    "carried", "opened", "walked", "found", "small", "quiet", "green", "old", "bright", "heavy",
    "near", "under", "behind", "across", "and", "while", "because", "slowly", "often", "never",
    "again", "people", "street",
]  # fmt: skip
CHARACTERS = "我们在城市里看见很多人走过老街孩子和小狗树下玩耍河边的房子是红色市场安静早晨老师打开窗户信花园"


def english(draw: random.Random, words: int = 40) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words)).capitalize() + "."


def chinese(draw: random.Random, characters: int = 80) -> str:
    return "".join(draw.choice(CHARACTERS) for _ in range(characters)) + "。"


def make_documents(count: int = 240) -> pl.DataFrame:
    draw = random.Random(7)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        language = ("en", "zh")[number % 2]
        text = english(draw) if language == "en" else chinese(draw)
        rows.append(
            {
                "id": document_id("world", text),
                "text": text,
                "source": "world",
                "licence": "Apache-2.0",
                "file": "world",
                "line": number,
                "language": language,
                "confidence": 0.97,
                "split": "train" if number % 20 > 1 else ("validation", "test")[number // 20 % 2],
            }
        )
    return pl.DataFrame(rows)


def make_tasks() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """A task of each family, 30 examples a split."""
    draw = random.Random(11)
    tasks: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for task in ("sentiment", "entities", "relations", "questions", "headlines", "dialogue"):
        tasks[task] = {
            split: [{"id": f"{task}-{split}-{i}", **make_example(task, i, draw)} for i in range(30)]
            for split in ("train", "dev", "test")
        }
    return tasks


LABELS = {
    "sentiment": ("negative", "positive"),
    "entities": ("person", "company", "place", "product"),
    "relations": ("none", "works_for", "founded", "located_in", "makes", "born_in"),
}


def make_example(task: str, number: int, draw: random.Random) -> dict[str, Any]:
    text = english(draw, 16)
    labels = LABELS.get(task, ("",))
    label = labels[number % len(labels)]
    head, tail = {"start": 0, "end": 4, "label": "person"}, {"start": 6, "end": 9, "label": "place"}
    return {
        "sentiment": {"text": text, "pair": None, "label": label},
        "entities": {"text": text, "spans": [{"start": 0, "end": len(text.split()[0]), "label": label}]},
        "relations": {"text": text, "head": head, "tail": tail, "label": label},
        "questions": {
            "question": english(draw, 5), "context": text, "answers": [{"text": text[3:9], "start": 3}],
        },
        "headlines": {"source": text, "target": english(draw, 5)},
        "dialogue": {
            "turns": [{"role": "user", "text": text}, {"role": "assistant", "text": english(draw, 6)}],
        },
    }[task]  # fmt: skip


@pytest.fixture(scope="session")
def params() -> Params:
    return load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def clean() -> pl.DataFrame:
    return make_documents()


@pytest.fixture
def tasks() -> dict[str, dict[str, list[dict[str, Any]]]]:
    return make_tasks()
