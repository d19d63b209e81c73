"""From hidden states to predictions: the language-model head and the heads of the task families."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from textmill.models.normalization import norm

if TYPE_CHECKING:
    from textmill.models.configuration import TransformerConfig


class HeadTransform(nn.Module):
    """norm(GELU(x W + b)), which BERT puts before its language-model head. x: (..., width)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.bias)
        self.norm = norm(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.gelu(self.dense(x)))


class Classifier(nn.Module):
    """Makes one vector of a sequence and maps it to a score a label.

    The vector is the first token's state, the mean of all that are not padding, or the states of marker
    tokens side by side (the entity start of Baldini Soares et al. 2019, figure 3f); after Devlin et al.
    2019 it goes through a dense layer and tanh.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.markers = config.marker_ids
        width = config.hidden_size * (1 if self.markers is None else len(self.markers))
        self.dense = nn.Linear(width, width) if config.classifier_dense else None
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.output = nn.Linear(width, config.num_labels or 2)

    def forward(self, x: Tensor, padding: Tensor | None, markers: Tensor | None) -> Tensor:
        """x: (batch, length, width), padding: (batch, length), markers: positions (batch, markers) ->
        (batch, labels)."""
        if markers is not None:
            pooled = x.gather(1, markers[..., None].expand(-1, -1, x.shape[-1])).flatten(1)
        elif self.pooling == "first":
            pooled = x[:, 0]
        elif padding is None:
            pooled = x.mean(dim=1)
        else:
            weight = padding[..., None].to(x.dtype)
            pooled = (x * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        if self.dense is not None:
            pooled = self.dense(self.dropout(pooled)).tanh()
        return self.output(self.dropout(pooled))

    def find(self, ids: Tensor) -> Tensor | None:
        """The positions of the markers in ids (batch, length), the first token's where one is missing."""
        if self.markers is None:
            return None
        return torch.stack([(ids == marker).int().argmax(dim=1) for marker in self.markers], dim=1)


def classification_loss(logits: Tensor, labels: Tensor, problem: str | None) -> Tensor:
    """Cross-entropy of one label; squared error of numbers; binary cross-entropy of several labels.

    logits: (batch, labels). ``problem`` is ``config.problem_type``; None: one label, or a number where
    the model has one output.
    """
    if problem == "regression" or (problem is None and logits.shape[-1] == 1):
        return F.mse_loss(logits.float().squeeze(-1), labels.float().reshape_as(logits.squeeze(-1)))
    if problem == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits.float(), labels.float())
    return F.cross_entropy(logits.float() if logits.dtype.itemsize < 4 else logits, labels)


def span_loss(starts: Tensor, ends: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Mean of the cross-entropies of first and last token (Devlin et al. 2019, section 4.2).

    starts, ends: logits (batch, length); start, end: positions (batch,). A position outside the text is
    ignored: the window does not hold the answer.
    """
    outside = starts.shape[-1]
    losses = []
    for logits, position in ((starts, start), (ends, end)):
        position = position.reshape(-1).clamp(0, outside)
        logits = logits.float() if logits.dtype.itemsize < 4 else logits
        losses.append(F.cross_entropy(logits, position, ignore_index=outside))
    return (losses[0] + losses[1]) / 2
