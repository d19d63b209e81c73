"""What to begin with: a learning rate by a range test, and a batch size by the tokens a second it gives.

Lightning's Tuner has both, and neither fits: its range test gives one rate to every group, without regard to
``layer_decay`` and Muon's own rate, and its batch sizes grow until the memory ends, which says nothing of
speed and on a CPU ends the process. The trials here are trainings by the module that always trains, of which
nothing stays.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
from pytorch_lightning.utilities.memory import garbage_collection_cuda, is_oom_error

from textmill.errors import UserError
from textmill.params import Params, Trainer, Training
from textmill.training import finetuning, pretraining
from textmill.training.data import Batches, BucketedBatches, PackedBatches, Stream
from textmill.training.fit import make_ready, make_trainer
from textmill.training.guard import Guard
from textmill.training.module import Module
from textmill.training.plan import Plan
from textmill.training.precision import resolve
from textmill.training.quiet import quiet
from textmill.training.resources import memory

LOW, HIGH = 1e-6, 1.0  # learning rates of the range test
STEPS = 100  # of the range test
AROUND = 4  # steps on either side that its loss is averaged over
FALLEN = 0.99  # share of the first loss that the lowest must be below
BELOW = 10.0  # the rate advised is so many times below that of the lowest loss
SHOWN = 20  # rows of its table
SMALLEST, LARGEST = 4, 4096  # batch sizes tried, each twice the one before
TIMED = 5  # steps that a batch size is timed for
ENOUGH = 0.95  # share of the best rate that a batch size must reach to be advised
ROOM = 0.8  # share of the memory at hand that a trial may be expected to take

Kind = TypeVar("Kind", bound=Module)


@dataclass
class Subject:
    """What a trial trains."""

    place: tuple[str, ...]  # of its training in params.yaml
    training: Training
    trainer: Trainer
    model: Any
    batches: Callable[[int], Batches]  # of a size
    longest: Callable[[int], Batches]  # of a size, the longest sequences first
    class_weights: list[float] | None
    added_tokens: Sequence[int]
    seed: int


def find_learning_rate(params: Params, root: Path, name: str) -> str:
    """A range test (Smith 2017, section 3.3) for the model or task ``name`` of the project in ``root``.

    The learning rate rises by the same factor in each step, until the loss diverges; Muon's rate and those of
    the layers keep their proportions to it. Advised is a tenth of the rate at which the loss was lowest.
    Returns the table, the advice and the lines for params.yaml; the same again for the same seed. Raises
    UserError where there is no such name, a stage has not run yet, or the loss falls at no rate.
    """
    subject = _subject(params, root, name)
    batches = subject.batches(subject.training.batch_size)
    rows = _run(RangeTest, subject, batches, STEPS, subject.training.accumulate).rows
    optimizer = subject.training.optimizer
    ratio = (
        optimizer.muon_learning_rate / subject.training.learning_rate if optimizer.name == "muon" else None
    )
    losses = [loss for _, loss in rows]
    smoothed = [statistics.fmean(losses[max(0, i - AROUND) : i + AROUND + 1]) for i in range(len(rows))]
    if not rows or (lowest := min(smoothed)) >= FALLEN * smoothed[0]:
        raise UserError(f"the loss of {name} falls at no learning rate from {LOW:g} to {HIGH:g}")
    rate = rows[smoothed.index(lowest)][0]
    head = ["learning_rate", *(["muon_learning_rate"] if ratio else []), "loss", "mean around"]
    table = [
        [f"{at:.1e}", *([f"{at * ratio:.1e}"] if ratio else []), f"{loss:.3f}", f"{mean:.3f}"]
        for (at, loss), mean in list(zip(rows, smoothed, strict=True))[:: STEPS // SHOWN]
    ]
    advised = rate / BELOW
    lines = [f"learning_rate: {advised:.1e}"]
    if ratio:
        lines.append(f"optimizer: {{name: muon, muon_learning_rate: {advised * ratio:.1e}}}")
    told = f"The loss is lowest, {lowest:.3f}, at {rate:.1e}; a tenth of that is a rate to begin with:"
    return "\n".join([*_table(head, table), "", told, "", *_block(subject.place, lines)])


def find_batch_size(params: Params, root: Path, name: str) -> str:
    """The smallest batch size that trains the model or task ``name`` at nearly the best rate of tokens.

    Sizes double until two in a row are no faster, the memory ends, or the examples do. Returns the table, the
    advice and the line for params.yaml; the batches are drawn from the seed, times and memory are this
    machine's. Raises UserError where there is no such name or a stage has not run yet.
    """
    subject = _subject(params, root, name)
    rows: list[tuple[int, float, float]] = []  # size, tokens a second, gigabytes
    why, size = f"{LARGEST} is the largest that is tried", SMALLEST
    while size <= LARGEST:
        if len(subject.batches(size)) < 2 and rows:
            why = f"there are no two batches of {size} in the data"
            break
        before, free = memory(torch.device("cpu")), psutil.virtual_memory().available / 1e9
        if rows and not torch.cuda.is_available() and rows[-1][2] - before > ROOM * free / 2:
            why = f"{size} would need more memory than is free, {free:.1f} GB"
            break
        try:
            rows.append((size, *_measure(subject, size)))
        except RuntimeError as error:
            if not is_oom_error(error):
                raise
            garbage_collection_cuda()
            why = f"{size} needs more memory than there is"
            break
        if len(rows) > 2 and max(rate for _, rate, _ in rows[-2:]) < rows[-3][1] / ENOUGH:
            why = "larger ones are no faster"
            break
        size *= 2
    if not rows:
        raise UserError(f"{name}: {why}; make the model or max_length smaller")
    best = max(rate for _, rate, _ in rows)
    advised = next(size for size, rate, _ in rows if rate >= ENOUGH * best)
    table = [[str(size), f"{rate:,.0f}", f"{gigabytes:.2f}"] for size, rate, gigabytes in rows]
    told = f"Ended: {why}. The smallest within {1 - ENOUGH:.0%} of the best rate:"
    note = "Another batch size wants another learning rate: textmill find learning-rate"
    block = _block(subject.place, [f"batch_size: {advised}"])
    return "\n".join([*_table(["batch_size", "tokens/s", "GB"], table), "", told, "", *block, "", note])


class Unguarded(Guard):
    """Lets the range test go on: a loss that is lost is how it ends."""

    def check_step(self, *_: Any) -> None:
        """Nothing is checked."""


class RangeTest(Module):
    """A training whose learning rate rises from step to step; ``rows`` has the rate and the loss of each."""

    def __init__(self, model: Any, plan: Plan) -> None:
        super().__init__(model, plan)
        self.guard = Unguarded(plan, self.checkpoints)
        self.rows: list[tuple[float, float]] = []

    def _rate(self, step: int) -> float:
        assert self.plan.total
        return float(LOW * (HIGH / LOW) ** (step / max(self.plan.total - 1, 1)))

    def _factor(self, step: int) -> float:
        return self._rate(step) / self.training_spec.learning_rate

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the step's rate and mean loss; the test ends where the loss is lost or diverges."""
        done = self._step
        super().on_train_batch_end()
        if self._step == done:  # within an accumulation
            return
        gathered = self.meter.interval
        loss = float(torch.stack(gathered.losses).mean())
        tokens = float(sum(float(count) for count in gathered.tokens))
        rate = tokens / (time.monotonic() - gathered.since)
        self.progress.show(self._step, self.meter.elapsed, loss, rate)
        self.meter.begin()
        if math.isfinite(loss):
            self.rows.append((self._rate(self._step - 1), loss))
        if not self.rows or not loss <= self.training_spec.divergence * self.rows[0][1]:
            self.trainer.should_stop = True


