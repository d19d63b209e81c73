"""Intervals and comparisons by resampling the test set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from textmill.tasks.scores import Metrics, Scores

RESAMPLES = 1000
_CHUNK = 2**24  # counts of one matrix of resamples, which bounds the memory


def bootstrap(scores: Scores, seed: int, confidence: float = 0.95) -> dict[str, tuple[float, float]]:
    """The percentile interval of each metric (Efron 1979): the test set drawn anew, with replacement."""
    drawn = _resampled([scores], seed)[0]
    edges = ((1 - confidence) / 2, (1 + confidence) / 2)
    return {name: _interval(values, edges) for name, values in drawn.items()}


def paired_bootstrap(
    ours: Scores, theirs: Scores, metric: str, seed: int, confidence: float = 0.95
) -> dict[str, float]:
    """The difference of ``metric`` between two systems on the same examples (Koehn 2004).

    Returns difference, low and high of its interval, and p: twice the share of resamples in which the
    difference has the other sign, the observed one counted among them (Davison and Hinkley 1997, section
    4.2), so that it is never 0.
    """
    a, b = (drawn[metric] for drawn in _resampled([ours, theirs], seed))
    difference = ours.values()[metric] - theirs.values()[metric]
    low, high = _interval(a - b, ((1 - confidence) / 2, (1 + confidence) / 2))
    against = (1 + np.count_nonzero((a - b) <= 0 if difference > 0 else (a - b) >= 0)) / (1 + RESAMPLES)
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "p": min(1.0, 2 * float(against)),
    }


def mcnemar(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """McNemar's exact test of two systems' right and wrong answers (boolean, one an example).

    Returns how many only the one and only the other has right, and the two-sided p (binomial).
    """
    from scipy.stats import binomtest

    only_ours, only_theirs = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    apart = only_ours + only_theirs
    p = float(binomtest(only_ours, apart).pvalue) if apart else 1.0
    return {"only_first": only_ours, "only_second": only_theirs, "p": p}


def _resampled(systems: list[Scores], seed: int) -> list[Metrics]:
    """Each system's metrics on the same RESAMPLES resamples of the examples."""
    size = len(systems[0].rows)
    sums: list[list[np.ndarray]] = [[] for _ in systems]
    for weights in _weights(size, seed):
        for found, system in zip(sums, systems, strict=True):
            found.append(weights @ system.rows)
    return [system.metrics(np.concatenate(found)) for found, system in zip(sums, systems, strict=True)]


def _weights(size: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of ``size`` examples is drawn in each resample, (resamples, size), some at a time."""
    draw = np.random.default_rng([seed, size])
    step = max(1, _CHUNK // max(size, 1))
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        chosen = draw.integers(0, size, size=(rows, size))
        chosen += size * np.arange(rows)[:, None]
        yield np.bincount(chosen.ravel(), minlength=rows * size).reshape(rows, size).astype(float)


def _interval(values: np.ndarray, edges: tuple[float, float]) -> tuple[float, float]:
    low, high = np.quantile(values, edges)
    return float(low), float(high)
