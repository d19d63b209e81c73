"""A fine-tuning's start tells of weights that should be there and are not, and of nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from textmill.models.auto import model_class
from textmill.models.configuration import from_architecture
from textmill.params import Params
from textmill.tasks import FAMILIES
from textmill.training.loading import load

SMALL = {
    "layers": 1,
    "width": 16,
    "heads": 2,
    "key_value_heads": 2,
    "feed_forward": 32,
    "tie_embeddings": False,
}
HEADS = {"encoder": "masked_lm", "decoder": "causal_lm"}


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """What transformers has said, which does not hand its records on."""
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    yield lambda: caplog.text
    logger.removeHandler(caplog.handler)


@pytest.fixture
def pretrained(params: Params, tokenizer: Any, tmp_path: Path) -> Callable[[str], Path]:
    """A folder with a model of ours with the head of its pretraining, or with a BERT of transformers."""

    def make(kind: str) -> Path:
        torch.manual_seed(0)
        if kind == "bert":
            config = transformers.BertConfig(
                vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=32,
            )  # fmt: skip
            model: Any = transformers.BertForMaskedLM(config)
        else:
            shape = params.architecture.model_copy(update=SMALL)
            model = model_class(kind, HEADS[kind])(from_architecture(kind, shape, tokenizer))
        model.save_pretrained(tmp_path / kind)
        return tmp_path / kind

    return make


def _without(folder: Path, name: str) -> None:
    """Take a weight out of the model's file."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights[name]
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("kind", ["encoder", "bert"])
@pytest.mark.parametrize("name", ["sentiment", "entities", "relations", "questions"])
def test_a_head_that_is_new_by_design_is_not_told_of(
    kind: str, name: str, make_task: Any, tokenizer: Any, pretrained: Any, told: Any
) -> None:
    task = make_task(name)
    family = FAMILIES[task.family](task, tokenizer)
    model = load(family, pretrained(kind))
    assert told() == ""
    labels = family.model_config().get("id2label", {0: "start", 1: "end"})
    assert model.config.num_labels == len(labels)


def test_a_number_has_one_output_and_no_warning(
    make_task: Any, tokenizer: Any, pretrained: Any, told: Any
) -> None:
    task = make_task("sentiment", labels=None, data={"regression": True}, gate={"metric": "pearson"})
    model = load(FAMILIES[task.family](task, tokenizer), pretrained("encoder"))
    assert told() == ""
    assert model.config.num_labels == 1
    assert model.config.label2id == {"LABEL_0": 0}


@pytest.mark.parametrize(
    ("kind", "weight", "name"),
    [
        ("encoder", "model.encoder.stack.layers.0.feed_forward.output.weight", "sentiment"),
        ("bert", "bert.encoder.layer.0.output.dense.weight", "sentiment"),
        ("decoder", "lm_head.weight", "dialogue"),
    ],
)
def test_a_weight_that_the_file_lacks_is_told_of(
    kind: str, weight: str, name: str, make_task: Any, tokenizer: Any, pretrained: Any, told: Any
) -> None:
    folder = pretrained(kind)
    _without(folder, weight)
    task = make_task(name)
    load(FAMILIES[task.family](task, tokenizer), folder)
    assert f"{weight} | MISSING" in told()
    assert "classifier" not in told()


def test_a_weight_of_the_body_that_is_left_over_is_told_of(
    make_task: Any, tokenizer: Any, pretrained: Any, told: Any
) -> None:
    folder = pretrained("bert")
    path = folder / "model.safetensors"
    save_file(load_file(path) | {"bert.extra.weight": torch.zeros(1)}, path, metadata={"format": "pt"})
    task = make_task("sentiment")
    load(FAMILIES[task.family](task, tokenizer), folder)
    assert "bert.extra.weight | UNEXPECTED" in told()
    assert "cls.predictions" not in told()
