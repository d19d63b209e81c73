"""GPT-2 (Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textmill.errors import UserError
from textmill.models.configuration import TransformerConfig
from textmill.models.exchange.table import Family, Row, activation, pairs, stock_activation, tokens


def read(config: Any) -> dict[str, Any]:
    """Our fields from the configuration of a stock GPT-2; raises UserError where we have none."""
    if config.scale_attn_by_inverse_layer_idx or not config.scale_attn_weights or config.add_cross_attention:
        raise UserError(
            "a GPT-2 with scale_attn_by_inverse_layer_idx, add_cross_attention or without scale_attn_weights "
            "is not one that our decoder can express"
        )
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.n_embd,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_head,
        "intermediate_size": config.n_inner or 4 * config.n_embd,
        "max_position_embeddings": config.n_positions,
        "positions": "learned",
        "tie_word_embeddings": config.tie_word_embeddings,
        "norm": "layer",
        "norm_eps": config.layer_norm_epsilon,
        "norm_first": True,
        "final_norm": True,
        "activation": activation(config.activation_function),
        "bias": True,
        "dropout": config.resid_pdrop,
        "attention_dropout": config.attn_pdrop,
        "initializer_range": config.initializer_range,
        **tokens(config),
    }


def write(config: TransformerConfig) -> dict[str, Any]:
    """GPT-2's configuration as keywords, from ours; what it has no word for, ``needs`` has refused."""
    return {
        "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size,
        "n_layer": config.num_hidden_layers,
        "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size,
        "n_positions": config.max_position_embeddings,
        "tie_word_embeddings": config.tie_word_embeddings,
        "layer_norm_epsilon": config.norm_eps,
        "activation_function": stock_activation(config),
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "attn_pdrop": config.attention_dropout,
        "initializer_range": config.initializer_range,
        **tokens(config),
    }


def needs(config: TransformerConfig) -> dict[str, Any]:
    """The value, or the values, that each field of ours must have for GPT-2's to express it."""
    return {
        "positions": "learned",
        "position_offset": 0,
        "embedding_norm": False,
        "embedding_scale": 1.0,
        "type_vocab_size": 0,
        "norm": "layer",
        "norm_first": True,
        "final_norm": True,
        "activation": ("gelu", "gelu_tanh", "relu"),
        "bias": (True, False),
        "qk_norm": False,
        "num_key_value_heads": config.num_attention_heads,
        "head_bias": False,
    }


def rows(config: TransformerConfig) -> Iterator[Row]:
    """Which tensors of a stock GPT-2 make which of ours, all of them."""
    yield Row("model.embed_tokens.weight", ("transformer.wte.weight",))
    yield Row("model.decoder.embeddings.positions.weight", ("transformer.wpe.weight",))
    for i in range(config.num_hidden_layers):
        ours, theirs = f"model.decoder.stack.layers.{i}", f"transformer.h.{i}"
        yield from pairs(f"{ours}.attention.query_key_value", f"{theirs}.attn.c_attn", transposed=True)
        yield from pairs(f"{ours}.attention.output", f"{theirs}.attn.c_proj", transposed=True)
        yield from pairs(f"{ours}.attention_norm", f"{theirs}.ln_1")
        yield from pairs(f"{ours}.feed_forward.input", f"{theirs}.mlp.c_fc", transposed=True)
        yield from pairs(f"{ours}.feed_forward.output", f"{theirs}.mlp.c_proj", transposed=True)
        yield from pairs(f"{ours}.feed_forward_norm", f"{theirs}.ln_2")
    yield from pairs("model.decoder.stack.norm", "transformer.ln_f")
    yield Row("lm_head.weight", ("lm_head.weight",))


GPT2 = Family("decoder", "causal_lm", "GPT2LMHeadModel", read, write, needs, rows)
