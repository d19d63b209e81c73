"""Entities and relations of a text in a pipeline: mark the entities, then ask about pairs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, permutations
from typing import TYPE_CHECKING, Any, TypeAlias

from textmill.errors import UserError
from textmill.records import Example

if TYPE_CHECKING:
    from textmill.prediction import Predictor

# "text"; "spans" [{"start", "end", "label", "score"?}]; "relations" [{"head", "tail": places among the
# spans, "label", "score"?}]; "id" where the text has one.
Annotated: TypeAlias = dict[str, Any]
# For the types of head and tail, the relations that were seen between them; None: any between any.
Arguments: TypeAlias = dict[tuple[str, str], set[str]] | None

CHUNK = 256  # texts at a time, so that progress can be told and memory stays bounded


def extract(
    entities: Predictor,
    relations: Predictor,
    texts: Iterable[Mapping[str, Any]],
    arguments: Arguments,
    none: str,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[Annotated]:
    """Each text (a mapping with "text") with the entities and relations that the two models find in it.

    A candidate is an ordered pair of two entities of one text whose types are among ``arguments``, and its
    relation the likeliest of those that may stand between these types and ``none``, the label of a pair
    without one. Raises UserError where the models are of other families.
    """
    for predictor, family in ((entities, "token_classification"), (relations, "relation_classification")):
        if predictor.task is None or predictor.task.family != family:
            raise UserError(f"{predictor.name}: expected a model of the family {family}")
    assert relations.task is not None
    if none not in (relations.task.labels or ()):
        known = ", ".join(relations.task.labels or ())
        raise UserError(
            f"{relations.name} has no label {none!r} for pairs without a relation; known: {known}"
        )
    assert entities.task is not None
    types, marked = {part for pair in arguments or () for part in pair}, set(entities.task.labels or ())
    if types and not types & marked:
        raise UserError(
            f"the arguments of the training relations are {', '.join(sorted(types))}, and {entities.name} "
            f"marks {', '.join(sorted(marked))}: no pair would be asked about; expected the same types, or "
            "--train without a file to ask about all pairs"
        )
    rows, done = iter(texts), 0
    while part := list(islice(rows, CHUNK)):
        found = entities.predict([row["text"] for row in part])
        annotated: list[Annotated] = [
            {**_named(row), "text": row["text"], "spans": prediction["prediction"], "relations": []}
            for row, prediction in zip(part, found, strict=True)
        ]
        asked = [(row, pair) for row in annotated for pair in candidates(row["spans"], arguments)]
        answers = relations.predict(
            [
                {"text": row["text"], "head": row["spans"][head], "tail": row["spans"][tail]}
                for row, (head, tail) in asked
            ]
        )
        for (row, (head, tail)), answer in zip(asked, answers, strict=True):
            if answer["prediction"] == none:  # an answer without a probability where it is out_of_scope
                continue
            odds = answer["probabilities"]
            if arguments is not None:
                fitting = arguments[row["spans"][head]["label"], row["spans"][tail]["label"]] | {none}
                odds = {label: p for label, p in odds.items() if label in fitting}
            label = max(odds, key=lambda name: odds[name], default=none)
            # Out of scope, none has no probability: it is what no other label is likely enough against.
            if label != none and (none in odds or odds[label] >= (relations.family.threshold or 0.0)):
                row["relations"].append({"head": head, "tail": tail, "label": label, "score": odds[label]})
        yield from annotated
        done += len(part)
        if on_progress:
            on_progress(done)


def candidates(spans: Sequence[Mapping[str, Any]], arguments: Arguments) -> list[tuple[int, int]]:
    """The ordered pairs of places among ``spans`` that may stand in a relation."""
    return [
        (head, tail)
        for head, tail in permutations(range(len(spans)), 2)
        if arguments is None or (spans[head]["label"], spans[tail]["label"]) in arguments
    ]


def gathered(rows: Iterable[Example], none: str) -> list[Annotated]:
    """Examples of token and relation classification as one annotated text a text, in the order they come.

    An argument of a relation that no example marks as an entity becomes one, of the type that it has there.
    Rows that are annotated already stay as they are, those of one text apart unless they have the same id;
    pairs belong to the first of them.
    """
    found: list[Annotated] = []
    first: dict[str, Annotated] = {}
    annotated: dict[str, dict[Any, Annotated]] = {}  # by text and id
    pairs: list[Example] = []
    for row in rows:
        same = annotated.setdefault(row["text"], {})
        if row["text"] in first and ("spans" not in row or not same):
            text = first[row["text"]]
        elif "spans" in row and row.get("id") is not None and row["id"] in same:
            text = same[row["id"]]
        else:
            text = {**_named(row), "text": row["text"], "spans": [], "relations": []}
            found.append(text)
            first.setdefault(row["text"], text)
        if "head" in row:
            pairs.append(row)
        if "spans" in row:
            text["spans"], text["relations"] = list(row["spans"]), list(row.get("relations", []))
            same[row.get("id")] = text
    for row in pairs:
        text = first[row["text"]]
        places = [_place(text["spans"], row[side]) for side in ("head", "tail")]
        if row["label"] != none:
            text["relations"].append({"head": places[0], "tail": places[1], "label": row["label"]})
    return found


def argument_types(annotated: Iterable[Annotated]) -> dict[tuple[str, str], set[str]]:
    """For each pair of types of head and tail, the relations that annotated texts have between them."""
    found: dict[tuple[str, str], set[str]] = {}
    for row in annotated:
        for relation in row["relations"]:
            types = (row["spans"][relation["head"]]["label"], row["spans"][relation["tail"]]["label"])
            found.setdefault(types, set()).add(relation["label"])
    return found


def _place(spans: list[dict[str, Any]], wanted: Mapping[str, Any]) -> int:
    """Where a span stands among ``spans``; it is added where it does not yet."""
    for place, span in enumerate(spans):
        if (span["start"], span["end"]) == (wanted["start"], wanted["end"]):
            return place
    spans.append(dict(wanted))
    return len(spans) - 1


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    """The id of a text as text, which it is written as; null is none."""
    return {} if row.get("id") is None else {"id": str(row["id"])}
