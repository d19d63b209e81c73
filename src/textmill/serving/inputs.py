"""What a request may hold, as pydantic models: checked on the way in, and described in /openapi.json."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from textmill.serving import Limits

TURNS = 100  # of one conversation
TEXTS = 2  # of one input at most; the page's form repeats the arguments of a relation
KEYS = 16000  # bytes of one input beside its texts: the keys of so many turns


class _Strict(BaseModel):
    """Unknown keys are errors, values are never converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Span(_Strict):
    """A stretch of the text: characters (code points) from ``start`` up to and without ``end``."""

    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(gt=0)]
    label: str | None = None


class Prediction(BaseModel):
    """``prediction`` as the family has it, and what is known of its certainty (score, probabilities)."""

    model_config = ConfigDict(extra="allow")

    prediction: Any


class Answer(_Strict):
    """One prediction an input, in the order of the inputs."""

    task: str
    predictions: list[Prediction]


class Explained(_Strict):
    """A prediction with what the model looked at, as data and as HTML to be shown beside the text."""

    task: str
    prediction: Prediction
    explanation: Any
    html: str


class About(_Strict):
    """A task that is served: its family, what an input has, and an example of one."""

    name: str
    family: str | None
    labels: list[str] | None
    languages: list[str]
    inputs: list[str]
    example: Any


def input_model(family: str | None, limits: Limits) -> type[BaseModel]:
    """The model of one input of a family; None is a language model, which takes a text."""
    text: Any = Annotated[str, Field(min_length=1, max_length=limits.characters, pattern=r"\S")]
    role: Any = Literal["user", "assistant"]
    turn = create_model("Turn", __base__=_Strict, role=(role, ...), text=(text, ...))

    def short(said: list[Any]) -> list[Any]:
        """The turns, which together may be as long as a text."""
        length = sum(len(each.text) for each in said)
        if length > limits.characters:
            raise ValueError(f"the turns have {length:,} characters, at most {limits.characters:,} together")
        return said

    turns: Any = Annotated[
        list[turn],  # type: ignore[valid-type]
        Field(min_length=1, max_length=TURNS),
        AfterValidator(short),
    ]
    fields: dict[str | None, dict[str, Any]] = {
        None: {"text": (text, ...)},
        "sequence_classification": {"text": (text, ...), "pair": (text | None, None)},
        "relation_classification": {"text": (text, ...), "head": (Span, ...), "tail": (Span, ...)},
        "token_classification": {"text": (text, ...)},
        "span_extraction": {"question": (text, ...), "context": (text, ...)},
        "sequence_to_sequence": {"source": (text, ...)},
        "dialogue": {"turns": (turns, ...)},
    }
    name = "".join(part.capitalize() for part in (family or "text").split("_"))
    made: type[BaseModel] = create_model(f"{name}Input", __base__=_Strict, **fields[family])
    return made


def request_model(family: str | None, limits: Limits) -> type[BaseModel]:
    """The body of a request for predictions: ``inputs``, each an object of the family's fields."""
    one: Any = input_model(family, limits)
    inputs: Any = Annotated[list[one], Field(min_length=1, max_length=limits.inputs)]
    made: type[BaseModel] = create_model(f"{one.__name__}s", __base__=_Strict, inputs=(inputs, ...))
    return made


def largest_body(limits: Limits) -> int:
    """Bytes of a body that none exceeds which ``limits`` allow: twelve a character, and the keys.

    Twelve are the two escaped surrogates in JSON, and the four escaped bytes in a form, of a character
    beyond the basic plane.
    """
    return limits.inputs * (12 * TEXTS * limits.characters + KEYS)
