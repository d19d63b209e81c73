"""The pipeline's own file: what a stage reads of params.yaml, DVC knows."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from textmill.params.load import load
from textmill.params.tasks import Task

ROOT = Path(__file__).parents[2]
# What evaluate and the report alone read of a task, so that another value trains nothing again.
LATER = {"behaviour", "gate.min", "gate.above_baseline"}


def stage(name: str) -> set[str]:
    """The parameters that a stage of a task names, without ``tasks.T.``."""
    stages: Any = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {key.removeprefix("tasks.${key}.") for key in stages[name]["do"]["params"]}


def test_a_changed_task_is_read_and_trained_again_but_for_what_only_scores_it() -> None:
    told = stage("task_data") | stage("finetune")
    keys = {"gate.metric", "gate.min", "gate.above_baseline"} | set(Task.model_fields) - {"gate"}
    assert keys - told == LATER


def test_the_blocks_that_a_fine_tuning_inherits_are_its_parameters_too() -> None:
    task = load(ROOT / "params.yaml").tasks["headlines"]
    assert {"training", "generation"} <= stage("finetune")
    assert task.finetune.generation == load(ROOT / "params.yaml").generation
