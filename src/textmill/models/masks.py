"""Who may look at whom: padding, causality and document boundaries as one mask a forward pass.

A mask is added to the attention scores: 0 where looking is allowed, the lowest number of the type where
it is not, so that the softmax there is exactly 0. It is built once for all layers, and not at all where
nothing is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mask:
    """``additive``: (batch or 1, 1, queries, keys), or None where nothing is hidden beyond ``causal``.

    ``causal`` (only where ``additive`` is None): the attention itself hides the future.
    """

    additive: Tensor | None = None
    causal: bool = False


def compute_dtype(x: Tensor) -> torch.dtype:
    """The type in which matrix products of ``x`` come out, under autocast or not."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where ``allowed``, else the lowest finite number of ``dtype``."""
    hidden = torch.full((), torch.finfo(dtype).min, dtype=dtype, device=allowed.device)
    return torch.where(allowed, torch.zeros((), dtype=dtype, device=allowed.device), hidden)


def visible(queries: int, keys: int, device: torch.device) -> Tensor:
    """True where key j <= query i; the queries are the last of the keys. (queries, keys)."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def triangle(queries: int, keys: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The causal mask. (queries, keys)."""
    return additive(visible(queries, keys, device), dtype)


def without_need(padding: Tensor | None) -> Tensor | None:
    """``padding`` (batch, keys), or None where it hides nothing.

    Looking costs a synchronisation on an accelerator and a graph break under compilation: not there.
    """
    if padding is None or padding.device.type != "cpu" or torch.compiler.is_compiling():
        return padding
    return None if bool(padding.all()) else padding


def self_mask(
    x: Tensor,
    *,
    keys: int,
    padding: Tensor | None,
    segments: Tensor | None,
    causal: bool,
    in_kernel: bool,
) -> Mask:
    """The mask of a sequence's attention to itself.

    x: (batch, queries, width), the last of ``keys`` positions; padding: (batch, keys), 0 at padding;
    segments: (batch, keys), the number of the document that each token belongs to. ``in_kernel``: the
    attention can do plain causality by itself.
    """
    queries = x.shape[1]
    if padding is None and segments is None:
        if not causal or queries == 1:
            return Mask()
        if in_kernel and queries == keys:
            return Mask(causal=True)
        return Mask(triangle(queries, keys, compute_dtype(x), x.device)[None, None])
    allowed = visible(queries, keys, x.device)[None] if causal else None  # (1, queries, keys)
    if segments is not None:
        same = segments[:, -queries:, None] == segments[:, None, :]  # (batch, queries, keys)
        allowed = same if allowed is None else allowed & same
    if padding is not None:
        seen = padding[:, None, :].bool()  # (batch, 1, keys)
        if allowed is not None:
            # A padded query still sees itself: a softmax over nothing would look at everything.
            itself = torch.eye(keys, dtype=torch.bool, device=x.device)[None, -queries:]
            seen = seen | itself
        allowed = seen if allowed is None else allowed & seen
    assert allowed is not None
    return Mask(additive(allowed[:, None], compute_dtype(x)))


def cross_mask(
    x: Tensor, padding: Tensor | None, segments: Tensor | None, memory_segments: Tensor | None
) -> Mask:
    """The mask of a decoder's attention to the encoder's output, whose padding is (batch, keys)."""
    allowed = None
    if segments is not None and memory_segments is not None:
        allowed = segments[:, -x.shape[1] :, None] == memory_segments[:, None, :]  # (batch, queries, keys)
    if padding is not None:
        seen = padding[:, None, :].bool()
        allowed = seen if allowed is None else allowed & seen
    return Mask() if allowed is None else Mask(additive(allowed[:, None], compute_dtype(x)))
