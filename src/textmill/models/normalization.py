"""Normalisation of each token's features.

LayerNorm (Ba et al. 2016, equation 4): y = (x - mean(x)) / sqrt(var(x) + eps) * g + b.
RMSNorm (Zhang and Sennrich 2019, equation 4): y = x / sqrt(mean(x^2) + eps) * g, without mean and shift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from textmill.models.configuration import TransformerConfig


class RMSNorm(nn.Module):
    """x: (..., width) -> the same shape, each row with root mean square one, times a learnt gain."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        scale = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return (wide * scale).to(x.dtype) * self.weight


class LayerNorm(nn.LayerNorm):
    """torch's own, which is one kernel; here so that both norms are found in one place."""


def norm(config: TransformerConfig) -> nn.Module:
    """The normalisation that ``config`` names."""
    if config.norm == "rms":
        return RMSNorm(config.hidden_size, config.norm_eps)
    return LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.bias)
