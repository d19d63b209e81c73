"""Llama (Touvron et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textmill.errors import UserError
from textmill.models.configuration import TransformerConfig
from textmill.models.exchange.table import Family, Row, activation, fused, pairs, tokens


def read(config: Any) -> dict[str, Any]:
    """Our fields from the configuration of a stock Llama; raises UserError where we have none."""
    rope = config.rope_parameters or {}
    if rope.get("rope_type", "default") != "default":
        raise UserError(f"rope_type {rope['rope_type']} is not one of ours; only the default is")
    if config.attention_bias or config.mlp_bias:
        raise UserError("a Llama with attention_bias or mlp_bias is not one that our decoder can express")
    if config.head_dim != config.hidden_size // config.num_attention_heads:
        raise UserError(f"head_dim {config.head_dim} is not hidden_size / num_attention_heads")
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "positions": "rotary",
        "rotary_base": float(rope.get("rope_theta", 10000.0)),
        "tie_word_embeddings": config.tie_word_embeddings,
        "norm": "rms",
        "norm_eps": config.rms_norm_eps,
        "norm_first": True,
        "final_norm": True,
        "activation": activation(config.hidden_act),
        "bias": False,
        "dropout": 0.0,
        "attention_dropout": config.attention_dropout,
        "initializer_range": config.initializer_range,
        **tokens(config),
    }


def write(config: TransformerConfig) -> dict[str, Any]:
    """Llama's configuration as keywords, from ours; what it has no word for, ``needs`` has refused."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rotary_base},
        "tie_word_embeddings": config.tie_word_embeddings,
        "rms_norm_eps": config.norm_eps,
        "hidden_act": "silu",
        "attention_dropout": config.attention_dropout,
        "initializer_range": config.initializer_range,
        **tokens(config),
    }


def needs(config: TransformerConfig) -> dict[str, Any]:
    """The value, or the values, that each field of ours must have for Llama's to express it."""
    return {
        "positions": "rotary",
        "embedding_norm": False,
        "embedding_scale": 1.0,
        "type_vocab_size": 0,
        "norm": "rms",
        "norm_first": True,
        "final_norm": True,
        "activation": "swiglu",
        "bias": False,
        "qk_norm": False,
        "head_bias": False,
    }


def rows(config: TransformerConfig) -> Iterator[Row]:
    """Which tensors of a stock Llama make which of ours, all of them."""
    yield Row("model.embed_tokens.weight", ("model.embed_tokens.weight",))
    for i in range(config.num_hidden_layers):
        ours, theirs = f"model.decoder.stack.layers.{i}", f"model.layers.{i}"
        parts = tuple(f"{theirs}.self_attn.{name}_proj" for name in "qkv")
        yield from fused(f"{ours}.attention.query_key_value", parts, bias=False)
        yield from pairs(f"{ours}.attention.output", f"{theirs}.self_attn.o_proj", bias=False)
        yield from pairs(f"{ours}.attention_norm", f"{theirs}.input_layernorm", bias=False)
        parts = (f"{theirs}.mlp.gate_proj", f"{theirs}.mlp.up_proj")
        yield from fused(f"{ours}.feed_forward.input", parts, bias=False)
        yield from pairs(f"{ours}.feed_forward.output", f"{theirs}.mlp.down_proj", bias=False)
        yield from pairs(f"{ours}.feed_forward_norm", f"{theirs}.post_attention_layernorm", bias=False)
    yield from pairs("model.decoder.stack.norm", "model.norm", bias=False)
    yield Row("lm_head.weight", ("lm_head.weight",))


LLAMA = Family("decoder", "causal_lm", "LlamaForCausalLM", read, write, needs, rows)
