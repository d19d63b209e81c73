"""The one Lightning module: a training's steps, its budget and its validations, for any model and data.

What Lightning would do in every step through callbacks and its own logging is done here at intervals, since
a small model's step is a few milliseconds and each hook and each logged value costs a part of one. What is
measured is in ``meter``, what stops a training that is lost in ``guard``, and what is kept of it in
``average``, ``best`` and ``checkpoints``.
"""

from __future__ import annotations

import inspect
import math
import time
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch

from textmill.records import write_json
from textmill.training import optimizers, schedules
from textmill.training.average import Average
from textmill.training.best import Best
from textmill.training.checkpoints import Checkpoints, of_all, random_state, set_random_state
from textmill.training.guard import Guard
from textmill.training.losses import IGNORED, smoothed_loss
from textmill.training.meter import Interval, Meter
from textmill.training.plan import Plan
from textmill.training.progress import Progress
from textmill.training.sharding import Sharding, reshard, whole

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    Batch = dict[str, Tensor]

RESULT = "result.json"


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
        self.meter = Meter(model, plan)
        self.checkpoints = Checkpoints(plan)
        self.guard = Guard(plan, self.checkpoints)
        self.average = None if plan.training.ema is None else Average(model, plan.training.ema)
        self.best = Best(plan)
        self.progress = Progress()
        self.history: dict[str, float] = {}  # the last value of each metric that the result has
        self.curve: list[tuple[int, dict[str, float]]] = []  # what was logged, and after which step
        self.held_out = torch.zeros(2, dtype=torch.float64)  # a validation's loss over all labels; labels
        self.resumed: dict[str, Any] | None = None  # this process's random state, from a checkpoint
        self._step = 0  # the last step that is finished
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
        """The mean loss of a batch, which the meter takes down."""
        loss, count = self.losses(batch, self._network[0])
        self.meter.add(batch, loss, count)
        return loss

    # Optimisation.

    def configure_model(self) -> None:
        """Cut the model into shards where the strategy has each process hold a part."""
        strategy = self.trainer.strategy
        if isinstance(strategy, Sharding):
            strategy.shard(self.model, optimizers.blocks(self.model))

    def configure_optimizers(self) -> Any:
        """The optimiser, and the schedule, whose rate changes with every step."""
        depths = optimizers.depths(self.model)
        self.depths = {self.model.get_parameter(name): depth for name, depth in depths.items()}
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
        return max(float(self.trainer.strategy.broadcast(self.meter.elapsed)) / (60 * minutes), 1e-3)

    def on_before_optimizer_step(self, *_: Any) -> None:
        """Gradual unfreezing: what is still frozen loses its gradient."""
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
        """Clip by the norm of all gradients together; on a CPU check it, and the loss."""
        limit = self.training_spec.clip
        logs = (self.trainer.global_step + 1) % self.training_spec.log_every == 0
        if not limit and not logs:
            return
        norm = self.meter.norm = whole(
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit or math.inf)
        )
        # On a CPU the number is at hand; on a GPU reading it would stop the queue of work.
        if self.device.type == "cpu":
            self.guard.check_step(self.trainer.global_step + 1, self.meter.interval.losses[-1], norm)

    def on_train_batch_end(self, *_: Any) -> None:
        """After an optimiser step: move the average, log at intervals, stop at the last step."""
        self._agree_on_validation()
        step = self.trainer.global_step
        if step == self._step:  # within an accumulation
            return
        self._step = step
        if self.average is not None:
            self.average.update()
        if step % self.training_spec.log_every == 0:
            self._log(step)
        if self.plan.total is not None and step >= self.plan.total:
            self.trainer.should_stop = True

    def _agree_on_validation(self) -> None:
        """Under a budget in minutes all processes validate together, by the clock of the first."""
        # Lightning has each go by its own clock, and two that wait for each other at different places hang.
        minutes = self.training_spec.budget.minutes
        trainer: Any = self.trainer
        if minutes is not None and trainer.world_size > 1:
            due = time.monotonic() - trainer._last_val_time >= 60 * minutes / self.training_spec.validations
            trainer._val_check_time_interval = 0.0 if trainer.strategy.broadcast(due) else math.inf

    def on_train_batch_start(self, *_: Any) -> None:
        """Write the resume checkpoint that is due."""
        # After the validation that may belong to the step before, so that nothing of it is lost.
        step = self.trainer.global_step
        if step == self._step and self.checkpoints.due(step):
            self.checkpoints.save(self.trainer, step)

    def on_fit_start(self) -> None:
        """Begin or go on, when the model is on its device and the process knows its rank."""
        # The weights of a checkpoint are read before the model comes to its device.
        self.meter.start(self.device)
        self.guard.scaled = self.trainer.precision == "16-mixed"
        for stream in (self.plan.train, self.plan.validation):
            stream.rank, stream.world = self.trainer.global_rank, self.trainer.world_size
        if self.average is not None:
            self.average.start(self.device)
        if self.trainer.world_size > 1:
            torch.manual_seed(self.plan.seed + self.trainer.global_rank)  # each process its own dropout

    def _log(self, step: int) -> None:
        """End an interval: what it gave is checked, logged and shown, and the time that is left looked at."""
        meter, ended = self.meter, time.monotonic()
        losses, weights = meter.read()
        self.guard.check_losses(step, losses)
        loss, tokens = meter.total(losses, weights, self.trainer)
        self.guard.check_divergence(step, loss, len(losses))
        self.history["train_loss"] = loss
        seconds = max(ended - meter.interval.since, 1e-9)
        metrics = meter.metrics(loss, tokens, seconds, self.trainer.optimizers[0].param_groups[-1]["lr"])
        self._record(step, metrics)
        if self.trainer.is_global_zero:
            self.progress.show(step, meter.elapsed, loss, tokens / seconds)
        minutes = self.training_spec.budget.minutes
        if minutes is not None:
            over = meter.elapsed >= 60 * minutes
            self.trainer.should_stop |= self.trainer.strategy.reduce_boolean_decision(over, all=False)
        meter.begin()

    def _record(self, step: int, metrics: dict[str, float]) -> None:
        """Log what was measured after ``step``."""
        self.curve.append((step, metrics))
        if self.logger is not None:
            self.logger.log_metrics(metrics, step)

    # Validation.

    def on_validation_start(self) -> None:
        """Stop the clock of the interval; the average takes the weights' place."""
        self.paused = time.monotonic()
        self.held_out.zero_()
        self._swap()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the batch's loss over all labels, in nats, and its labels to ``held_out``."""
        loss, count = self.losses(batch, self.model)
        epoch, _ = self.plan.validation.where(batch_idx)
        if epoch:  # a batch that another process has counted
            return
        self.held_out += torch.stack([loss.double() * count, count.double()]).cpu()

    def on_validation_epoch_end(self) -> None:
        """Log the split's mean loss and the scores, and judge whether the weights are the best."""
        reduced = self.held_out.to(self.device if self.device.type != "mps" else "cpu")
        total, count = self.trainer.strategy.reduce(reduced, reduce_op="sum").tolist()
        loss = total / max(count, 1)
        metrics = {"validation_loss": loss}
        if self.plan.validation_bytes_per_token:
            metrics["validation_bits_per_byte"] = loss / math.log(2) / self.plan.validation_bytes_per_token
        if self.plan.score is not None:
            with torch.random.fork_rng(), self.trainer.precision_plugin.forward_context():
                scores = self.plan.score(self.model)
            # Each process scores the whole split; where last bits differ they would judge differently.
            scores = self.trainer.strategy.broadcast(scores)
            metrics |= {f"dev_{name}": value for name, value in scores.items()}
        reshard(self.model)
        step = self.trainer.global_step
        self.history |= metrics
        self._record(step, metrics)
        if self.trainer.is_global_zero:
            self.progress.note(step, metrics)
        if self.plan.best is not None:
            if self.best.judge(step, metrics):
                self.best.keep(self.model, self.trainer.is_global_zero)
            self.trainer.should_stop |= self.best.exhausted

    def on_validation_end(self) -> None:
        """The weights come back, and the clock goes on."""
        self._swap()
        # Scoring is no training: the rate of tokens leaves it out.
        self.meter.interval.since += time.monotonic() - self.paused

    def _swap(self) -> None:
        if self.average is not None:
            self.average.swap()

    # Interruption and end.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what this training has beside weights, optimiser and schedule; every process takes part."""
        meter, best = self.meter, self.best
        own = {**random_state(self.device), **meter.interval.state()}
        checkpoint["textmill"] = {
            "fingerprint": self.plan.fingerprint,
            "totals": torch.tensor([meter.tokens, meter.elapsed, self.guard.first], dtype=torch.float64),
            "average": None if self.average is None else self.average.state(self.trainer.is_global_zero),
            "best": [best.value, best.step, best.stale],
            "history": self.history,
            "curve": self.curve,
            "processes": of_all(own, self.trainer.world_size),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what ``on_save_checkpoint`` added; the random state is set at the start."""
        state, meter, best = checkpoint["textmill"], self.meter, self.best
        meter.tokens, meter.seconds, self.guard.first = state["totals"].tolist()
        if self.average is not None:
            self.average.tensors = state["average"]
        best.value, best.step, best.stale = state["best"]
        self.history, self.curve = state["history"], state["curve"]
        self.checkpoints.step = checkpoint["global_step"]
        self.resumed = state["processes"][self.trainer.global_rank]
        meter.interval = Interval.resumed(self.resumed)

    def on_train_start(self) -> None:
        """Begin at the step that was reached: its random state is drawn from, and its curve logged."""
        # Lightning restores the count of steps after on_fit_start.
        self._step = self.trainer.global_step
        self.progress.start(self.plan.total, self.training_spec.budget.minutes, self._step)
        if self.resumed is not None:
            set_random_state(self.resumed, self.device)
        # Lightning had counted the next batch when the checkpoint was written: it would validate elsewhere.
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress
        progress.total.reset_on_restart()
        if self.logger is not None:
            for step, metrics in self.curve:
                self.logger.log_metrics(metrics, step)

    def on_train_end(self) -> None:
        """Leave the average or the best weights in the model, and write the result."""
        self._swap()  # the average is the result
        step = self.trainer.global_step
        if self.plan.best is not None:
            self.trainer.strategy.barrier()  # until the first process has written them
            self.best.restore(self.model)
        if self.meter.interval.losses:
            loss, _ = self.meter.total(*self.meter.read(), self.trainer)
            self.history.setdefault("train_loss", loss)
        tokens, seconds = self.meter.tokens, self.meter.elapsed
        result = {
            **self.history,
            "steps": step,
            "tokens": int(tokens),
            "tokens_per_second": tokens / max(seconds, 1e-9),
            "training_seconds": seconds,
        }
        if self.plan.best is not None:
            result["best_step"] = self.best.step
        if self.trainer.is_global_zero:
            self.progress.end()
            write_json(self.plan.folder / RESULT, {"metrics": result, "curve": self.curve})
