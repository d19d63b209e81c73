"""Test examples with the model's answers, right and wrong, as marked pieces of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textmill.corpus import privacy
from textmill.records import Example
from textmill.tasks.scores import exact_match

LONGEST = 420  # characters of a text that are shown


@dataclass(frozen=True)
class Piece:
    """A stretch of text; ``mark`` is what it is (a label of a span), None for plain text."""

    text: str
    mark: str | None = None


@dataclass(frozen=True)
class Shown:
    """One example on the page: lines of a heading and its pieces."""

    id: str
    right: bool
    certainty: float | None
    lines: tuple[tuple[str, tuple[Piece, ...]], ...]


def is_right(family: str, gold: Any, prediction: Any) -> bool:
    """Whether a prediction is wholly right: the same label, set of spans, answer or text."""
    if family == "token_classification":
        return _spans(gold) == _spans(prediction)
    if family == "span_extraction":
        return bool(exact_match(prediction["text"], [answer["text"] for answer in gold] or [""]))
    if isinstance(gold, list) and isinstance(prediction, list):
        return sorted(map(str, gold)) == sorted(map(str, prediction))
    if isinstance(gold, str) and isinstance(prediction, str):
        return gold.strip() == prediction.strip()
    return bool(gold == prediction)


def _spans(spans: Sequence[Mapping[str, Any]]) -> set[tuple[int, int, str]]:
    return {(span["start"], span["end"], span["label"]) for span in spans}


def choose(
    family: str,
    examples: Mapping[str, Example],
    predictions: Sequence[Mapping[str, Any]],
    kinds: Sequence[str],
    each: int,
) -> list[Shown]:
    """``each`` right and ``each`` wrong predictions, one a language in turn, the surest of each first.

    The surest errors are those worth reading. ``kinds`` of personal data are replaced.
    """
    shown: list[Shown] = []
    for right in (True, False):
        rows = [
            row
            for row in predictions
            if row["id"] in examples and is_right(family, row["gold"], row["prediction"]) == right
        ]
        rows = sorted(rows, key=lambda row: (-(row.get("score") or 0), row["id"]))
        chosen = _in_turn(rows)[:each]
        shown += [_show(family, examples[row["id"]], row, right, kinds) for row in chosen]
    return shown


def _in_turn(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of each language alternately; languages in order of their codes."""
    places: dict[str, int] = {}
    keyed = []
    for row in rows:
        language = str(row.get("language", ""))
        places[language] = places.get(language, 0) + 1
        keyed.append((places[language], language, row))
    return [row for _, _, row in sorted(keyed, key=lambda item: item[:2])]


def _show(family: str, example: Example, row: Mapping[str, Any], right: bool, kinds: Sequence[str]) -> Shown:
    gold, answer = row["gold"], row["prediction"]
    lines: list[tuple[str, list[Piece]]] = []
    if family == "token_classification":
        lines.append(("Gold", marked(example["text"], gold)))
        if not right:
            lines.append(("Model", marked(example["text"], answer)))
    elif family == "span_extraction":
        spans = [_answer_span(item) for item in gold[:1] if item["text"]]
        lines.append(("Context", marked(example["context"], spans)))
        lines.append(("Question", [Piece(example["question"])]))
        lines += _answers(gold[0]["text"] if gold else "no answer", answer["text"] or "no answer", right)
    elif family == "relation_classification":
        spans = [{**example[key], "label": key} for key in ("head", "tail")]
        lines.append(("Text", marked(example["text"], spans)))
        lines += _answers(gold, answer, right)
    elif family == "dialogue":
        for turn in example["turns"][:-1]:
            lines.append((turn["role"].capitalize(), [Piece(turn["text"])]))
        lines += _answers(gold, answer, right)
    else:
        fields = {"text": "Text", "pair": "Second text", "source": "Source"}
        lines += [(name, [Piece(example[key])]) for key, name in fields.items() if example.get(key)]
        lines += _answers(gold, answer, right)
    tidy = tuple((heading, tuple(_clip(_private(pieces, kinds)))) for heading, pieces in lines)
    return Shown(str(row["id"]), right, row.get("score"), tidy)


def _answers(gold: Any, answer: Any, right: bool) -> list[tuple[str, list[Piece]]]:
    """The gold answer, and the model's where it is another."""
    lines = [("Gold", [Piece(_words(gold))])]
    if not right:
        lines.append(("Model", [Piece(_words(answer))]))
    return lines


def _words(answer: Any) -> str:
    if isinstance(answer, list):
        return ", ".join(map(str, answer)) or "none"
    if isinstance(answer, float):
        return f"{answer:.3g}"
    return str(answer).strip() or "(empty)"


def _answer_span(answer: Mapping[str, Any]) -> dict[str, Any]:
    start = answer.get("start", 0)
    return {"start": start, "end": start + len(answer["text"]), "label": "answer"}


def marked(text: str, spans: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """The text cut at its spans; a span that overlaps an earlier one is left out."""
    pieces, place = [], 0
    for span in sorted(spans, key=lambda span: (span["start"], span["end"])):
        start, end = span["start"], span["end"]
        if start < place or end > len(text):
            continue
        pieces += [Piece(text[place:start]), Piece(text[start:end], str(span["label"]))]
        place = end
    return [piece for piece in [*pieces, Piece(text[place:])] if piece.text]


def _clip(pieces: Sequence[Piece]) -> list[Piece]:
    """At most LONGEST characters; what lies far before the first mark goes first."""
    total = sum(len(piece.text) for piece in pieces)
    if total <= LONGEST:
        return list(pieces)
    first = next((place for place, piece in enumerate(pieces) if piece.mark), None)
    before = sum(len(piece.text) for piece in pieces[:first]) if first is not None else 0
    begin = max(0, min(before - LONGEST // 3, total - LONGEST))
    end = begin + LONGEST
    kept, place = [], 0
    for piece in pieces:
        low, high = max(begin - place, 0), min(end - place, len(piece.text))
        if low < high:
            kept.append(Piece(piece.text[low:high], piece.mark))
        place += len(piece.text)
    return [Piece("… ")] * (begin > 0) + kept + [Piece(" …")] * (end < total)


def _private(pieces: Sequence[Piece], kinds: Sequence[str]) -> list[Piece]:
    """The pieces without personal data; without their marks where one of these cuts through some."""
    (*texts, joined), _ = privacy.redact(
        [*(piece.text for piece in pieces), "".join(piece.text for piece in pieces)], kinds
    )
    if "".join(texts) != joined:
        return [Piece(joined)]
    return [Piece(text, piece.mark) for text, piece in zip(texts, pieces, strict=True)]
