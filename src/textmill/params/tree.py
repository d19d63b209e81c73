"""The whole of ``params.yaml``, and the rules across its blocks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from textmill.params.block import Block, Name, Positive
from textmill.params.checks import Checks
from textmill.params.corpus import Corpus, Sample
from textmill.params.models import Architecture, Model, Tokenizer, Trainer, Training
from textmill.params.tasks import SERVES, Generation, Task


class Data(Block):
    """What ``${data.root}`` stands for in the overlays under ``experiments/`` (see ``make params``)."""

    root: str


class Tracking(Block):
    """The MLflow store; the environment's MLFLOW_TRACKING_URI wins over ``uri``."""

    uri: str
    experiment: str


class Energy(Block):
    """What the energy meter assumes where the machine has no counter of its own."""

    watts_per_core: Positive
    grams_co2_per_kwh: Positive


class Params(Block):
    """The whole file."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: Data
    tracking: Tracking
    energy: Energy
    sample: Sample
    corpus: Corpus
    checks: Checks
    tokenizer: Tokenizer
    trainer: Trainer
    architecture: Architecture
    training: Training
    generation: Generation
    pretrain: dict[Name, Model]
    tasks: dict[Name, Task]

    @model_validator(mode="after")
    def _fits_together(self) -> Params:
        for name, task in self.tasks.items():
            model = self.pretrain.get(task.model)
            if model is None:
                raise ValueError(
                    f"tasks.{name}.model: there is no model {task.model!r} under pretrain; "
                    f"known: {', '.join(self.pretrain)}"
                )
            if model.kind not in SERVES[task.family]:
                raise ValueError(
                    f"tasks.{name}.model: {task.model!r} is a model of kind {model.kind}, and the family "
                    f"{task.family} needs {' or '.join(SERVES[task.family])}"
                )
            for other in task.finetune.auxiliary:
                found = self.tasks.get(other)
                if found is None or found is task or (found.model, model.kind) != (task.model, "encoder"):
                    raise ValueError(
                        f"tasks.{name}.finetune.auxiliary: {other!r} is not another task on the encoder "
                        f"{task.model!r}"
                    )
                if task.finetune.smoothed and found.own_loss:
                    raise ValueError(
                        f"tasks.{name}.finetune.auxiliary: {other!r} has a loss of its own by "
                        f"{found.own_loss}, without label_smoothing and z_loss"
                    )
            if task.finetune.max_length > model.architecture.max_positions:
                raise ValueError(
                    f"tasks.{name}.finetune.max_length: {task.finetune.max_length} tokens are more than "
                    f"pretrain.{task.model}.architecture.max_positions {model.architecture.max_positions}"
                )
        return self
