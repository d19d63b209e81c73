"""Small inline pictures without scripts: colours come from the page, so that they follow dark mode."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

Curve = Sequence[tuple[float, float]]
WIDTH, HEIGHT, BOTTOM = 320, 150, 132


@dataclass(frozen=True)
class Track:
    """A row of the chart of results: places in per cent of the width."""

    value: float
    low: float
    high: float
    baselines: tuple[tuple[str, float], ...]


def track(
    value: float, interval: tuple[float, float], baselines: Mapping[str, float], top: float = 100
) -> Track:
    """Where a score, its interval and the baselines lie on a scale from 0 to ``top``."""

    def place(x: float) -> float:
        """Per cent of the width, kept within it."""
        return round(100 * min(max(x / top, 0.0), 1.0), 2)

    rivals = tuple((name, place(score)) for name, score in baselines.items())
    return Track(place(value), place(interval[0]), place(interval[1]), rivals)


def curve(points: Curve, label: str) -> Markup:
    """A loss curve as SVG, with its first and last value and the number of steps written at its ends."""
    points = [(x, y) for x, y in points if math.isfinite(y)]
    if len(points) < 2:
        return Markup("")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    span_x, span_y = (max(xs) - min(xs)) or 1, (high - low) or 1
    places = [
        (8 + (WIDTH - 16) * (x - min(xs)) / span_x, 22 + (BOTTOM - 34) * (high - y) / span_y)
        for x, y in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    (x0, y0), (x1, y1) = places[0], places[-1]
    return Markup(
        '<svg class="curve" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">'
        '<line class="axis" x1="8" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        '<polyline class="line" points="{path}"/>'
        '<circle class="dot" cx="{x0:.1f}" cy="{y0:.1f}" r="3"/>'
        '<circle class="dot" cx="{x1:.1f}" cy="{y1:.1f}" r="3"/>'
        '<text x="{t0:.1f}" y="{u0:.1f}">{first:.2f}</text>'
        '<text class="strong" text-anchor="end" x="{x1:.1f}" y="{u1:.1f}">{last:.2f}</text>'
        '<text class="faint" x="8" y="{below}">step {begin}</text>'
        '<text class="faint" text-anchor="end" x="{right}" y="{below}">{end}</text></svg>'
    ).format(
        w=WIDTH, h=HEIGHT, label=label, right=WIDTH - 8, bottom=BOTTOM, path=path, x0=x0, y0=y0, x1=x1, y1=y1,
        t0=x0 + 7, u0=y0 + 4, u1=y1 - 9, first=ys[0], last=ys[-1], below=BOTTOM + 14,
        begin=f"{int(min(xs)):,}", end=f"{int(max(xs)):,}",
    )  # fmt: skip


def reliability(found: Mapping[str, Any]) -> Markup:
    """The share of right answers against stated certainty as SVG, and before the temperature in grey."""
    side, left = 132.0, 28.0

    def dots(bins: Sequence[Mapping[str, float]], style: str) -> Markup:
        """A circle a bin, at (certainty, share right); its radius grows with the root of the examples."""
        most = max(row["examples"] for row in bins)
        return Markup("").join(
            Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(
                style,
                left + side * row["certainty"],
                8 + side * (1 - row["right"]),
                1.5 + 4 * math.sqrt(row["examples"] / most),
            )
            for row in bins
        )

    before = dots(found["before"]["bins"], "faint") if "before" in found else Markup("")
    return Markup(
        '<svg class="reliability" viewBox="0 0 190 168" role="img" aria-label="reliability diagram">'
        '<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="8"/>'
        '<path class="axis" fill="none" d="M{left} 8V{bottom}H{right}"/>{before}{after}'
        '<text x="{left}" y="{below}">0</text><text x="{right}" y="{below}" text-anchor="end">sure 1</text>'
        '<text x="{beside}" y="{bottom}" text-anchor="end">0</text>'
        '<text x="{beside}" y="16" text-anchor="end">right</text></svg>'
    ).format(
        left=left, right=left + side, bottom=8 + side, below=8 + side + 14, beside=left - 4, before=before,
        after=dots(found["bins"], "dot"),
    )  # fmt: skip
