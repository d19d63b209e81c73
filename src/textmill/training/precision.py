"""Which numbers a training computes in, where the parameters leave it to the machine."""

from __future__ import annotations

import torch

from textmill import params


def resolve(trainer: params.Trainer) -> params.Trainer:
    """``trainer`` with ``precision: auto`` as bf16-mixed where the machine multiplies bfloat16, else 32-true.

    A processor without such instructions imitates them, some fifty times slower than float32.
    """
    if trainer.precision != "auto":
        return trainer
    cuda = torch.cuda.is_available() and trainer.accelerator in ("auto", "gpu", "cuda")
    device = torch.device("cuda" if cuda else "cpu")
    return trainer.model_copy(update={"precision": "bf16-mixed" if bfloat16(device) else "32-true"})


def bfloat16(device: torch.device) -> bool:
    """Whether ``device`` has instructions for matrix products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        known = torch.cpu.get_capabilities()
        return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False
