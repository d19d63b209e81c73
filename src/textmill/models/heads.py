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


class NgramScores(nn.Module):
    """Scores of the labels by the n-grams of tokens that a text has: a linear model beside the Transformer.

    The wide half of a wide and deep model (Cheng et al. 2016), with hashed n-grams (Joulin et al. 2017): each
    n-gram of up to ``config.ngrams`` tokens has a row in the table, a score a label, that it may share with
    others, and the scores of a text with n of them are GAIN / sqrt(n) times their sum. The table begins at
    zero; GAIN is for the n-grams that occur in few steps of a training to count.
    """

    GAIN = 50.0

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.longest = config.ngrams
        self.table = nn.Parameter(torch.zeros(config.ngram_rows, config.num_labels or 2))

    def forward(self, ids: Tensor, padding: Tensor | None = None) -> Tensor:
        """ids, padding: (batch, length) -> what each n-gram adds to the scores, (batch, n-grams, labels).

        The n-grams are in the order of ``ngram_places``; those with padding in them add nothing.
        """
        whole = torch.ones_like(ids) if padding is None else padding
        codes, there = [], []
        for n in range(1, min(self.longest, ids.shape[1]) + 1):
            code = torch.full_like(ids[:, n - 1 :], n)
            for place in range(n):  # FNV-1a, a token in the place of a byte; 64 bits overflow by design
                code = (code ^ ids[:, place : ids.shape[1] - n + 1 + place]) * 1099511628211
            codes.append((code ^ (code >> 32)) % len(self.table))
            there.append(whole.unfold(1, n, 1).amin(dim=-1))
        found = F.embedding(torch.cat(codes, dim=1), self.table)
        counted = torch.cat(there, dim=1)[..., None].to(found.dtype)
        return found * counted * (self.GAIN / counted.sum(dim=1, keepdim=True).clamp(min=1).sqrt())

    def mixed(self, logits: Tensor, scores: Tensor) -> Tensor:
        """The mean of the Transformer's logits (batch, labels) and the n-grams' (batch, n-grams, labels).

        In training each example is learnt by one of the two alone, drawn anew at each step: else the n-grams,
        which learn a training set by heart in an epoch, would leave the Transformer nothing to learn.
        """
        wide = scores.sum(dim=1)
        logits = logits.to(wide.dtype)  # which is the wider under mixed precision
        if not self.training:
            return (logits + wide) / 2
        return torch.where(torch.rand(len(logits), 1, device=logits.device) < 0.5, logits, wide)


def ngram_places(longest: int, length: int) -> list[range]:
    """The tokens of each n-gram of a text of ``length`` tokens, by length and then from left to right."""
    return [
        range(start, start + n) for n in range(1, min(longest, length) + 1) for start in range(length - n + 1)
    ]


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
