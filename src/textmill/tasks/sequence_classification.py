"""A label for a text or a pair of texts; or any number of labels, or a number (``regression``)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill.records import Example
from textmill.tasks import baselines, figures, scores
from textmill.tasks.base import Batch, Family, Feature, Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel


NGRAM_SCORES = 2**20  # in a model's table of n-grams, as long as that is 16,384 rows


class SequenceClassification(Family):
    """One label, any number of labels, or a number, for a text or a pair of texts."""

    auto_class = "AutoModelForSequenceClassification"
    pipeline = "text-classification"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the model learns; one that is out of scope is told by its lack of certainty."""
        return tuple(label for label in self.known if label != self.task.finetune.out_of_scope)

    @property
    def known(self) -> tuple[str, ...]:
        """The labels that occur in the data and in predictions."""
        return self.task.labels or ()

    def model_config(self) -> dict[str, Any]:
        """Names of the outputs, and the loss; a number is one output without a name of its own."""
        kind = "multi_label_classification" if self.task.multi_label else "single_label_classification"
        outputs = self.labels
        if self.task.regression:
            kind, outputs = "regression", ("LABEL_0",)  # as transformers names the one number
        return {
            **super().model_config(),
            "id2label": dict(enumerate(outputs)),
            "label2id": {label: i for i, label in enumerate(outputs)},
            "problem_type": kind,
            "ngrams": self.task.finetune.ngrams,
            "ngram_rows": max(NGRAM_SCORES // len(outputs), 2**14) if self.task.finetune.ngrams else 0,
        }

    def text(self, example: Example) -> tuple[str, str | None]:
        """What the model reads: the text and the second text of a pair."""
        return example["text"], example.get("pair")

    def encode(self, example: Example, labelled: bool = True) -> list[Feature]:
        """One window: what is beyond ``max_length`` is cut off."""
        text, pair = self.text(example)
        encoding = self.tokenizer(
            text, pair, truncation=True, max_length=self.max_length, split_special_tokens=True
        )
        feature = self.inputs(encoding)
        if labelled:
            feature["labels"] = self._target(example["label"])
        return [feature]

    def _target(self, label: Any) -> Any:
        if self.task.regression:
            return float(label)
        if self.task.multi_label:
            return [float(name in label) for name in self.labels]
        return self.labels.index(label)

    def collate(self, features: Sequence[Feature]) -> Batch:
        return self.pad(features)

    def forward(self, model: PreTrainedModel, batch: Batch) -> list[Any]:
        """Of each row the probabilities, (labels,), or the number, (1,)."""
        logits = model(**batch).logits.float()
        if self.task.multi_label:
            logits = logits.sigmoid()
        elif not self.task.regression:
            logits = logits.softmax(dim=-1)
        return list(logits.cpu().numpy())

    def decode(self, example: Example, features: Sequence[Feature], outputs: Sequence[Any]) -> Prediction:
        """The likeliest label or, if unsure, ``out_of_scope``; all labels above one half; or the number."""
        if self.task.regression:
            return {"prediction": round(float(outputs[0][0]), 6)}
        # Six digits of each, not six places: who undoes the temperature needs the small ones.
        found = {label: float(f"{p:.6g}") for label, p in zip(self.labels, outputs[0], strict=True)}
        if self.task.multi_label:
            chosen = [label for label, p in found.items() if p > 0.5]
            # The probability that all are right, of labels independent given the text, as in the loss.
            sure = math.prod(max(p, 1 - p) for p in found.values())
            return {"prediction": chosen, "score": float(f"{sure:.6g}"), "probabilities": found}
        best = self.labels[int(np.argmax(outputs[0]))]
        unsure = self.threshold is not None and found[best] < self.threshold
        answer = self.task.finetune.out_of_scope if unsure else best
        return {"prediction": answer, "score": found[best], "probabilities": found}

    def gold(self, example: Example) -> Any:
        return example.get("label")

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> scores.Scores:
        """By the kind of answer: correlation, sets of labels, or accuracy and macro-F1."""
        gold, predicted = self._sides(examples, predictions)
        if self.task.regression:
            return scores.regression(gold, predicted)
        if self.task.multi_label:
            return scores.multi_label(gold, predicted, self.labels)
        measured = scores.classification(gold, predicted, self.known)
        outside = self.task.finetune.out_of_scope
        return scores.join([measured, scores.scope(gold, predicted, outside)]) if outside else measured

    def learns(self, example: Example) -> bool:
        """Whether the label is one that the model has an output for."""
        return (
            self.task.finetune.out_of_scope is None or self.gold(example) != self.task.finetune.out_of_scope
        )

    def class_weights(self, train: Sequence[Example]) -> list[float] | None:
        """Named by the task, or balanced: examples / (labels x examples of the label), as in scikit-learn."""
        weights = self.task.finetune.class_weights
        if weights == "balanced":
            counts = Counter(example["label"] for example in train if self.learns(example))
            return [counts.total() / (len(self.labels) * max(counts[label], 1)) for label in self.labels]
        return [weights[label] for label in self.labels] if weights else None

    def baselines(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, list[Prediction]]:
        """The commonest label or the mean, and a linear model of n-grams."""
        labels = [example["label"] for example in train]
        texts, asked = [self.text(e) for e in train], [self.text(e) for e in test]
        if self.task.regression:
            mean = sum(labels) / len(labels)
            fitted = baselines.linear_regression(texts, labels, asked)
            return {
                "mean": [{"prediction": mean} for _ in test],
                "linear": [{"prediction": value} for value in fitted],
            }
        if self.task.multi_label:
            often = [name for name in self.labels if 2 * sum(name in row for row in labels) > len(labels)]
            each = {
                name: baselines.linear(texts, [str(name in row) for row in labels], asked)
                for name in self.labels
            }
            return {
                "majority": [{"prediction": often} for _ in test],
                "linear": [
                    {"prediction": [name for name in self.labels if each[name][i] == "True"]}
                    for i in range(len(test))
                ],
            }
        majority = min(Counter(labels).items(), key=lambda item: (-item[1], item[0]))[0]
        linear = baselines.linear(texts, labels, asked)
        return {
            "majority": [{"prediction": majority} for _ in test],
            "linear": [{"prediction": label} for label in linear],
        }

    def figures(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Figure]:
        """The confusion matrix of a single label."""
        if self.task.regression or self.task.multi_label:
            return {}
        gold, predicted = self._sides(examples, predictions)
        matrix = scores.confusion(gold, predicted, self.known)
        return {"confusion_matrix": figures.confusion_matrix(matrix, self.known)}

    def explain(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Of a single label: the confusion matrix, and precision, recall and F1 of each."""
        if self.task.regression or self.task.multi_label:
            return {}
        gold, predicted = self._sides(examples, predictions)
        matrix = scores.confusion(gold, predicted, self.known)
        return {
            "labels": list(self.known),
            "confusion": matrix.tolist(),
            "by_label": by_label(matrix, self.known),
        }

    @staticmethod
    def _sides(examples: Sequence[Example], predictions: Sequence[Prediction]) -> tuple[list[Any], list[Any]]:
        return [e["label"] for e in examples], [p["prediction"] for p in predictions]


def by_label(matrix: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and number of examples of each label, from the confusion matrix."""
    table = {}
    for i, label in enumerate(labels):
        hits, truths, guesses = matrix[i, i], matrix[i].sum(), matrix[:, i].sum()
        table[label] = {
            "precision": round(float(hits / guesses) if guesses else 0.0, 4),
            "recall": round(float(hits / truths) if truths else 0.0, 4),
            "f1": round(float(2 * hits / (truths + guesses)) if truths + guesses else 0.0, 4),
            "examples": int(truths),
        }
    return table
