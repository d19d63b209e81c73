"""A knowledge graph out of text: entities and relations found in a pipeline, merged, scored and written."""

from textmill.graph.build import Edge, Graph, Node, build
from textmill.graph.extraction import Annotated, argument_types, extract, gathered
from textmill.graph.scores import graph_scores, joint_scores
from textmill.graph.write import write

__all__ = [
    "Annotated",
    "Edge",
    "Graph",
    "Node",
    "argument_types",
    "build",
    "extract",
    "gathered",
    "graph_scores",
    "joint_scores",
    "write",
]
