"""BART (Lewis et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textmill.errors import UserError
from textmill.models.configuration import TransformerConfig
from textmill.models.exchange.table import Family, Row, activation, fused, pairs, stock_activation, tokens


def read(config: Any) -> dict[str, Any]:
    """Our fields from the configuration of a stock BART; raises UserError where we have none."""
    same = (
        ("encoder_layers", "decoder_layers"),
        ("encoder_attention_heads", "decoder_attention_heads"),
        ("encoder_ffn_dim", "decoder_ffn_dim"),
    )
    for first, second in same:
        if getattr(config, first) != getattr(config, second):
            raise UserError(f"{first} and {second} differ; our encoder-decoder has two sides of one shape")
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.encoder_layers,
        "num_attention_heads": config.encoder_attention_heads,
        "num_key_value_heads": config.encoder_attention_heads,
        "intermediate_size": config.encoder_ffn_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "position_offset": 2,
        "positions": "learned",
        "embedding_norm": True,
        "embedding_scale": float(config.d_model) ** 0.5 if config.scale_embedding else 1.0,
        "tie_word_embeddings": config.tie_word_embeddings,
        "norm": "layer",
        "norm_eps": 1e-5,
        "norm_first": False,
        "final_norm": False,
        "activation": activation(config.activation_function),
        "bias": True,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "head_bias": True,
        "initializer_range": config.init_std,
        "decoder_start_token_id": config.decoder_start_token_id,
        **tokens(config),
    }


def write(config: TransformerConfig) -> dict[str, Any]:
    """BART's configuration as keywords, from ours; what it has no word for, ``needs`` has refused."""
    return {
        "vocab_size": config.vocab_size,
        "d_model": config.hidden_size,
        "encoder_layers": config.num_hidden_layers,
        "decoder_layers": config.num_hidden_layers,
        "encoder_attention_heads": config.num_attention_heads,
        "decoder_attention_heads": config.num_attention_heads,
        "encoder_ffn_dim": config.intermediate_size,
        "decoder_ffn_dim": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "scale_embedding": config.embedding_scale != 1.0,
        "tie_word_embeddings": config.tie_word_embeddings,
        "activation_function": stock_activation(config),
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": 0.0,
        "init_std": config.initializer_range,
        "decoder_start_token_id": config.decoder_start_token_id,
        "forced_eos_token_id": None,
        **tokens(config),
    }


def needs(config: TransformerConfig) -> dict[str, Any]:
    """The value, or the values, that each field of ours must have for BART's to express it."""
    return {
        "positions": "learned",
        "position_offset": (0, 2),
        "embedding_norm": True,
        "embedding_scale": (1.0, float(config.hidden_size) ** 0.5),
        "type_vocab_size": 0,
        "norm": "layer",
        "norm_eps": 1e-5,
        "norm_first": False,
        "final_norm": False,
        "activation": ("gelu", "gelu_tanh", "relu"),
        "bias": (True, False),
        "qk_norm": False,
        "num_key_value_heads": config.num_attention_heads,
        "head_bias": (True, False),
    }


def rows(config: TransformerConfig) -> Iterator[Row]:
    """Which tensors of a stock BART make which of ours, all of them."""
    yield Row("model.embed_tokens.weight", ("model.shared.weight",))
    for side, body in (("encoder", "model.encoder.body"), ("decoder", "model.decoder")):
        yield Row(f"{body}.embeddings.positions.weight", (f"model.{side}.embed_positions.weight",))
        yield from pairs(f"{body}.embeddings.norm", f"model.{side}.layernorm_embedding")
        for i in range(config.num_hidden_layers):
            ours, theirs = f"{body}.stack.layers.{i}", f"model.{side}.layers.{i}"
            parts = tuple(f"{theirs}.self_attn.{name}_proj" for name in "qkv")
            yield from fused(f"{ours}.attention.query_key_value", parts)
            yield from pairs(f"{ours}.attention.output", f"{theirs}.self_attn.out_proj")
            yield from pairs(f"{ours}.attention_norm", f"{theirs}.self_attn_layer_norm")
            if side == "decoder":
                cross = f"{theirs}.encoder_attn"
                yield from pairs(f"{ours}.cross_attention.query", f"{cross}.q_proj")
                yield from fused(f"{ours}.cross_attention.key_value", (f"{cross}.k_proj", f"{cross}.v_proj"))
                yield from pairs(f"{ours}.cross_attention.output", f"{cross}.out_proj")
                yield from pairs(f"{ours}.cross_attention_norm", f"{cross}_layer_norm")
            yield from pairs(f"{ours}.feed_forward.input", f"{theirs}.fc1")
            yield from pairs(f"{ours}.feed_forward.output", f"{theirs}.fc2")
            yield from pairs(f"{ours}.feed_forward_norm", f"{theirs}.final_layer_norm")
    yield Row("lm_head.weight", ("lm_head.weight",))
    yield Row("lm_head.bias", ("final_logits_bias",))


BART = Family("seq2seq", "seq2seq_lm", "BartForConditionalGeneration", read, write, needs, rows)
