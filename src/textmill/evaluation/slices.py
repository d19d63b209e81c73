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

    Of examples that share a gold label a mean over labels, or over those in scope, says nothing: where the
    answers can be right or wrong, such parts have ``accuracy``. ``seen`` says which examples also occur in
    the training split. Of each part ``score`` by its ``metric``, ``low`` and ``high``, the 95% bootstrap
    interval on it, and the ``difference`` to the whole. A part of two properties is listed where it is worse
    than either. One of texts without entities is in no list: F1 is 0 there, whatever is answered.
    """
    whole = measured.values()
    findable = np.array([example.get("spans", True) != [] for example in examples], dtype=bool)
    parts = [(kind, name, mask) for kind, name, mask in groups(examples, seen) if (mask & findable).any()]
    alone = {name: _values(measured, mask) for _, name, mask in parts}
    masks: dict[tuple[str, ...], np.ndarray] = {(name,): mask for _, name, mask in parts}
    metrics: dict[tuple[str, ...], str] = {(name,): _metric(whole, headline, kind) for kind, name, _ in parts}
    found = {names: alone[names[0]].get(metrics[names]) for names in masks}
    for (kind, one, first), (other_kind, other, second) in combinations(parts, 2):
        if kind == other_kind:
            continue
        metric, mask = _metric(whole, headline, kind, other_kind), first & second
        if not (mask & findable).any():
            continue
        score = _values(measured, mask).get(metric)
        least = min(values.get(metric, np.inf) for values in (whole, alone[one], alone[other]))
        scale = max(abs(whole[metric]), 1.0)  # metrics run to 1, or to 100
        if score is not None and score < least - MARGIN * scale:
            masks[one, other], metrics[one, other], found[one, other] = mask, metric, score
    ranked = sorted(
        (score - whole[metrics[names]], names) for names, score in found.items() if score is not None
    )[:SHOWN]
    rows = []
    for difference, names in ranked:
        metric = metrics[names]
        low, high = bootstrap(measured.subset(masks[names]), seed)[metric]
        rows.append(
            {
                "slice": ", ".join(names),
                "examples": int(masks[names].sum()),
                "metric": metric,
                "score": round(whole[metric] + difference, 4),
                "low": round(low, 4),
                "high": round(high, 4),
                "difference": round(difference, 4),
            }
        )
    return rows


def _metric(whole: dict[str, float], headline: str, *kinds: str) -> str:
    return "accuracy" if "label" in kinds and "accuracy" in whole else headline


def _values(measured: Scores, mask: np.ndarray) -> dict[str, float]:
    """The metrics on the part; none where that is too few examples, or all."""
    return measured.subset(mask).values() if SMALLEST <= mask.sum() < len(mask) else {}


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
        return {str(span["label"]) for span in example["spans"]}
    label = example.get("label")
    return set(map(str, label)) if isinstance(label, list) else {label} if isinstance(label, str) else set()
