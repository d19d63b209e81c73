"""Sources and curation: ``sample``, ``corpus``."""

from __future__ import annotations

import difflib
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from textmill.params.block import Block, Count, Name, OnBad, Positive, Share


class Sample(Block):
    """Size of the embedded, generated world."""

    documents: Count
    train: Count
    dev: Count
    test: Count


class Source(Block):
    """One source of documents.

    ``path`` is the file or folder that the text comes from, from the top of the project, and what DVC
    watches, or an address that fsspec knows; ``glob`` picks files inside a folder or an archive. A source
    without files (sample, docstrings, hub) names the code that reads it.
    """

    format: Literal["sample", "docstrings", "text", "jsonl", "csv", "parquet", "conll", "html", "warc", "hub"]
    licence: str
    path: str
    glob: str | None = None
    encoding: str = "utf-8"
    unit: Literal["document", "paragraph", "line"] | None = None
    text_field: str | Annotated[int, Field(ge=0)] | None = None  # a number: column of a CSV without header
    group_field: str | None = None  # its rows stay in one split
    time_field: str | None = None  # its date says the split, by split.dates
    dataset: str | None = None
    revision: str | None = None
    split: str | None = None
    sampling: Annotated[float, Field(ge=0.0)] = 1.0  # times that a document stands in the training split
    weight: Positive | None = None  # share of the training text relative to the other weighted sources

    @model_validator(mode="after")
    def _complete(self) -> Source:
        needs = {
            "text": ("unit",),
            "jsonl": ("text_field",),
            "csv": ("text_field",),
            "parquet": ("text_field",),
            "hub": ("dataset", "revision", "split", "text_field"),
        }.get(self.format, ())
        missing = [key for key in needs if getattr(self, key) is None]
        if missing:
            raise ValueError(f"a source of format {self.format} needs {' and '.join(missing)}")
        if isinstance(self.text_field, int) and self.format != "csv":
            raise ValueError("text_field is a number only for format csv, in a file without header")
        for key in ("group_field", "time_field"):
            if getattr(self, key) is not None and self.format not in ("jsonl", "csv", "parquet", "hub"):
                raise ValueError(f"a source of format {self.format} has no fields for {key}")
        if self.group_field is not None and self.time_field is not None:
            raise ValueError("a source is split by group_field or by time_field, not by both")
        return self


class Examples(Block):
    """Files of texts that the corpus should be like, and unlike: JSON lines with a field ``text``."""

    good: str
    bad: str


class Text(Block):
    """What is done to a document's text before it is looked at."""

    mend_mojibake: bool
    boilerplate_documents: Count  # a line that this many documents of a source share is boilerplate
    max_bytes: Count  # a line, row or file that is larger is bad input
    measure_surprise: bool  # for the quality rules bigram_surprise and unspaced_bigram_surprise
    learn_quality: bool  # for the quality rule learned_quality
    examples: Examples  # what it is learned from


class Language(Block):
    """Which languages are kept, by ISO 639-1 code, and how sure the identification must be."""

    model: str | None = None  # file of a fastText model, whose own codes are then the wanted ones; null: CLD2
    wanted: tuple[str, ...]
    min_confidence: Share
    shares: dict[str, Share] | None = None  # of the training text; null: as it comes


# The quality rules by name; textmill.corpus.rules says what each measures and where it comes from.
QUALITY_RULES: tuple[str, ...] = (
    "gopher_words",
    "gopher_word_length",
    "gopher_hashes",
    "gopher_ellipses",
    "gopher_bullet_lines",
    "gopher_ellipsis_lines",
    "gopher_alphabetic_words",
    "gopher_stop_words",
    "gopher_duplicate_lines",
    "gopher_duplicate_paragraphs",
    "gopher_duplicate_line_characters",
    "gopher_duplicate_paragraph_characters",
    "gopher_top_2gram",
    "gopher_top_3gram",
    "gopher_top_4gram",
    "gopher_duplicate_5grams",
    "gopher_duplicate_6grams",
    "gopher_duplicate_7grams",
    "gopher_duplicate_8grams",
    "gopher_duplicate_9grams",
    "gopher_duplicate_10grams",
    "c4_sentences",
    "c4_curly_brackets",
    "c4_lorem_ipsum",
    "fineweb_line_punctuation",
    "fineweb_short_lines",
    "fineweb_duplicate_line_characters",
    "fineweb_newlines",
    "unspaced_characters",
    "unspaced_letters",
    "unspaced_common_characters",
    "unspaced_distinct_characters",
    "unspaced_duplicate_lines",
    "unspaced_top_4gram",
    "unspaced_duplicate_10grams",
    "characters",
    "letters",
    "digits",
    "symbols",
    "replacement_characters",
    "longest_token",
    "bigram_surprise",
    "unspaced_bigram_surprise",
    "learned_quality",
)
# Rules whose figures ingest measures only where ``text`` says so, and the key that does.
MEASURED_ON_DEMAND = {
    "bigram_surprise": "measure_surprise",
    "unspaced_bigram_surprise": "measure_surprise",
    "learned_quality": "learn_quality",
}


