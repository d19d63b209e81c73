"""The moving average of the weights, by which a training is scored and which is its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from textmill.training.optimizers import trained
from textmill.training.sharding import gathered, part

if TYPE_CHECKING:
    from torch import Tensor, nn


class Average:
    """An exponential moving average of the parameters that train, with ``decay`` a step."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.tensors: list[Tensor] = []  # in the order of the parameters; none before the start

    def start(self, device: torch.device) -> None:
        """Begin with the weights as they are, or go on with what a checkpoint has."""
        parameters = trained(self.model)
        begun = zip(self.tensors or parameters, parameters, strict=True)
        self.tensors = [part(tensor.detach(), like).to(device, copy=True) for tensor, like in begun]

    def state(self, here: bool) -> list[Tensor]:
        """The whole average where ``here``, for a checkpoint; every process takes part."""
        return list(gathered(enumerate(self.tensors), here).values())

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the weights, after a step."""
        torch._foreach_lerp_(self.tensors, trained(self.model), 1 - self.decay)

    def swap(self) -> None:
        """Exchange the weights and their average."""
        for parameter, average in zip(trained(self.model), self.tensors, strict=True):
            kept = parameter.detach().clone()
            parameter.data.copy_(average)
            average.copy_(kept)
