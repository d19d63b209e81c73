"""Several tasks learnt together: one encoder, and a head for each (Caruana 1997)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from textmill.errors import UserError
from textmill.training.data import Batches, digest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from textmill.training.data import Batch


class MultiTask(nn.Module):
    """The first model, and others that read its encoder in the place of theirs.

    A batch says by ``task`` which model it is for; one without is for the first. What training asks of a
    model the first answers, and it is the one that is kept.
    """

    def __init__(self, models: Sequence[PreTrainedModel]) -> None:
        super().__init__()
        first = models[0]
        prefix = first.base_model_prefix
        body = getattr(first, prefix)
        names = {name for name, _ in body.named_parameters()}
        for other in models[1:]:
            if names != {name for name, _ in getattr(other, prefix).named_parameters()}:
                raise UserError(
                    f"auxiliary: {type(other).__name__} has another encoder than {type(first).__name__}; "
                    "tasks of these families cannot share one"
                )
            setattr(other, prefix, body)
        self.heads = nn.ModuleList(models)
        self.config = first.config
        self.can_generate = first.can_generate
        self.get_input_embeddings = first.get_input_embeddings
        self.get_output_embeddings = first.get_output_embeddings
        self.gradient_checkpointing_enable = first.gradient_checkpointing_enable
        self.gradient_checkpointing_disable = first.gradient_checkpointing_disable

    def forward(self, task: int = 0, **batch: Any) -> Any:
        """What the model of the task gives for the batch."""
        return self.heads[task](**batch)


class MixedBatches(Batches):
    """All batches of all tasks once an epoch, in an order drawn by seed; each says its ``task`` by number."""

    def __init__(self, parts: Sequence[Batches], seed: int) -> None:
        self.parts = parts
        self.seed = seed
        sizes = np.array([len(part) for part in parts])
        self.places = [(number, i) for number, size in enumerate(sizes) for i in range(size)]
        each = np.array([part.tokens_per_batch for part in parts])
        self.tokens_per_batch = float((each * sizes).sum() / sizes.sum())
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.places)

    def _place(self, epoch: int, index: int) -> tuple[int, int]:
        if self._order is None or self._order[0] != epoch:
            generator = np.random.default_rng((self.seed, epoch))
            self._order = (epoch, generator.permutation(len(self.places)))
        return self.places[self._order[1][index]]

    def batch(self, epoch: int, index: int) -> Batch:
        """A batch of one task, and under ``task`` the number of it."""
        part, place = self._place(epoch, index)
        return {**self.parts[part].batch(epoch, place), "task": part}  # type: ignore[dict-item]

    def ids(self, epoch: int, index: int) -> list[str]:
        part, place = self._place(epoch, index)
        return self.parts[part].ids(epoch, place)

    def fingerprint(self) -> str:
        return digest([part.fingerprint() for part in self.parts], self.seed)
