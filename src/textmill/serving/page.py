"""The page that tries a task: a form, the prediction, and what the model looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from textmill.errors import UserError
from textmill.prediction import Predictor
from textmill.report import format
from textmill.report.examples import Piece, marked
from textmill.serving import Limits
from textmill.serving.inputs import TURNS, input_model

HERE = Path(__file__).parent
REPORT = HERE.parent / "report"
Form = Mapping[str, str]

# Name -> media type and content. The report's style is the base of this one.
STATIC: dict[str, tuple[str, bytes]] = {
    "page.css": ("text/css", (REPORT / "page.css").read_bytes() + (HERE / "page.css").read_bytes()),
    "page.js": ("text/javascript", (HERE / "page.js").read_bytes()),
}
# The fields of a form by family: name, what stands above it, lines.
FIELDS: dict[str | None, tuple[tuple[str, str, int], ...]] = {
    None: (("text", "Text", 4),),
    "sequence_classification": (("text", "Text", 4),),
    "relation_classification": (
        ("text", "Text", 4),
        ("head", "First argument, as it stands in the text", 1),
        ("tail", "Second argument, as it stands in the text", 1),
    ),
    "token_classification": (("text", "Text", 4),),
    "span_extraction": (("context", "Context", 6), ("question", "Question", 1)),
    "sequence_to_sequence": (("source", "Text", 6),),
    "dialogue": (("text", "Your turn", 2),),
}
MOST_FIELDS = TURNS + 10  # a conversation has a field a turn, every other form a few
SHOWN = 10  # labels whose probability is drawn


def read_form(body: bytes) -> Form:
    """The fields of a posted form; ends of lines as the texts of corpora have them.

    Raises UserError where there are more of them than a page sends.
    """
    text = body.decode("utf-8", "replace")
    try:
        found = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise UserError(f"The form has more than {MOST_FIELDS} fields.") from None
    return {key: value.replace("\r\n", "\n") for key, value in found}


class Page:
    """Renders the page of each model that is served."""

    def __init__(self, predictors: Mapping[str, Predictor], limits: Limits) -> None:
        self.predictors = predictors
        self.models = {name: input_model(_family(p), limits) for name, p in predictors.items()}
        self.limits = limits
        environment = Environment(
            loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        environment.globals |= {"plain": format.plain, "percent": format.percent}
        self.template = environment.get_template("page.jinja")

    def render(
        self,
        name: str,
        form: Form | None = None,
        item: Mapping[str, Any] | None = None,
        prediction: Mapping[str, Any] | None = None,
        explanation: str | None = None,
        error: str | None = None,
    ) -> str:
        """The page of the task ``name``; with an ``item`` and its ``prediction`` below the form."""
        predictor = self.predictors[name]
        family = _family(predictor)
        given = form if form is not None else self._example(name)
        turns = _said(given) if family == "dialogue" else []
        if item is not None and prediction is not None and "turns" in item:
            turns = [*item["turns"], {"role": "assistant", "text": str(prediction["prediction"])}]
            given = {**given, "text": ""}
        fields = FIELDS[family]
        if family == "sequence_classification" and "pair" in self.card(name):
            fields += (("pair", "Second text", 4),)
        return self.template.render(
            name=name,
            names=list(self.predictors),
            family=family,
            labels=predictor.task.labels if predictor.task else None,
            fields=[(key, heading, lines, given.get(key, "")) for key, heading, lines in fields],
            turns=turns,
            result=None if prediction is None or item is None else _result(family, item, prediction),
            explanation=explanation,
            error=error,
        )

    def item(self, name: str, form: Form) -> dict[str, Any]:
        """The input that a form holds; raises UserError or pydantic's ValidationError where it is none."""
        family = _family(self.predictors[name])
        given: dict[str, Any] = {key: form.get(key, "") for key, _, _ in FIELDS[family]}
        if family == "sequence_classification" and form.get("pair"):
            given["pair"] = form["pair"]
        if family == "relation_classification":
            given["head"] = _place(given["text"], given["head"], "first argument", after=None)
            given["tail"] = _place(given["text"], given["tail"], "second argument", after=given["head"])
        if family == "dialogue":
            given = {"turns": [*_said(form), {"role": "user", "text": given["text"]}]}
        return self.models[name].model_validate(given).model_dump(exclude_none=True)

    def card(self, name: str) -> dict[str, Any]:
        """An example of the model's input."""
        return self.predictors[name].input_example()[0]

    def _example(self, name: str) -> Form:
        """The example as a filled form."""
        shown = dict(self.card(name))
        if "turns" in shown:
            return {"text": shown["turns"][-1]["text"]}
        for key in ("head", "tail"):
            if key in shown:
                shown[key] = shown["text"][shown[key]["start"] : shown[key]["end"]]
        return {key: str(value) for key, value in shown.items()}


def _family(predictor: Predictor) -> str | None:
    return predictor.task.family if predictor.task else None


def _said(form: Form) -> list[dict[str, str]]:
    """The turns of the conversation that a form goes on with."""
    turns = [key for key in form if key.startswith("turn-")]
    return [{"role": ("user", "assistant")[i % 2], "text": form[key]} for i, key in enumerate(turns)]


def _place(text: str, words: str, field: str, after: Mapping[str, int] | None) -> dict[str, int]:
    """Where ``words`` first stand in ``text``; the second argument not on the first."""
    words = words.strip()
    start = text.find(words) if words else -1
    while start >= 0 and after and start < after["end"] and start + len(words) > after["start"]:
        start = text.find(words, start + 1)
    if start < 0:
        raise UserError(
            f"The {field} {words!r} does not stand in the text." if words else f"The {field} is empty."
        )
    return {"start": start, "end": start + len(words)}


def _result(family: str | None, item: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a prediction: an answer, a marked text, probabilities, how sure the model is."""
    answer = prediction["prediction"]
    found: dict[str, Any] = {"answer": None, "pieces": [], "bars": [], "score": prediction.get("score")}
    if family == "token_classification":
        found["pieces"] = marked(item["text"], answer)
        found["answer"] = None if answer else "No span was found."
    elif family == "span_extraction":
        span = {"start": answer["start"], "end": answer["start"] + len(answer["text"]), "label": "answer"}
        found["pieces"] = marked(item["context"], [span] if answer["text"] else [])
        found["answer"] = answer["text"] or "No answer in the context."
    elif family == "relation_classification":
        found["pieces"] = marked(item["text"], [{**item[side], "label": side} for side in ("head", "tail")])
        found["answer"] = format.plain(answer)
    elif isinstance(answer, list):
        found["answer"] = ", ".join(map(format.plain, answer)) or "No label."
    elif isinstance(answer, float):
        found["answer"] = f"{answer:.3g}"
    else:
        found["answer"] = format.plain(answer) if "probabilities" in prediction else str(answer)
    ranked = sorted(prediction.get("probabilities", {}).items(), key=lambda pair: (-pair[1], pair[0]))
    found["bars"] = ranked[:SHOWN]
    found["pieces"] = (
        found["pieces"] or [Piece(item["text"])] if family == "token_classification" else found["pieces"]
    )
    return found