PERSONAL_DATA = Literal[
    "email",
    "phone",
    "ip",
    "mac",
    "id_number",
    "ssn",
    "card",
    "iban",
    "key",
    "url_login",
]


class QualityRule(Block):
    """The bounds of one quality rule; a side that is not given is open."""

    min: float | None = None
    max: float | None = None


class NearDuplicates(Block):
    """MinHash with locality-sensitive hashing (Broder 1997): bands x rows permutations.

    Documents that agree in a band are compared by all their permutations, and are near duplicates from
    ``similarity`` (the estimated Jaccard index of their shingles) on.
    """

    shingle: Count
    bands: Count
    rows: Count
    similarity: Share


class Duplicates(Block):
    """Which copies are dropped; ``near: null`` looks for exact ones only."""

    exact: bool
    near: NearDuplicates | None


class Decontamination(Block):
    """Overlap with the tasks' dev and test texts: the document is dropped, or the span is cut out.

    A task's text that is shorter than ``ngram`` but not than ``shortest`` tokens is searched for whole.
    """

    ngram: Count
    shortest: Count
    action: Literal["drop", "cut"]


class Dates(Block):
    """The first days (YYYY-MM-DD) of the validation and of the test split."""

    validation: str
    test: str

    @field_validator("validation", "test")
    @classmethod
    def _a_day(cls, day: str) -> str:
        try:
            return date.fromisoformat(day).isoformat()
        except ValueError:
            raise ValueError('expected a day as "2024-05-31"') from None

    @model_validator(mode="after")
    def _in_order(self) -> Dates:
        if self.validation >= self.test:
            raise ValueError(f"validation begins on {self.validation}, not before test on {self.test}")
        return self


class Split(Block):
    """Shares of the documents, by hash of the duplicate cluster; the rest is for training.

    Documents with a date go by ``dates``, where there are any.
    """

    validation: Share
    test: Share
    dates: Dates | None


class Engine(Block):
    """Where the steps of the corpus run; their results are the same bytes everywhere.

    ``address`` is that of a Ray cluster (null: one is started on this machine). ``shards`` is where both
    stages keep their shards, an address that fsspec knows (null: in the stage's own output, which the
    workers of a cluster must then all see).
    """

    runner: Literal["native", "ray"]
    address: str | None
    shards: str | None


class Corpus(Block):
    """Sources and curation."""

    engine: Engine
    on_bad_input: OnBad
    sources: dict[Name, Source]
    text: Text
    language: Language
    quality: dict[str, QualityRule]
    duplicates: Duplicates
    privacy: tuple[PERSONAL_DATA, ...]
    decontamination: Decontamination
    split: Split

    @model_validator(mode="after")
    def _measured(self) -> Corpus:
        for rule, key in MEASURED_ON_DEMAND.items():
            if rule in self.quality and not getattr(self.text, key):
                raise ValueError(f"the quality rule {rule} needs text.{key}: true")
        dated = [name for name, source in self.sources.items() if source.time_field is not None]
        if dated and self.split.dates is None:
            raise ValueError(f"sources.{dated[0]}.time_field needs split.dates")
        return self

    @field_validator("quality")
    @classmethod
    def _known_rules(cls, quality: dict[str, QualityRule]) -> dict[str, QualityRule]:
        for name in quality:
            if name not in QUALITY_RULES:
                near = difflib.get_close_matches(name, QUALITY_RULES, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(QUALITY_RULES)}"
                raise ValueError(f"there is no quality rule {name}; {hint}")
        return quality
