"""The embedded sample: a small generated world told in English and Chinese, with labels for seven tasks.

One seed gives people, companies, places and products and what holds among them (``world``), told by a
composing grammar (``grammar``, ``tongue``): news, reviews, portraits, instructions and conversations as
documents, with planted defects whose truth is known, and labelled examples with exact gold. All of it is
invented: it is there to see everything work, and figures on it say nothing about real text.
"""

from __future__ import annotations

from textmill.params import Sample
from textmill.records import Example
from textmill.sample.collection import documents, planted
from textmill.sample.labelled import LABELS, MAKERS, all_splits

__all__ = ["LABELS", "TASKS", "documents", "examples", "planted"]

TASKS = tuple(MAKERS)


def examples(seed: int, size: Sample, task: str) -> dict[str, list[Example]]:
    """The labelled data of ``task`` by split: train, dev and test, with "id" and "language" (en or zh)."""
    return all_splits(seed, task, size.train, size.dev, size.test)
