"""A small tokenizer, tasks and stock models for the families' tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from textmill.params import Params, Task, load, merge

TEXTS = [
    "Mara Velt works for Norbi Tools in Ulmen. The tools are not bad at all, says Mara Velt.",
    "Who works for Norbi Tools? Mara Velt does. Where is Norbi Tools? In Ulmen, near the river.",
    "韦玛在乌尔门的诺比工具公司工作。她说那些工具一点也不差。",
    "谁在诺比工具公司工作？韦玛。诺比工具公司在哪里？在乌尔门，靠近河边。",
] * 3


@pytest.fixture(scope="session")
def params() -> Params:
    """The parameters of the repository."""
    return load()


@pytest.fixture(scope="session")
def tokenizer(params: Params) -> Any:
    """A byte-level tokenizer of 400 tokens; Chinese characters joined in training stay joined in it."""
    from textmill.tokenizer import train

    return train(TEXTS, params.tokenizer.model_copy(update={"kind": "bpe", "vocabulary_size": 400}))


@pytest.fixture(scope="session")
def make_task(params: Params) -> Callable[..., Task]:
    """A task of the parameters with some keys changed: make_task("sentiment", labels=[...])."""

    def make(name: str, **changes: Any) -> Task:
        changes = {"behaviour": None, **changes}  # whose tests want the sample's labels
        return Task.model_validate_json(_json(merge(params.tasks[name].model_dump(mode="json"), changes)))

    return make


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


@pytest.fixture(scope="session")
def make_model(tokenizer: Any) -> Callable[..., Any]:
    """A tiny stock model for a family, with random weights."""
    import torch
    import transformers

    def make(family: Any) -> Any:
        torch.manual_seed(0)
        size, pad = len(tokenizer), tokenizer.pad_token_id
        if family.auto_class == "AutoModelForCausalLM":
            config: Any = transformers.GPT2Config(
                vocab_size=size,
                n_embd=32,
                n_layer=1,
                n_head=2,
                n_positions=256,
                bos_token_id=2,
                eos_token_id=3,
            )
        elif family.auto_class == "AutoModelForSeq2SeqLM":
            config = transformers.BartConfig(
                vocab_size=size, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=pad,
                bos_token_id=2, eos_token_id=3, decoder_start_token_id=2, forced_eos_token_id=None,
            )  # fmt: skip
        else:
            config = transformers.BertConfig(
                vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=32, pad_token_id=pad, **family.model_config(),
            )  # fmt: skip
        return getattr(transformers, family.auto_class).from_config(config)

    return make
