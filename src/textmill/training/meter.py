"""The meter: what the batches of an interval give, and the means and rates of it that are logged."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from textmill.training.optimizers import trained
from textmill.training.plan import Plan
from textmill.training.resources import flops_per_token, memory
from textmill.training.sharding import whole

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import Tensor
    from transformers import PreTrainedModel

    Batch = dict[str, Tensor]


@dataclass
class Interval:
    """What has gathered since the last log: one entry a batch."""

    losses: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)  # labels that each loss is the mean of
    tokens: list[Tensor | int] = field(default_factory=list)
    since: float = 0.0  # seconds, on the clock of this process

    def state(self) -> dict[str, Any]:
        """What a resume checkpoint has of this process's interval."""
        return {
            "losses": [loss.cpu() for loss in self.losses],
            "weights": [weight.cpu() for weight in self.weights],
            "tokens": [float(count) for count in self.tokens],
            "seconds": time.monotonic() - self.since,
        }

    @classmethod
    def resumed(cls, state: dict[str, Any]) -> Interval:
        """The interval of ``state``, as long before a start at 0 as it had lasted."""
        return cls(state["losses"], state["weights"], state["tokens"], since=-state["seconds"])


class Meter:
    """Gathers on the device what each batch gives, and reads it at the end of an interval only."""

    def __init__(self, model: PreTrainedModel, plan: Plan) -> None:
        self.model = model
        self.plan = plan
        self.device = torch.device("cpu")
        self.interval = Interval()
        self.length = 0  # tokens a sequence of the last batch
        self.norm: Tensor | None = None  # of the gradient, where it was last measured
        self.tokens = 0.0  # of all intervals that are over, and all processes
        self.seconds = 0.0  # of training before an interruption's last checkpoint
        self.started: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, without those before an interruption's last checkpoint."""
        return self.seconds + (0.0 if self.started is None else time.monotonic() - self.started)

    def start(self, device: torch.device) -> None:
        """Start the clock; an interval that a checkpoint gave goes on, on ``device``."""
        self.device = device
        self.started = time.monotonic()
        self.interval.since += self.started
        self.interval.losses = [loss.to(device) for loss in self.interval.losses]
        self.interval.weights = [weight.to(device) for weight in self.interval.weights]

    def add(self, batch: Batch, loss: Tensor, count: Tensor) -> None:
        """A batch, its mean loss and the number of labels that it is the mean of."""
        gathered = self.interval
        gathered.losses.append(loss.detach())
        gathered.weights.append(count)
        ids = batch["input_ids"]
        self.length = ids.shape[1]
        mask = batch.get("attention_mask")
        gathered.tokens.append(ids.numel() if mask is None else mask.sum())

    def begin(self) -> None:
        """Begin a new interval."""
        self.interval = Interval(since=time.monotonic())

    def read(self) -> tuple[Tensor, Tensor]:
        """The interval's losses and weights, (batches,) each; waits for the device."""
        gathered = self.interval
        return torch.stack(gathered.losses).double().cpu(), torch.stack(gathered.weights).double().cpu()

    def total(self, losses: Tensor, weights: Tensor, trainer: pl.Trainer) -> tuple[float, float]:
        """The interval's loss a label, and its tokens, over all processes; the tokens are counted."""
        tokens = float(sum(float(count) for count in self.interval.tokens))
        sums = torch.stack([(losses * weights).sum(), weights.sum(), torch.tensor(tokens).double()])
        if trainer.world_size > 1:
            sums = trainer.strategy.reduce(sums.to(trainer.strategy.root_device), reduce_op="sum")
        total, count, tokens = sums.tolist()
        self.tokens += tokens
        return total / max(count, 1), tokens

    def metrics(self, loss: float, tokens: float, seconds: float, learning_rate: float) -> dict[str, float]:
        """What is logged of an interval of ``tokens`` in ``seconds``."""
        weights = torch.stack(torch._foreach_norm(trained(self.model))).detach().norm()
        flops_per_second = tokens * flops_per_token(self.model, self.length) / seconds
        found = {"loss": loss}
        if self.norm is not None:
            found["gradient_norm"] = float(self.norm)
        found |= {
            "parameter_norm": float(whole(weights)),
            "learning_rate": learning_rate,
            "tokens": self.tokens,
            "tokens_per_second": tokens / seconds,
            "flops_per_second": flops_per_second,
            "memory_gb": memory(self.device),
        }
        if self.plan.bytes_per_token:
            found["bits_per_byte"] = loss / math.log(2) / self.plan.bytes_per_token
        if self.plan.peak:
            found["peak_flops_share"] = flops_per_second / self.plan.peak
        return found
