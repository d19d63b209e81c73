"""Where a token stands: sinusoidal, learned and rotary positions.

All are computed in ``forward`` from the position numbers; a non-persistent buffer would come back from
``from_pretrained`` as garbage.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# A table of positions, by the names that it has here and in transformers.
TABLE = re.compile(r"(?:^|\.)(?:positions|position_embeddings|embed_positions|wpe)$")


def frequencies(width: int, base: float, device: torch.device) -> Tensor:
    """base^(-2i / width) for i = 0 ... width/2 - 1, in float32. (ceil(width / 2),)."""
    return base ** (-torch.arange(0, width, 2, dtype=torch.float32, device=device) / width)


def sinusoidal(positions: Tensor, width: int, base: float = 10000.0) -> Tensor:
    """Fixed waves (Vaswani et al. 2017, section 3.5), added to the embeddings.

    PE(p, 2i) = sin(p / 10000^(2i/d)), PE(p, 2i+1) = cos(p / 10000^(2i/d)).
    positions: (batch or 1, length) -> (batch or 1, length, width).
    """
    angles = positions[..., None].float() * frequencies(width, base, positions.device)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., :width]


def rotary(positions: Tensor, head_width: int, base: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles p * base^(-2i/d) by which rotary positions turn queries and keys.

    positions: (batch or 1, length) -> two of (batch or 1, 1, length, head_width / 2).
    """
    angles = positions[:, None, :, None].float() * frequencies(head_width, base, positions.device)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of features (i, i + d/2) by its angle (Su et al. 2021, RoFormer, equation 15).

    The product of a turned query and a turned key then depends on the distance between them only. The
    pairing by halves is Llama's; it differs from the paper's neighbours by a permutation of features.
    x: (batch, heads, length, head_width) -> the same shape.
    """
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def count(padding: Tensor | None, segments: Tensor | None, length: int, device: torch.device) -> Tensor:
    """The position of each token: 0, 1, 2 ... from the first real token, anew in each document.

    padding, segments: (batch, length). Returns (batch or 1, length).
    """
    if segments is not None:
        order = torch.arange(length, device=device).expand_as(segments)
        starts = torch.ones_like(segments, dtype=torch.bool)
        starts[:, 1:] = segments[:, 1:] != segments[:, :-1]
        return order - torch.where(starts, order, 0).cummax(dim=1).values
    if padding is not None:
        return (padding.long().cumsum(dim=1) - 1).clamp(min=0)
    return torch.arange(length, device=device)[None]


def longest(model: PreTrainedModel) -> int | None:
    """How many tokens a model of ours or of transformers has positions for; None where they have no end.

    They end with a table of them, learned or of waves, less the rows that it never uses.
    """
    ends = []
    for name, module in model.named_modules():
        if TABLE.search(name) and isinstance(module, nn.Embedding):
            # BART's tables name an offset; RoBERTa counts from behind the number of the padding.
            padding = -1 if module.padding_idx is None else module.padding_idx
            unused = getattr(model.config, "position_offset", 0) or getattr(module, "offset", padding + 1)
            ends.append(module.num_embeddings - unused)
    return min(ends, default=None)