class Trial(Module):
    """A training that notes when each step is done, and the most memory that was in use."""

    def __init__(self, model: Any, plan: Plan) -> None:
        super().__init__(model, plan)
        self.marks: list[float] = []
        self.peak = 0.0

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The batch's loss, with the memory looked at."""
        loss = super().training_step(batch)
        # Here the activations are all kept; what the backward pass adds, it frees elsewhere.
        self.peak = max(self.peak, memory(self.device))
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Note when the step is done, which is once its loss can be read."""
        super().on_train_batch_end()
        float(self.meter.interval.losses[-1])  # a GPU's work is done only when its result is read
        self.marks.append(time.monotonic())
        self.peak = max(self.peak, memory(self.device))


def _measure(subject: Subject, size: int) -> tuple[float, float]:
    """Tokens a second, and gigabytes in use at the longest sequences, in batches of ``size``."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    # The first step makes the optimiser's state; the second has it in memory.
    largest = _run(Trial, subject, subject.longest(size), 2, 1)
    usual = _run(Trial, subject, subject.batches(size), TIMED + 1, 1)
    tokens = sum(float(count) for count in usual.meter.interval.tokens[1:])
    return tokens / (usual.marks[-1] - usual.marks[0]), max(largest.peak, usual.peak)


def _run(kind: type[Kind], subject: Subject, batches: Batches, steps: int, accumulate: int) -> Kind:
    """Train the subject's model for some steps, without validations and logs; no file stays."""
    # All layers train from the start, and no interval ends before the trial does.
    update = {
        "accumulate": accumulate, "gradual_unfreezing": None, "ema": None, "early_stopping": None,
        "log_every": 10**9, "checkpoint_every": 10**9,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quiet(), torch.random.fork_rng():
        plan = Plan(
            training=subject.training.model_copy(update=update),
            train=Stream(batches, endless=True),
            validation=Stream(batches, endless=False),
            total=steps,
            folder=Path(folder),
            fingerprint="",
            seed=subject.seed,
            bytes_per_token=None,
            validation_bytes_per_token=None,
            fixed_shape=isinstance(batches, PackedBatches),
            score=None,
            best=None,
            class_weights=subject.class_weights,
        )
        warnings.filterwarnings("ignore", message=".*val_dataloader.*")  # there is nothing to validate
        torch.manual_seed(subject.seed)
        module = kind(subject.model, plan)
        make_trainer(subject.trainer, plan, None).fit(module, train_dataloaders=plan.train)
    return module


def _subject(params: Params, root: Path, name: str) -> Subject:
    """The task or, where there is none of that name, the model to try, as its stage would begin with it."""
    trainer = resolve(
        params.trainer.model_copy(update={"devices": 1, "num_nodes": 1, "strategy": "auto"})
    )  # a batch is of one process
    if trainer.threads:
        torch.set_num_threads(trainer.threads)
    if name in params.tasks:
        task = params.tasks[name]
        training: Training = task.finetune
        data, model = root / "data/tasks" / name, root / "models/pretrained" / task.model
        for other in (name, *task.finetune.auxiliary):
            _require(root, f"data/tasks/{other}", f"task_data@{other}")
        _require(root, f"models/pretrained/{task.model}", f"pretrain@{task.model}")
        begun = finetuning.prepare(params, name, params.seed, data, model)
        subject = Subject(
            place=("tasks", name, "finetune"),
            training=training,
            trainer=trainer,
            model=begun.together,
            batches=lambda size: begun.batches(size, params.seed),
            longest=lambda size: BucketedBatches(begun.features[0], begun.family.collate, size, None),
            class_weights=begun.family.class_weights(begun.train),
            added_tokens=begun.added_tokens,
            seed=params.seed,
        )
    elif name in params.pretrain:
        spec = params.pretrain[name]
        training = spec.training
        for path in ("models/tokenizer", "data/tokens"):
            _require(root, path, "tokenize")
        encoder, batches = pretraining.prepare(params, name, root / "models/tokenizer", root / "data/tokens")
        subject = Subject(
            place=("pretrain", name, "training"),
            training=training,
            trainer=trainer,
            model=pretraining.start(spec, encoder, params.seed),
            batches=lambda size: batches("train", size),
            longest=lambda size: batches("train", size),  # all windows are as long
            class_weights=None,
            added_tokens=(),
            seed=params.seed,
        )
    else:
        known = ", ".join([*params.tasks, *params.pretrain])
        raise UserError(f"no task or model {name!r} in params.yaml; known: {known}")
    make_ready(subject.model, training, subject.added_tokens)
    return subject


def _require(root: Path, path: str, stage: str) -> None:
    if not (root / path).exists():
        raise UserError(f"{path}: missing; `dvc repro {stage}` makes it")


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]
    ]


def _block(place: tuple[str, ...], lines: list[str]) -> list[str]:
    """The lines under their place in params.yaml."""
    return [f"{'  ' * depth}{key}:" for depth, key in enumerate(place)] + [
        f"{'  ' * len(place)}{line}" for line in lines
    ]
