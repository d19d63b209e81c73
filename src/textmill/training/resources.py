"""What a training takes of the machine: operations and memory, and the most operations that it can do."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import psutil
import torch

from textmill import params

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def flops_per_token(model: PreTrainedModel, length: int) -> float:
    """Floating-point operations of forward and backward a token of sequences of ``length`` tokens.

    6 a weight of a matrix product and 12 x layers x width x length for attention (Chowdhery et al. 2022, B).
    """
    head = model.get_output_embeddings()
    embedded = {id(model.get_input_embeddings().weight)}
    weights = sum(p.numel() for p in model.parameters() if p.ndim >= 2 and id(p) not in embedded)
    if head is not None and id(head.weight) in embedded:
        weights += head.weight.numel()
    config = model.config
    layers = getattr(config, "num_hidden_layers", 0)
    width = getattr(config, "hidden_size", 0)
    return 6.0 * weights + 12.0 * layers * width * length


def peak_flops(trainer: params.Trainer) -> float:
    """FLOP/s of a large matrix product on this machine in the precision of the run; takes some 50 ms."""
    cuda = torch.cuda.is_available() and trainer.accelerator in ("auto", "gpu", "cuda")
    device, size = ("cuda", 8192) if cuda else ("cpu", 1024)
    dtype = {"32-true": torch.float32, "16-mixed": torch.float16}.get(trainer.precision, torch.bfloat16)
    a = torch.ones(size, size, device=device, dtype=dtype)
    best = math.inf
    for _ in range(4):
        start = time.perf_counter()
        a @ a
        if cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def memory(device: torch.device) -> float:
    """Memory in use in gigabytes (10^9 bytes): the GPU's peak, or what this process has resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return float(psutil.Process().memory_info().rss) / 1e9
