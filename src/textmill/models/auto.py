"""The table of our models, and their registration with the Auto classes of ``transformers``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import PreTrainedModel

from textmill.errors import UserError
from textmill.models.configuration import CONFIGS
from textmill.models.decoder import DecoderForCausalLM, DecoderModel
from textmill.models.encoder import (
    EncoderForMaskedLM,
    EncoderForQuestionAnswering,
    EncoderForSequenceClassification,
    EncoderForTokenClassification,
    EncoderModel,
)
from textmill.models.seq2seq import Seq2SeqForConditionalGeneration, Seq2SeqModel
from textmill.params import Kind

# (kind, head) -> (Auto class, our class)
MODELS: dict[tuple[Kind, str], tuple[str, type[PreTrainedModel]]] = {
    ("encoder", "base"): ("AutoModel", EncoderModel),
    ("encoder", "masked_lm"): ("AutoModelForMaskedLM", EncoderForMaskedLM),
    ("encoder", "sequence_classification"): (
        "AutoModelForSequenceClassification",
        EncoderForSequenceClassification,
    ),
    ("encoder", "token_classification"): ("AutoModelForTokenClassification", EncoderForTokenClassification),
    ("encoder", "span_extraction"): ("AutoModelForQuestionAnswering", EncoderForQuestionAnswering),
    ("decoder", "base"): ("AutoModel", DecoderModel),
    ("decoder", "causal_lm"): ("AutoModelForCausalLM", DecoderForCausalLM),
    ("seq2seq", "base"): ("AutoModel", Seq2SeqModel),
    ("seq2seq", "seq2seq_lm"): ("AutoModelForSeq2SeqLM", Seq2SeqForConditionalGeneration),
}


def model_class(kind: Kind, head: str) -> type[PreTrainedModel]:
    """Our class for ``kind`` and ``head``; raises UserError where there is none."""
    if (kind, head) not in MODELS:
        heads = ", ".join(name for other, name in MODELS if other == kind)
        raise UserError(f"there is no {kind} with the head {head}; its heads are: {heads}")
    return MODELS[kind, head][1]


def load_weights(cls: Any, source: str | Path, **settings: Any) -> PreTrainedModel:
    """``from_pretrained`` of an Auto class or of one of our models.

    Raises UserError with the reason where the folder or the hub id has no such model, or broken files.
    """
    try:
        model: PreTrainedModel = cls.from_pretrained(source, trust_remote_code=False, **settings)
    except (OSError, ValueError, SafetensorError, StrictDataclassError) as error:
        told = [line for line in str(error).splitlines() if line.strip()]
        raise UserError(f"{source}: no model to load: {told[0] if told else type(error).__name__}") from None
    return model


def register() -> None:
    """Make the Auto classes know our models. Doing it twice changes nothing."""
    for config in CONFIGS.values():
        transformers.AutoConfig.register(config.model_type, config, exist_ok=True)
    for (kind, _), (auto, model) in MODELS.items():
        getattr(transformers, auto).register(CONFIGS[kind], model, exist_ok=True)
