"""The guard: a training that is lost stops, and says where and over which documents."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from textmill.errors import UserError
from textmill.training.checkpoints import Checkpoints
from textmill.training.plan import Plan

if TYPE_CHECKING:
    from torch import Tensor


class Guard:
    """Raises UserError where the loss or the gradient is no number, or the loss diverges."""

    def __init__(self, plan: Plan, checkpoints: Checkpoints) -> None:
        self.plan = plan
        self.checkpoints = checkpoints
        self.scaled = False  # the precision's scaler meets infinite gradients, and skips them
        self.first = 0.0  # the loss of the first interval; 0 before its end

    def check_step(self, step: int, loss: Tensor, norm: Tensor | None) -> None:
        """Stop where the loss or the gradient's norm is no number, before the weights are spoilt."""
        value, size = float(loss), 0.0 if norm is None else float(norm)
        if math.isfinite(value) and (math.isfinite(size) or self.scaled):
            return
        what = f"the loss is {value}" if not math.isfinite(value) else f"the gradient's norm is {size}"
        raise UserError(self._diagnosis(step, what))

    def check_losses(self, step: int, losses: Tensor) -> None:
        """Stop where one of the losses of the interval that ends with ``step``, (batches,), is no number."""
        if torch.isfinite(losses).all():
            return
        first = int((~torch.isfinite(losses)).nonzero()[0])
        batches_back = len(losses) - 1 - first
        self.check_step(step - batches_back // self.plan.training.accumulate, losses[first], None)

    def check_divergence(self, step: int, loss: float, batches: int) -> None:
        """Stop where ``loss``, the mean over an interval of ``batches``, is far above that of the first."""
        limit = self.plan.training.divergence
        if not self.first:
            self.first = loss
        elif loss > limit * self.first:
            what = (
                f"the loss diverges: {loss:.3g} over the last {batches} batches, "
                f"{self.first:.3g} at first (training.divergence {limit})"
            )
            raise UserError(self._diagnosis(step, what))

    def _diagnosis(self, step: int, what: str) -> str:
        plan, saved = self.plan, self.checkpoints.step
        accumulate = plan.training.accumulate
        ids: list[str] = []
        for number in range((step - 1) * accumulate, step * accumulate):
            ids += plan.train.batches.ids(*plan.train.where(number))
        shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
        kept = f"checkpoint of step {saved} kept" if saved else "no checkpoint yet"
        # The gradient is that of all processes: where only it is no number, it may be another's batch.
        whose = f"process {plan.train.rank}'s batch" if plan.train.world > 1 else "batch"
        return (
            f"training stopped at step {step}: {what}; {whose} of {shown or 'unnamed examples'}; {kept}. "
            f"Lower learning_rate ({plan.training.learning_rate:g}), lengthen the warm-up, or look at "
            "these documents"
        )
