"""BERT and RoBERTa (Devlin et al. 2019; Liu et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textmill.errors import UserError
from textmill.models.configuration import TransformerConfig
from textmill.models.exchange.table import (
    Family,
    Row,
    TaskHead,
    activation,
    fused,
    pairs,
    stock_activation,
    tokens,
)


def read(config: Any) -> dict[str, Any]:
    """Our fields from the configuration of a stock BERT or RoBERTa; raises UserError where we have none."""
    if getattr(config, "position_embedding_type", "absolute") != "absolute":
        raise UserError(f"position_embedding_type {config.position_embedding_type} is not one of ours")
    if config.is_decoder or config.add_cross_attention:
        raise UserError("a BERT with is_decoder or add_cross_attention is not an encoder")
    # RoBERTa counts its positions from pad_token_id + 1.
    offset = config.pad_token_id + 1 if config.model_type == "roberta" else 0
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings - offset,
        "position_offset": offset,
        "positions": "learned",
        "embedding_norm": True,
        "type_vocab_size": config.type_vocab_size,
        "tie_word_embeddings": config.tie_word_embeddings,
        "norm": "layer",
        "norm_eps": config.layer_norm_eps,
        "norm_first": False,
        "final_norm": False,
        "activation": activation(config.hidden_act),
        "bias": True,
        "dropout": config.hidden_dropout_prob,
        "attention_dropout": config.attention_probs_dropout_prob,
        "classifier_dropout": (
            config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        ),
        "head_bias": True,
        "head_transform": True,
        "initializer_range": config.initializer_range,
        **tokens(config),
    }


def write(config: TransformerConfig) -> dict[str, Any]:
    """BERT's configuration as keywords, from ours; what it has no word for, ``needs`` has refused."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "type_vocab_size": max(config.type_vocab_size, 1),
        "tie_word_embeddings": config.tie_word_embeddings,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": stock_activation(config),
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "classifier_dropout": config.classifier_dropout,
        "initializer_range": config.initializer_range,
        **tokens(config),
    }


def needs(config: TransformerConfig) -> dict[str, Any]:
    """The value, or the values, that each field of ours must have for BERT's to express it."""
    return {
        "positions": "learned",
        "position_offset": 0,
        "embedding_norm": True,
        "embedding_scale": 1.0,
        "norm": "layer",
        "norm_first": False,
        "final_norm": False,
        "activation": ("gelu", "gelu_tanh", "relu"),
        "bias": (True, False),
        "qk_norm": False,
        "num_key_value_heads": config.num_attention_heads,
        "head_bias": (True, False),
        "head_transform": True,
        "mark_matches": False,
    }


def body(config: TransformerConfig, prefix: str = "bert") -> Iterator[Row]:
    """Which tensors of a stock BERT or RoBERTa make which of ours, those of any head left out."""
    yield Row("model.embed_tokens.weight", (f"{prefix}.embeddings.word_embeddings.weight",))
    ours, theirs = "model.encoder.embeddings", f"{prefix}.embeddings"
    yield Row(f"{ours}.positions.weight", (f"{theirs}.position_embeddings.weight",))
    yield Row(f"{ours}.token_types.weight", (f"{theirs}.token_type_embeddings.weight",))
    yield from pairs(f"{ours}.norm", f"{theirs}.LayerNorm")
    for i in range(config.num_hidden_layers):
        ours, theirs = f"model.encoder.stack.layers.{i}", f"{prefix}.encoder.layer.{i}"
        parts = tuple(f"{theirs}.attention.self.{name}" for name in ("query", "key", "value"))
        yield from fused(f"{ours}.attention.query_key_value", parts)
        yield from pairs(f"{ours}.attention.output", f"{theirs}.attention.output.dense")
        yield from pairs(f"{ours}.attention_norm", f"{theirs}.attention.output.LayerNorm")
        yield from pairs(f"{ours}.feed_forward.input", f"{theirs}.intermediate.dense")
        yield from pairs(f"{ours}.feed_forward.output", f"{theirs}.output.dense")
        yield from pairs(f"{ours}.feed_forward_norm", f"{theirs}.output.LayerNorm")


def rows(config: TransformerConfig, prefix: str = "bert", head: str = "cls.predictions") -> Iterator[Row]:
    """All tensors of a stock BERT or RoBERTa that models language."""
    yield from body(config, prefix)
    if head == "lm_head":
        yield from pairs("transform.dense", "lm_head.dense")
        yield from pairs("transform.norm", "lm_head.layer_norm")
    else:
        yield from pairs("transform.dense", f"{head}.transform.dense")
        yield from pairs("transform.norm", f"{head}.transform.LayerNorm")
    yield Row("lm_head.bias", (f"{head}.bias",))
    yield Row("lm_head.weight", (f"{head}.decoder.weight",))


def rows_roberta(config: TransformerConfig) -> Iterator[Row]:
    """As ``rows``, under RoBERTa's names."""
    return rows(config, "roberta", "lm_head")


def rows_sequence(config: TransformerConfig) -> Iterator[Row]:
    """All tensors of a stock BERT that gives a text labels or a number."""
    yield from body(config)
    yield from pairs("classifier.dense", "bert.pooler.dense")
    yield from pairs("classifier.output", "classifier")


def rows_token(config: TransformerConfig) -> Iterator[Row]:
    """All tensors of a stock BERT that gives tokens labels."""
    yield from body(config)
    yield from pairs("classifier", "classifier")


def rows_span(config: TransformerConfig) -> Iterator[Row]:
    """All tensors of a stock BERT that points at answers."""
    yield from body(config)
    yield from pairs("span", "qa_outputs")


POOLED = {"pooling": "first", "classifier_dense": True, "marker_ids": None, "ngrams": 0}
HEADS = {
    "sequence_classification": TaskHead("BertForSequenceClassification", rows_sequence, POOLED),
    "token_classification": TaskHead("BertForTokenClassification", rows_token, {"crf": False}),
    "span_extraction": TaskHead("BertForQuestionAnswering", rows_span, {}),
}
BERT = Family("encoder", "masked_lm", "BertForMaskedLM", read, write, needs, rows, HEADS)
ROBERTA = Family("encoder", "masked_lm", "RobertaForMaskedLM", read, write, needs, rows_roberta)
