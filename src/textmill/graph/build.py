"""From annotated texts to a graph: mentions merged into nodes, relations counted into edges."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from textmill.graph.extraction import Annotated

_POSSESSIVE = re.compile(r"['’‘ʼ]s$")
_EDGES = " \t\n.,;:!?\"'“”‘’ʼ()[]{}<>«»‹›„…—·*/`，。；：！？、《》〈〉「」『』【】（）"

Key = tuple[str, str]  # normalised name, type


@dataclass
class Node:
    """An entity: the name that it is called most often, its type, and how often it is mentioned."""

    name: str
    label: str
    mentions: int = 0


@dataclass
class Edge:
    """A relation between two nodes: how often it was found, and how sure that makes it."""

    head: Key
    label: str
    tail: Key
    count: int = 0
    score: float = 0.0
    sources: dict[str, None] = field(default_factory=dict)  # ids of the texts that say so, in their order


@dataclass
class Graph:
    """Nodes and edges by their keys, in the order in which the texts bring them."""

    nodes: dict[Key, Node]
    edges: dict[tuple[Key, str, Key], Edge]


def normalised(name: str) -> str:
    """The form of a name by which mentions are merged.

    Compatibility forms of characters are made one (Unicode NFKC), case and outer punctuation play no part,
    nor do an English possessive or how wide a space is. Nothing else is merged: a family name alone stays
    apart from the full name, since nothing in the text alone says who is meant. A name of punctuation alone
    stays whole.
    """
    text = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return _POSSESSIVE.sub("", text.strip(_EDGES)).strip(_EDGES) or text


def key_of(name: str, label: str) -> Key:
    """The node that a name of a type belongs to."""
    return normalised(name), label


def build(annotated: Iterable[Annotated], min_score: float = 0.0) -> Graph:
    """The graph of annotated texts, without the edges that score below ``min_score``.

    Two mentions are one node where their normalised names and their types agree. A relation found in n
    places with the probabilities p_i scores 1 - prod(1 - p_i), as if the places were independent; a
    relation without a score is certain. A node of which no edge is left stays: it was mentioned.
    """
    nodes: dict[Key, Node] = {}
    names: dict[Key, Counter[str]] = {}
    edges: dict[tuple[Key, str, Key], Edge] = {}
    for row in annotated:
        keys = []
        for span in row["spans"]:
            name = row["text"][span["start"] : span["end"]]
            key = key_of(name, span["label"])
            keys.append(key)
            nodes.setdefault(key, Node(name, span["label"])).mentions += 1
            names.setdefault(key, Counter())[" ".join(name.split())] += 1
        for relation in row["relations"]:
            head, tail = keys[relation["head"]], keys[relation["tail"]]
            edge = edges.setdefault((head, relation["label"], tail), Edge(head, relation["label"], tail))
            edge.count += 1
            edge.score = 1 - (1 - edge.score) * (1 - relation.get("score", 1.0))
            if "id" in row:
                edge.sources[row["id"]] = None
    for key, node in nodes.items():
        node.name = min(names[key].items(), key=lambda item: (-item[1], item[0]))[0]
    return Graph(nodes, {key: edge for key, edge in edges.items() if edge.score >= min_score})
