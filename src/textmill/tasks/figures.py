"""Pictures of results, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from textmill.drawing import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing()
def confusion_matrix(matrix: np.ndarray, labels: Sequence[str]) -> Figure:
    """Counts (gold, predicted) as a coloured table; numbers are shown up to 25 labels."""
    from matplotlib.figure import Figure

    size = len(labels)
    side = float(np.clip(1.5 + 0.55 * size, 3.5, 14))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if size <= 25:
        axes.set_xticks(range(size), labels, rotation=45, ha="right")
        axes.set_yticks(range(size), labels)
        for i in range(size):
            for j in range(size):
                colour = "white" if share[i, j] > 0.5 else "black"
                axes.text(j, i, str(matrix[i, j]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


@drawing()
def bars(values: Mapping[str, float], label: str, low: float = 0.0, high: float | None = 1.0) -> Figure:
    """A horizontal bar for each named value."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 0.6 + 0.35 * max(len(values), 2)), layout="constrained")
    axes = figure.add_subplot()
    names = list(values)[::-1]
    axes.barh(names, [values[name] for name in names], color="#4878a8")
    for row, name in enumerate(names):
        axes.text(values[name], row, f" {values[name]:.2f}", va="center", fontsize=8)
    axes.set_xlim(low, high)
    axes.set_xlabel(label)
    return figure


def histogram(values: Sequence[float], label: str, bins: int = 20) -> Figure:
    """How often each range of values occurs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 2.8), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(values, bins=bins, color="#4878a8")
    axes.set_xlabel(label)
    axes.set_ylabel("examples")
    return figure
