"""Several maps of one input, known by their class so that an optimiser can take them apart."""

from __future__ import annotations

from torch import nn


class FusedLinear(nn.Linear):
    """Linear maps side by side in one matrix, since one large product is faster than some small ones.

    ``parts`` are the rows of each: (..., width) -> (..., sum of parts).
    """

    def __init__(self, width: int, parts: tuple[int, ...], *, bias: bool) -> None:
        super().__init__(width, sum(parts), bias=bias)
        self.parts = parts
