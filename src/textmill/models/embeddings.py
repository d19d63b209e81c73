"""Token embeddings made ready for the stack: scale, positions, token types, matches, norm, dropout.

Vaswani et al. 2017, section 3.4 (scaled by sqrt(d)); Devlin et al. 2019, figure 2 (token types); Chen et al.
2017 (DrQA), section 3.2 (exact match).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from textmill.errors import UserError
from textmill.models.normalization import norm
from textmill.models.positions import sinusoidal

if TYPE_CHECKING:
    from textmill.models.configuration import TransformerConfig


MATCHES = 4  # first or second text of a pair, and whether the other one has the token too


def matches(ids: Tensor, separator: int) -> Tensor:
    """Of a pair ``<s> A </s> B </s>``: 0 in A and 2 in B, and one more where the other has the token.

    ids: (batch, length) -> (batch, length). Which words two texts share is what a model without much
    training can best go by. The separator matches nothing.
    """
    ends = ids == separator
    second = ends.cumsum(dim=1) - ends.long() > 0
    across = second[:, :, None] != second[:, None, :]
    shared = ((ids[:, :, None] == ids[:, None, :]) & across).any(dim=-1) & ~ends
    return 2 * second.long() + shared.long()


class Embeddings(nn.Module):
    """tokens: (batch, length, width), already looked up -> the same shape."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.kind = config.positions
        self.scale = config.embedding_scale
        self.offset = config.position_offset
        self.longest = config.max_position_embeddings
        rows = config.max_position_embeddings + config.position_offset
        self.positions = nn.Embedding(rows, config.hidden_size) if self.kind == "learned" else None
        self.token_types = (
            nn.Embedding(config.type_vocab_size, config.hidden_size) if config.type_vocab_size else None
        )
        self.matches = nn.Embedding(MATCHES, config.hidden_size) if config.mark_matches else None
        self.norm = norm(config) if config.embedding_norm else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        token_types: Tensor | None,
        end: int,
        matched: Tensor | None = None,
    ) -> Tensor:
        """positions: (batch or 1, length); ``end`` is one more than the last position can be; token_types and
        matched: (batch, length)."""
        x = tokens if self.scale == 1.0 else tokens * self.scale
        if self.positions is not None:
            if end > self.longest:
                raise UserError(
                    f"a text of {end} tokens is longer than the model's {self.longest} learned positions "
                    "(max_position_embeddings): cut it, or train with a larger max_positions"
                )
            x = x + self.positions(positions + self.offset)
        elif self.kind == "sinusoidal":
            x = x + sinusoidal(positions, x.shape[-1]).to(x.dtype)
        if self.token_types is not None:
            kinds = torch.zeros_like(tokens[..., 0], dtype=torch.long) if token_types is None else token_types
            x = x + self.token_types(kinds)
        if self.matches is not None:
            assert matched is not None
            x = x + self.matches(matched)
        if self.norm is not None:
            x = self.norm(x)
        return self.dropout(x)
