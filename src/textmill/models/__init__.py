"""The Transformer, one idea a file, as ``transformers`` models: encoder, decoder and encoder-decoder.

``config`` and ``build`` are the way in; they import torch when they are called, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textmill.params import Architecture, Kind

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from textmill.models.configuration import TransformerConfig


def config(
    kind: Kind, architecture: Architecture, tokenizer: PreTrainedTokenizerBase, **changes: Any
) -> TransformerConfig:
    """The configuration of a model of ``kind``, with the vocabulary and special tokens of ``tokenizer``."""
    from textmill.models.configuration import from_architecture

    return from_architecture(kind, architecture, tokenizer, **changes)


def build(kind: Kind, head: str, config: TransformerConfig, seed: int | None = None) -> PreTrainedModel:
    """A freshly initialised model of ``kind`` with ``head``, in training mode.

    ``head``: masked_lm, causal_lm, seq2seq_lm, sequence_classification, token_classification or
    span_extraction. With ``seed`` the weights are a function of it alone and torch's global random
    state stays as it was; without, they are drawn from that state. Raises UserError where ``kind`` has
    no such head.
    """
    from textmill.models.auto import model_class

    cls = model_class(kind, head)
    if seed is None:
        return cls(config).train()
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(config).train()
