"""Fully sharded data parallelism (Zhao et al. 2023): of every tensor each process holds a part.

A sharded tensor is torch's ``DTensor``, cut along its rows. The functions here take plain tensors too, which
are whole, so that who trains need not know; those that put shards together are for all processes at once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.strategies import ModelParallelStrategy
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

if TYPE_CHECKING:
    from torch import Tensor, nn

Key = TypeVar("Key")
Model = TypeVar("Model", bound="nn.Module")


class Sharding(ModelParallelStrategy):
    """torch's ``fully_shard`` under Lightning, whose own FSDP strategy knows GPUs alone.

    Checkpoints hold whole tensors and are read where the other strategies read theirs: before the model comes
    to its device.
    """

    def __init__(self, processes: int) -> None:
        super().__init__(processes, tensor_parallel_size=1, save_distributed_checkpoint=False)

    def shard(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """Cut ``model`` in place; of its ``blocks`` one at a time is whole, and what stands outside of them.

        All processes begin with the tensors of the first, as under DDP; these are emptied then, whoever else
        holds them.
        """
        for tensor in chain(model.parameters(), model.buffers()):
            first = tensor.detach().to(self.root_device)
            torch.distributed.broadcast(first, 0)
            tensor.data.copy_(first)
        mesh = self.device_mesh["data_parallel"]
        parameters = list(model.parameters())
        for module in [*blocks, model]:
            fully_shard(module, mesh=mesh)
        for tensor in parameters:
            tensor.data = tensor.new_empty(0)

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        return False

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The whole weights, on the first process."""
        assert self.lightning_module is not None
        return gathered(self.lightning_module.state_dict().items(), self.is_global_zero)

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        """The optimiser's state in whole tensors, on the first process."""
        if isinstance(optimizer, LightningOptimizer):
            optimizer = optimizer.optimizer
        state = optimizer.state_dict()
        tensors = {number: gathered(of.items(), self.is_global_zero) for number, of in state["state"].items()}
        return {**state, "state": tensors}

    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """The checkpoint as it was written."""
        return super(ModelParallelStrategy, self).load_checkpoint(checkpoint_path, weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Give each process its part of the weights."""
        assert self.lightning_module is not None
        found, own = checkpoint["state_dict"], self.lightning_module.state_dict()
        state = {name: part(tensor, own[name]) for name, tensor in found.items()}
        self.lightning_module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Give each process its part of the optimiser's state."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            tensors = {}
            for number, of in state["state"].items():
                like = parameters[number]  # beside tensors of its shape there is the count of steps
                tensors[number] = {k: part(v, like) if v.shape == like.shape else v for k, v in of.items()}
            optimizer.load_state_dict({**state, "state": tensors})


def twin(model: Model) -> Model:
    """A copy of ``model`` with modules of its own, which sharding changes, over the same tensors."""
    tensors = chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


def give_back(sharded: nn.Module, model: nn.Module, here: bool) -> None:
    """The tensors of ``sharded``, put together, to the ``model`` that it is the twin of, where ``here``."""
    tensors = gathered(chain(sharded.named_parameters(), sharded.named_buffers()), here)
    if here:
        for name, tensor in chain(model.named_parameters(), model.named_buffers()):
            tensor.data = tensors[name]


def whole(tensor: Tensor) -> Tensor:
    """``tensor`` put together on every process."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part(tensor: Tensor, like: Tensor) -> Tensor:
    """The whole ``tensor``, of which this process keeps its part as of ``like``; itself if that is whole."""
    if isinstance(tensor, DTensor) or not isinstance(like, DTensor):
        return tensor
    # Every process has the whole: nothing need be sent.
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def gathered(tensors: Iterable[tuple[Key, Tensor]], here: bool) -> dict[Key, Tensor]:
    """The tensors by their keys, put together on the CPU where ``here``; nothing elsewhere."""
    result = {}
    for key, tensor in tensors:
        full = whole(tensor.detach())
        if here:
            result[key] = full.cpu()
    return result


def reshard(model: nn.Module) -> None:
    """Back to shards: a forward pass without a backward leaves what stands outside the blocks whole."""
    if isinstance(model, FSDPModule):
        model.reshard()
