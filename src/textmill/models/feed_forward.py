"""The position-wise feed-forward network: FFN(x) = f(x W_1 + b_1) W_2 + b_2.

Vaswani et al. 2017, equation 2, with f = ReLU; GELU: Hendrycks and Gimpel 2016; squared ReLU: So et al.
2021, "Primer"; SwiGLU(x) = (silu(x W) * x V) W_2: Shazeer 2020, "GLU variants", equation 6.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from textmill.models.fused import FusedLinear
from textmill.models.residual import ResidualOutput

if TYPE_CHECKING:
    from textmill.models.configuration import TransformerConfig


def relu2(x: Tensor) -> Tensor:
    """max(x, 0)^2."""
    return F.relu(x).square()


def swiglu(x: Tensor) -> Tensor:
    """silu(gate) * up, of the two halves of x: (..., 2 * width) -> (..., width)."""
    gate, up = x.chunk(2, dim=-1)
    return F.silu(gate) * up


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "relu2": relu2,
    "swiglu": swiglu,
}


class FeedForward(nn.Module):
    """x: (batch, length, width) -> the same shape, each position by itself."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        # A gated activation reads two matrices, which stand in one.
        maps = 2 if config.activation == "swiglu" else 1
        self.input = FusedLinear(config.hidden_size, (config.intermediate_size,) * maps, bias=config.bias)
        self.output = ResidualOutput(config.intermediate_size, config.hidden_size, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.activation(self.input(x)))
