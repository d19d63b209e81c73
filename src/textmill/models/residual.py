"""The last map of a residual branch, known by its class so that its initialisation can differ."""

from __future__ import annotations

from torch import nn


class ResidualOutput(nn.Linear):
    """A linear map whose result is added to the residual stream (see ``TransformerModel._init_weights``)."""
