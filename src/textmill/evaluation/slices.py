"""Parts of the test set on which a model does worse: by length, language, label, and two of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from textmill.evaluation.metrics import bootstrap
from textmill.records import Example, example_texts
from textmill.tasks.readers.prepare import same_text
from textmill.tasks.scores import Scores

SMALLEST = 20  # examples; below, a score says little
SHOWN = 30  # the worst
MARGIN = 0.01  # of the score, by which two properties together must be worse than each alone


def slices(
    examples: Sequence[Example], measured: Scores, headline: str, seen: np.ndarray, seed: int
) -> list[dict[str, Any]]:
    """The headline metric on parts of the test set, the worst first.

    ``seen`` says which examples also occur in the training split. ``low`` and ``high`` are the 95% bootstrap
    interval on the part; a part of two properties is listed where it is worse than either.
    """
    total = measured.values()[headline]
    parts = groups(examples, seen)
    alone = {name: _score(measured, mask, headline) for _, name, mask in parts}
    found = [(name, mask, alone[name]) for _, name, mask in parts]
    scale = max(abs(total), 1.0)  # metrics run to 1, or to 100
    for (kind, one, first), (other_kind, other, second) in combinations(parts, 2):
        if kind == other_kind:
            continue
        mask = first & second
        score = _score(measured, mask, headline)
        known = [value for value in (alone[one], alone[other]) if value is not None]
        if score is not None and score < min([total, *known]) - MARGIN * scale:
            found.append((f"{one}, {other}", mask, score))
    ranked = sorted(
        ((name, mask, score) for name, mask, score in found if score is not None),
        key=lambda row: (row[2], row[0]),
    )[:SHOWN]
    rows = []
    for name, mask, score in ranked:
        low, high = bootstrap(measured.subset(mask), seed)[headline]
        rows.append(
            {
                "slice": name,
                "examples": int(mask.sum()),
                headline: round(score, 4),
                "low": round(low, 4),
                "high": round(high, 4),
                "difference": round(score - total, 4),
            }
        )
    return rows


def _score(measured: Scores, mask: np.ndarray, headline: str) -> float | None:
    """The metric on the part; None where that is too few examples, or all."""
    if not SMALLEST <= mask.sum() < len(mask):
        return None
    return measured.subset(mask).values()[headline]


def seen_in(train: Sequence[Example], examples: Sequence[Example]) -> np.ndarray:
    """Which examples' texts also occur in ``train``, whatever is said of them there; boolean, (examples,)."""
    known = {same_text(example) for example in train}
    return np.array([same_text(example) in known for example in examples], dtype=bool)


def groups(examples: Sequence[Example], seen: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Kind, name and mask (examples,) of each slice: thirds by length, languages, gold labels, leakage."""
    lengths = np.array([sum(map(len, example_texts(example))) for example in examples])
    low, high = np.quantile(lengths, [1 / 3, 2 / 3])
    found = [
        ("length", f"up to {int(low)} characters", lengths <= low),
        ("length", f"{int(low) + 1} to {int(high)} characters", (lengths > low) & (lengths <= high)),
        ("length", f"over {int(high)} characters", lengths > high),
        ("train", "also in train", seen),
        ("train", "not in train", ~seen),
    ]
    values = {
        "language": [{str(example["language"])} if "language" in example else set() for example in examples],
        "label": [_labels(example) for example in examples],
    }
    for kind, each in values.items():
        found += [
            (kind, f"{kind} {value}", np.array([value in held for held in each]))
            for value in sorted(set().union(*each))
        ]
    return found


def _labels(example: Example) -> set[str]:
    """What an example's answer holds: its labels, those of its entities, or whether there is one."""
    if "answers" in example:
        return {"answerable" if example["answers"] else "unanswerable"}
    if "spans" in example:
        return {str(span["label"]) for span in example["spans"]} or {"none"}
    label = example.get("label")
    return set(map(str, label)) if isinstance(label, list) else {label} if isinstance(label, str) else set()
