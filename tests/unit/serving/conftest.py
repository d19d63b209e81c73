"""Model folders of every family, tiny and untrained: what is served need not be right."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textmill.prediction import Predictor, write_card
from textmill.tasks import FAMILIES
from textmill.tasks.base import prepare_tokenizer

TEXT = "Mara Velt works for Norbi Tools in 乌尔门."
EXAMPLES: dict[str, dict[str, Any]] = {
    "sentiment": {"text": "Not bad at all.", "label": "positive"},
    "entities": {"text": TEXT, "spans": []},
    "relations": {
        "text": TEXT,
        "head": {"start": 0, "end": 9, "label": "person"},
        "tail": {"start": 20, "end": 31, "label": "company"},
        "label": "works_for",
    },
    "questions": {"question": "Who?", "context": TEXT, "answers": []},
    "headlines": {"source": TEXT, "target": "Velt at Norbi"},
    "dialogue": {
        "turns": [{"role": "user", "text": "Good day."}, {"role": "assistant", "text": "Good day to you."}]
    },
}


@pytest.fixture(scope="session")
def folders(
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer: Any,
    make_task: Callable[..., Any],
    make_model: Callable[..., Any],
) -> dict[str, Path]:
    """A folder for one task of each family."""
    import copy

    found = {}
    for name, example in EXAMPLES.items():
        task = make_task(name, finetune={"generation": {"max_new_tokens": 4}})
        own = copy.deepcopy(tokenizer)
        prepare_tokenizer(FAMILIES[task.family], own)
        model = make_model(FAMILIES[task.family](task, own))
        model.resize_token_embeddings(len(own), mean_resizing=False)
        folder = tmp_path_factory.mktemp("models") / name
        model.save_pretrained(folder)
        own.save_pretrained(folder)
        write_card(folder, name, task, example)
        found[name] = folder
    return found


@pytest.fixture(scope="session")
def predictors(folders: dict[str, Path]) -> dict[str, Predictor]:
    """The models of the folders, loaded."""
    return {name: Predictor(folder) for name, folder in folders.items()}


@pytest.fixture(scope="session")
def pretrained(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a decoder as pretraining leaves it, without a card."""
    folder = tmp_path_factory.mktemp("root") / "pretrained" / "decoder"
    shutil.copytree(folders["dialogue"], folder, ignore=shutil.ignore_patterns("textmill.json"))
    return folder
