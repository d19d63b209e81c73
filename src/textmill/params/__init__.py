"""``params.yaml`` as one typed, frozen tree.

The whole file is read and validated whenever any stage starts, so that a slip under ``tasks`` is
met in the first stage and not an hour later. Code holds no hidden defaults: DVC could not see them.
What several blocks share stands once in the file, under ``architecture``, ``training`` and
``generation``, and each block under ``pretrain`` or ``tasks`` overrides what it wants different.
"""

from textmill.params.block import Block
from textmill.params.checks import (
    Check,
    Checks,
    CorpusChecks,
    DocumentChecks,
    LabelChecks,
    NearDuplicate,
    TokenChecks,
)
from textmill.params.corpus import (
    PERSONAL_DATA,
    QUALITY_RULES,
    Corpus,
    Dates,
    Decontamination,
    Duplicates,
    Engine,
    Examples,
    Language,
    NearDuplicates,
    QualityRule,
    Sample,
    Source,
    Split,
    Text,
)
from textmill.params.load import load, merge, read_yaml
from textmill.params.models import (
    LEARNS,
    Architecture,
    Budget,
    EarlyStopping,
    Kind,
    Lora,
    Model,
    Objective,
    Optimizer,
    Schedule,
    Tokenizer,
    Trainer,
    Training,
)
from textmill.params.tasks import SERVES, Family, Finetune, Gate, Generation, Task, TaskData
from textmill.params.tree import Data, Energy, Params, Tracking

__all__ = [
    "LEARNS",
    "PERSONAL_DATA",
    "QUALITY_RULES",
    "SERVES",
    "Architecture",
    "Block",
    "Budget",
    "Check",
    "Checks",
    "Corpus",
    "CorpusChecks",
    "Data",
    "Dates",
    "Decontamination",
    "DocumentChecks",
    "Duplicates",
    "EarlyStopping",
    "Energy",
    "Engine",
    "Examples",
    "Family",
    "Finetune",
    "Gate",
    "Generation",
    "Kind",
    "LabelChecks",
    "Language",
    "Lora",
    "Model",
    "NearDuplicate",
    "NearDuplicates",
    "Objective",
    "Optimizer",
    "Params",
    "QualityRule",
    "Sample",
    "Schedule",
    "Source",
    "Split",
    "Task",
    "TaskData",
    "Text",
    "TokenChecks",
    "Tokenizer",
    "Tracking",
    "Trainer",
    "Training",
    "load",
    "merge",
    "read_yaml",
]
