"""Labelled data, families and gates: ``tasks``, ``generation``."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from textmill.params.block import Block, Count, Name, OnBad, Positive, Share
from textmill.params.models import Kind, Training

Family = Literal[
    "sequence_classification",
    "relation_classification",
    "token_classification",
    "span_extraction",
    "sequence_to_sequence",
    "dialogue",
]

# The architectures whose heads can serve a family of tasks.
SERVES: dict[str, tuple[Kind, ...]] = {
    "sequence_classification": ("encoder",),
    "relation_classification": ("encoder",),
    "token_classification": ("encoder",),
    "span_extraction": ("encoder",),
    "sequence_to_sequence": ("seq2seq",),
    "dialogue": ("decoder",),
}

# The families that give one label to a text, unless several or a number are asked for.
ONE_LABEL = ("sequence_classification", "relation_classification")

# What the families are measured by; the kinds of classification differ (``Task.metrics``).
_WRITTEN = ("rouge_1", "rouge_2", "rouge_l", "bleu", "chrf", "exact_match")
METRICS: dict[str, tuple[str, ...]] = {
    "token_classification": ("f1", "precision", "recall"),
    "span_extraction": ("f1", "exact_match"),
    "sequence_to_sequence": _WRITTEN,
    "dialogue": _WRITTEN,
}


class TaskData(Block):
    """Where a task's labelled examples come from and how their fields are called there.

    ``path`` is the folder or file that the labels come from, from the top of the project, and what DVC
    watches (for the sample and the hub, which have no files, the code that reads them); ``train``,
    ``dev`` and ``test`` are names inside that folder.
    """

    format: Literal[
        "sample", "jsonl", "csv", "tsv", "parquet", "text", "pairs", "conll", "brat", "label_studio",
        "doccano", "squad", "spert", "semeval", "hub",
    ]  # fmt: skip
    path: str
    train: str | tuple[str, ...] | None = None
    dev: str | tuple[str, ...] | None = None  # none: cut from train by seed
    test: str | tuple[str, ...] | None = None  # none: cut from train by seed
    multi_label: bool = False  # sequence_classification: any number of labels for a text
    regression: bool = False  # sequence_classification: the label is a number, and labels is null
    options: dict[str, Any] = {}  # of the reader: header, delimiter, encoding, columns ...
    fields: dict[str, Any] = {}  # name in an example -> name or number in the file
    label_names: dict[str, str] = {}  # label in the file -> label here
    dataset: str | None = None
    revision: str | None = None
    dev_share: Share = 0.1  # of the training rows, where dev is not named
    test_share: Share = 0.1  # likewise
    limit: Count | None = None  # training examples kept, drawn by seed: for learning curves
    on_bad_row: OnBad = "fail"

    @model_validator(mode="after")
    def _complete(self) -> TaskData:
        if self.format == "hub" and not (self.dataset and self.revision):
            raise ValueError("a hub data set needs dataset and revision")
        if self.format not in ("sample", "hub") and not self.train:
            raise ValueError(f"data of format {self.format} needs train: a path or a list of paths")
        return self


class Generation(Block):
    """How text is generated (sequence_to_sequence and dialogue).

    A token is drawn from the ``top_k`` likeliest (0: all; Fan et al. 2018), and of these from the fewest that
    together have the probability ``top_p`` (Holtzman et al. 2020). ``length_penalty`` is the power of the
    length that a beam's score is divided by: above 0 favours longer texts. ``repetition_penalty`` divides the
    logits of tokens that were written before (Keskar et al. 2019).
    """

    beams: Count
    sample: bool
    temperature: Positive
    top_p: Share
    top_k: Annotated[int, Field(ge=0)] = 0  # models made before it was a key have none in their cards
    min_new_tokens: Annotated[int, Field(ge=0)]
    max_new_tokens: Count
    no_repeat_ngram: Annotated[int, Field(ge=0)]
    repetition_penalty: Positive
    length_penalty: float

    @model_validator(mode="after")
    def _ordered(self) -> Generation:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(
                f"min_new_tokens {self.min_new_tokens} is more than max_new_tokens {self.max_new_tokens}"
            )
        return self


class Finetune(Training):
    """One fine-tuning: a training, and what only labelled data can ask for. What is not named is off."""

    generation: Generation  # how the fine-tuned model writes, on dev too
    seeds: Count = 1  # models trained, from the seed on; the best on dev is kept
    class_weights: Literal["balanced"] | dict[str, Positive] | None = None  # of the labels in the loss
    out_of_scope: str | None = None  # a label that is not learnt: what the model is too unsure of
    crf: bool = False  # token_classification: tags are learnt and told as a sequence
    mark_matches: bool = False  # pairs and questions: the model is told which tokens both texts have
    ngrams: Annotated[int, Field(ge=0, le=5)] = (
        0  # classification: n-grams of up to so many tokens score labels too
    )
    auxiliary: tuple[Name, ...] = ()  # tasks whose batches are mixed in, through the same encoder

    @property
    def smoothed(self) -> bool:
        """Whether the training loss is another than the model's by label_smoothing or z_loss."""
        return bool(self.label_smoothing or self.z_loss)

    @model_validator(mode="after")
    def _together(self) -> Finetune:
        if self.auxiliary and (self.class_weights or self.lora):
            raise ValueError("auxiliary goes neither with class_weights nor with lora")
        return self


