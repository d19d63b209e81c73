"""Scores of joint extraction against annotated texts, and of a graph against a gold graph."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from textmill.graph.build import Graph, Key
from textmill.graph.extraction import Annotated
from textmill.tasks import scores


def joint_scores(gold: Sequence[Annotated], found: Sequence[Annotated]) -> scores.Scores:
    """Micro F1, precision and recall of entities and relations on the same texts (Eberts and Ulges 2020).

    ``entity_``: boundaries and type agree. ``relation_``: the relation's label agrees, and of both
    arguments boundaries and type ("strict" there); ``relation_boundaries_``: of the arguments the
    boundaries alone.
    """
    parts = {
        "entity": scores.spans([_spans(row) for row in gold], [_spans(row) for row in found]),
        "relation": scores.spans([_triples(row) for row in gold], [_triples(row) for row in found]),
        "relation_boundaries": scores.spans(
            [_triples(row, types=False) for row in gold], [_triples(row, types=False) for row in found]
        ),
    }
    return scores.join([scores.renamed(part, f"{name}_") for name, part in parts.items()])


def graph_scores(
    graph: Graph, nodes: Collection[Key], edges: Collection[tuple[Key, str, Key]]
) -> dict[str, float]:
    """Precision, recall and F1 of a graph's nodes and edges against those of a gold graph."""
    found: dict[str, float] = {}
    for name, ours, truth in (("node", set(graph.nodes), set(nodes)), ("edge", set(graph.edges), set(edges))):
        hits: Any = len(ours & truth)  # type: ignore[operator]
        precision, recall = hits / len(ours) if ours else 0.0, hits / len(truth) if truth else 0.0
        found |= {f"{name}_precision": precision, f"{name}_recall": recall}
        found[f"{name}_f1"] = 2 * hits / (len(ours) + len(truth)) if ours or truth else 0.0
    return found


def _spans(row: Annotated) -> list[scores.Span]:
    return [(span["start"], span["end"], span["label"]) for span in row["spans"]]


def _triples(row: Annotated, types: bool = True) -> list[Any]:
    arguments = _spans(row) if types else [span[:2] for span in _spans(row)]
    return [(arguments[r["head"]], r["label"], arguments[r["tail"]]) for r in row["relations"]]
