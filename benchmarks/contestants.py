"""Ways to train one model on one set of batches; each gives the clock after every step."""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DataCollatorWithPadding, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from benchmarks.side_by_side import clock
from textmill import params
from textmill.tracking import Run
from textmill.training import optimizers
from textmill.training.data import Batches
from textmill.training.fit import fit
from textmill.training.precision import resolve

Batch = dict[str, torch.Tensor]


def timed(batches: Batches, marks: list[float]) -> Batches:
    """The same batches, noting when each is asked for."""
    noting: Any = copy.copy(batches)

    def batch(epoch: int, index: int) -> Batch:
        marks.append(clock())
        return batches.batch(epoch, index)

    noting.batch = batch
    return noting  # type: ignore[no-any-return]


def by_fit(
    build: Callable[[], PreTrainedModel],
    train: Batches,
    held_out: Batches,
    base: params.Params,
    run: Run | None,
    **changes: Any,
) -> list[float]:
    """The project's own way: Lightning, MLflow, guards."""
    marks: list[float] = []
    training = base.training.model_copy(update={"validations": 1, **changes})
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        fit(
            build(),
            train=timed(train, marks),
            validation=held_out,
            training=training,
            trainer=base.trainer.model_copy(
                update={"accelerator": "cpu", "threads": torch.get_num_threads()}
            ),
            seed=1,
            logger=run.logger() if run else None,
            folder=Path(folder),
        )
    return marks


def by_loop(
    model: PreTrainedModel, train: Batches, base: params.Params, steps: int, *, plain: bool
) -> list[float]:
    """A loop of ten lines: with what ``fit`` uses, or ``plain``: float32 and torch's AdamW as it comes."""
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(model.parameters(), lr=1e-3)
        if plain
        else optimizers.optimizer(model, base.training, "cpu")
    )
    mixed = not plain and resolve(base.trainer).precision == "bf16-mixed"
    marks = []
    for batch in _steps(train, steps):
        marks.append(clock())
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return marks


def _steps(train: Batches, steps: int) -> Iterator[Batch]:
    for number in range(steps):
        yield train.batch(*divmod(number, len(train)))


class _Marks(TrainerCallback):
    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.marks.append(clock())

    def on_prediction_step(self, *_: Any, **__: Any) -> None:
        self.marks.append(clock())


def peer(
    model: PreTrainedModel, rows: Sequence[dict[str, Any]], batch_size: int, steps: int, tokenizer: Any = None
) -> tuple[Trainer, _Marks]:
    """transformers' Trainer at its defaults, less the bar and the saving; pads where it has a tokenizer."""
    marks = _Marks()
    folder = tempfile.mkdtemp(prefix="peer")
    arguments = TrainingArguments(
        folder,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=2 * batch_size,
        max_steps=steps,
        logging_steps=20,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    collator = DataCollatorWithPadding(tokenizer) if tokenizer is not None else None
    trainer = Trainer(model, arguments, train_dataset=list(rows), data_collator=collator, callbacks=[marks])  # type: ignore[arg-type]  # any sequence of rows will do
    return trainer, marks


def by_peer(
    model: PreTrainedModel, rows: Sequence[dict[str, Any]], batch_size: int, steps: int, tokenizer: Any = None
) -> list[float]:
    """Train with ``peer``."""
    with contextlib.redirect_stdout(io.StringIO()):
        trainer, marks = peer(model, rows, batch_size, steps, tokenizer)
        trainer.train()
    return marks.marks
