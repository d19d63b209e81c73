"""Layers out of attention and feed-forward, and the stack of them: the one body of all three models."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from textmill.models.attention import Attention
from textmill.models.configuration import TransformerConfig
from textmill.models.feed_forward import FeedForward, make_norm
from textmill.models.positions import Rotation, rotation, sinusoidal

BLOCKED = -1e9  # added to a score that must not count; finite, so that a row of padding stays a number


class Residual(nn.Module):
    """x + f(norm(x)) before (Xiong et al. 2020), or norm(x + f(x)) after as in Vaswani et al. 2017."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.first = config.norm_first
        self.norm = make_norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def before(self, hidden: Tensor) -> Tensor:
        """What the sublayer sees."""
        return self.norm(hidden) if self.first else hidden

    def after(self, hidden: Tensor, change: Tensor) -> Tensor:
        """What the next sublayer gets."""
        summed = hidden + self.dropout(change)
        return summed if self.first else self.norm(summed)


class Layer(nn.Module):
    """Self-attention, cross-attention in a decoder that reads an encoder, feed-forward."""

    def __init__(self, config: TransformerConfig, layer: int, cross: bool) -> None:
        super().__init__()
        self.self_attn = Attention(config, layer)
        self.self_residual = Residual(config)
        if cross:
            self.cross_attn = Attention(config, layer)
            self.cross_residual = Residual(config)
        self.cross = cross
        self.feed_forward = FeedForward(config)
        self.feed_residual = Residual(config)

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor | None,
        turn: Rotation | None,
        memory: Tensor | None,
        memory_mask: Tensor | None,
        cache: Any,
        return_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, length, width) -> the same, and the weights of self-attention where asked for."""
        own = cache.self_attention_cache if self.cross and cache is not None else cache
        change, weights = self.self_attn(
            self.self_residual.before(hidden), mask, turn, None, own, return_weights
        )
        hidden = self.self_residual.after(hidden, change)
        if self.cross and memory is not None:
            seen = self.cross_residual.before(hidden)
            change, _ = self.cross_attn(seen, memory_mask, None, memory, cache)
            hidden = self.cross_residual.after(hidden, change)
        change = self.feed_forward(self.feed_residual.before(hidden))
        return self.feed_residual.after(hidden, change), weights


class Embeddings(nn.Module):
    """What is added to the tokens' embeddings: positions, where these are added, and token types."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        if config.positions == "learned":
            rows = config.max_position_embeddings + config.position_offset
            self.embed_positions = nn.Embedding(rows, config.hidden_size)
        if config.type_vocab_size:
            self.embed_types = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = make_norm(config) if config.embedding_norm else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, positions: Tensor, types: Tensor | None) -> Tensor:
        """hidden (batch, length, width), positions and types (batch or 1, length) -> (batch, length, width)"""
        if self.config.embedding_scale:
            hidden = hidden * math.sqrt(self.config.hidden_size)
        if self.config.positions == "learned":
            hidden = hidden + self.embed_positions(positions + self.config.position_offset)
        elif self.config.positions == "sinusoidal":
            hidden = hidden + sinusoidal(positions, self.config.hidden_size).to(hidden.dtype)
        if self.config.type_vocab_size:
            types = torch.zeros_like(positions) if types is None else types
            hidden = hidden + self.embed_types(types)
        if self.norm is not None:
            hidden = self.norm(hidden)
        return self.dropout(hidden)


class Stack(nn.Module):
    """Positions, layers and the last norm; an encoder, a decoder, or either side of an encoder-decoder."""

    def __init__(self, config: TransformerConfig, *, causal: bool, cross: bool = False) -> None:
        super().__init__()
        self.config = config
        self.causal = causal
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config, i, cross) for i in range(config.num_hidden_layers))
        self.norm = make_norm(config) if config.final_norm else None
        self.gradient_checkpointing = False

    def forward(
        self,
        embeds: Tensor,  # (batch, length, width): the tokens' embeddings
        attention_mask: Tensor | None = None,  # (batch, keys), 0 at padding
        positions: Tensor | None = None,  # (batch, length)
        types: Tensor | None = None,
        segments: Tensor | None = None,  # (batch, length): documents packed into one row
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        cache: Any = None,
        all_hidden: bool = False,
        all_weights: bool = False,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The last hidden states (batch, length, width), and those and the weights of all layers if asked."""
        length = embeds.shape[1]
        past = cache.get_seq_length() if cache is not None else 0
        if positions is None:
            positions = _positions(segments, past, length, embeds.device)
        hidden = self.embeddings(embeds, positions, types)
        mask = self._mask(attention_mask, segments, past, length, hidden)
        across = None if memory_mask is None else _padding(memory_mask, hidden)
        turn = None
        if self.config.positions == "rotary":
            turn = rotation(
                positions, self.config.hidden_size // self.config.num_attention_heads, self.config.rope_theta
            )
        states, weights = [hidden] if all_hidden else [], []
        for layer in self.layers:
            arguments = (hidden, mask, turn, memory, across, cache, all_weights)
            if self.gradient_checkpointing and self.training:
                hidden, seen = torch.utils.checkpoint.checkpoint(layer, *arguments, use_reentrant=False)
            else:
                hidden, seen = layer(*arguments)
            if all_hidden:
                states.append(hidden)
            if seen is not None:
                weights.append(seen)
        return (hidden if self.norm is None else self.norm(hidden)), states, weights

    def _mask(
        self, padding: Tensor | None, segments: Tensor | None, past: int, length: int, hidden: Tensor
    ) -> Tensor | None:
        """What is added to the scores, made once for all layers: (batch or 1, 1, queries, keys), or None."""
        mask: Tensor | None = None
        if self.causal and length > 1:
            ahead = torch.ones(length, past + length, dtype=torch.bool, device=hidden.device).triu(past + 1)
            mask = torch.zeros(ahead.shape, dtype=hidden.dtype, device=hidden.device).masked_fill(
                ahead, BLOCKED
            )
            mask = mask[None, None]
        if segments is not None:
            apart = segments[:, None, :, None] != segments[:, None, None, :]
            block = torch.zeros(apart.shape, dtype=hidden.dtype, device=hidden.device).masked_fill(
                apart, BLOCKED
            )
            mask = block if mask is None else torch.minimum(mask, block)
        if padding is not None:
            block = _padding(padding, hidden)
            mask = block if mask is None else torch.minimum(mask, block)
        return mask


def _padding(attention_mask: Tensor, hidden: Tensor) -> Tensor:
    """(batch, keys) of ones and zeros -> (batch, 1, 1, keys) to add to the scores"""
    zeros = torch.zeros(attention_mask.shape, dtype=hidden.dtype, device=hidden.device)
    return zeros.masked_fill(attention_mask == 0, BLOCKED)[:, None, None]


def _positions(segments: Tensor | None, past: int, length: int, device: torch.device) -> Tensor:
    """Numbers from 0 in each row, or in each packed document: (batch or 1, length)"""
    positions = torch.arange(past, past + length, device=device)[None]
    if segments is None:
        return positions
    starts = torch.ones_like(segments, dtype=torch.bool)
    starts[:, 1:] = segments[:, 1:] != segments[:, :-1]
    first = torch.where(starts, positions, 0).cummax(dim=1).values
    return positions - first
