"""The plan of a training, which all its parts read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textmill import params
from textmill.training.data import Stream

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class Plan:
    """What is to be done: the data, the budget and where things go."""

    training: params.Training
    train: Stream
    validation: Stream
    total: int | None  # optimiser steps; None: the budget is in minutes
    folder: Path
    fingerprint: str
    seed: int
    bytes_per_token: float | None  # of text, in the training split
    validation_bytes_per_token: float | None
    fixed_shape: bool  # all training batches have one shape
    score: Callable[[PreTrainedModel], dict[str, float]] | None
    best: str | None  # the metric whose best weights are kept
    class_weights: list[float] | None = None  # of the labels, in the training loss
    peak: float | None = None  # FLOP/s of this machine's matrix products
