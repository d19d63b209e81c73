"""What the data must satisfy before anyone trains on it: ``checks``."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from textmill.params.block import Block, Count, Share


class Check(Block):
    """The bounds of one check on the data, and what happens when the data is outside them.

    ``mostly`` is the share of rows (documents, examples, languages ...) that must lie inside.
    """

    min: float | None = None
    max: float | None = None
    mostly: Share = 1.0
    severity: Literal["fail", "warn"]

    @model_validator(mode="after")
    def _bounded(self) -> Check:
        if self.min is None and self.max is None:
            raise ValueError("a check needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is more than max {self.max:g}")
        return self


class NearDuplicate(Block):
    """What the checks call a near duplicate: so similar sets (Jaccard) of n-grams of so many tokens."""

    shingle: Count
    similarity: Share


# Every check has its key here, so that a slip in a name is met in the first stage; null leaves a check
# out. What each measures and why it matters stands in textmill.checks.definitions.


class DocumentChecks(Block):
    """Checks on each kept document."""

    missing_fields: Check | None
    duplicate_id: Check | None
    duplicate_text: Check | None
    characters: Check | None
    replacement_characters: Check | None
    mojibake: Check | None
    control_characters: Check | None
    not_normalised: Check | None
    language_unwanted: Check | None
    language_confidence: Check | None
    letters: Check | None
    digits: Check | None
    punctuation: Check | None
    whitespace: Check | None
    repeated_lines: Check | None
    repeated_ngrams: Check | None
    boilerplate_lines: Check | None
    urls: Check | None
    markup: Check | None
    longest_word: Check | None
    surprise: Check | None
    personal_data: Check | None


class CorpusChecks(Block):
    """Checks on the corpus as a whole, its sources, languages and splits."""

    documents: Check | None
    characters: Check | None
    kept: Check | None
    dropped_by_rule: Check | None
    source_share: Check | None
    language_share: Check | None
    split_share_error: Check | None
    exact_leakage: Check | None
    near_duplicates: Check | None
    near_leakage: Check | None
    contamination: Check | None
    median_characters: Check | None
    long_tail: Check | None
    vocabulary_growth: Check | None
    drift_characters: Check | None
    drift_lengths: Check | None
    drift_mix: Check | None


class TokenChecks(Block):
    """Checks on the tokenizer and the packed token ids."""

    tokens: Check | None
    document_tokens: Check | None
    unknown: Check | None
    bytes_per_token: Check | None
    vocabulary_used: Check | None
    longest_token: Check | None
    special_tokens: Check | None
    document_ends: Check | None
    packed_length: Check | None
    ids_in_range: Check | None
    round_trip: Check | None
    drift_tokens: Check | None
    example_tokens: Check | None


class LabelChecks(Block):
    """Checks on the labelled examples of every task."""

    examples: Check | None
    missing_fields: Check | None
    empty_text: Check | None
    duplicate_id: Check | None
    label_unknown: Check | None
    label_unused: Check | None
    label_unseen: Check | None
    class_share: Check | None
    duplicates: Check | None
    leakage: Check | None
    conflicting_labels: Check | None
    spans_outside: Check | None
    spans_overlap: Check | None
    spans_cut_words: Check | None
    answers_missing: Check | None
    source_is_target: Check | None
    length_ratio: Check | None
    turns_out_of_order: Check | None
    corpus_overlap: Check | None
    label_drift: Check | None
    skipped_rows: Check | None
    tags_malformed: Check | None
    relations_dangling: Check | None


class Checks(Block):
    """What the data must satisfy before anyone trains on it, by level and name of the check."""

    reference: str | None  # profile of the last accepted corpus, which drift is measured against
    near_duplicate: NearDuplicate
    sample: Count  # documents that the round trip through the tokenizer is tried on
    document: DocumentChecks
    corpus: CorpusChecks
    tokens: TokenChecks
    labels: LabelChecks
