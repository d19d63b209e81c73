"""Scaled dot-product attention, readable and fused, and the multi-head attention around it.

Vaswani et al. 2017, "Attention is all you need", section 3.2:

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V                               (equation 1)
    MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W_O,  head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V)

Grouped-query attention (Ainslie et al. 2023, "GQA") lets several query heads share one key-value head.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as F

from textmill.models.fused import FusedLinear
from textmill.models.masks import Mask, triangle
from textmill.models.normalization import RMSNorm
from textmill.models.positions import rotate
from textmill.models.residual import ResidualOutput

if TYPE_CHECKING:
    from transformers import Cache

    from textmill.models.configuration import TransformerConfig

Attend = Callable[[Tensor, Tensor, Tensor, Mask, float], tuple[Tensor, Tensor | None]]


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Mask, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Equation 1 as it is written, in two matrix products.

    query: (batch, heads, length, head_width); key, value: (batch, heads, keys, head_width). Returns the
    mixed values (batch, heads, length, head_width) and the weights (batch, heads, length, keys), whose
    rows sum to one. On a CPU and short sequences this is faster than the fused call.
    """
    scores = (query * (1.0 / math.sqrt(query.shape[-1]))) @ key.transpose(-2, -1)
    # (batch, heads, length, keys)
    additive = mask.additive
    if additive is None and mask.causal:
        additive = triangle(query.shape[-2], key.shape[-2], scores.dtype, scores.device)
    if additive is not None:
        scores = scores + additive
    weights = scores.softmax(dim=-1)
    if dropout:
        weights = F.dropout(weights, dropout)
    return weights @ value, weights


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Mask, dropout: float = 0.0
) -> tuple[Tensor, None]:
    """The same by torch's fused kernel, which never holds the weights (Dao et al. 2022, FlashAttention)."""
    mixed = F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask.additive, dropout_p=dropout, is_causal=mask.causal
    )
    return mixed, None


ATTENTION: dict[str, Attend] = {"plain": plain_attention, "fused": fused_attention}


def repeat_heads(x: Tensor, times: int) -> Tensor:
    """Each key-value head ``times`` times in a row: (batch, heads, ...) -> (batch, heads * times, ...)."""
    return x if times == 1 else x.repeat_interleave(times, dim=1)


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself; one matrix makes queries, keys and values."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads = config.num_attention_heads
        self.key_value_heads = config.num_key_value_heads
        self.head_width = config.head_width
        self.dropout = config.attention_dropout
        self.attend = config.attention
        rows = self.key_value_heads * self.head_width
        self.query_key_value = FusedLinear(
            config.hidden_size, (self.heads * self.head_width, rows, rows), bias=config.bias
        )
        self.output = ResidualOutput(config.hidden_size, config.hidden_size, bias=config.bias)
        # Normalised queries and keys bound the scores (Dehghani et al. 2023, "Scaling ViT to 22B", 3.1).
        self.query_norm = RMSNorm(self.head_width, config.norm_eps) if config.qk_norm else None
        self.key_norm = RMSNorm(self.head_width, config.norm_eps) if config.qk_norm else None

    def forward(
        self,
        x: Tensor,
        mask: Mask,
        rotary: tuple[Tensor, Tensor] | None = None,
        cache: Cache | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """x: (batch, length, width) -> the same shape, and the weights if they are asked for."""
        batch, length, width = x.shape
        heads, groups = self.heads, self.key_value_heads
        mixed = self.query_key_value(x).view(batch, length, heads + 2 * groups, self.head_width)
        mixed = mixed.transpose(1, 2)  # (batch, heads + 2 key_value_heads, length, head_width)
        if self.query_norm is None and rotary is not None:
            # Queries and keys turn by the same angles: one operation for both.
            turned, value = mixed.split((heads + groups, groups), dim=1)
            query, key = rotate(turned, *rotary).split((heads, groups), dim=1)
        else:
            query, key, value = mixed.split((heads, groups, groups), dim=1)
            if self.query_norm is not None and self.key_norm is not None:
                query, key = self.query_norm(query).to(value.dtype), self.key_norm(key).to(value.dtype)
            if rotary is not None:
                query, key = rotate(query, *rotary), rotate(key, *rotary)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        key, value = repeat_heads(key, heads // groups), repeat_heads(value, heads // groups)
        attend = plain_attention if need_weights else ATTENTION[self.attend]
        out, weights = attend(query, key, value, mask, self.dropout if self.training else 0.0)
        return self.output(out.transpose(1, 2).reshape(batch, length, width)), weights


class CrossAttention(nn.Module):
    """Multi-head attention of the decoder to the encoder's output."""

    def __init__(self, config: TransformerConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads = config.num_attention_heads
        self.key_value_heads = config.num_key_value_heads
        self.head_width = config.head_width
        self.dropout = config.attention_dropout
        self.attend = config.attention
        self.query = nn.Linear(config.hidden_size, config.hidden_size, bias=config.bias)
        rows = self.key_value_heads * self.head_width
        self.key_value = FusedLinear(config.hidden_size, (rows, rows), bias=config.bias)
        self.output = ResidualOutput(config.hidden_size, config.hidden_size, bias=config.bias)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Mask,
        cache: Cache | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """x: (batch, length, width), memory: (batch, keys, width) -> (batch, length, width)."""
        batch, length, width = x.shape
        groups = self.key_value_heads
        query = self.query(x).view(batch, length, self.heads, self.head_width).transpose(1, 2)
        if cache is not None and cache.get_seq_length(self.layer) > 0:
            # The memory does not change while a text is generated: its keys and values are made once.
            kept: Any = cache.layers[self.layer]
            key, value = kept.keys, kept.values
        else:
            mixed = self.key_value(memory).view(batch, memory.shape[1], 2 * groups, self.head_width)
            key, value = mixed.transpose(1, 2).split((groups, groups), dim=1)
            if cache is not None:
                key, value = cache.update(key, value, self.layer)
        times = self.heads // groups
        key, value = repeat_heads(key, times), repeat_heads(value, times)
        attend = plain_attention if need_weights else ATTENTION[self.attend]
        out, weights = attend(query, key, value, mask, self.dropout if self.training else 0.0)
        return self.output(out.transpose(1, 2).reshape(batch, length, width)), weights
