"""Checkpoints in and out: BERT, RoBERTa, GPT-2, Llama and BART as values of our configuration.

A published family is a table of tensors: which of theirs is which of ours, fused (queries, keys and values
stand in one matrix here) or transposed (GPT-2 stores its maps input first). One table serves both ways.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from textmill.errors import UserError
from textmill.models.auto import MODELS
from textmill.models.configuration import CONFIGS, TransformerConfig
from textmill.params import Kind

State = dict[str, Tensor]


@dataclass(frozen=True)
class Row:
    """``ours`` is the concatenation of ``theirs`` along the rows, each transposed where ``transposed``."""

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False


@dataclass(frozen=True)
class Family:
    """A published family: its class and how its configuration and its tensors map to ours."""

    kind: Kind
    head: str
    stock: str  # class of transformers
    read: Callable[[Any], dict[str, Any]]  # their configuration -> our fields
    write: Callable[[TransformerConfig], dict[str, Any]]  # ours -> theirs
    needs: Callable[[TransformerConfig], dict[str, Any]]  # field -> the only value that can be expressed
    rows: Callable[[TransformerConfig], Iterator[Row]]


ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "swiglu",
}


def _activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise UserError(f"the activation {name} is not one of ours; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _stock_activation(config: TransformerConfig) -> str:
    return {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu", "swiglu": "silu"}.get(
        config.activation, config.activation
    )


def _tokens(config: Any) -> dict[str, Any]:
    return {key: getattr(config, key, None) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}


def _pairs(ours: str, theirs: str, bias: bool = True, transposed: bool = False) -> Iterator[Row]:
    """One linear map or norm: weight and bias."""
    yield Row(f"{ours}.weight", (f"{theirs}.weight",), transposed)
    if bias:
        yield Row(f"{ours}.bias", (f"{theirs}.bias",))


def _fused(ours: str, theirs: tuple[str, ...], bias: bool = True) -> Iterator[Row]:
    """Several maps of theirs in one of ours."""
    yield Row(f"{ours}.weight", tuple(f"{name}.weight" for name in theirs))
    if bias:
        yield Row(f"{ours}.bias", tuple(f"{name}.bias" for name in theirs))


# BERT and RoBERTa (Devlin et al. 2019; Liu et al. 2019)


def _read_bert(config: Any) -> dict[str, Any]:
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
        "activation": _activation(config.hidden_act),
        "bias": True,
        "dropout": config.hidden_dropout_prob,
        "attention_dropout": config.attention_probs_dropout_prob,
        "classifier_dropout": (
            config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        ),
        "head_bias": True,
        "head_transform": True,
        "initializer_range": config.initializer_range,
        **_tokens(config),
    }


def _write_bert(config: TransformerConfig) -> dict[str, Any]:
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
        "hidden_act": _stock_activation(config),
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "classifier_dropout": config.classifier_dropout,
        "initializer_range": config.initializer_range,
        **_tokens(config),
    }


def _needs_bert(config: TransformerConfig) -> dict[str, Any]:
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
        "crf": False,
    }


def _rows_bert(
    config: TransformerConfig, prefix: str = "bert", head: str = "cls.predictions"
) -> Iterator[Row]:
    yield Row("model.embed_tokens.weight", (f"{prefix}.embeddings.word_embeddings.weight",))
    ours, theirs = "model.encoder.embeddings", f"{prefix}.embeddings"
    yield Row(f"{ours}.positions.weight", (f"{theirs}.position_embeddings.weight",))
    yield Row(f"{ours}.token_types.weight", (f"{theirs}.token_type_embeddings.weight",))
    yield from _pairs(f"{ours}.norm", f"{theirs}.LayerNorm")
    for i in range(config.num_hidden_layers):
        ours, theirs = f"model.encoder.stack.layers.{i}", f"{prefix}.encoder.layer.{i}"
        parts = tuple(f"{theirs}.attention.self.{name}" for name in ("query", "key", "value"))
        yield from _fused(f"{ours}.attention.query_key_value", parts)
        yield from _pairs(f"{ours}.attention.output", f"{theirs}.attention.output.dense")
        yield from _pairs(f"{ours}.attention_norm", f"{theirs}.attention.output.LayerNorm")
        yield from _pairs(f"{ours}.feed_forward.input", f"{theirs}.intermediate.dense")
        yield from _pairs(f"{ours}.feed_forward.output", f"{theirs}.output.dense")
        yield from _pairs(f"{ours}.feed_forward_norm", f"{theirs}.output.LayerNorm")
    if head == "lm_head":
        yield from _pairs("transform.dense", "lm_head.dense")
        yield from _pairs("transform.norm", "lm_head.layer_norm")
    else:
        yield from _pairs("transform.dense", f"{head}.transform.dense")
        yield from _pairs("transform.norm", f"{head}.transform.LayerNorm")
    yield Row("lm_head.bias", (f"{head}.bias",))
    yield Row("lm_head.weight", (f"{head}.decoder.weight",))


def _rows_roberta(config: TransformerConfig) -> Iterator[Row]:
    return _rows_bert(config, "roberta", "lm_head")


# GPT-2 (Radford et al. 2019)


def _read_gpt2(config: Any) -> dict[str, Any]:
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
        "activation": _activation(config.activation_function),
        "bias": True,
        "dropout": config.resid_pdrop,
        "attention_dropout": config.attn_pdrop,
        "initializer_range": config.initializer_range,
        **_tokens(config),
    }


def _write_gpt2(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size,
        "n_layer": config.num_hidden_layers,
        "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size,
        "n_positions": config.max_position_embeddings,
        "tie_word_embeddings": config.tie_word_embeddings,
        "layer_norm_epsilon": config.norm_eps,
        "activation_function": _stock_activation(config),
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "attn_pdrop": config.attention_dropout,
        "initializer_range": config.initializer_range,
        **_tokens(config),
    }


def _needs_gpt2(config: TransformerConfig) -> dict[str, Any]:
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


def _rows_gpt2(config: TransformerConfig) -> Iterator[Row]:
    yield Row("model.embed_tokens.weight", ("transformer.wte.weight",))
    yield Row("model.decoder.embeddings.positions.weight", ("transformer.wpe.weight",))
    for i in range(config.num_hidden_layers):
        ours, theirs = f"model.decoder.stack.layers.{i}", f"transformer.h.{i}"
        yield from _pairs(f"{ours}.attention.query_key_value", f"{theirs}.attn.c_attn", transposed=True)
        yield from _pairs(f"{ours}.attention.output", f"{theirs}.attn.c_proj", transposed=True)
        yield from _pairs(f"{ours}.attention_norm", f"{theirs}.ln_1")
        yield from _pairs(f"{ours}.feed_forward.input", f"{theirs}.mlp.c_fc", transposed=True)
        yield from _pairs(f"{ours}.feed_forward.output", f"{theirs}.mlp.c_proj", transposed=True)
        yield from _pairs(f"{ours}.feed_forward_norm", f"{theirs}.ln_2")
    yield from _pairs("model.decoder.stack.norm", "transformer.ln_f")
    yield Row("lm_head.weight", ("lm_head.weight",))


# Llama (Touvron et al. 2023)


def _read_llama(config: Any) -> dict[str, Any]:
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
        "activation": _activation(config.hidden_act),
        "bias": False,
        "dropout": 0.0,
        "attention_dropout": config.attention_dropout,
        "initializer_range": config.initializer_range,
        **_tokens(config),
    }


def _write_llama(config: TransformerConfig) -> dict[str, Any]:
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
        **_tokens(config),
    }


def _needs_llama(config: TransformerConfig) -> dict[str, Any]:
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


def _rows_llama(config: TransformerConfig) -> Iterator[Row]:
    yield Row("model.embed_tokens.weight", ("model.embed_tokens.weight",))
    for i in range(config.num_hidden_layers):
        ours, theirs = f"model.decoder.stack.layers.{i}", f"model.layers.{i}"
        parts = tuple(f"{theirs}.self_attn.{name}_proj" for name in "qkv")
        yield from _fused(f"{ours}.attention.query_key_value", parts, bias=False)
        yield from _pairs(f"{ours}.attention.output", f"{theirs}.self_attn.o_proj", bias=False)
        yield from _pairs(f"{ours}.attention_norm", f"{theirs}.input_layernorm", bias=False)
        parts = (f"{theirs}.mlp.gate_proj", f"{theirs}.mlp.up_proj")
        yield from _fused(f"{ours}.feed_forward.input", parts, bias=False)
        yield from _pairs(f"{ours}.feed_forward.output", f"{theirs}.mlp.down_proj", bias=False)
        yield from _pairs(f"{ours}.feed_forward_norm", f"{theirs}.post_attention_layernorm", bias=False)
    yield from _pairs("model.decoder.stack.norm", "model.norm", bias=False)
    yield Row("lm_head.weight", ("lm_head.weight",))


# BART (Lewis et al. 2020)


def _read_bart(config: Any) -> dict[str, Any]:
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
        "activation": _activation(config.activation_function),
        "bias": True,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "head_bias": True,
        "initializer_range": config.init_std,
        "decoder_start_token_id": config.decoder_start_token_id,
        **_tokens(config),
    }


def _write_bart(config: TransformerConfig) -> dict[str, Any]:
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
        "activation_function": _stock_activation(config),
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": 0.0,
        "init_std": config.initializer_range,
        "decoder_start_token_id": config.decoder_start_token_id,
        "forced_eos_token_id": None,
        **_tokens(config),
    }


def _needs_bart(config: TransformerConfig) -> dict[str, Any]:
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


def _rows_bart(config: TransformerConfig) -> Iterator[Row]:
    yield Row("model.embed_tokens.weight", ("model.shared.weight",))
    for side, body in (("encoder", "model.encoder.body"), ("decoder", "model.decoder")):
        yield Row(f"{body}.embeddings.positions.weight", (f"model.{side}.embed_positions.weight",))
        yield from _pairs(f"{body}.embeddings.norm", f"model.{side}.layernorm_embedding")
        for i in range(config.num_hidden_layers):
            ours, theirs = f"{body}.stack.layers.{i}", f"model.{side}.layers.{i}"
            parts = tuple(f"{theirs}.self_attn.{name}_proj" for name in "qkv")
            yield from _fused(f"{ours}.attention.query_key_value", parts)
            yield from _pairs(f"{ours}.attention.output", f"{theirs}.self_attn.out_proj")
            yield from _pairs(f"{ours}.attention_norm", f"{theirs}.self_attn_layer_norm")
            if side == "decoder":
                cross = f"{theirs}.encoder_attn"
                yield from _pairs(f"{ours}.cross_attention.query", f"{cross}.q_proj")
                yield from _fused(f"{ours}.cross_attention.key_value", (f"{cross}.k_proj", f"{cross}.v_proj"))
                yield from _pairs(f"{ours}.cross_attention.output", f"{cross}.out_proj")
                yield from _pairs(f"{ours}.cross_attention_norm", f"{cross}_layer_norm")
            yield from _pairs(f"{ours}.feed_forward.input", f"{theirs}.fc1")
            yield from _pairs(f"{ours}.feed_forward.output", f"{theirs}.fc2")
            yield from _pairs(f"{ours}.feed_forward_norm", f"{theirs}.final_layer_norm")
    yield Row("lm_head.weight", ("lm_head.weight",))
    yield Row("lm_head.bias", ("final_logits_bias",))


FAMILIES: dict[str, Family] = {
    "bert": Family(
        "encoder", "masked_lm", "BertForMaskedLM", _read_bert, _write_bert, _needs_bert, _rows_bert
    ),
    "roberta": Family(
        "encoder", "masked_lm", "RobertaForMaskedLM", _read_bert, _write_bert, _needs_bert, _rows_roberta
    ),
    "gpt2": Family(
        "decoder", "causal_lm", "GPT2LMHeadModel", _read_gpt2, _write_gpt2, _needs_gpt2, _rows_gpt2
    ),
    "llama": Family(
        "decoder", "causal_lm", "LlamaForCausalLM", _read_llama, _write_llama, _needs_llama, _rows_llama
    ),
    "bart": Family(
        "seq2seq",
        "seq2seq_lm",
        "BartForConditionalGeneration",
        _read_bart,
        _write_bart,
        _needs_bart,
        _rows_bart,
    ),
}
# Which family a kind of ours can be written as; the first that fits is taken.
TARGETS: dict[Kind, tuple[str, ...]] = {
    "encoder": ("bert",),
    "decoder": ("llama", "gpt2"),
    "seq2seq": ("bart",),
}


def from_stock(model: PreTrainedModel, attention: Literal["plain", "fused"] = "plain") -> PreTrainedModel:
    """Our twin of a ``transformers`` model with its language-model head: the same function, our class."""
    name = model.config.model_type
    if name not in FAMILIES:
        raise UserError(f"a checkpoint of type {name} cannot be imported; known: {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    config = CONFIGS[family.kind](attention=attention, **family.read(model.config))
    ours = MODELS[family.kind, family.head][1](config)
    theirs = model.state_dict()
    state: State = {}
    for row in family.rows(config):
        parts = [
            theirs[part].reshape(-1) if part == "final_logits_bias" else theirs[part] for part in row.theirs
        ]
        state[row.ours] = torch.cat([part.T if row.transposed else part for part in parts]).contiguous()
    ours.load_state_dict(state)
    ours.tie_weights()
    ours.to(dtype=model.dtype)  # type: ignore[call-arg]
    return ours.train(model.training)


def _unexpressed(config: TransformerConfig, family: Family) -> list[str]:
    """What of ``config`` the family has no word for."""
    problems = []
    for field, wanted in family.needs(config).items():
        found = getattr(config, field)
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        if found not in allowed:
            problems.append(f"{field} is {found}, it must be {' or '.join(str(value) for value in allowed)}")
    return problems


def to_stock(model: PreTrainedModel, target: str | None = None) -> PreTrainedModel:
    """The stock ``transformers`` model that computes what ``model`` computes.

    ``target`` names a family; without it the first that can express the configuration is taken. Raises
    UserError naming each field that cannot be expressed.
    """
    config: Any = model.config
    kinds = {cls.model_type: kind for kind, cls in CONFIGS.items()}
    if config.model_type not in kinds:
        raise UserError(f"a checkpoint of type {config.model_type} is not one of ours: {', '.join(kinds)}")
    kind = kinds[config.model_type]
    if target is not None and target not in TARGETS[kind]:
        raise UserError(f"a {kind} can be exported as {' or '.join(TARGETS[kind])}; found {target}")
    names = TARGETS[kind] if target is None else (target,)
    problems = {name: _unexpressed(config, FAMILIES[name]) for name in names}
    fitting = [name for name in names if not problems[name]]
    if not fitting:
        told = "; ".join(f"as {name}: {', '.join(found)}" for name, found in problems.items())
        raise UserError(f"this {kind} cannot be written as a stock checkpoint ({told})")
    family = FAMILIES[fitting[0]]
    cls = getattr(transformers, family.stock)
    theirs = cls(cls.config_class(**family.write(config)))
    ours, shapes = model.state_dict(), theirs.state_dict()
    state: State = {}
    for row in family.rows(config):
        if row.ours not in ours:
            # A bias or an embedding that we do not have is one of zeros.
            state |= {part: torch.zeros_like(shapes[part]) for part in row.theirs}
            continue
        whole = ours[row.ours].T if row.transposed else ours[row.ours]
        if row.ours.endswith("embeddings.positions.weight"):
            # Rows that BART's table starts with and never uses.
            whole = F.pad(whole, (0, 0, shapes[row.theirs[0]].shape[0] - whole.shape[0], 0))
        rows = [shapes[part].shape[0] for part in row.theirs]
        pieces = [whole.reshape(shapes[row.theirs[0]].shape)] if len(rows) == 1 else whole.split(rows)
        for part, piece in zip(row.theirs, pieces, strict=True):
            state[part] = piece.contiguous()
    theirs.load_state_dict(state, strict=False)
    theirs.tie_weights()
    theirs.to(dtype=model.dtype)
    return theirs.train(model.training)


def import_checkpoint(path_or_id: str | Path, output: Path) -> PreTrainedConfig:
    """Turn a BERT, RoBERTa, GPT-2, Llama or BART checkpoint, a folder or hub id, into one of ours.

    The language-model head comes along, the tokenizer is copied. Returns our configuration; raises
    UserError where the checkpoint is missing, of another family, or uses what we have no field for.
    """
    try:
        config = AutoConfig.from_pretrained(path_or_id)
    except (OSError, ValueError) as error:
        raise UserError(f"{path_or_id}: no checkpoint to read: {str(error).splitlines()[0]}") from None
    if config.model_type not in FAMILIES:
        raise UserError(
            f"{path_or_id}: a checkpoint of type {config.model_type} cannot be imported; "
            f"known: {', '.join(FAMILIES)}"
        )
    cls = getattr(transformers, FAMILIES[config.model_type].stock)
    model = from_stock(cls.from_pretrained(path_or_id, use_safetensors=True))
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    _copy_tokenizer(path_or_id, output)
    return model.config


def export_checkpoint(folder: Path, output: Path, target: str | None = None) -> PreTrainedConfig:
    """Write one of our language models as a stock checkpoint: Llama or GPT-2, BERT, or BART.

    Stock ``transformers`` loads ``output`` without textmill and computes the same logits. Returns the
    written configuration; raises UserError naming the fields that the target cannot express.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json; a folder that save_pretrained wrote is expected")
    found = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    kinds = {cls.model_type: kind for kind, cls in CONFIGS.items()}
    if found not in kinds:
        raise UserError(f"{folder}: a checkpoint of type {found} is not one of ours: {', '.join(kinds)}")
    head = {"encoder": "masked_lm", "decoder": "causal_lm", "seq2seq": "seq2seq_lm"}[kinds[found]]
    model = MODELS[kinds[found], head][1].from_pretrained(folder)
    stock = to_stock(model, target)
    output.mkdir(parents=True, exist_ok=True)
    stock.save_pretrained(output)
    _copy_tokenizer(folder, output)
    return stock.config


def _copy_tokenizer(source: str | Path, output: Path) -> None:
    """The tokenizer's own files where there are any, else what AutoTokenizer makes of the hub's."""
    folder = Path(source)
    if not folder.is_dir():
        AutoTokenizer.from_pretrained(source).save_pretrained(output)
        return
    for pattern in ("tokenizer*", "special_tokens_map.json", "vocab.*", "merges.txt", "chat_template.jinja"):
        for file in sorted(folder.glob(pattern)):
            shutil.copyfile(file, output / file.name)
