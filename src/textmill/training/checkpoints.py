"""What a training that is begun again goes on from.

Resume checkpoints: when one is due, how it is written, and each process's random state in it; and the weights
of a training that had come to its end when what follows it failed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textmill.training.plan import Plan

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import nn

CHECKPOINT = "resume.ckpt"
FINISHED = "finished.safetensors"


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


def save_finished(folder: Path, model: nn.Module, fingerprint: str, result: dict[str, Any]) -> None:
    """Write the weights of a training that has ended, and its ``result``; the file is whole at any time."""
    from safetensors.torch import save_file

    partial = (folder / FINISHED).with_suffix(".partial")
    weights = {name: parameter.detach().contiguous() for name, parameter in model.named_parameters()}
    save_file(weights, partial, {"fingerprint": fingerprint, "result": json.dumps(result)})
    os.replace(partial, folder / FINISHED)


def load_finished(folder: Path, model: nn.Module, fingerprint: str) -> dict[str, Any] | None:
    """Give ``model`` the weights that ``save_finished`` wrote, and return the result.

    None where there are none of a training with this ``fingerprint``; those of another are removed.
    """
    from safetensors import safe_open

    path = folder / FINISHED
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        about = file.metadata()
        if about["fingerprint"] == fingerprint:
            for name, parameter in model.named_parameters():
                parameter.data.copy_(file.get_tensor(name))
            result: dict[str, Any] = json.loads(about["result"])
            return result
    path.unlink()
    return None
