"""What the families of tasks have in common: encode, predict, decode, score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from textmill.errors import UserError
from textmill.params import Task
from textmill.records import Example
from textmill.tasks.scores import Scores

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Feature = dict[str, Any]  # what the model takes: lists of int, or one int or float; one window of an example
Prediction = dict[str, Any]  # "prediction", and what is known of its certainty
Batch = dict[str, "torch.Tensor"]
# Runs the model over batches of features and gives what Family.forward returned, one list a batch.
Runner = Callable[[Sequence[Batch]], list[list[Any]]]

# Special tokens that families write into a text, so that a foreign tokenizer may have to learn them.
ROLES = {"user": "<user>", "assistant": "<assistant>"}
MARKERS = {"head": ("<head>", "</head>"), "tail": ("<tail>", "</tail>")}


class Family(ABC):
    """A kind of task: how an example becomes token ids, and the model's output an answer.

    Attributes: ``auto_class`` and ``pipeline`` are transformers' names of the model class and of the
    pipeline; ``added_tokens`` the special tokens that the tokenizer must know; ``generates`` whether the
    answer is text that the model writes.
    """

    auto_class: ClassVar[str]
    pipeline: ClassVar[str]
    added_tokens: ClassVar[tuple[str, ...]] = ()
    generates: ClassVar[bool] = False

    # Fitted on dev: the certainty below which an answer is the task's out_of_scope label, or by how much the
    # score of a span must exceed that of no answer.
    threshold: float | None = None

    def __init__(self, task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self.max_length = task.finetune.max_length

    # What a family defines.

    def model_config(self) -> dict[str, Any]:
        """Settings of the model's configuration that follow from the task."""
        if not self.task.finetune.mark_matches:
            return {}
        # What parts the two texts; a BERT names no end of its own.
        return {"mark_matches": True, "eos_token_id": self.tokenizer.sep_token_id}

    def prepare(self, train: Sequence[Example]) -> None:  # noqa: B027
        """Look at the training examples before the training, where the family has to know them."""

    @abstractmethod
    def encode(self, example: Example, labelled: bool = True) -> list[Feature]:
        """The example's windows; with labels for training unless ``labelled`` is false."""

    @abstractmethod
    def collate(self, features: Sequence[Feature]) -> Batch:
        """Features padded to the longest and stacked: (batch, length) each, for ``model(**batch)``."""

    @abstractmethod
    def forward(self, model: PreTrainedModel, batch: Batch) -> list[Any]:
        """The model's output for each row of the batch, as numpy arrays or text."""

    @abstractmethod
    def decode(self, example: Example, features: Sequence[Feature], outputs: Sequence[Any]) -> Prediction:
        """The prediction for an example from the outputs of its windows."""

    @abstractmethod
    def gold(self, example: Example) -> Any:
        """The truth in the form of a prediction, or None where the example has none."""

    @abstractmethod
    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> Scores:
        """The scores of the predictions, example by example."""

    @abstractmethod
    def baselines(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, list[Prediction]]:
        """Predictions of methods that any model should beat, by their name."""

    def figures(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Figure]:
        """Pictures of the result, by name."""
        return {}

    def explain(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Tables beside the scores (by label, confusion) as JSON."""
        return {}

    def lengths(self) -> dict[str, int]:
        """How many tokens the model may have to see, by the keys of the task that say so."""
        lengths = {"finetune.max_length": self.max_length}
        if self.generates:
            lengths["finetune.generation.max_new_tokens"] = self.task.finetune.generation.max_new_tokens
        return lengths

    def too_long(self, model: PreTrainedModel) -> str | None:
        """What of ``lengths`` is more than the model has positions for, if anything."""
        from textmill.models.positions import longest

        room = longest(model)
        for key, length in self.lengths().items():
            if room is not None and length > room:
                return f"{key}: {length} tokens are more than the {room} positions of {type(model).__name__}"
        return None

    def check(self, model: PreTrainedModel, name: str) -> None:
        """Raise UserError where the model is none that the task, which has this name, can be taught."""
        if problem := self.too_long(model):
            raise UserError(f"params.yaml: tasks.{name}.{problem}")
        for key in ("mark_matches", "crf", "ngrams"):
            if getattr(self.task.finetune, key) and not getattr(model.config, key, False):
                raise UserError(
                    f"params.yaml: tasks.{name}.finetune.{key}: {type(model).__name__} has none; "
                    "`textmill import` makes one of ours of a published encoder"
                )

    def learns(self, example: Example) -> bool:
        """Whether a labelled example is one to train on."""
        return True

    def class_weights(self, train: Sequence[Example]) -> list[float] | None:
        """Weights of the labels in the loss, in the model's order, where the task asks for them."""
        return None

    # What follows.

    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, float]:
        """The metrics of a set of predictions."""
        return self.measure(examples, predictions).values()

    def predict(
        self,
        model: PreTrainedModel,
        examples: Sequence[Example],
        batch_size: int,
        run: Runner | None = None,
    ) -> list[Prediction]:
        """Predictions for the examples, which need no labels; batches go by length.

        ``run`` runs the model over the batches, for instance through a Lightning Trainer; without it the
        batches are run here, in evaluation mode and without gradients.
        """
        windows, outputs = self.outputs(model, examples, batch_size, run)
        return [self.decode(*row) for row in zip(examples, windows, outputs, strict=True)]

    def outputs(
        self,
        model: PreTrainedModel,
        examples: Sequence[Example],
        batch_size: int,
        run: Runner | None = None,
    ) -> tuple[list[list[Feature]], list[list[Any]]]:
        """Each example's windows, and what ``forward`` gave for them; arguments as for ``predict``."""
        windows = [self.encode(example, labelled=False) for example in examples]
        flat = [feature for row in windows for feature in row]
        order = sorted(range(len(flat)), key=lambda i: (len(flat[i]["input_ids"]), i))
        chosen = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        batches = [self.collate([flat[i] for i in rows]) for rows in chosen]
        outputs: list[Any] = [None] * len(flat)
        for rows, found in zip(chosen, (run or self._runner(model))(batches), strict=True):
            for i, output in zip(rows, found, strict=True):
                outputs[i] = output
        edges = [0, *accumulate(map(len, windows))]
        return windows, [outputs[start:end] for start, end in pairwise(edges)]

    def _runner(self, model: PreTrainedModel) -> Runner:
        import torch

        def run(batches: Sequence[Batch]) -> list[list[Any]]:
            """The output of each row of each batch; the model is left in the mode that it was in."""
            training = model.training
            model.eval()
            try:
                with torch.inference_mode():
                    device = model.device
                    return [
                        self.forward(model, {key: value.to(device) for key, value in batch.items()})
                        for batch in batches
                    ]
            finally:
                model.train(training)

        return run

    def pad(self, features: Sequence[Feature], left: bool = False) -> Batch:
        """Token lists padded to the longest of the batch; labels are padded with -100."""
        import torch

        fill = {"input_ids": self.tokenizer.pad_token_id, "labels": -100}
        batch: Batch = {}
        for key, value in features[0].items():
            if isinstance(value, list):
                longest = max(len(feature[key]) for feature in features)
                padding = fill.get(key, 0)
                rows = []
                for feature in features:
                    gap = [padding] * (longest - len(feature[key]))
                    rows.append(gap + feature[key] if left else feature[key] + gap)
                batch[key] = torch.tensor(rows)
            elif isinstance(value, (int, float)):
                batch[key] = torch.tensor([feature[key] for feature in features])
        return batch

    def inputs(self, encoding: Any) -> Feature:
        """The parts of a tokenizer's output that the model takes.

        Texts are encoded with ``split_special_tokens``: a special token written out in a text is text.
        """
        return {key: list(encoding[key]) for key in self.tokenizer.model_input_names if key in encoding}


def prepare_tokenizer(family: type[Family], tokenizer: PreTrainedTokenizerBase) -> int:
    """Teach a tokenizer the special tokens that the family writes; returns how many were new."""
    known = tokenizer.get_vocab()
    missing = [token for token in family.added_tokens if token not in known]
    return tokenizer.add_special_tokens({"additional_special_tokens": missing}) if missing else 0
