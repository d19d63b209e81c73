"""Contestants one after another, round by round: medians, and ratios that a busy machine leaves alone."""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Contestant = Callable[[], Sequence[float]]  # runs, and gives marks: the clock after each step


def clock() -> float:
    """Seconds of this process's processor: what others do on the machine does not count."""
    return time.process_time()


def compare(
    contestants: Mapping[str, Contestant], amounts: Mapping[str, float], *, rounds: int, warm: int
) -> dict[str, dict[str, float]]:
    """Steps a second of processor time (after ``warm`` steps) times ``amounts`` a step, as medians.

    The first contestant is the one that the others are compared with; ``ratio`` is the median over the rounds
    of its rate over theirs.
    """
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, run in contestants.items():
            marks = run()
            steps = len(marks) - 1 - warm
            rates[name].append(amounts[name] * steps / (marks[-1] - marks[warm]))
            print(f"round {number + 1}: {name}: {rates[name][-1]:.0f}", file=sys.stderr, flush=True)
    first = next(iter(contestants))
    return {
        name: {
            "rate": statistics.median(found),
            "ratio": statistics.median(a / b for a, b in zip(rates[first], found, strict=True)),
        }
        for name, found in rates.items()
    }


def table(title: str, unit: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table of what ``compare`` found."""
    first = next(iter(rows))
    lines = [f"\n{title}\n", f"| | {unit} | {first}: times as fast |", "|---|---|---|"]
    lines += [f"| {name} | {row['rate']:,.0f} | {row['ratio']:.2f} |" for name, row in rows.items()]
    return "\n".join(lines)


def peak(dtype: torch.dtype, size: int = 1024, times: int = 8) -> float:
    """FLOP/s of a square matrix product, the best of some."""
    a = torch.randn(size, size).to(dtype)
    best = float("inf")
    for _ in range(times):
        start = clock()
        a @ a
        best = min(best, clock() - start)
    return 2.0 * size**3 / best


def machine() -> dict[str, Any]:
    """Kind of processor and threads, and no name."""
    known = torch.cpu.get_capabilities()
    wanted = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")
    return {
        "architecture": platform.machine(),
        "cores": known.get("num_physical_cores"),
        "instructions": [name for name in wanted if known.get(name)],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
