"""How many tokens a model has positions for: so many it reads, and not one more."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from textmill.errors import UserError
from textmill.models.auto import model_class
from textmill.models.configuration import CONFIGS
from textmill.models.positions import longest

BERT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
BART = {
    "d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16,
    "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "max_position_embeddings": 16,
    "pad_token_id": 1,
}  # fmt: skip
OURS = {**BERT, "num_key_value_heads": 2, "max_position_embeddings": 16}
SMALL: dict[str, dict[str, Any]] = {
    "bert": {**BERT, "max_position_embeddings": 16},
    "roberta": {**BERT, "max_position_embeddings": 18, "pad_token_id": 1},
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 16},
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 16},
    "opt": {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 16,
        "word_embed_proj_dim": 16, "max_position_embeddings": 16,
    },
    "bart": BART,
    "marian": {**BART, "decoder_start_token_id": 0},
}  # fmt: skip
ENDLESS: dict[str, dict[str, Any]] = {
    "llama": {**BERT, "max_position_embeddings": 16},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2},
}


def _read(model: Any, length: int) -> None:
    """Reads a text of ``length`` tokens, on both sides where there are two."""
    ids = torch.full((1, length), 5)
    other = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        model.eval()(input_ids=ids, **other)


def _published(name: str, spec: dict[str, Any]) -> Any:
    return transformers.AutoModel.from_config(transformers.AutoConfig.for_model(name, vocab_size=20, **spec))


@pytest.mark.parametrize("name", SMALL)
def test_a_published_models_table_has_its_rows_less_those_that_it_never_uses(name: str) -> None:
    model = _published(name, SMALL[name])
    assert longest(model) == 16
    _read(model, 16)
    with pytest.raises((IndexError, RuntimeError)):
        _read(model, 17)


@pytest.mark.parametrize("name", ENDLESS)
def test_relative_and_rotary_positions_of_published_models_have_no_end(name: str) -> None:
    model = _published(name, ENDLESS[name])
    assert longest(model) is None
    _read(model, 17)


@pytest.mark.parametrize("offset", [0, 2])
@pytest.mark.parametrize(
    ("kind", "head"), [("encoder", "masked_lm"), ("decoder", "causal_lm"), ("seq2seq", "seq2seq_lm")]
)
def test_our_learned_positions_end_and_our_computed_ones_do_not(kind: Any, head: str, offset: int) -> None:
    def made(positions: str) -> Any:
        config = CONFIGS[kind](vocab_size=20, positions=positions, position_offset=offset, **OURS)
        return model_class(kind, head)(config)

    learned = made("learned")
    assert longest(learned) == 16
    _read(learned, 16)
    with pytest.raises(UserError, match="16 learned positions"):
        _read(learned, 17)
    for positions in ("rotary", "sinusoidal"):
        assert longest(made(positions)) is None
        _read(made(positions), 17)
