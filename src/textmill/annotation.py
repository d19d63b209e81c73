"""The examples that a model is least sure of, for people to label: in Label Studio's and doccano's formats.

Least confidence first (Lewis and Gale 1994). The model's answers go along as pre-annotations. What the tools
write after labelling is read by the readers ``label_studio`` and ``doccano``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from textmill.errors import UserError
from textmill.params import Task
from textmill.records import Example
from textmill.tasks.base import Prediction
from textmill.tasks.readers.annotation import EXAMPLE_ID, KEPT
from textmill.tasks.readers.offsets import to_utf16

FORMATS = ("label_studio", "doccano")
FAMILIES = ("sequence_classification", "token_classification", "relation_classification")
Pair = tuple[Example, Prediction]


def least_sure(pairs: Sequence[Pair], count: int, name: str, threshold: float = 0.0) -> list[Pair]:
    """The ``count`` examples of lowest certainty, the least sure first, each text once.

    Where certainty below ``threshold`` is itself an answer, out of scope, they are those nearest to it.
    Raises UserError where the predictions carry no certainty, as those of texts and numbers do not.
    """
    if any("score" not in prediction for _, prediction in pairs):
        raise UserError(f"the predictions of {name} carry no certainty, so none is the least sure")
    chosen: dict[str, Pair] = {}
    for example, prediction in sorted(pairs, key=lambda pair: abs(pair[1]["score"] - threshold)):
        given = json.dumps([example.get(key) for key in ("text", "pair", "head", "tail")], sort_keys=True)
        chosen.setdefault(given, (example, prediction))
    return list(chosen.values())[:count]


def check(task: Task, form: str, model: str) -> None:
    """Raise UserError for a family that the tool cannot label in this form."""
    if task.family not in FAMILIES or task.regression:
        raise UserError(f"{form} takes {', '.join(FAMILIES)} with labels; {model} is {task.family}")


def export(task: Task, pairs: Sequence[Pair], form: str, model: str) -> str:
    """The file that the tool imports, of a task that ``check`` lets through."""
    if form == "label_studio":
        rows = [_label_studio(task, *pair, model) for pair in pairs]
        if any("pair" in row["data"] for row in rows):  # the interface shows it for every task
            for row in rows:
                row["data"].setdefault("pair", "")
        return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    return "".join(json.dumps(_doccano(task, *pair), ensure_ascii=False) + "\n" for pair in pairs)


def labelling_interface(task: Task, examples: Sequence[Example]) -> str:
    """Label Studio's labelling configuration that the names in the file exported for ``examples`` belong to.

    Where one has a second text, that is shown below the first.
    """
    labels = task.labels or ()
    text = '  <Text name="text" value="$text"/>\n'
    if any(example.get("pair") is not None for example in examples):
        text += '  <Text name="pair" value="$pair"/>\n'
    if task.family == "sequence_classification":
        choice = "multiple" if task.multi_label else "single"
        inside = "".join(f"    <Choice value={quoteattr(label)}/>\n" for label in labels)
        parts = f'  <Choices name="label" toName="text" choice="{choice}">\n{inside}  </Choices>\n'
    else:
        spans: Sequence[str] = labels
        if task.family == "relation_classification":
            spans = sorted({label for example in examples for _, label in _arguments(example)})
        inside = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in spans)
        parts = f'  <Labels name="label" toName="text">\n{inside}  </Labels>\n'
        if task.family == "relation_classification":
            inside = "".join(f"    <Relation value={quoteattr(label)}/>\n" for label in labels)
            parts += f"  <Relations>\n{inside}  </Relations>\n"
    return f"<View>\n{text}{parts}</View>\n"


def _label_studio(task: Task, example: Example, prediction: Prediction, model: str) -> dict[str, Any]:
    """A task with its prediction; offsets in characters, as Label Studio has stored them since 1.4."""
    text, answer = example["text"], prediction["prediction"]
    common = {"from_name": "label", "to_name": "text"}
    result: list[dict[str, Any]]
    if task.family == "sequence_classification":
        chosen = answer if isinstance(answer, list) else [answer]
        result = [{**common, "id": "0", "type": "choices", "value": {"choices": chosen}}]
    else:
        result = [
            {
                **common,
                "id": str(number),
                "type": "labels",
                "value": {**_place(span), "text": text[span["start"] : span["end"]], "labels": [label]},
            }
            for number, (span, label) in enumerate(_spans(task, example, answer))
        ]
        if task.family == "relation_classification":
            result.append(
                {"type": "relation", "from_id": "0", "to_id": "1", "direction": "right", "labels": [answer]}
            )
    return {
        "data": {"text": text, **_kept(example)},
        "predictions": [{"model_version": model, "score": prediction["score"], "result": result}],
    }


def _doccano(task: Task, example: Example, prediction: Prediction) -> dict[str, Any]:
    """A line of doccano's JSONL; offsets in UTF-16 code units, as it counts by default."""
    text, answer = example["text"], prediction["prediction"]
    row: dict[str, Any] = {"text": text}
    spans = [
        (to_utf16(text, span["start"]), to_utf16(text, span["end"]), label)
        for span, label in _spans(task, example, answer)
    ]
    if task.family == "sequence_classification":
        row["label"] = answer if isinstance(answer, list) else [answer]
    elif task.family == "token_classification":
        row["label"] = [list(span) for span in spans]
    else:
        row["entities"] = [
            {"id": number, "start_offset": start, "end_offset": end, "label": label}
            for number, (start, end, label) in enumerate(spans)
        ]
        row["relations"] = [{"id": 0, "from_id": 0, "to_id": 1, "type": answer}]
    # Further fields are kept by the tool as they are, and shown beside the text.
    further = {EXAMPLE_ID if key == "id" else key: value for key, value in _kept(example).items()}
    return {**row, **further, "certainty": prediction["score"]}


def _kept(example: Example) -> dict[str, Any]:
    """The fields that come back through the readers."""
    return {key: example[key] for key in KEPT if example.get(key) is not None}


def _spans(task: Task, example: Example, answer: Any) -> list[tuple[dict[str, Any], str]]:
    if task.family == "token_classification":
        return [(span, span["label"]) for span in answer]
    if task.family == "relation_classification":
        return _arguments(example)
    return []


def _arguments(example: Example) -> list[tuple[dict[str, Any], str]]:
    """Head and tail with their types, or called so where no type is known."""
    return [(example[side], str(example[side].get("label") or side)) for side in ("head", "tail")]


def _place(span: dict[str, Any]) -> dict[str, int]:
    return {"start": span["start"], "end": span["end"]}
