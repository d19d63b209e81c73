"""Families of tasks: one file each, one table here."""

from textmill.tasks.base import Family
from textmill.tasks.dialogue import Dialogue
from textmill.tasks.relation_classification import RelationClassification
from textmill.tasks.sequence_classification import SequenceClassification
from textmill.tasks.sequence_to_sequence import SequenceToSequence
from textmill.tasks.span_extraction import SpanExtraction
from textmill.tasks.token_classification import TokenClassification

FAMILIES: dict[str, type[Family]] = {
    "sequence_classification": SequenceClassification,
    "relation_classification": RelationClassification,
    "token_classification": TokenClassification,
    "span_extraction": SpanExtraction,
    "sequence_to_sequence": SequenceToSequence,
    "dialogue": Dialogue,
}
