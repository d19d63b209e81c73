"""A layer, the residual connection around its parts, and the stack of layers.

Around each part F stands a residual connection (He et al. 2015) with a normalisation, either after it, as
in the original: x = norm(x + F(x)), or before, which trains without a long warm-up (Xiong et al. 2020,
"On layer normalization in the Transformer architecture"): x = x + F(norm(x)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from textmill.models.attention import CrossAttention, SelfAttention
from textmill.models.feed_forward import FeedForward
from textmill.models.masks import Mask
from textmill.models.normalization import norm

if TYPE_CHECKING:
    from transformers import Cache

    from textmill.models.configuration import TransformerConfig


@dataclass
class Memory:
    """The encoder's output as the decoder sees it. states: (batch, keys, width)."""

    states: Tensor
    mask: Mask
    cache: Cache | None = None


@dataclass
class Trace:
    """What a stack noted on its way, where it was asked to."""

    hidden_states: list[Tensor] | None = None
    attentions: list[Tensor] | None = None
    cross_attentions: list[Tensor] | None = None

    @staticmethod
    def of(hidden_states: bool, attentions: bool) -> Trace:
        """A trace that notes what is asked for."""
        return Trace([] if hidden_states else None, [] if attentions else None, [] if attentions else None)


class Layer(nn.Module):
    """Self-attention, in a decoder with an encoder cross-attention, and feed-forward."""

    def __init__(self, config: TransformerConfig, index: int, cross: bool = False) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.attention = SelfAttention(config, index)
        self.attention_norm = norm(config)
        self.cross_attention = CrossAttention(config, index) if cross else None
        self.cross_attention_norm = norm(config) if cross else None
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask: Mask,
        rotary: tuple[Tensor, Tensor] | None = None,
        memory: Memory | None = None,
        cache: Cache | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """x: (batch, length, width) -> the same shape, and both attentions' weights where asked for."""
        weights = cross_weights = None

        def attention(y: Tensor) -> Tensor:
            nonlocal weights
            y, weights = self.attention(y, mask, rotary, cache, need_weights)
            return y

        x = self._residual(x, self.attention_norm, attention)
        if memory is not None and self.cross_attention is not None and self.cross_attention_norm is not None:
            cross = self.cross_attention
            seen = memory

            def cross_attention(y: Tensor) -> Tensor:
                nonlocal cross_weights
                y, cross_weights = cross(y, seen.states, seen.mask, seen.cache, need_weights)
                return y

            x = self._residual(x, self.cross_attention_norm, cross_attention)
        x = self._residual(x, self.feed_forward_norm, self.feed_forward)
        return x, weights, cross_weights

    def _residual(self, x: Tensor, norm: nn.Module, part: Callable[[Tensor], Tensor]) -> Tensor:
        if self.norm_first:
            return x + self.dropout(part(norm(x)))
        return norm(x + self.dropout(part(x)))


class Stack(nn.Module):
    """Layers one after another, and the norm that a pre-norm stack ends with."""

    def __init__(self, config: TransformerConfig, cross: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, i, cross) for i in range(config.num_hidden_layers))
        self.norm = norm(config) if config.final_norm else None
        # Set by PreTrainedModel.gradient_checkpointing_enable.
        self.gradient_checkpointing = False
        self._gradient_checkpointing_func: Callable = lambda layer, *arguments: layer(*arguments)

    def forward(
        self,
        x: Tensor,
        mask: Mask,
        rotary: tuple[Tensor, Tensor] | None = None,
        memory: Memory | None = None,
        cache: Cache | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """x: (batch, length, width) -> the same shape; ``trace`` is filled on the way."""
        trace = trace or Trace()
        need_weights = trace.attentions is not None
        for layer in self.layers:
            if trace.hidden_states is not None:
                trace.hidden_states.append(x)
            arguments = (x, mask, rotary, memory, cache, need_weights)
            if self.gradient_checkpointing and self.training:
                x, weights, cross_weights = self._gradient_checkpointing_func(layer.__call__, *arguments)
            else:
                x, weights, cross_weights = layer(*arguments)
            if trace.attentions is not None and weights is not None:
                trace.attentions.append(weights)
            if trace.cross_attentions is not None and cross_weights is not None:
                trace.cross_attentions.append(cross_weights)
        if self.norm is not None:
            x = self.norm(x)
        if trace.hidden_states is not None:
            trace.hidden_states.append(x)
        return x
