"""Small fine-tuned folders to explain, of ours and of stock transformers, with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textmill.params import Task, load, merge
from textmill.prediction import Predictor, write_card
from textmill.tasks import FAMILIES
from textmill.tasks.base import prepare_tokenizer

TEXTS = [
    "Mara Velt works for Norbi Tools in Ulmen. The tools are not bad at all, says Mara Velt.",
    "韦玛在乌尔门的诺比工具公司工作。她说那些工具一点也不差。👩\u200d👧",
] * 3
INPUTS: dict[str, Any] = {
    "sentiment": {"text": "The tools are not bad at all 😀", "pair": None},
    "entities": {"text": "韦玛 works for Norbi Tools in 乌尔门."},
    "relations": {
        "text": "Mara Velt works for Norbi Tools.",
        "head": {"start": 0, "end": 9, "label": "person"},
        "tail": {"start": 20, "end": 31, "label": "company"},
    },
    "questions": {"question": "Who works?", "context": "In Ulmen, 韦玛 works for Norbi Tools."},
    "headlines": {"source": "Mara Velt works for Norbi Tools in Ulmen."},
    "dialogue": {"turns": [{"role": "user", "text": "Who works here?"}]},
}
KINDS = {"headlines": "seq2seq", "dialogue": "decoder"}


@pytest.fixture(scope="session")
def inputs() -> dict[str, Any]:
    """An input for each task."""
    return INPUTS


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A byte-level tokenizer of 320 tokens: an emoji is several of them."""
    from textmill.tokenizer import train

    return train(TEXTS, load().tokenizer.model_copy(update={"kind": "bpe", "vocabulary_size": 320}))


@pytest.fixture(scope="session")
def make_predictor(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Predictor]:
    """A predictor for a task of the parameters: make_predictor("sentiment", stock=True, crf=True)."""
    import copy

    import torch
    import transformers

    from textmill.models import build
    from textmill.models import config as configuration

    def make(name: str, stock: bool = False, **changes: Any) -> Predictor:
        params = load()
        short = {"finetune": {"generation": {"max_new_tokens": 4}}}
        spec = merge(params.tasks[name].model_dump(mode="json"), merge(short, changes))
        task = Task.model_validate_json(json.dumps(spec))
        own = copy.deepcopy(tokenizer)
        kind = FAMILIES[task.family]
        prepare_tokenizer(kind, own)
        family = kind(task, own)
        torch.manual_seed(0)
        if stock:
            config: Any = stock_config(kind.auto_class, len(own), own, family.model_config())
            model = getattr(transformers, kind.auto_class).from_config(config)
        else:
            shape = {"layers": 2, "width": 32, "heads": 2, "key_value_heads": 2, "feed_forward": 64}
            architecture = params.architecture.model_copy(update={**shape, "max_positions": 64})
            side: Any = KINDS.get(name, "encoder")
            heads = {"encoder": task.family, "seq2seq": "seq2seq_lm", "decoder": "causal_lm"}
            head = "sequence_classification" if name == "relations" else heads[side]
            shaped = configuration(side, architecture, own, **family.model_config())
            model = build(side, head, shaped, seed=0)
        with torch.no_grad():  # far from a start, at which all answers are alike
            for weight in model.parameters():
                weight.mul_(3.0)
        folder: Path = tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        own.save_pretrained(folder)
        write_card(
            folder, name, task, {**INPUTS[name], "id": "1"} | {"turns": INPUTS["dialogue"]["turns"] * 2}
        )
        return Predictor(folder)

    return make


def stock_config(auto_class: str, size: int, tokenizer: Any, settings: dict[str, Any]) -> Any:
    """A tiny BERT, GPT-2 or BART, with the fused attention that transformers takes by itself."""
    import transformers

    ids = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": 2, "eos_token_id": 3}
    if auto_class == "AutoModelForCausalLM":
        return transformers.GPT2Config(
            vocab_size=size, n_embd=32, n_layer=2, n_head=2, n_positions=256, **ids
        )
    if auto_class == "AutoModelForSeq2SeqLM":
        return transformers.BartConfig(
            vocab_size=size, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, **ids,
            decoder_start_token_id=2, forced_eos_token_id=None,
        )  # fmt: skip
    return transformers.BertConfig(
        vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        pad_token_id=ids["pad_token_id"], **settings,
    )  # fmt: skip
