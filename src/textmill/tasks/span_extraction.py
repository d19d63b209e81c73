"""Extractive question answering: the answer is a span of the context, or there is none.

Long contexts are read in overlapping windows. "No answer" is the span at the first token, as in BERT for
SQuAD 2.0 (Devlin et al. 2019, section 4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill.records import Example
from textmill.tasks import baselines, figures, scores
from textmill.tasks.alignment import windows
from textmill.tasks.base import Batch, Family, Feature, Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel

ALWAYS = -1e9  # the threshold of a task all of whose questions have an answer


class SpanExtraction(Family):
    """A span of the context, of at most half a window, or none where the best exceeds no answer by the
    threshold or less."""

    auto_class = "AutoModelForQuestionAnswering"
    pipeline = "question-answering"

    def encode(self, example: Example, labelled: bool = True) -> list[Feature]:
        """Windows of the context, each behind the question; with labels the first and last token."""
        question, context = example["question"].strip(), example["context"]
        # At least half of a window is the context's: of a longer question the beginning is kept.
        asked = windows(self.tokenizer, [question], self.max_length // 2, 0)
        if len(asked) > 1:
            question = question[: max(end for _, end in asked[0].spans)]
        room = self.max_length - len(asked[0].spans) - 2
        stride = max(1, min(self.max_length // 4, room // 2))
        features = []
        for window in windows(self.tokenizer, [question, context], self.max_length, stride):
            feature: Feature = {**window.inputs, "_spans": window.spans}
            if labelled:
                found = _positions(window.spans, example["answers"])
                feature["start_positions"], feature["end_positions"] = found
            features.append(feature)
        return features

    def collate(self, features: Sequence[Feature]) -> Batch:
        """Padded, without what only ``decode`` reads."""
        return self.pad([{k: v for k, v in f.items() if not k.startswith("_")} for f in features])

    def forward(self, model: PreTrainedModel, batch: Batch) -> list[Any]:
        """Of each row the logits of first and last token, (tokens,) each, without padding."""
        output = model(**batch)
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        starts, ends = output.start_logits.float().cpu().numpy(), output.end_logits.float().cpu().numpy()
        return [(s[:n], e[:n]) for s, e, n in zip(starts, ends, lengths, strict=True)]

    def decode(self, example: Example, features: Sequence[Feature], outputs: Sequence[Any]) -> Prediction:
        """The best span over all windows, or empty text; its score is a probability among all spans."""
        (score, start, end), nothing, total = self._best(features, outputs)
        total = np.logaddexp(total, nothing)
        if score - nothing <= (self.threshold or 0.0):
            return {"prediction": {"text": "", "start": 0}, "score": round(float(np.exp(nothing - total)), 6)}
        answer = {"text": example["context"][start:end], "start": start}
        return {"prediction": answer, "score": round(float(np.exp(score - total)), 6)}

    def _best(
        self, features: Sequence[Feature], outputs: Sequence[Any]
    ) -> tuple[tuple[float, int, int], float, float]:
        """The best span over all windows (score, start, end), the score of no answer, and the logarithm of
        the sum over all spans."""
        best, nothing, total = (-np.inf, 0, 0), np.inf, -np.inf
        for feature, (starts, ends) in zip(features, outputs, strict=True):
            own = feature["_spans"]
            real = np.array([start < end for start, end in own])
            pairs = starts[:, None] + ends[None, :]
            distance = np.arange(len(own))[None, :] - np.arange(len(own))[:, None]
            short = (distance >= 0) & (distance < self.max_length // 2)
            pairs = np.where(real[:, None] & real[None, :] & short, pairs, -np.inf)
            # The window that is least sure that it has no answer speaks for the context.
            nothing = min(nothing, float(starts[0] + ends[0]))
            total = np.logaddexp(total, np.logaddexp.reduce(pairs, axis=None))
            i, j = np.unravel_index(int(pairs.argmax()), pairs.shape)
            if pairs[i, j] > best[0]:
                best = (float(pairs[i, j]), own[i][0], own[j][1])
        return best, nothing, total

    def prepare(self, train: Sequence[Example]) -> None:
        """Settle whether there is always an answer, or a threshold to be fitted."""
        # Windows beside the answer teach "no answer" even where every question has one.
        self.threshold = ALWAYS if all(example["answers"] for example in train) else None

    def fit_threshold(self, dev: Sequence[Example], model: PreTrainedModel, batch_size: int) -> float:
        """By how much an answer's score must exceed that of no answer: what gives the best F1 on ``dev``
        (Devlin et al. 2019, section 4.3), the one nearest to 0 among equals."""
        if self.threshold == ALWAYS:
            return ALWAYS
        windows_of, outputs = self.outputs(model, dev, batch_size)
        margins, gains = [], []
        for example, features, found in zip(dev, windows_of, outputs, strict=True):
            (score, start, end), nothing, _ = self._best(features, found)
            truths = [answer["text"] for answer in example["answers"]] or [""]
            answer = example["context"][start:end]
            margins.append(score - nothing)
            gains.append(scores.token_f1(answer, truths) - scores.token_f1("", truths))
        order = np.argsort(margins, kind="stable")[::-1]
        edges = np.array(margins)[order]
        total = np.concatenate([[0.0], np.cumsum(np.array(gains)[order])])
        # Between two margins; before the first nothing is answered, after the last everything.
        between = np.concatenate([edges[:1] + 1.0, (edges[:-1] + edges[1:]) / 2, edges[-1:] - 1.0])
        best = np.flatnonzero(total >= total.max() - 1e-9)
        return round(float(between[best[np.argmin(np.abs(between[best]))]]), 6)

    def gold(self, example: Example) -> Any:
        return example.get("answers")

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> scores.Scores:
        """Token F1 and exact match, the best over an example's true answers."""
        truths = [[a["text"] for a in e["answers"]] or [""] for e in examples]
        answers = [p["prediction"]["text"] for p in predictions]
        pairs = list(zip(answers, truths, strict=True))
        return scores.means(
            {
                "f1": [scores.token_f1(answer, truth) for answer, truth in pairs],
                "exact_match": [scores.exact_match(answer, truth) for answer, truth in pairs],
            }
        )

    def baselines(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, list[Prediction]]:
        """No answer, where some have none; the sentence nearest to the question; a sliding window."""
        known = [(e["question"], e["context"], [a["text"] for a in e["answers"]]) for e in train]
        asked = [(e["question"], e["context"]) for e in test]
        found = {
            "majority": [("", 0) for _ in test],
            "sentence": [(baselines.word_overlap_sentence(*pair), 0) for pair in asked],
            "sliding_window": baselines.sliding_window(known, asked),
        }
        if all(answers for _, _, answers in known):
            del found["majority"]
        return {
            name: [{"prediction": {"text": text, "start": start}} for text, start in answers]
            for name, answers in found.items()
        }

    def figures(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Figure]:
        """How token F1 is spread over the examples."""
        values = self.measure(examples, predictions).rows[:, 1]
        return {"f1_histogram": figures.histogram(values.tolist(), "token F1 of an answer", bins=10)}

    def explain(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """The scores of questions with and without an answer."""
        measured = self.measure(examples, predictions)
        answered = np.array([bool(e["answers"]) for e in examples])
        table = {}
        for name, mask in (("answerable", answered), ("unanswerable", ~answered)):
            if mask.any():
                part = {k: round(v, 4) for k, v in measured.subset(mask).values().items()}
                table[name] = {**part, "examples": int(mask.sum())}
        return {"by_kind": table}


def _positions(own: Sequence[tuple[int, int]], answers: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """First and last token of the first answer that lies wholly in the window; (0, 0) where none does."""
    for answer in answers:
        start, end = answer["start"], answer["start"] + len(answer["text"])
        inside = [i for i, (a, b) in enumerate(own) if a < b and a < end and b > start]
        # The tokens may reach beyond the answer, but must not leave out a part of it.
        if inside and own[inside[0]][0] <= start and own[inside[-1]][1] >= end:
            return inside[0], inside[-1]
    return 0, 0
