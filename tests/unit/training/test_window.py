"""What fine-tuning says of its data."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from textmill.tasks import FAMILIES
from textmill.tasks.base import prepare_tokenizer
from textmill.training.finetuning import beyond_window

LONG = "Mara Velt works for Norbi Tools in Ulmen. " * 20
INPUTS: dict[str, dict[str, Any]] = {
    "sentiment": {"text": "{}"},
    "entities": {"text": "{}"},
    "questions": {"question": "Who?", "context": "{}"},
    "headlines": {"source": "{}"},
    "dialogue": {"turns": [{"role": "user", "text": "{}"}]},
}


@pytest.mark.parametrize("name", INPUTS)
def test_texts_longer_than_the_window_are_counted(name: str, make_task: Any, tokenizer: Any) -> None:
    task = make_task(name, finetune={"max_length": 32})
    kind = FAMILIES[task.family]
    own = copy.deepcopy(tokenizer)
    prepare_tokenizer(kind, own)

    def fill(value: Any, text: str) -> Any:
        if isinstance(value, dict):
            return {key: fill(part, text) for key, part in value.items()}
        return [fill(part, text) for part in value] if isinstance(value, list) else value.format(text)

    short, long = fill(INPUTS[name], "Mara"), fill(INPUTS[name], LONG)
    family = kind(task, own)
    assert beyond_window(family, [short, long, short, short]) == 0.25
    assert beyond_window(family, [short, long] * 50, sample=50) in (0.0, 1.0)  # every second one
    assert family.max_length == 32
