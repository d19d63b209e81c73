"""The one Lightning module: steps, budget, measurements, guards and resume state, for any model and data.

What Lightning would do in every step through callbacks and its own logging is done here at intervals, since
a small model's step is a few milliseconds and each hook and each logged value costs a part of one.
"""

from __future__ import annotations

import inspect
import math
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F

from textmill import params
from textmill.errors import UserError
from textmill.records import write_json
from textmill.training import optimizers, schedules
from textmill.training.data import Stream
from textmill.training.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor
    from transformers import PreTrainedModel

    Batch = dict[str, Tensor]

IGNORED = -100
RESULT, CHECKPOINT, BEST = "result.json", "resume.ckpt", "best.safetensors"


@dataclass
class Plan:
    """What is to be done: the data, the budget and where things go."""

    training: params.Training
    train: Stream
    validation: Stream
    total: int | None  # optimiser steps; None: the budget is in minutes
    folder: Path
    fingerprint: str
    seed: int
    bytes_per_token: float | None  # of text, in the training split
    validation_bytes_per_token: float | None
    fixed_shape: bool  # all training batches have one shape
    score: Callable[[PreTrainedModel], dict[str, float]] | None
    best: str | None  # the metric whose best weights are kept
    class_weights: list[float] | None = None  # of the labels, in the training loss
    peak: float | None = None  # FLOP/s of this machine's matrix products


@dataclass
class Interval:
    """What has gathered since the last log: one entry a batch."""

    losses: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    tokens: list[Tensor | int] = field(default_factory=list)
    since: float = 0.0


