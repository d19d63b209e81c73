"""``fit``: one way to train, for pretraining and for fine-tuning."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch

from textmill import params
from textmill.errors import UserError
from textmill.records import read_json
from textmill.training import optimizers
from textmill.training.best import BEST
from textmill.training.checkpoints import CHECKPOINT, load_finished, save_finished
from textmill.training.data import Batches, PackedBatches, Stream
from textmill.training.module import RESULT, Module
from textmill.training.plan import Plan
from textmill.training.precision import resolve
from textmill.training.quiet import quiet
from textmill.training.resources import peak_flops
from textmill.training.sharding import Sharding, give_back, twin

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger
    from transformers import PreTrainedModel


def fit(
    model: PreTrainedModel,
    *,
    train: Batches,
    validation: Batches,
    training: params.Training,
    trainer: params.Trainer,
    seed: int,
    logger: Logger | None,
    folder: Path,
    score: Callable[[PreTrainedModel], dict[str, float]] | None = None,
    best: str | None = None,
    class_weights: list[float] | None = None,
    added_tokens: Sequence[int] = (),
) -> dict[str, float]:
    """Train ``model`` in place on ``train``, and score it ``training.validations`` times on ``validation``.

    ``score`` gives further metrics at each validation, of the model that it is handed: under fsdp not this
    one, but its shards, in all processes. They are logged as ``dev_<name>``; ``best`` names the metric (one
    of them, or ``validation_loss``) whose best weights are kept instead of the last; ``class_weights`` weigh
    the labels in the training loss; the rows of ``added_tokens``, ids that no pretraining has shown, train
    under lora too. A run that was interrupted goes on from the last checkpoint in ``folder``, to the same
    bits, if its parameters and data are the same. At the end ``folder`` holds the weights alone: where what
    follows the training fails, it need not be done again. Who has what it wants of them removes them. Several
    processes leave none, since they could not be sure to see the same.

    Returns ``train_loss`` (of the last interval), ``validation_loss`` (nats a label, exact over the split),
    the last scores, ``steps``, ``tokens``, ``tokens_per_second`` and ``training_seconds``. Raises UserError
    where the loss is no number or diverges, naming the step and the documents of the batch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trainer = resolve(trainer)
    if trainer.threads:
        torch.set_num_threads(trainer.threads)
    if training.early_stopping and best is None:
        best = "validation_loss"
    alone = processes(trainer) == 1
    mark = fingerprint(model, train, validation, training, trainer, seed, best)
    if alone and (ended := load_finished(folder, model, mark)) is not None:
        print(f"trained by an earlier run ({ended['metrics']['steps']:,} steps)", file=sys.stderr, flush=True)
        if logger is not None:
            for step, metrics in ended["curve"]:
                logger.log_metrics(metrics, step)
        model.eval()
        return dict(ended["metrics"])
    adapted = make_ready(model, training, added_tokens)
    plan = Plan(
        training=training,
        train=Stream(train, endless=True),
        validation=Stream(validation, endless=False),
        total=total_steps(training.budget, train, training.accumulate, processes(trainer)),
        folder=folder,
        fingerprint=mark,
        seed=seed,
        bytes_per_token=train.bytes_per_token if isinstance(train, PackedBatches) else None,
        validation_bytes_per_token=(
            validation.bytes_per_token if isinstance(validation, PackedBatches) else None
        ),
        fixed_shape=isinstance(train, PackedBatches),
        score=score,
        best=best,
        class_weights=class_weights,
        peak=peak_flops(trainer) if logger is not None else None,
    )
    checkpoint = _resumable(folder, plan.fingerprint)
    if checkpoint is None:
        (folder / BEST).unlink(missing_ok=True)
    else:
        plan.train.start = checkpoint * training.accumulate
    (folder / RESULT).unlink(missing_ok=True)
    trained = twin(model) if trainer.strategy == "fsdp" else model
    try:
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(seed)
            lightning = make_trainer(trainer, plan, logger)
            lightning.fit(
                Module(trained, plan),
                train_dataloaders=plan.train,
                val_dataloaders=plan.validation,
                ckpt_path=str(folder / CHECKPOINT) if checkpoint is not None else None,
                weights_only=True,
            )
    except SystemExit:
        # Lightning ends the process at Ctrl-C; who called may have to close a record first.
        raise KeyboardInterrupt from None
    if trained is not model:
        give_back(trained, model, lightning.is_global_zero)
    if not lightning.is_global_zero:
        raise SystemExit(0)  # a process that another started for a share of the work
    if adapted is not None:
        adapted.merge_and_unload()
    if training.checkpoint_activations:
        model.gradient_checkpointing_disable()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.eval()
    torch.nn.Module.to(model, "cpu")
    result = read_json(folder / RESULT)
    if alone:
        save_finished(folder, model, mark, result)
    for name in (CHECKPOINT, BEST, RESULT):
        (folder / name).unlink(missing_ok=True)
    return dict(result["metrics"])


