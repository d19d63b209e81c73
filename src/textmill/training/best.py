"""The best weights of a training, by a metric, and when to stop for want of better ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textmill.errors import UserError
from textmill.training.plan import Plan
from textmill.training.sharding import gathered, part

if TYPE_CHECKING:
    from torch import nn

BEST = "best.safetensors"


class Best:
    """The weights with the best score so far, in a file of the plan's folder, and what they scored."""

    def __init__(self, plan: Plan) -> None:
        self.metric = plan.best
        self.stopping = plan.training.early_stopping
        self.path = plan.folder / BEST
        self.value: float | None = None  # the higher the better, whatever the metric
        self.step = 0
        self.stale = 0  # validations since

    def judge(self, step: int, metrics: dict[str, float]) -> bool:
        """Whether the metrics of ``step`` are the best so far; raises UserError where they lack the one."""
        name = self.metric
        known = {key.removeprefix("dev_"): value for key, value in metrics.items()} | metrics
        if name not in known:
            raise UserError(f"the best weights are chosen by {name!r}, and the scores are {sorted(known)}")
        value = -known[name] if name.endswith(("loss", "perplexity")) else known[name]
        if self.value is None or value > self.value:
            self.value, self.step, self.stale = value, step, 0
            return True
        self.stale += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether there was no better score for as long as early stopping has patience."""
        return self.stopping is not None and self.stale >= self.stopping.patience

    def keep(self, model: nn.Module, here: bool) -> None:
        """Write the weights where ``here``; the file is whole at any time, and every process takes part."""
        from safetensors.torch import save_file

        tensors = gathered(model.named_parameters(), here)
        if not here:
            return
        partial = self.path.with_suffix(".partial")
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
        os.replace(partial, self.path)

    def restore(self, model: nn.Module) -> None:
        """Give the model the weights that were kept, if any were."""
        if not self.path.exists():
            return
        from safetensors.torch import load_file

        kept = load_file(self.path)
        for name, parameter in model.named_parameters():
            parameter.data.copy_(part(kept[name], parameter))