class Gate(Block):
    """What a fine-tuned model must reach before the registry calls it the champion."""

    metric: str  # higher is better: the best weights, seed and baseline are chosen by it
    min: float | None
    above_baseline: bool

    @field_validator("metric")
    @classmethod
    def _rises(cls, metric: str) -> str:
        if metric == "rmse":
            raise ValueError("a gate's metric is better where it is higher; take pearson")
        return metric


class Task(Block):
    """Labelled data, a family, the pretrained model to start from, a gate."""

    family: Family
    model: Name
    languages: tuple[str, ...]  # of the text, or of the target where text is generated
    labels: tuple[str, ...] | None  # of the classification; null for the other families
    data: TaskData
    finetune: Finetune
    behaviour: Literal["sentiment"] | None = None  # tests of behaviour that evaluate runs too
    gate: Gate

    @property
    def multi_label(self) -> bool:
        """Whether a text has any number of labels."""
        return self.data.multi_label

    @property
    def regression(self) -> bool:
        """Whether the label is a number."""
        return self.data.regression

    @property
    def one_label(self) -> bool:
        """Whether a text, or what is marked in it, is given one label."""
        return self.family in ONE_LABEL and not self.multi_label and not self.regression

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what the task is measured by."""
        if self.regression:
            return ("pearson", "rmse")
        if self.multi_label:
            return ("accuracy", "micro_f1", "macro_f1")
        if not self.one_label:
            return METRICS[self.family]
        scope: tuple[str, ...] = ()
        if self.finetune.out_of_scope:
            scope = ("in_scope_accuracy", "out_of_scope_recall")
        if self.family == "relation_classification":
            two_ways = any(label.endswith(("(e1,e2)", "(e2,e1)")) for label in self.labels or ())
            scope = (*scope, "directed_macro_f1") if two_ways else scope
        return ("accuracy", "macro_f1", *scope)

    @property
    def own_loss(self) -> str | None:
        """The key or family whose loss label_smoothing and z_loss have no part in; None where they have."""
        keys = {
            "data.multi_label": self.multi_label,
            "data.regression": self.regression,
            "finetune.crf": self.finetune.crf,
            "span_extraction": self.family == "span_extraction",
        }
        return next((key for key, given in keys.items() if given), None)

    @model_validator(mode="after")
    def _answered(self) -> Task:
        for key in ("multi_label", "regression"):
            if getattr(self, key) and self.family != "sequence_classification":
                raise ValueError(f"data.{key} is for the family sequence_classification")
        if self.multi_label and self.regression:
            raise ValueError("data.multi_label and data.regression exclude each other")
        if self.regression and self.labels:
            raise ValueError("data.regression needs labels: null, since a label is a number")
        twice = sorted(label for label, count in Counter(self.labels or ()).items() if count > 1)
        if twice:
            raise ValueError(f"labels has {', '.join(twice)} more than once")
        return self

    @model_validator(mode="after")
    def _measured(self) -> Task:
        if self.gate.metric not in self.metrics:
            raise ValueError(f"gate.metric {self.gate.metric!r} is none of {', '.join(self.metrics)}")
        return self

    @model_validator(mode="after")
    def _complete(self) -> Task:
        classifies = self.family.endswith("classification")
        if classifies and not self.labels and not self.regression:
            raise ValueError(f"the family {self.family} needs labels: the list of them")
        labels = set(self.labels or ())
        weights, outside = self.finetune.class_weights, self.finetune.out_of_scope
        if weights and not self.one_label:
            raise ValueError("finetune.class_weights is for families that give one label to a text")
        if isinstance(weights, dict) and set(weights) != labels:
            raise ValueError(f"finetune.class_weights needs a weight for each of {', '.join(sorted(labels))}")
        if outside and not (self.one_label and outside in labels):
            raise ValueError(f"finetune.out_of_scope: {outside!r} is none of the labels of a classification")
        if self.finetune.mark_matches and self.family not in ("sequence_classification", "span_extraction"):
            raise ValueError("finetune.mark_matches is for sequence_classification and span_extraction")
        if self.finetune.ngrams and self.family not in ("sequence_classification", "relation_classification"):
            raise ValueError("finetune.ngrams is for sequence_classification and relation_classification")
        if self.finetune.crf and self.family != "token_classification":
            raise ValueError("finetune.crf is for the family token_classification")
        if self.finetune.smoothed and self.own_loss:
            raise ValueError(f"{self.own_loss} has a loss of its own, without label_smoothing and z_loss")
        if self.behaviour and not {"negative", "positive"} <= labels:
            raise ValueError("behaviour: sentiment needs the labels negative and positive")
        return self