class Module(pl.LightningModule):
    """Trains ``model`` as ``plan`` says; the trainer is made in ``textmill.training.fit``."""

    def __init__(self, model: PreTrainedModel, plan: Plan) -> None:
        super().__init__()
        self.model = model
        self.plan = plan
        self.training_spec = plan.training
        self.shifts = bool(model.can_generate()) and not model.config.is_encoder_decoder
        # Logits that no loss reads are left out where the model can; compiled code wants one shape.
        sparing = "labelled_only" in inspect.signature(model.forward).parameters
        self.options = {"labelled_only": True} if sparing and not plan.training.compile else {}
        self.interval = Interval()
        self.depths = {model.get_parameter(name): depth for name, depth in optimizers.depths(model).items()}
        self.shape: tuple[int, ...] = ()  # (sequences, tokens) of the last batch
        self.norm: Tensor | None = None
        self.average: list[Tensor] | None = None
        self.totals = torch.zeros(3, dtype=torch.float64)  # tokens, seconds, first interval's loss
        self.history: dict[str, float] = {}
        self.best_value: float | None = None
        self.best_step = 0
        self.stale = 0
        self.checkpointed = 0  # step of the last resume checkpoint
        self._step = 0  # the last step that is finished
        self.held_out = torch.zeros(2, dtype=torch.float64)
        self.progress = Progress()
        # Compiled outside the module's tree, so that the state's names stay those of the model.
        run = torch.compile(model, dynamic=not plan.fixed_shape) if plan.training.compile else model
        self._network: list[Any] = [run]

    # Losses.

    def losses(self, batch: Batch, network: Any) -> tuple[Tensor, Tensor]:
        """The mean loss of the batch and the number of labels that it is the mean of."""
        output = network(**batch, **self.options)
        labels = batch.get("labels")
        if labels is None:
            return output.loss, torch.tensor(len(next(iter(batch.values()))), device=output.loss.device)
        if self.shifts:
            labels = labels[:, 1:]
        count = (labels != IGNORED).sum()
        spec = self.training_spec
        weights = self.plan.class_weights
        changed = spec.label_smoothing or spec.z_loss or weights
        if self.trainer.training and changed and not labels.is_floating_point():
            whole = output.logits.ndim == 3  # and not those of the labels alone
            logits = output.logits[:, :-1] if self.shifts and whole else output.logits
            given = None if weights is None else torch.tensor(weights, device=logits.device)
            return smoothed_loss(logits, labels, spec.label_smoothing, spec.z_loss, given), count
        return output.loss, count

    def training_step(self, batch: Batch) -> Tensor:
        loss, count = self.losses(batch, self._network[0])
        gathered = self.interval
        gathered.losses.append(loss.detach())
        gathered.weights.append(count)
        ids = batch["input_ids"]
        self.shape = (ids.shape[0], ids.shape[1])
        mask = batch.get("attention_mask")
        gathered.tokens.append(ids.numel() if mask is None else mask.sum())
        return loss

    # Optimisation.

    def configure_optimizers(self) -> Any:
        optimizer = optimizers.optimizer(self.model, self.training_spec, self.device.type)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _factor(self, step: int) -> float:
        return schedules.factor(self.training_spec.schedule, self._spent(step))

    def _spent(self, step: int) -> float:
        """The share of the budget that is used in the middle of the step after ``step``."""
        if self.plan.total is not None:
            return (step + 0.5) / self.plan.total
        minutes = self.training_spec.budget.minutes
        assert minutes is not None
        # Processes go by the clock of the first: by their own, their copies of the weights would part.
        return max(float(self.trainer.strategy.broadcast(self.elapsed)) / (60 * minutes), 1e-3)

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, without those before an interruption's last checkpoint."""
        return float(self.totals[1]) + (time.monotonic() - self.started if hasattr(self, "started") else 0.0)

    def on_before_optimizer_step(self, *_: Any) -> None:
        over = self.training_spec.gradual_unfreezing
        if over is None:
            return
        top = max(self.depths.values())
        lowest = optimizers.lowest_thawed(top, over, self._spent(self.trainer.global_step))
        # No optimiser moves, decays or keeps a state for what has no gradient. To take parameters out of the
        # graph would save time, and DDP would never average their gradients once they are back.
        for parameter, depth in self.depths.items():
            if depth < lowest:
                parameter.grad = None

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        limit = self.training_spec.clip
        logs = (self.trainer.global_step + 1) % self.training_spec.log_every == 0
        if not limit and not logs:
            return
        self.norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit or math.inf)
        # On a CPU the number is at hand; on a GPU reading it would stop the queue of work.
        if self.device.type == "cpu":
            self._guard(self.trainer.global_step + 1, self.interval.losses[-1], self.norm)

    def on_train_batch_end(self, *_: Any) -> None:
        step = self.trainer.global_step
        if step == self._step:  # within an accumulation
            return
        self._step = step
        if self.average is not None:
            assert self.training_spec.ema is not None
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self._trained(), 1 - self.training_spec.ema)
        if step % self.training_spec.log_every == 0:
            self._log(step)
        if self.plan.total is not None and step >= self.plan.total:
            self.trainer.should_stop = True

    def on_train_batch_start(self, *_: Any) -> None:
        # After the validation that may belong to the step before, so that nothing of it is lost.
        step = self.trainer.global_step
        every = self.training_spec.checkpoint_every
        if step and step % every == 0 and step != self.checkpointed and step == self._step:
            self.checkpointed = step
            self._save()

    def on_fit_start(self) -> None:
        self.started = time.monotonic()
        self.interval.since += self.started  # from 0, or from as long before as a checkpoint says
        self._step = self.trainer.global_step
        for stream in (self.plan.train, self.plan.validation):
            stream.rank, stream.world = self.trainer.global_rank, self.trainer.world_size
        # A checkpoint is read before the model comes to its device.
        self.interval.losses = [loss.to(self.device) for loss in self.interval.losses]
        self.interval.weights = [weight.to(self.device) for weight in self.interval.weights]
        if self.training_spec.ema is not None:
            kept = self._trained() if self.average is None else self.average
            self.average = [tensor.detach().to(self.device, copy=True) for tensor in kept]
        if self.trainer.world_size > 1:
            torch.manual_seed(self.plan.seed + self.trainer.global_rank)  # each process its own dropout
        self.progress.start(self.plan.total, self.training_spec.budget.minutes, self._step)

    def _trained(self) -> list[Tensor]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    # Guards and measurements.

    def _guard(self, step: int, loss: Tensor, norm: Tensor | None) -> None:
        """Stop where the loss or the gradient is no number, before the weights are spoilt."""
        value, size = float(loss), 0.0 if norm is None else float(norm)
        if math.isfinite(value) and math.isfinite(size):
            return
        scaled = self.trainer.precision == "16-mixed"  # its scaler meets infinite gradients and skips them
        if math.isfinite(value) and scaled:
            return
        what = f"the loss is {value}" if not math.isfinite(value) else f"the gradient's norm is {size}"
        raise UserError(self._diagnosis(step, what))

    def _diagnosis(self, step: int, what: str) -> str:
        accumulate = self.training_spec.accumulate
        ids: list[str] = []
        for number in range((step - 1) * accumulate, step * accumulate):
            ids += self.plan.train.batches.ids(*self.plan.train.where(number))
        shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
        kept = f"checkpoint of step {self.checkpointed} kept" if self.checkpointed else "no checkpoint yet"
        return (
            f"training stopped at step {step}: {what}; batch of {shown or 'unnamed examples'}; {kept}. "
            f"Lower learning_rate ({self.training_spec.learning_rate:g}), lengthen the warm-up, or look at "
            "these documents"
        )

    def _log(self, step: int) -> None:
        gathered, now = self.interval, time.monotonic()
        losses = torch.stack(gathered.losses).double().cpu()
        weights = torch.stack(gathered.weights).double().cpu()
        if not torch.isfinite(losses).all():
            first = int((~torch.isfinite(losses)).nonzero()[0])
            batches_back = len(losses) - 1 - first
            at = step - batches_back // self.training_spec.accumulate
            self._guard(at, losses[first], None)
        loss, tokens = self._means(losses, weights)
        seconds = max(now - gathered.since, 1e-9)
        self.totals[0] += tokens
        if not self.totals[2]:
            self.totals[2] = loss
        elif loss > self.training_spec.divergence * float(self.totals[2]):
            what = (
                f"the loss diverges: {loss:.3g} over the last {len(losses)} batches, "
                f"{float(self.totals[2]):.3g} at first (training.divergence {self.training_spec.divergence})"
            )
            raise UserError(self._diagnosis(step, what))
        trained = self._trained()
        metrics = {
            "loss": loss,
            "gradient_norm": float(self.norm) if self.norm is not None else math.nan,
            "parameter_norm": float(torch.stack(torch._foreach_norm(trained)).detach().norm()),
            "learning_rate": self.trainer.optimizers[0].param_groups[-1]["lr"],
            "tokens": float(self.totals[0]),
            "tokens_per_second": tokens / seconds,
            "flops_per_second": self._flops(tokens) / seconds,
            "memory_gb": memory(self.device),
        }
        if self.plan.bytes_per_token:
            metrics["bits_per_byte"] = loss / math.log(2) / self.plan.bytes_per_token
        if self.plan.peak:
            metrics["peak_flops_share"] = metrics["flops_per_second"] / self.plan.peak
        if self.norm is None:
            del metrics["gradient_norm"]
        self.history |= {"train_loss": loss}
        if self.logger is not None:
            self.logger.log_metrics(metrics, step)
        if self.trainer.is_global_zero:
            self.progress.show(step, self.elapsed, loss, tokens / seconds)
        minutes = self.training_spec.budget.minutes
        if minutes is not None:
            over = self.elapsed >= 60 * minutes
            self.trainer.should_stop |= self.trainer.strategy.reduce_boolean_decision(over, all=False)
        self.interval = Interval(since=time.monotonic())

    def _means(self, losses: Tensor, weights: Tensor) -> tuple[float, float]:
        """The interval's loss a label, and its tokens, over all processes."""
        tokens = float(sum(float(count) for count in self.interval.tokens))
        sums = torch.stack([(losses * weights).sum(), weights.sum(), torch.tensor(tokens).double()])
        if self.trainer.world_size > 1:
            sums = self.trainer.strategy.reduce(sums.to(self.device), reduce_op="sum")
        total, count, tokens = sums.tolist()
        return total / max(count, 1), tokens

    def _flops(self, tokens: float) -> float:
        """Floating-point operations of forward and backward over ``tokens`` (Chowdhery et al. 2022, B)."""
        return tokens * flops_per_token(self.model, self.shape[1])

    # Validation.

    def on_validation_start(self) -> None:
        self.paused = time.monotonic()
        self.held_out.zero_()
        self._swap()

    def validation_step(self, batch: Batch) -> None:
        loss, count = self.losses(batch, self.model)
        self.held_out += torch.stack([loss.double() * count, count.double()]).cpu()

    def on_validation_epoch_end(self) -> None:
        reduced = self.held_out.to(self.device if self.device.type != "mps" else "cpu")
        total, count = self.trainer.strategy.reduce(reduced, reduce_op="sum").tolist()
        loss = total / max(count, 1)
        metrics = {"validation_loss": loss}
        if self.plan.validation_bytes_per_token:
            metrics["validation_bits_per_byte"] = loss / math.log(2) / self.plan.validation_bytes_per_token
        if self.plan.score is not None:
            with torch.random.fork_rng(), self.trainer.precision_plugin.forward_context():
                metrics |= {f"dev_{name}": value for name, value in self.plan.score(self.model).items()}
        step = self.trainer.global_step
        self.history |= metrics
        if self.logger is not None:
            self.logger.log_metrics(metrics, step)
        if self.trainer.is_global_zero:
            self.progress.note(step, metrics)
        if self.plan.best is not None:
            self._judge(step, metrics)

    def on_validation_end(self) -> None:
        self._swap()
        # Scoring is no training: the rate of tokens leaves it out.
        self.interval.since += time.monotonic() - self.paused

    def _judge(self, step: int, metrics: dict[str, float]) -> None:
        """Keep the weights if this is the best score so far, and stop if there was none for long."""
        name = self.plan.best
        known = {key.removeprefix("dev_"): value for key, value in metrics.items()} | metrics
        if name not in known:
            raise UserError(f"the best weights are chosen by {name!r}, and the scores are {sorted(known)}")
        value = -known[name] if name.endswith(("loss", "perplexity")) else known[name]
        if self.best_value is None or value > self.best_value:
            self.best_value, self.best_step, self.stale = value, step, 0
            if self.trainer.is_global_zero:
                self._keep_best()
            return
        self.stale += 1
        stopping = self.training_spec.early_stopping
        if stopping is not None and self.stale >= stopping.patience:
            self.trainer.should_stop = True

    def _keep_best(self) -> None:
        from safetensors.torch import save_file

        path = self.plan.folder / BEST
        partial = path.with_suffix(".partial")
        tensors = {
            name: parameter.detach().cpu().contiguous() for name, parameter in self.model.named_parameters()
        }
        save_file(tensors, partial)
        os.replace(partial, path)

    def _swap(self) -> None:
        """Exchange the weights and their moving average, where one is kept."""
        if self.average is not None:
            for parameter, average in zip(self._trained(), self.average, strict=True):
                kept = parameter.detach().clone()
                parameter.data.copy_(average)
                average.copy_(kept)

    # Interruption and end.

    def _save(self) -> None:
        path = self.plan.folder / CHECKPOINT
        partial = path.with_suffix(".partial")
        self.trainer.save_checkpoint(partial)
        if self.trainer.is_global_zero:
            os.replace(partial, path)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        totals = self.totals.clone()
        totals[1] = self.elapsed
        checkpoint["textmill"] = {
            "fingerprint": self.plan.fingerprint,
            "totals": totals,
            "average": self.average,
            "best": [self.best_value, self.best_step, self.stale],
            "history": self.history,
            "processes": self._of_all(
                {
                    "random": torch.get_rng_state(),
                    "random_cuda": torch.cuda.get_rng_state(self.device) if self._on_cuda() else None,
                    "losses": [loss.cpu() for loss in self.interval.losses],
                    "weights": [weight.cpu() for weight in self.interval.weights],
                    "tokens": [float(count) for count in self.interval.tokens],
                    "seconds": time.monotonic() - self.interval.since,
                }
            ),
        }

    def _on_cuda(self) -> bool:
        return self.device.type == "cuda"

    def _of_all(self, own: Any) -> list[Any]:
        """What each process has, by rank; one process writes the checkpoint for all."""
        every = [own] * self.trainer.world_size
        if len(every) > 1:
            torch.distributed.all_gather_object(every, own)
        return every

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["textmill"]
        self.totals, self.history = state["totals"], state["history"]
        self.best_value, self.best_step, self.stale = state["best"]
        if state["average"] is not None:
            self.average = state["average"]
        self.checkpointed = checkpoint["global_step"]
        own = self._own = state["processes"][self.trainer.global_rank]
        self.interval = Interval(own["losses"], own["weights"], own["tokens"], since=-own["seconds"])

    def on_train_start(self) -> None:
        if hasattr(self, "_own"):
            torch.set_rng_state(self._own["random"].cpu())
            if self._on_cuda():
                torch.cuda.set_rng_state(self._own["random_cuda"].cpu(), self.device)

    def on_train_end(self) -> None:
        self._swap()  # the average is the result
        step = self.trainer.global_step
        if self.plan.best is not None and (self.plan.folder / BEST).exists():
            from safetensors.torch import load_file

            kept = load_file(self.plan.folder / BEST)
            for name, parameter in self.model.named_parameters():
                parameter.data.copy_(kept[name])
        if self.interval.losses:
            losses = torch.stack(self.interval.losses).double().cpu()
            weights = torch.stack(self.interval.weights).double().cpu()
            loss, tokens = self._means(losses, weights)
            self.history.setdefault("train_loss", loss)
            self.totals[0] += tokens
        seconds = self.elapsed
        result = {
            **self.history,
            "steps": step,
            "tokens": int(self.totals[0]),
            "tokens_per_second": float(self.totals[0]) / max(seconds, 1e-9),
            "training_seconds": seconds,
        }
        if self.plan.best is not None:
            result["best_step"] = self.best_step
        if self.trainer.is_global_zero:
            self.progress.end()
            write_json(self.plan.folder / RESULT, result)


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


def flops_per_token(model: PreTrainedModel, length: int) -> float:
    """6 a weight of a matrix product and 12 x layers x width x length for attention, both ways."""
    head = model.get_output_embeddings()
    embedded = {id(model.get_input_embeddings().weight)}
    weights = sum(p.numel() for p in model.parameters() if p.ndim >= 2 and id(p) not in embedded)
    if head is not None and id(head.weight) in embedded:
        weights += head.weight.numel()
    config = model.config
    layers = getattr(config, "num_hidden_layers", 0)
    width = getattr(config, "hidden_size", 0)
    return 6.0 * weights + 12.0 * layers * width * length


def memory(device: torch.device) -> float:
    """Memory in use in gigabytes (10^9 bytes): the GPU's peak, or what this process has resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e9


@contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's notes on hardware and tips; its warnings and errors still come through."""
    import logging
    import warnings

    names = ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning.pytorch")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # between Lightning and torch
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
