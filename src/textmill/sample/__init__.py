"""The embedded sample: a small generated world told in English and Chinese, with labelled data for seven tasks.

First slice: the interface is complete, the grammar is still a handful of frames.
"""

from __future__ import annotations

import random
from typing import Any

from textmill.params import Sample
from textmill.records import Example

TASKS = ("sentiment", "entities", "relations", "questions", "headlines", "translation", "dialogue")
LABELS: dict[str, tuple[str, ...]] = {
    "sentiment": ("negative", "positive"),
    "entities": ("person", "company", "place", "product"),
    "relations": ("none", "works_for", "founded", "located_in", "makes", "born_in"),
}
_PEOPLE = [f"{a} {b}" for a in ("Emma", "Ned", "Ruth", "Paul", "Ada") for b in ("Moss", "Hart", "Lane", "Birk")]
_FIRMS = [f"{a} {b}" for a in ("Kestrel", "Lantern", "Harbour") for b in ("Foods", "Robotics", "Glass")]
_TOWNS = [a + b for a in ("Oster", "Mar", "Bram", "Wel") for b in ("wick", "ford", "ton")]


def _draw(seed: int, purpose: str) -> random.Random:
    return random.Random(f"textmill sample {seed} {purpose}")


def _pick(draw: random.Random, options: Any) -> Any:
    return options[int(draw.random() * len(options))]


def _example(draw: random.Random, task: str) -> Example:
    person, firm, town = _pick(draw, _PEOPLE), _pick(draw, _FIRMS), _pick(draw, _TOWNS)
    number = 10 + int(draw.random() * 900)
    if task == "sentiment":
        label = _pick(draw, LABELS["sentiment"])
        word = _pick(draw, ("good", "fine") if label == "positive" else ("bad", "poor"))
        return {"text": f"{person} says the lamp from {firm} is {word}.", "pair": None, "label": label}
    text = f"{person} founded {firm} in {town} with {number} others."
    spans = [
        {"start": text.index(part), "end": text.index(part) + len(part), "label": label}
        for part, label in ((person, "person"), (firm, "company"), (town, "place"))
    ]
    if task == "entities":
        return {"text": text, "spans": spans}
    if task == "relations":
        head, tail, label = _pick(draw, ((0, 1, "founded"), (1, 2, "located_in"), (0, 2, "none")))
        return {"text": text, "head": spans[head], "tail": spans[tail], "label": label}
    if task == "questions":
        answers = [{"text": person, "start": 0}]
        return {"question": f"Who founded {firm}?", "context": text, "answers": answers}
    if task == "headlines":
        return {"source": text, "target": f"{person} founds {firm}"}
    if task == "translation":
        return {"source": text, "target": f"{person}和另外{number}人在{town}创办了{firm}。"}
    said = [f"I am {person} from {town}.", "Nice to meet you.", "Where am I from?", f"You are from {town}."]
    return {"turns": [{"role": ("user", "assistant")[i % 2], "text": turn} for i, turn in enumerate(said)]}


def examples(seed: int, size: Sample, task: str) -> dict[str, list[Example]]:
    """The labelled data of ``task``: train, dev and test."""
    draw = _draw(seed, task)
    splits = {"test": size.test, "dev": size.dev, "train": size.train}
    made = {
        split: [
            {"id": f"{task}-{split}-{i}", "language": "en", **_example(draw, task)} for i in range(count)
        ]
        for split, count in splits.items()
    }
    return {split: made[split] for split in ("train", "dev", "test")}


def documents(seed: int, size: Sample) -> list[str]:
    """The texts of the corpus, planted defects included, in a shuffled order."""
    draw = _draw(seed, "documents")
    return [
        " ".join(_example(draw, _pick(draw, ("sentiment", "entities")))["text"] for _ in range(8))
        for _ in range(size.documents)
    ]


def planted(seed: int, size: Sample) -> list[dict[str, Any]]:
    """The truth about the planted defects."""
    return []
