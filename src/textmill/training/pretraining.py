"""Pretraining: a language model from packed ids."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill import models, params, tokenizer
from textmill.errors import UserError
from textmill.objectives import objective
from textmill.training.data import PackedBatches
from textmill.training.fit import fit
from textmill.training.loading import widen

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Objective -> the head, and the Auto class that loads a checkpoint with it.
HEADS = {
    "masked": ("masked_lm", "AutoModelForMaskedLM"),
    "causal": ("causal_lm", "AutoModelForCausalLM"),
    "denoising": ("seq2seq_lm", "AutoModelForSeq2SeqLM"),
}


def pretrain(
    params: params.Params,
    name: str,
    tokenizer_folder: Path,
    tokens: Path,
    output: Path,
    *,
    logger: Logger | None,
    folder: Path,
) -> dict[str, float]:
    """Train ``params.pretrain[name]`` on the packed ids; save model and tokenizer to ``output``.

    Returns what ``fit`` returns, and ``parameters``, ``perplexity`` (e to the validation loss) and
    ``bits_per_byte`` (the validation loss in bits over the mean bytes of text a token stands for, which
    compares across tokenizers; of masked and denoising models, for the tokens that they are asked for).
    """
    import transformers

    spec = params.pretrain[name]
    encoder, batches = prepare(params, name, tokenizer_folder, tokens)
    validation = batches("validation", spec.training.batch_size)
    model = start(spec, encoder, params.seed)
    metrics = fit(
        model,
        train=batches("train", spec.training.batch_size),
        validation=validation,
        training=spec.training,
        trainer=params.trainer,
        seed=params.seed,
        logger=logger,
        folder=folder,
    )
    transformers.utils.logging.disable_progress_bar()  # of writing one small file
    model.save_pretrained(output)
    encoder.save_pretrained(output)
    loss = metrics["validation_loss"]
    return {
        **metrics,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "perplexity": math.exp(min(loss, 700)),
        "bits_per_byte": loss / math.log(2) / validation.bytes_per_token,
    }


def prepare(
    params: params.Params, name: str, tokenizer_folder: Path, tokens: Path
) -> tuple[PreTrainedTokenizerBase, Callable[[str, int], PackedBatches]]:
    """The tokenizer, and what makes the batches of a split and a size for ``params.pretrain[name]``.

    Raises UserError where the ids were packed with another tokenizer.
    """
    spec = params.pretrain[name]
    encoder = tokenizer.load(tokenizer_folder)
    goal = objective(spec.objective, encoder, spec.training.max_length)

    def batches(split: str, size: int) -> PackedBatches:
        """Batches of ``size`` windows; those of train are shuffled."""
        found = PackedBatches(tokens, split, goal, size, params.seed, shuffle=split == "train")
        if found.about["vocabulary"] != len(encoder):
            raise UserError(
                f"{tokens}: packed with a vocabulary of {found.about['vocabulary']}, and the tokenizer has "
                f"{len(encoder)}; run the stage tokenize again"
            )
        return found

    return encoder, batches


def start(spec: params.Model, encoder: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """The model to train: fresh weights drawn from ``seed``, or those of the checkpoint ``spec.init``."""
    head, auto = HEADS[spec.objective.name]
    if spec.init is None:
        return models.build(spec.kind, head, models.config(spec.kind, spec.architecture, encoder), seed)
    import torch
    import transformers

    import textmill  # noqa: F401  registers the architectures
    from textmill.models.auto import load_weights

    try:
        model: Any = load_weights(getattr(transformers, auto), spec.init, dtype=torch.float32)
    except UserError as error:
        raise UserError(f"params.yaml: pretrain.init: {error}") from None
    if len(encoder) > model.get_input_embeddings().num_embeddings:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            widen(model, len(encoder))
    return model
