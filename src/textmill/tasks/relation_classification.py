"""The relation between two marked parts of a text (entity markers: Baldini Soares et al. 2019)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
        encoding = self._encoding(example)
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
        """The encoding of ever smaller surroundings of the two arguments, until both fit.

        Of arguments that are too far apart for that, what stands between them is left out, too.
        """
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
            shown = {"text": text[left:right], **moved}
            encoding = self._encoding(shown)
            if self._complete(encoding["input_ids"]):
                return encoding
            if margin == 0:
                return self._nearest(self._encoding(shown, whole=True))
            margin //= 2

    def _nearest(self, encoding: Mapping[str, list[int]]) -> dict[str, list[int]]:
        """Of an encoding that is too long the marks and the tokens next to them, first of the arguments."""
        ids = encoding["input_ids"]
        first, end = self._frame()
        vocabulary = self.tokenizer.get_added_vocab()
        pairs = [[ids.index(vocabulary[token]) for token in pair] for pair in MARKERS.values()]
        marks = [place for pair in pairs for place in pair]

        def rank(place: int) -> tuple[bool, bool, int]:
            framing = place < len(first) or place >= len(ids) - len(end) or place in marks
            inside = any(opening < place < closing for opening, closing in pairs)
            return not framing, not inside, min(abs(place - other) for other in marks)

        kept = sorted(sorted(range(len(ids)), key=rank)[: self.max_length])
        return {key: [values[place] for place in kept] for key, values in encoding.items()}

    def _encoding(self, example: Example, whole: bool = False) -> dict[str, list[int]]:
        """The marked text, unless ``whole`` cut at ``max_length``; a special token written in it is text."""
        special = [token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special]
        if not any(token in example["text"] for token in special):
            length = None if whole else self.max_length
            return dict(self.tokenizer(mark(example), truncation=not whole, max_length=length, verbose=False))
        # Other texts stay in one piece: the pieces of some tokenizers are other tokens than the whole.
        vocabulary = self.tokenizer.get_added_vocab()
        first, end = self._frame()
        parts = _parts(example)
        body: list[int] = []
        for place, (part, is_mark) in enumerate(parts):
            if is_mark:
                body.append(vocabulary[part])
                continue
            text = re.sub(" +", " ", f" {part} ")
            text = text.lstrip() if place == 0 else text.rstrip() if place == len(parts) - 1 else text
            body += self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        room = len(body) if whole else self.max_length - len(first) - len(end)
        ids = [*first, *body[:room], *end]
        return {"input_ids": ids, "token_type_ids": [0] * len(ids), "attention_mask": [1] * len(ids)}

    def _frame(self) -> tuple[list[int], list[int]]:
        """The ids that the tokenizer puts before and behind a text."""
        token = self.added_tokens[0]
        ids, mark_id = self.tokenizer(token)["input_ids"], self.tokenizer.convert_tokens_to_ids(token)
        place, special = ids.index(mark_id), set(self.tokenizer.all_special_ids)
        first, end = ([i for i in part if i in special] for part in (ids[:place], ids[place + 1 :]))
        return first, end

    def _complete(self, ids: Sequence[int]) -> bool:
        vocabulary = self.tokenizer.get_added_vocab()
        return all(vocabulary[token] in ids for token in self.added_tokens)


def mark(example: Example) -> str:
    """The text with ``<head>``, ``</head>``, ``<tail>`` and ``</tail>`` around the two arguments."""
    shown = "".join(f" {part} " if is_mark else part for part, is_mark in _parts(example))
    return re.sub(" +", " ", shown).strip()


def _parts(example: Example) -> list[tuple[str, bool]]:
    """The marks, and the text before, between and behind them; with each whether it is a mark."""
    text = example["text"]
    marks = []
    for rank, (name, (opening, closing)) in enumerate(MARKERS.items()):
        start, end = example[name]["start"], example[name]["end"]
        # At one place, a closing mark comes before an opening one, and the longer span is outside.
        marks.append((start, 1, -end, rank, opening))
        marks.append((end, 0, -start, -rank, closing))
    parts, last = [], 0
    for place, _, _, _, token in sorted(marks):
        parts += [(text[last:place], False), (token, True)]
        last = place
    return [*parts, (text[last:], False)]
