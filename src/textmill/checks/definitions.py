"""Every check: which figure of which table it looks at, and why that matters.

A check compares one column of one table of statistics with the bounds that ``params.yaml: checks``
gives under the same level and name. A new check is a key in params/checks.py, a row here, and a column of
that name in the function that makes the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["document", "corpus", "tokens", "labels"]


@dataclass(frozen=True)
class Definition:
    """One check: ``name`` is its key in params.yaml and its column in ``table``."""

    level: Level
    name: str
    table: str
    unit: str  # of the figure
    why: str


def _checks(level: Level, table: str, *rows: tuple[str, str, str]) -> tuple[Definition, ...]:
    return tuple(Definition(level, name, table, unit, why) for name, unit, why in rows)


DOCUMENTS = _checks(
    "document",
    "documents",
    ("missing_fields", "fields",
     "A document without text, source, licence or language cannot be trained on or answered for."),
    ("duplicate_id", "other documents",
     "An id names one document; two with the same id cannot be told apart in any later question."),
    ("duplicate_text", "other documents",
     "Text seen several times is memorised sooner than learnt from (Lee et al. 2022)."),
    ("characters", "characters",
     "Fragments teach nothing about language, and one huge file can outweigh a whole source."),
    ("replacement_characters", "characters",
     "U+FFFD marks a byte that was lost when text was decoded; the model would learn to write it."),
    ("mojibake", "sequences",
     "UTF-8 read in the wrong encoding wastes vocabulary and teaches spellings nobody writes."),
    ("control_characters", "characters",
     "Control characters are remains of binary formats and terminals, not language."),
    ("not_normalised", "documents",
     "The same letter in two Unicode forms becomes two tokens that know nothing of each other."),
    ("language_unwanted", "documents",
     "A language nobody asked for takes vocabulary and training steps from those that were."),
    ("language_confidence", "share",
     "Where the identifier is unsure the text is often a list, a table or a mixture."),
    ("letters", "share of characters",
     "Running text is letters; a page of symbols or numbers is a table, a log or debris."),
    ("digits", "share of characters",
     "Pages of numbers are tables and logs, whose order no model can predict."),
    ("punctuation", "share of characters",
     "Much punctuation is the mark of code, menus and separators."),
    ("whitespace", "share of characters",
     "Text spread out by spaces was laid out for the eye, not written as sentences."),
    ("repeated_lines", "share of lines",
     "A page that repeats itself teaches a model to repeat itself (Rae et al. 2021)."),
    ("repeated_ngrams", "share of three words",
     "The same words over and over are spam or a broken generator, and teach to loop."),
    ("boilerplate_lines", "lines",
     "A footer shared by many documents is learnt by heart and generated everywhere."),
    ("urls", "share of characters",
     "Addresses are near random characters; a page of them is a list of links."),
    ("markup", "tags",
     "Tags and entities left over from HTML would be generated as if they were text."),
    ("longest_word", "characters",
     "A run of letters without a break is an encoded file, a key or a sequence, not a word."),
    ("surprise", "bits a character",
     "Text whose characters the rest of its language cannot predict is gibberish or another language."),
    ("personal_data", "items",
     "What a model was trained on it can recite, private addresses and numbers included."),
)  # fmt: skip

CORPUS = (
    _checks(
        "corpus", "splits",
        ("documents", "documents",
         "Too few documents in a split, and its figures are chance."),
        ("characters", "characters",
         "The budget of training was chosen for a corpus of a certain size."),
        ("split_share_error", "share",
         "A split far from its target means that the key it is made by does not spread."),
        ("exact_leakage", "documents",
         "A document of the training split seen again in validation or test flatters every loss."),
        ("near_leakage", "documents",
         "A training document with a few words changed flatters the loss just as an exact copy does."),
    )
    + _checks(
        "corpus", "corpus",
        ("kept", "share",
         "Curation that drops most documents is set wrongly; one that drops none is not working."),
        ("near_duplicates", "share of documents",
         "What deduplication left: near copies weigh as much as copies (Lee et al. 2022)."),
        ("vocabulary_growth", "new in a hundred",
         "A corpus whose second half brings hardly a new word or character pair is generated or repeated."),
    )
    + _checks(
        "corpus", "rules",
        ("dropped_by_rule", "share of documents",
         "One rule that drops very many documents is usually wrong about a source or a script."),
    )
    + _checks(
        "corpus", "sources",
        ("source_share", "share of characters",
         "A source that vanished or took over changes what the model is of."),
    )
    + _checks(
        "corpus", "languages",
        ("language_share", "share of characters",
         "A language below its share gets neither vocabulary nor practice."),
        ("median_characters", "characters",
         "A changed typical length is the first sign that an extractor or a splitter broke."),
        ("long_tail", "times the median",
         "A few documents many times as long as the rest dominate whole batches."),
        ("drift_characters", "bits",
         "The characters of a language are distributed as before unless the text itself changed."),
    )
    + _checks(
        "corpus", "drift",
        ("drift_lengths", "bits",
         "Lengths that moved since the last accepted corpus say that reading or splitting changed."),
        ("drift_mix", "bits",
         "Another mix of sources and languages gives another model; it should be on purpose."),
    )
    + _checks(
        "corpus", "tasks",
        ("contamination", "documents",
         "A model that read the test set during pretraining is not being tested."),
    )
)  # fmt: skip

TOKENS = (
    _checks(
        "tokens", "token_splits",
        ("tokens", "tokens",
         "Fewer tokens than a few batches, and there is nothing to train or to measure on."),
        ("packed_length", "tokens",
         "The file of ids, its offsets and its description must agree, or training reads past a document."),
        ("ids_in_range", "tokens",
         "An id beyond the vocabulary stops training on a CPU and corrupts it silently on some devices."),
        ("special_tokens", "tokens",
         "A marker inside text, written by an author, could end a document or open an answer."),
        ("document_ends", "documents",
         "Without its end mark a document runs into the next, and a model never learns to stop."),
    )
    + _checks(
        "tokens", "token_languages",
        ("unknown", "share of tokens",
         "What the vocabulary cannot write the model can neither read nor say."),
        ("bytes_per_token", "bytes",
         "A language cut into tiny tokens gets shorter contexts and costs more for the same text."),
    )
    + _checks(
        "tokens", "vocabulary",
        ("vocabulary_used", "share of tokens",
         "Tokens that never occur keep their random embeddings and take memory and time."),
        ("longest_token", "characters",
         "Very long tokens are learnt from repeated boilerplate."),
        ("drift_tokens", "bits",
         "Another distribution of tokens in validation than in training makes their losses incomparable."),
    )
    + _checks(
        "tokens", "token_documents",
        ("document_tokens", "tokens",
         "Empty and endless documents waste windows."),
        ("round_trip", "documents",
         "If decoding the ids does not give the text back, everything generated is wrong by as much."),
    )
    + _checks(
        "tokens", "token_tasks",
        ("example_tokens", "tokens, in 19 of 20 examples at most",
         "What is beyond the window that a task is fine-tuned with is cut off, or read in further windows."),
    )
)  # fmt: skip

LABELS = _checks(
    "labels", "examples",
    ("missing_fields", "fields",
     "An example without one of its family's fields cannot be learnt from or scored."),
    ("empty_text", "texts",
     "An empty text has no answer, but it has a label, and the model learns to guess."),
    ("duplicate_id", "other examples",
     "Predictions are joined to their examples by id."),
    ("label_unknown", "labels",
     "A label outside the set is a slip of annotation or of the mapping, and has no output to predict it."),
    ("label_unseen", "labels",
     "A label that no training example has is never predicted: each of these answers will be wrong."),
    ("spans_outside", "spans",
     "A span beyond its text was measured on another version of it: every other offset is suspect too."),
    ("spans_overlap", "spans",
     "One label a token cannot say two things at once; the later span would be lost silently."),
    ("answers_missing", "answers",
     "An answer that does not stand at its offset trains the model to point at the wrong words."),
    ("length_ratio", "characters a character",
     "A target far too long or short for its source is usually the neighbour's."),
    ("turns_out_of_order", "turns",
     "A conversation alternates and ends with the assistant, or the model learns the user's part."),
) + _checks(
    "labels", "task_splits",
    ("examples", "examples",
     "A score on a handful of examples has an interval as wide as the difference that matters."),
    ("label_unused", "labels",
     "A class without an example in a split is never learnt or never measured."),
    ("duplicates", "share of examples",
     "Repeated examples weigh more than they should, in training and in the score."),
    ("leakage", "share of examples",
     "A dev or test example that was trained on is remembered, not solved."),
    ("conflicting_labels", "share of examples",
     "The same text with two labels, or question with two answers, caps the score and teaches either."),
    ("source_is_target", "share of examples",
     "A pair that copies its source teaches copying and scores as if it were translation."),
    ("corpus_overlap", "share of examples",
     "A dev or test text that stands in the pretraining corpus has been read before it is asked."),
    ("spans_cut_words", "share of examples",
     "Spans that begin or end inside a word, or on a space, were counted one off or in other units."),
    ("class_share", "share of examples",
     "A class that is almost absent is ignored by the model and hidden by accuracy."),
    ("label_drift", "bits",
     "Other shares of the classes than in training: the splits were not drawn alike."),
) + _checks(
    "labels", "skipped",
    ("skipped_rows", "share of rows",
     "Rows set aside are not missing at random: what they have in common the model never learns."),
    ("tags_malformed", "sentences",
     "Tags that jump or do not close say that the scheme, or the columns, were read wrongly."),
    ("relations_dangling", "relations",
     "A relation that points at no entity lost its argument when somebody edited the file."),
)  # fmt: skip

DEFINITIONS: tuple[Definition, ...] = DOCUMENTS + CORPUS + TOKENS + LABELS

# The command that shows an offender, by table.
_WHY = "textmill why {id}"
COMMANDS: dict[str, str] = {
    "token_splits": _WHY,
    "examples": 'grep -h \'"id": "{id}"\' data/tasks/*/*.jsonl',
    "task_splits": 'grep -h \'"id": "{id}"\' data/tasks/*/*.jsonl',
    "skipped": "grep -hF '{id}' data/tasks/*/skipped.jsonl",
}


def command(table: str, offenders: list[str]) -> str | None:
    """The command that shows the first offender of a check on ``table``, None where there is none."""
    return COMMANDS.get(table, _WHY).format(id=offenders[0]) if offenders else None
