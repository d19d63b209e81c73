"""Resume checkpoints: when one is due, how it is written, and each process's random state in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from textmill.training.plan import Plan

if TYPE_CHECKING:
    import pytorch_lightning as pl

CHECKPOINT = "resume.ckpt"


class Checkpoints:
    """Writes the one resume checkpoint of the plan's folder, each over the one before."""

    def __init__(self, plan: Plan) -> None:
        self.path = plan.folder / CHECKPOINT
        self.every = plan.training.checkpoint_every
        self.step = 0  # of the last one; 0: there is none

    def due(self, step: int) -> bool:
        """Whether one is to be written after ``step``, and is not yet."""
        return step > 0 and step % self.every == 0 and step != self.step

    def save(self, trainer: pl.Trainer, step: int) -> None:
        """Write that of ``step``; every process takes part. The file is whole at any time."""
        self.step = step
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            os.replace(partial, self.path)


def of_all(own: Any, world: int) -> list[Any]:
    """What each of ``world`` processes has, by rank; one process writes the checkpoint for all."""
    every = [own] * world
    if world > 1:
        torch.distributed.all_gather_object(every, own)
    return every


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of torch's generators that a training on ``device`` draws from."""
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {"random": torch.get_rng_state(), "random_cuda": cuda}


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Go on drawing where ``random_state`` was taken."""
    torch.set_rng_state(state["random"].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["random_cuda"].cpu(), device)
