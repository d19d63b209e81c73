"""Text drawn at random: the same for the same input and seed, whatever else stands in the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Sampling(TorchFunctionMode):
    """Within it transformers' ``generate``, which takes no generator, draws for each row from one of its own.

    prompts: the token ids of each row of the batch, without padding, from which with ``seed`` its generator
    begins; equal rows are therefore given equal texts.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], seed: int) -> None:
        super().__init__()
        self.generators = [_generator(ids, seed) for ids in prompts]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        draw = self._draw if func is torch.multinomial else func
        return draw(*args, **(kwargs or {}))

    def _draw(self, weights: Tensor, num_samples: int) -> Tensor:
        """Places drawn without replacement: (batch, outcomes) -> (batch, num_samples)."""
        # On the processor, so that one seed is one text on every device.
        rows = zip(weights.cpu(), self.generators, strict=True)
        drawn = [torch.multinomial(row, num_samples, generator=generator) for row, generator in rows]
        return torch.stack(drawn).to(weights.device)


def _generator(ids: Sequence[int], seed: int) -> torch.Generator:
    digest = hashlib.blake2b(f"{seed} {list(ids)}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest))
