"""The relation between two marked parts of a text (entity markers: Baldini Soares et al. 2019)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from textmill.records import Example
from textmill.tasks import scores
from textmill.tasks.base import MARKERS, Feature, Prediction
from textmill.tasks.sequence_classification import SequenceClassification


class RelationClassification(SequenceClassification):
    """A label for two marked spans, read off at the marks that open them."""

    added_tokens = tuple(token for pair in MARKERS.values() for token in pair)

    def model_config(self) -> dict[str, Any]:
        """That of a classifier, and the ids of the opening marks."""
        opening = [self.tokenizer.convert_tokens_to_ids(begin) for begin, _ in MARKERS.values()]
        return {**super().model_config(), "marker_ids": opening}

    def text(self, example: Example) -> tuple[str, str | None]:
        """The text with its marks; there is no second one."""
        return mark(example), None

    def encode(self, example: Example, labelled: bool = True) -> list[Feature]:
        """One window that has all four marks: of a long text the surroundings of the arguments."""
        text = mark(example)
        encoding = self.tokenizer(text, truncation=True, max_length=self.max_length)
        if not self._complete(encoding["input_ids"]):
            encoding = self._around(example)
        feature = self.inputs(encoding)
        if labelled:
            feature["labels"] = self.labels.index(example["label"])
        return [feature]

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> scores.Scores:
        """Those of a classifier, and where labels have a direction ``directed_macro_f1``."""
        found = super().measure(examples, predictions)
        if not any(scores.undirected(label) for label in self.labels):
            return found
        return scores.join([found, scores.directed(*self._sides(examples, predictions), self.labels)])

    def _around(self, example: Example) -> dict[str, list[int]]:
        """The encoding of ever smaller surroundings of the two arguments, until both fit."""
        text = example["text"]
        spans = (example["head"], example["tail"])
        start, end = min(s["start"] for s in spans), max(s["end"] for s in spans)
        margin = self.max_length * 4
        while True:
            left, right = max(0, start - margin), min(len(text), end + margin)
            moved = {
                name: {
                    **example[name],
                    "start": example[name]["start"] - left,
                    "end": example[name]["end"] - left,
                }
                for name in MARKERS
            }
            shown = mark({"text": text[left:right], **moved})
            encoding = self.tokenizer(shown, truncation=True, max_length=self.max_length)
            if margin == 0 or self._complete(encoding["input_ids"]):
                return encoding
            margin //= 2

    def _complete(self, ids: Sequence[int]) -> bool:
        vocabulary = self.tokenizer.get_added_vocab()
        return all(vocabulary[token] in ids for token in self.added_tokens)


def mark(example: Example) -> str:
    """The text with ``<head>``, ``</head>``, ``<tail>`` and ``</tail>`` around the two arguments."""
    text = example["text"]
    marks = []
    for rank, (name, (opening, closing)) in enumerate(MARKERS.items()):
        start, end = example[name]["start"], example[name]["end"]
        # At one place, a closing mark comes before an opening one, and the longer span is outside.
        marks.append((start, 1, -end, rank, opening))
        marks.append((end, 0, -start, -rank, closing))
    shown, last = [], 0
    for place, _, _, _, token in sorted(marks):
        shown += [text[last:place], f" {token} "]
        last = place
    return re.sub(" +", " ", "".join([*shown, text[last:]])).strip()
