"""One label for a text, or for a pair of texts."""

from __future__ import annotations

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


class SequenceClassification(Family):
    auto_class = "AutoModelForSequenceClassification"
    pipeline = "text-classification"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.task.labels or ()

    def model_config(self) -> dict[str, Any]:
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: i for i, label in enumerate(self.labels)},
            "problem_type": "single_label_classification",
        }

    def text(self, example: Example) -> tuple[str, str | None]:
        """What the model reads: the text and the second text of a pair."""
        return example["text"], example.get("pair")

    def encode(self, example: Example, labelled: bool = True) -> list[Feature]:
        text, pair = self.text(example)
        encoding = self.tokenizer(
            text, pair, truncation=True, max_length=self.max_length, split_special_tokens=True
        )
        feature = self.inputs(encoding)
        if labelled:
            feature["labels"] = self.labels.index(example["label"])
        return [feature]

    def collate(self, features: Sequence[Feature]) -> Batch:
        return self.pad(features)

    def forward(self, model: PreTrainedModel, batch: Batch) -> list[Any]:
        return list(model(**batch).logits.float().softmax(dim=-1).cpu().numpy())

    def decode(self, example: Example, features: Sequence[Feature], outputs: Sequence[Any]) -> Prediction:
        probabilities = outputs[0]
        best = int(np.argmax(probabilities))
        return {
            "prediction": self.labels[best],
            "score": round(float(probabilities[best]), 6),
            "probabilities": {
                label: round(float(p), 6) for label, p in zip(self.labels, probabilities, strict=True)
            },
        }

    def gold(self, example: Example) -> Any:
        return example.get("label")

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> scores.Scores:
        gold, predicted = self._sides(examples, predictions)
        return scores.classification(gold, predicted, self.labels)

    def baselines(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, list[Prediction]]:
        labels = [example["label"] for example in train]
        majority = min(Counter(labels).items(), key=lambda item: (-item[1], item[0]))[0]
        linear = baselines.linear([self.text(e) for e in train], labels, [self.text(e) for e in test])
        return {
            "majority": [{"prediction": majority} for _ in test],
            "linear": [{"prediction": label} for label in linear],
        }

    def figures(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Figure]:
        gold, predicted = self._sides(examples, predictions)
        matrix = scores.confusion(gold, predicted, self.labels)
        return {"confusion_matrix": figures.confusion_matrix(matrix, self.labels)}

    def explain(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Any]:
        gold, predicted = self._sides(examples, predictions)
        matrix = scores.confusion(gold, predicted, self.labels)
        return {
            "labels": list(self.labels),
            "confusion": matrix.tolist(),
            "by_label": by_label(matrix, self.labels),
        }

    @staticmethod
    def _sides(examples: Sequence[Example], predictions: Sequence[Prediction]) -> tuple[list[str], list[str]]:
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
