"""A linear-chain conditional random field over the tags of a sequence (Lafferty et al. 2001).

    p(y | x) = exp(s(y)) / Z,   s(y) = start[y_1] + sum_t emission[t, y_t] + sum_t transition[y_t-1, y_t]
               + end[y_n]

Z, the sum of exp(s) over all sequences of tags, is had from left to right (forward algorithm).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

IGNORED = -100  # a label that no loss is computed at


class LinearChainCRF(nn.Module):
    """Scores of tags beside one another; the scores of tags at tokens are given to it."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(tags))
        self.transition = nn.Parameter(torch.zeros(tags, tags))  # (from, to)
        self.end = nn.Parameter(torch.zeros(tags))

    def forward(self, emissions: Tensor, labels: Tensor) -> Tensor:
        """The negative log-likelihood of the labels in nats, a mean over tokens as the softmax's is.

        emissions: (batch, length, tags); labels: (batch, length), -100 at tokens that are no part of the
        chain, which goes from the token before them to the one behind.
        """
        emissions = emissions.float() if emissions.dtype.itemsize < 4 else emissions
        inside = labels != IGNORED
        # The chain's tokens to the front, in their order: (batch, longest chain).
        longest = max(1, int(inside.sum(dim=1).max()))
        order = (~inside).to(torch.int8).sort(dim=1, stable=True).indices[:, :longest]
        mask = inside.gather(1, order)
        tags = labels.gather(1, order).clamp(min=0)
        packed = emissions.gather(1, order[..., None].expand(-1, -1, emissions.shape[-1]))
        likelihood = self.score(packed, tags, mask) - self.partition(packed, mask)
        return -likelihood.sum() / inside.sum().clamp(min=1)

    def score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """s(y) of chains from the first token on: (batch, length, tags), (batch, length) -> (batch,)."""
        weight = mask.to(emissions.dtype)
        last = tags.gather(1, (mask.sum(dim=1, keepdim=True) - 1).clamp(min=0))[:, 0]
        total = (emissions.gather(2, tags[..., None])[..., 0] * weight).sum(dim=1)
        total = total + (self.transition[tags[:, :-1], tags[:, 1:]] * weight[:, 1:]).sum(dim=1)
        return total + (self.start[tags[:, 0]] + self.end[last]) * weight[:, 0]

    def partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """log Z by the forward algorithm; 0 for a row without a token. (batch, length, tags) -> (batch,)."""
        reached = self.start + emissions[:, 0]  # (batch, tags): log of the sum over all that ends in the tag
        for t in range(1, emissions.shape[1]):
            step = (reached[:, :, None] + self.transition).logsumexp(dim=1) + emissions[:, t]
            reached = torch.where(mask[:, t, None], step, reached)
        return torch.where(mask[:, 0], (reached + self.end).logsumexp(dim=1), 0.0)

    def log_odds(self, emissions: Tensor, place: int, tag: int) -> Tensor:
        """log p / (1 - p) of one tag at one place, over all sequences: (batch, length, tags) -> (batch,)."""
        mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        is_it = torch.zeros(emissions.shape[1:], dtype=torch.bool, device=emissions.device)
        is_it[place, tag] = True
        elsewhere = (torch.arange(len(is_it), device=is_it.device) != place)[:, None]
        with_it = emissions.masked_fill(~(is_it | elsewhere), -torch.inf)
        return self.partition(with_it, mask) - self.partition(emissions.masked_fill(is_it, -torch.inf), mask)