def make_ready(model: PreTrainedModel, training: params.Training, added_tokens: Sequence[int] = ()) -> Any:
    """Bring ``model`` into the state that ``training`` wants it in; returns peft's model if there is one."""
    model.train()
    optimizers.freeze(model, training.frozen_layers)
    adapted = _with_lora(model, training.lora, added_tokens) if training.lora else None
    if training.checkpoint_activations:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return adapted


def make_trainer(trainer: params.Trainer, plan: Plan, logger: Logger | None) -> pl.Trainer:
    """Lightning's Trainer, without whatever it would do in every step beside training."""
    training = plan.training
    if plan.total is None:
        assert training.budget.minutes is not None
        interval: Any = timedelta(minutes=training.budget.minutes / training.validations)
    else:
        interval = math.ceil(plan.total / training.validations) * training.accumulate
    assert trainer.precision != "auto"
    if trainer.deterministic:
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time, and hides nothing here
    return pl.Trainer(
        accelerator=trainer.accelerator,
        devices=trainer.devices,
        num_nodes=trainer.num_nodes,
        strategy=Sharding(processes(trainer)) if trainer.strategy == "fsdp" else trainer.strategy,
        precision=trainer.precision,
        deterministic=trainer.deterministic,
        accumulate_grad_batches=training.accumulate,
        max_epochs=1,
        val_check_interval=interval,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=logger if logger is not None else False,
        log_every_n_steps=10**9,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=plan.folder,
    )


def total_steps(budget: params.Budget, train: Batches, accumulate: int, world: int = 1) -> int | None:
    """The optimiser steps of a budget; None where it is in minutes."""
    if budget.minutes is not None:
        return None
    if budget.steps is not None:
        return budget.steps
    if budget.tokens is not None:
        return max(math.ceil(budget.tokens / (train.tokens_per_batch * accumulate * world)), 1)
    assert budget.epochs is not None
    return max(round(budget.epochs * len(train) / (accumulate * world)), 1)


def processes(trainer: params.Trainer) -> int:
    """How many processes share a training."""
    devices = trainer.devices
    if devices == "auto":
        devices = max(torch.cuda.device_count(), 1) if trainer.accelerator in ("auto", "gpu", "cuda") else 1
    return int(devices) * trainer.num_nodes


def fingerprint(
    model: PreTrainedModel,
    train: Batches,
    validation: Batches,
    training: params.Training,
    trainer: params.Trainer,
    seed: int,
    best: str | None,
) -> str:
    """What a checkpoint must share with a run to be gone on from: the parameters, the data and the start."""
    start = hashlib.blake2b(digest_size=16)
    for name, parameter in model.named_parameters():
        start.update(f"{name}{tuple(parameter.shape)}".encode())
        start.update(parameter.detach().flatten()[:64].float().cpu().numpy().tobytes())
    parts = [
        training.model_dump(), trainer.model_dump(), processes(trainer), seed, best, train.fingerprint(),
        validation.fingerprint(), start.hexdigest(),
    ]  # fmt: skip
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _resumable(folder: Path, wanted: str) -> int | None:
    """The step of the checkpoint in ``folder`` if it belongs to this run; one that does not is removed."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if state.get("textmill", {}).get("fingerprint") == wanted:
        return int(state["global_step"])
    path.unlink()
    return None


def _with_lora(model: PreTrainedModel, spec: params.Lora, added_tokens: Sequence[int]) -> Any:
    """Low-rank matrices beside every linear layer (Hu et al. 2021), in place; what is new trains whole."""
    from peft import LoraConfig, get_peft_model

    heads = [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and name != "lm_head" and any(True for _ in child.parameters())
    ]
    heads += [
        name for name, _ in model.named_modules() if re.search(rf"{optimizers.NEW.pattern}$", f"{name}.")
    ]
    body = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and optimizers.BLOCK.match(f"{name}.")
    ]
    if not body:
        raise UserError("lora: the model has no linear layers in numbered blocks to adapt")
    alpha: Any = spec.alpha  # a ratio, whatever its annotation in peft says
    config = LoraConfig(
        r=spec.rank,
        lora_alpha=alpha,
        target_modules=body,
        modules_to_save=heads or None,
        trainable_token_indices=list(added_tokens) or None,
    )
    return get_peft_model(model, config)
