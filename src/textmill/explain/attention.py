"""Where the model looked: attention weights by layer and head, and their way through the layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def eager(model: PreTrainedModel) -> Iterator[None]:
    """For the time of the block, attention that keeps its weights; ours can always give them."""
    before = model.config._attn_implementation
    if before in (None, "eager"):
        yield
        return
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def attentions(model: PreTrainedModel, inputs: dict[str, Any]) -> dict[str, Tensor]:
    """The attention weights of an input of one row: (layers, heads, queries, keys) each.

    The keys are "self", and for an encoder-decoder "self" (of the encoder), "decoder" and "cross". Each row
    of weights sums to one.
    """
    with torch.no_grad(), eager(model):
        output = model(**inputs, output_attentions=True)
    names = {
        "self": ("attentions", "encoder_attentions"),
        "decoder": ("decoder_attentions",),
        "cross": ("cross_attentions",),
    }
    found = {}
    for name, fields in names.items():
        weights = next((w for field in fields if (w := getattr(output, field, None))), None)
        if weights is not None:
            found[name] = torch.cat([layer.detach().float() for layer in weights])
    return found


def rollout(weights: Tensor) -> Tensor:
    """How much of each input token reaches each position of the last layer (Abnar and Zuidema 2020).

    weights: (layers, heads, length, length) -> (length, length), rows sum to one. A layer hands on the mean
    of its heads' weights and, over the residual connection, the position itself, half and half; the layers
    are multiplied (section 3).
    """
    length = weights.shape[-1]
    itself = torch.eye(length, dtype=weights.dtype, device=weights.device)
    rolled = itself
    for layer in weights.mean(dim=1):
        rolled = (0.5 * layer + 0.5 * itself) @ rolled
    return rolled
