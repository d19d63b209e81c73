"""Batches as functions of (epoch, index): any batch can be had alone, by any process, at any time."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill.errors import UserError
from textmill.objectives import Draws, Objective
from textmill.tokenizer import read_packed

if TYPE_CHECKING:
    import torch

    Batch = dict[str, torch.Tensor]

POOL = 50  # batches whose sequences are sorted by length together


class Batches(ABC):
    """The batches of a split, epoch after epoch; a pure function of what it was made with."""

    tokens_per_batch: float  # on average, for budgets in tokens

    @abstractmethod
    def __len__(self) -> int:
        """Batches an epoch."""

    @abstractmethod
    def batch(self, epoch: int, index: int) -> Batch:
        """Batch ``index`` of ``epoch``, as ``model(**batch)`` takes it."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when the data do."""

    def ids(self, epoch: int, index: int) -> list[str]:
        """The documents or examples in a batch, for a message."""
        return []

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of an epoch in their order."""
        return (self.batch(number, index) for index in range(len(self)))


class PackedBatches(Batches):
    """Windows cut from a split's packed ids, mapped from disk.

    In training, windows begin at a new offset in every epoch and come in the order of a permutation, both
    functions of (seed, epoch); processes take the batches in turn, so that two processes see in one step
    what one process with twice the batch sees. Without shuffling (validation) the windows come in order, each
    token is predicted once, and masks are the same in every epoch.
    """

    def __init__(
        self,
        tokens: Path,
        split: str,
        objective: Objective,
        batch_size: int,
        seed: int,
        *,
        shuffle: bool = True,
    ) -> None:
        self.packed, self.about = read_packed(tokens, split)
        self.offsets = np.memmap(tokens / self.about["offsets"], dtype=np.uint64, mode="r")
        self.objective = objective
        self.seed = seed
        self.shuffle = shuffle
        self.step = objective.length - objective.overlap
        self.windows = (len(self.packed) - objective.overlap) // self.step
        if self.windows < 1:
            raise UserError(
                f"{tokens / split}.bin: {len(self.packed)} tokens, less than one window of "
                f"{objective.length}; add text, or make training.max_length smaller"
            )
        self.batch_size = min(batch_size, self.windows)
        self.tokens_per_batch = float(self.batch_size * self.step)
        self._order: tuple[int, int, np.ndarray] | None = None

    def __len__(self) -> int:
        whole, rest = divmod(self.windows, self.batch_size)
        return whole if self.shuffle else whole + bool(rest)

    def order(self, epoch: int) -> tuple[int, np.ndarray]:
        """Where the epoch's first window begins, and the windows' order, (windows,)."""
        if self._order is None or self._order[0] != epoch:
            generator = np.random.default_rng((self.seed, epoch))
            spare = len(self.packed) - self.objective.overlap - self.windows * self.step
            offset = int(generator.integers(0, spare + 1))
            self._order = (epoch, offset, generator.permutation(self.windows))
        return self._order[1:]

    def _starts(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The places of the batch's windows in the epoch and in the packed ids, (batch,) each."""
        places = np.arange(index * self.batch_size, min((index + 1) * self.batch_size, self.windows))
        if not self.shuffle:
            return places, places * self.step
        offset, order = self.order(epoch)
        return places, offset + order[places] * self.step

    def batch(self, epoch: int, index: int) -> Batch:
        places, starts = self._starts(epoch, index)
        windows = self.packed[starts[:, None] + np.arange(self.objective.length)].astype(np.int64)
        # The held-out split's masks are its own, and the same each time.
        draws = Draws(self.seed, epoch, places) if self.shuffle else Draws(~self.seed & 0xFFFF, 0, places)
        return self.objective(windows, draws)

    def ids(self, epoch: int, index: int) -> list[str]:
        """The documents that the batch's windows touch, each once, in the corpus's order."""
        _, starts = self._starts(epoch, index)
        offsets = np.asarray(self.offsets, np.int64)
        first = np.searchsorted(offsets, starts, "right") - 1
        last = np.searchsorted(offsets, starts + self.objective.length, "left") - 1
        found = sorted({i for a, b in zip(first, last, strict=True) for i in range(a, b + 1)})
        return [self.about["ids"][i] for i in found]

    def fingerprint(self) -> str:
        """Of the packed ids and the objective, and of how windows are cut and drawn."""
        return digest(
            self.about["digest"], self.objective.spec.model_dump(), self.objective.max_length,
            self.batch_size, self.seed,
        )  # fmt: skip

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text a token stands for, on average over the split; document ends count as tokens."""
        return float(self.about["bytes"] / max(self.about["tokens"], 1))


class BucketedBatches(Batches):
    """Sequences of different length, batched with others of nearly their length.

    ``collate`` makes a batch of features. With a seed the sequences are shuffled in every epoch, sorted by
    length within pools of some batches, and the batches shuffled; without one they come in order of length,
    the longest first, so that a batch too large for the memory fails at once.
    """

    def __init__(
        self,
        features: Sequence[dict[str, Any]],
        collate: Callable[[Sequence[dict[str, Any]]], Batch],
        batch_size: int,
        seed: int | None,
    ) -> None:
        if not features:
            raise UserError("no examples to train on or to score")
        self.features = features
        self.collate = collate
        self.batch_size = batch_size
        self.seed = seed
        self.lengths = np.array([len(feature["input_ids"]) for feature in features])
        self.tokens_per_batch = float(self.lengths.mean() * min(batch_size, len(features)))
        self._order: tuple[int, list[np.ndarray]] | None = None

    def __len__(self) -> int:
        return -(-len(self.features) // self.batch_size)

    def order(self, epoch: int) -> list[np.ndarray]:
        """The features of each batch of the epoch."""
        if self.seed is None:
            epoch = 0
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, self._draw(epoch))
        return self._order[1]

    def _draw(self, epoch: int) -> list[np.ndarray]:
        count, size = len(self.features), self.batch_size
        if self.seed is None:
            rows = np.argsort(-self.lengths, kind="stable")
            return [rows[i : i + size] for i in range(0, count, size)]
        generator = np.random.default_rng((self.seed, epoch))
        shuffled = generator.permutation(count)
        pools = [shuffled[i : i + POOL * size] for i in range(0, count, POOL * size)]
        rows = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        batches = [rows[i : i + size] for i in range(0, count, size)]
        return [batches[i] for i in generator.permutation(len(batches))]

    def batch(self, epoch: int, index: int) -> Batch:
        return self.collate([self.features[i] for i in self.order(epoch)[index]])

    def ids(self, epoch: int, index: int) -> list[str]:
        """The examples' ids, one a row; an example without one has its number."""
        return [str(self.features[i].get("id", i)) for i in self.order(epoch)[index].tolist()]

    def fingerprint(self) -> str:
        """Of all features, and of how they are batched."""
        return digest(list(self.features), self.batch_size, self.seed)


def digest(*parts: Any) -> str:
    """A digest of values that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Stream:
    """What the trainer iterates over: batches ``start``, ``start`` + 1 ... of one process out of ``world``.

    In training the epochs follow each other without end, and whoever trains decides when to stop; a split
    that is scored is gone through once. There too all processes have as many batches, since the shards of a
    model come together in a forward pass that all make: a last one may belong to the next epoch.
    """

    def __init__(self, batches: Batches, *, endless: bool) -> None:
        self.batches = batches
        self.endless = endless
        self.start = 0  # batches that this process had before it was interrupted
        self.rank, self.world = 0, 1

    def where(self, number: int) -> tuple[int, int]:
        """(epoch, index) of this process's batch ``number``."""
        return divmod(number * self.world + self.rank, len(self.batches))

    def __iter__(self) -> Iterator[Batch]:
        number = self.start
        while True:
            if not self.endless and number * self.world >= len(self.batches):
                return
            yield self.batches.batch(*self.where(number))
            number += 1
