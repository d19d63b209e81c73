"""The training loss where it is not the model's own: smoothed, weighted, with a bound on the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100


def smoothed_loss(
    logits: Tensor, labels: Tensor, smoothing: float, z: float, weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy with smoothed labels (Szegedy et al. 2016, section 7) plus z times the mean square of the
    logarithm of the softmax's normaliser (Chowdhery et al. 2022, section 5); (..., classes) and (...).

    With weights (classes,) it is the weighted mean over the labels.
    """
    flat, wanted = logits.flatten(0, -2).float(), labels.flatten()
    if flat.shape[0] != wanted.shape[0]:  # a model that computes only the logits which have a label
        wanted = wanted[wanted != IGNORED]
    loss = F.cross_entropy(flat, wanted, weights, ignore_index=IGNORED, label_smoothing=smoothing)
    if z:
        loss = loss + z * flat[wanted != IGNORED].logsumexp(dim=-1).square().mean()
    return loss
