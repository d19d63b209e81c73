"""Which split a document goes to, and how many of each source and language train."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from textmill.params import Split

SPLITS = ("train", "validation", "test")


def unit(key: str, purpose: str) -> float:
    """A number in [0, 1) that depends on nothing but the key and what it is drawn for."""
    digest = hashlib.blake2b(f"{purpose}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def assign(keys: Sequence[str], dates: Sequence[str | None], spec: Split) -> list[str]:
    """The split of each key: a document's duplicate cluster, or its group. Other keys play no part in it.

    dates: the day (YYYY-MM-DD) of each key that goes by ``spec.dates`` and not by its hash.
    """
    names = []
    for key, day in zip(keys, dates, strict=True):
        if spec.dates is not None and day is not None:
            late = "validation" if day < spec.dates.test else "test"
            names.append("train" if day < spec.dates.validation else late)
            continue
        number = unit(key, "split")
        if number < spec.test:
            names.append("test")
        else:
            names.append("validation" if number < spec.test + spec.validation else "train")
    return names


def quota(
    labels: Sequence[str], sizes: NDArray[np.int64], draws: NDArray[np.float64], shares: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Which documents stay so that the labels' sizes are as their shares: (documents,).

    The largest such selection is taken without repeating a document; those with the largest draws go.
    Labels without a share stay whole.
    """
    names = np.array(labels)
    keep = np.ones(len(names), np.bool_)
    total = sum(shares.values())
    available = {label: float(sizes[names == label].sum()) for label in shares}
    wanted = {label: share / total for label, share in shares.items() if share > 0 and available[label] > 0}
    if not wanted:
        return keep
    whole = min(available[label] / (share / sum(wanted.values())) for label, share in wanted.items())
    for label in shares:
        places = np.flatnonzero(names == label)
        order = places[np.argsort(draws[places], kind="stable")]
        limit = whole * wanted.get(label, 0.0) / sum(wanted.values())
        keep[order] = np.cumsum(sizes[order]) <= limit * (1 + 1e-9)
    return keep
