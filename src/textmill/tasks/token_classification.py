"""Labelled spans of a text: named entities.

Spans are kept as offsets of characters, whatever the tokenizer does: a token carries the tag of the
characters that it is the first to cover, and spans are put together from the tokens' offsets. Tags are
IOB2. Long texts are read in overlapping windows, and each token is taken from the window that shows it
with most context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill.records import Example
from textmill.tasks import baselines, figures, scores
from textmill.tasks.alignment import windows
from textmill.tasks.base import Batch, Family, Feature, Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel

IGNORE = -100


class TokenClassification(Family):
    """Spans with labels that do not overlap, from a tag a token."""

    auto_class = "AutoModelForTokenClassification"
    pipeline = "token-classification"

    @property
    def tags(self) -> tuple[str, ...]:
        """O, and for each label the tag of its first token and of the others."""
        return ("O", *(f"{place}-{label}" for label in self.task.labels or () for place in "BI"))

    def model_config(self) -> dict[str, Any]:
        """Names of the tags, and whether a conditional random field joins them."""
        return {
            "id2label": dict(enumerate(self.tags)),
            "label2id": {tag: i for i, tag in enumerate(self.tags)},
            **({"crf": True} if self.task.finetune.crf else {}),
        }

    def encode(self, example: Example, labelled: bool = True) -> list[Feature]:
        """Windows of the text, a quarter of each shared with the next; with labels a tag a token."""
        stride = self.max_length // 4
        features = []
        for window in windows(self.tokenizer, [example["text"]], self.max_length, stride):
            feature: Feature = {**window.inputs, "_spans": window.spans}
            if labelled:
                feature["labels"] = self._tag(window.spans, example["spans"])
            features.append(feature)
        return features

    def _tag(self, offsets: Sequence[tuple[int, int]], spans: Sequence[dict[str, Any]]) -> list[int]:
        """The tag of each token; those that cover no character of their own are not learnt."""
        index = {tag: i for i, tag in enumerate(self.tags)}
        tags = [IGNORE if start == end else 0 for start, end in offsets]
        for span in spans:
            place = "B"
            for i, (start, end) in enumerate(offsets):
                if start < span["end"] and end > span["start"] and start < end and tags[i] == 0:
                    # A window may begin inside a span: then its first token here is not its first.
                    place = "I" if start > span["start"] and place == "B" and _inside(offsets, i) else place
                    tags[i] = index[f"{place}-{span['label']}"]
                    place = "I"
        return tags

    def collate(self, features: Sequence[Feature]) -> Batch:
        """Padded, without what only ``decode`` reads."""
        shown = [{key: value for key, value in f.items() if not key.startswith("_")} for f in features]
        return self.pad(shown)

    def forward(self, model: PreTrainedModel, batch: Batch) -> list[Any]:
        """Of each row log probabilities, (tokens, tags), and None; or scores and their chain."""
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        logits = model(**batch).logits.float()
        chain = None
        if self.task.finetune.crf:
            crf: Any = model.crf
            chain = Chain(*(p.detach().float().cpu().numpy() for p in (crf.start, crf.transition, crf.end)))
        else:
            logits = logits.log_softmax(dim=-1)
        scores = logits.cpu().numpy()
        return [(row[:length], chain) for row, length in zip(scores, lengths, strict=True)]

    def decode(self, example: Example, features: Sequence[Feature], outputs: Sequence[Any]) -> Prediction:
        """The spans of the best well-formed tags; a span is as sure as its least sure token."""
        text = example["text"]
        chain: Chain | None = outputs[0][1]
        tokens = self.read_from(features)
        if not tokens:
            return {"prediction": [], "score": 1.0}
        logs = np.stack([outputs[window][0][i] for window, i in tokens])
        path = best_path(logs, self.tags, chain)
        odds = np.exp(logs) if chain is None else marginals(logs, chain)
        spans: list[dict[str, Any]] = []
        for row, ((window, i), tag) in enumerate(zip(tokens, path, strict=True)):
            name, (start, end) = self.tags[tag], features[window]["_spans"][i]
            certainty = float(odds[row, tag])
            if name[0] == "B":
                spans.append({"start": start, "end": end, "label": name[2:], "score": certainty})
            elif name[0] == "I":
                spans[-1]["end"] = end
                spans[-1]["score"] = min(spans[-1]["score"], certainty)
        for span in spans:
            span["text"] = text[span["start"] : span["end"]]
            span["score"] = round(span["score"], 6)
        certainty = float(odds[np.arange(len(path)), path].min())
        return {"prediction": spans, "score": round(certainty, 6)}

    def read_from(self, features: Sequence[Feature]) -> list[tuple[int, int]]:
        """Window and place of the tokens that the answer is read from, in the order of the text.

        Where windows, or tokens of one character, overlap, it is the one that sees most on both sides.
        """
        chosen: dict[int, tuple[int, int, int]] = {}  # start -> (context, window, place)
        for window, feature in enumerate(features):
            last = len(feature["_spans"]) - 1
            for i, (start, end) in enumerate(feature["_spans"]):
                context = min(i, last - i)
                if start < end and (start not in chosen or context > chosen[start][0]):
                    chosen[start] = (context, window, i)
        return [(window, i) for _, (_, window, i) in sorted(chosen.items())]

    def gold(self, example: Example) -> Any:
        """The true spans, each with its text."""
        spans = example.get("spans")
        return spans and [{**span, "text": example["text"][span["start"] : span["end"]]} for span in spans]

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> scores.Scores:
        """F1, precision and recall of spans whose ends and label agree."""
        return scores.spans(
            [_plain(e["spans"]) for e in examples], [_plain(p["prediction"]) for p in predictions]
        )

    def baselines(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, list[Prediction]]:
        """No spans, and the longest matches of names that train has labelled."""
        texts = [example["text"] for example in test]
        found = baselines.longest_match([(e["text"], _plain(e["spans"])) for e in train], texts)
        memory = [
            [{"start": s, "end": e, "label": label, "text": text[s:e]} for s, e, label in spans]
            for text, spans in zip(texts, found, strict=True)
        ]
        return {
            "majority": [{"prediction": []} for _ in test],
            "longest_match": [{"prediction": spans} for spans in memory],
        }

    def figures(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Figure]:
        """F1 of each label."""
        table = self.explain(examples, predictions)["by_label"]
        return {"f1_by_label": figures.bars({label: row["f1"] for label, row in table.items()}, "F1")}

    def explain(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """F1, precision, recall and number of true spans of each label."""
        table = {}
        for label in self.task.labels or ():
            gold = [[s for s in _plain(e["spans"]) if s[2] == label] for e in examples]
            found = [[s for s in _plain(p["prediction"]) if s[2] == label] for p in predictions]
            row = {name: round(value, 4) for name, value in scores.spans(gold, found).values().items()}
            table[label] = {**row, "examples": sum(len(spans) for spans in gold)}
        return {"by_label": table}


@dataclass(frozen=True)
class Chain:
    """The scores of a conditional random field: of the first tag, of one tag after another, of the last."""

    start: np.ndarray  # (tags,)
    transition: np.ndarray  # (tags, tags): from, to
    end: np.ndarray  # (tags,)


def marginals(scores: np.ndarray, chain: Chain) -> np.ndarray:
    """The probability of each tag at each token, over all sequences (forward-backward; Rabiner 1989, III A).

    scores: (tokens, tags) -> the same shape, rows sum to one.
    """
    before, behind = np.empty_like(scores, dtype=float), np.empty_like(scores, dtype=float)
    before[0], behind[-1] = chain.start + scores[0], chain.end
    for row in range(1, len(scores)):
        before[row] = np.logaddexp.reduce(before[row - 1][:, None] + chain.transition, axis=0) + scores[row]
    for row in range(len(scores) - 2, -1, -1):
        behind[row] = np.logaddexp.reduce(chain.transition + scores[row + 1] + behind[row + 1], axis=1)
    both = before + behind
    odds: np.ndarray = np.exp(both - np.logaddexp.reduce(both, axis=1, keepdims=True))
    return odds


def best_path(scores: np.ndarray, tags: Sequence[str], chain: Chain | None = None) -> list[int]:
    """The best well-formed sequence of IOB2 tags (Viterbi 1967): I-x only behind B-x or I-x.

    ``scores`` (tokens, tags) are log probabilities, or with a ``chain`` the scores that go with it.
    """
    allowed = np.array([[b[0] != "I" or a[1:] == b[1:] for b in tags] for a in tags])
    forbidden = np.where(allowed, 0.0, -np.inf)
    best = scores[0] + np.array([0.0 if tag[0] != "I" else -np.inf for tag in tags])
    if chain is not None:
        forbidden, best = forbidden + chain.transition, best + chain.start
    back = np.zeros(scores.shape, dtype=int)
    for row in range(1, len(scores)):
        scored = best[:, None] + forbidden
        back[row] = scored.argmax(axis=0)
        best = scored.max(axis=0) + scores[row]
    path = [int((best if chain is None else best + chain.end).argmax())]
    for row in range(len(scores) - 1, 0, -1):
        path.append(int(back[row, path[-1]]))
    return path[::-1]


def _inside(offsets: Sequence[tuple[int, int]], i: int) -> bool:
    """Whether no token before ``i`` in this window covers text: the window begins here."""
    return all(start == end for start, end in offsets[:i])


def _plain(spans: Sequence[dict[str, Any]]) -> list[scores.Span]:
    return [(span["start"], span["end"], span["label"]) for span in spans]
