"""``params.yaml`` as one typed, frozen tree.

The whole file is read and validated whenever any stage starts, so that a slip under ``tasks`` is
met in the first stage and not an hour later. Code holds no hidden defaults: DVC could not see them.
What several blocks share stands once in the file, under ``architecture``, ``training`` and
``generation``, and each block under ``pretrain`` or ``tasks`` overrides what it wants different.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError

from textmill.errors import UserError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0.0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
OnBad = Literal["fail", "skip"]
Kind = Literal["encoder", "decoder", "seq2seq"]
Family = Literal[
    "sequence_classification",
    "relation_classification",
    "token_classification",
    "span_extraction",
    "sequence_to_sequence",
    "dialogue",
]

# The architectures whose heads can serve a family of tasks.
SERVES: dict[str, tuple[Kind, ...]] = {
    "sequence_classification": ("encoder",),
    "relation_classification": ("encoder",),
    "token_classification": ("encoder",),
    "span_extraction": ("encoder",),
    "sequence_to_sequence": ("seq2seq",),
    "dialogue": ("decoder",),
}
# The objectives that an architecture can be pretrained with.
LEARNS: dict[Kind, tuple[str, ...]] = {
    "encoder": ("masked",),
    "decoder": ("causal",),
    "seq2seq": ("denoising",),
}


class Block(BaseModel):
    """A mapping of the file: unknown keys are errors, values are never converted or changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Block):
    """What ``${data.root}`` stands for in the overlays under ``experiments/`` (see ``make params``)."""

    root: str


class Tracking(Block):
    """The MLflow store; the environment's MLFLOW_TRACKING_URI wins over ``uri``."""

    uri: str
    experiment: str


class Energy(Block):
    """What the energy meter assumes where the machine has no counter of its own."""

    watts_per_core: Positive
    grams_co2_per_kwh: Positive


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

    format: Literal["sample", "docstrings", "text", "jsonl", "csv", "parquet", "html", "warc", "hub"]
    licence: str
    path: str
    glob: str | None = None
    encoding: str = "utf-8"
    unit: Literal["document", "paragraph", "line"] | None = None
    text_field: str | None = None
    group_field: str | None = None
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
        missing = [key for key in needs if not getattr(self, key)]
        if missing:
            raise ValueError(f"a source of format {self.format} needs {' and '.join(missing)}")
        return self


class Text(Block):
    """What is done to a document's text before it is looked at."""

    mend_mojibake: bool
    boilerplate_documents: Count  # a line that this many documents of a source share is boilerplate
    max_bytes: Count  # a line, row or file that is larger is bad input
    measure_surprise: bool  # for the quality rule bigram_surprise


class Language(Block):
    """Which languages are kept, by ISO 639-1 code, and how sure the identification must be."""

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
)

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


class Split(Block):
    """Shares of the documents, by hash of the duplicate cluster; the rest is for training."""

    validation: Share
    test: Share


class Corpus(Block):
    """Sources and curation."""

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
        if "bigram_surprise" in self.quality and not self.text.measure_surprise:
            raise ValueError("the quality rule bigram_surprise needs text.measure_surprise: true")
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


class LabelChecks(Block):
    """Checks on the labelled examples of every task."""

    examples: Check | None
    missing_fields: Check | None
    empty_text: Check | None
    duplicate_id: Check | None
    label_unknown: Check | None
    label_unused: Check | None
    class_share: Check | None
    duplicates: Check | None
    leakage: Check | None
    conflicting_labels: Check | None
    spans_outside: Check | None
    spans_overlap: Check | None
    answers_missing: Check | None
    source_is_target: Check | None
    length_ratio: Check | None
    turns_out_of_order: Check | None
    corpus_overlap: Check | None
    label_drift: Check | None


class Checks(Block):
    """What the data must satisfy before anyone trains on it, by level and name of the check."""

    reference: str | None  # profile of the last accepted corpus, which drift is measured against
    near_duplicate: NearDuplicate
    sample: Count  # documents that the round trip through the tokenizer is tried on
    document: DocumentChecks
    corpus: CorpusChecks
    tokens: TokenChecks
    labels: LabelChecks


class Tokenizer(Block):
    """Trained on the corpus (``kind`` and ``vocabulary_size``), or taken from a folder or hub id.

    A character tokenizer without a size holds every character of the corpus.
    """

    kind: Literal["bpe", "wordpiece", "unigram", "character", "existing"]
    vocabulary_size: Count | None
    path: str | None

    @model_validator(mode="after")
    def _complete(self) -> Tokenizer:
        if self.kind == "existing" and not self.path:
            raise ValueError("an existing tokenizer needs path: a folder or a hub id")
        if self.kind not in ("existing", "character") and not self.vocabulary_size:
            raise ValueError(f"a {self.kind} tokenizer needs vocabulary_size")
        return self


class Architecture(Block):
    """The shape of a Transformer; ``layers`` counts each side of an encoder-decoder."""

    layers: Count
    width: Count
    heads: Count
    key_value_heads: Count
    feed_forward: Count
    max_positions: Count
    positions: Literal["rotary", "learned", "sinusoidal"]
    norm: Literal["layer", "rms"]
    norm_first: bool
    activation: Literal["gelu", "relu", "relu2", "swiglu"]
    attention: Literal["fused", "plain"]
    bias: bool  # in linear maps and LayerNorm
    qk_norm: bool  # RMSNorm of queries and keys
    dropout: Share  # of embeddings and residual branches
    attention_dropout: Share  # of attention weights
    tie_embeddings: bool
    pooling: Literal["first", "mean"]  # what a sequence classifier reads
    init_std: Positive
    residual_init: Literal["scaled", "zero", "plain"]  # of a branch's last map

    @model_validator(mode="after")
    def _divisible(self) -> Architecture:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.heads % self.key_value_heads:
            raise ValueError(
                f"heads {self.heads} is not a multiple of key_value_heads {self.key_value_heads}"
            )
        return self


class Objective(Block):
    """What pretraining predicts."""

    name: Literal["causal", "masked", "denoising"]
    separate_documents: bool  # attention never crosses from one document into the next
    probability: Share | None = None  # share of tokens masked or corrupted
    whole_word: bool | None = None  # masked
    noise: Literal["span_corruption", "text_infilling"] | None = None  # denoising
    mean_span: Positive | None = None  # denoising, in tokens

    @model_validator(mode="after")
    def _complete(self) -> Objective:
        needs = {
            "masked": ("probability", "whole_word"),
            "denoising": ("probability", "noise", "mean_span"),
        }.get(self.name, ())
        missing = [key for key in needs if getattr(self, key) is None]
        if missing:
            raise ValueError(f"the objective {self.name} needs {' and '.join(missing)}")
        return self


class Budget(Block):
    """How long to train: exactly one of the four."""

    steps: Count | None = None
    epochs: Positive | None = None
    tokens: Count | None = None
    minutes: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> Budget:
        given = [key for key in type(self).model_fields if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of steps, epochs, tokens, minutes; found {given or 'none'}")
        return self


class Optimizer(Block):
    """AdamW (Loshchilov and Hutter 2019), or Muon for the matrices with AdamW for the rest."""

    name: Literal["adamw", "muon"]
    betas: tuple[Share, Share]
    weight_decay: Annotated[float, Field(ge=0.0)]
    muon_learning_rate: Positive
    muon_momentum: Share


class Schedule(Block):
    """The learning rate over the budget; ``warmup`` is a share of it."""

    name: Literal["linear", "cosine", "constant", "warmup_stable_decay", "inverse_sqrt"]
    warmup: Share


class EarlyStopping(Block):
    """Stop after this many validations without a better score, and keep the best weights."""

    patience: Count


class Lora(Block):
    """Low-rank adaptation (Hu et al. 2021): the matrices' updates have this rank."""

    rank: Count
    alpha: Positive


class Training(Block):
    """One training, of pretraining or of fine-tuning."""

    budget: Budget
    batch_size: Count  # sequences a step
    accumulate: Count  # steps whose gradients are added before the optimiser moves
    max_length: Count  # tokens a sequence
    learning_rate: Positive
    optimizer: Optimizer
    schedule: Schedule
    clip: Annotated[float, Field(ge=0.0)]  # norm of the gradient; 0 leaves it as it is
    label_smoothing: Share
    z_loss: Annotated[float, Field(ge=0.0)]
    ema: Share | None  # decay of the exponential moving average of the weights
    early_stopping: EarlyStopping | None
    layer_decay: Share  # learning rate of a layer as a share of that of the layer above
    frozen_layers: Annotated[int, Field(ge=0)]  # from the embeddings upwards; 1 freezes these alone
    lora: Lora | None
    divergence: Positive  # stop where an interval's loss is so many times the first interval's
    checkpoint_activations: bool
    compile: bool
    validations: Count  # how often the dev or validation split is scored
    checkpoint_every: Count  # steps between resume checkpoints
    log_every: Count  # steps


class Trainer(Block):
    """Lightning's own words, handed to its Trainer; ``threads`` null means all cores."""

    accelerator: str
    devices: Count | Literal["auto"]
    num_nodes: Count
    strategy: str
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true"]  # auto: bf16-mixed if fast
    threads: Count | None
    deterministic: bool  # the same bits again; on a GPU some operations become slower


class Model(Block):
    """One pretrained model: from scratch, or starting from a checkpoint (``init``)."""

    kind: Kind
    init: str | None  # a folder or hub id of a published checkpoint
    architecture: Architecture
    objective: Objective
    training: Training

    @model_validator(mode="after")
    def _learnable(self) -> Model:
        if self.objective.name not in LEARNS[self.kind]:
            raise ValueError(
                f"the objective {self.objective.name} does not fit the architecture {self.kind}, "
                f"which learns by {' or '.join(LEARNS[self.kind])}"
            )
        if self.training.max_length > self.architecture.max_positions:
            raise ValueError(
                f"training.max_length {self.training.max_length} is more than "
                f"architecture.max_positions {self.architecture.max_positions}"
            )
        return self


class TaskData(Block):
    """Where a task's labelled examples come from and how their fields are called there.

    ``path`` is the folder or file that the labels come from, from the top of the project, and what DVC
    watches (for the sample and the hub, which have no files, the code that reads them); ``train``,
    ``dev`` and ``test`` are names inside that folder.
    """

    format: Literal[
        "sample", "jsonl", "csv", "tsv", "parquet", "text", "pairs", "conll", "brat", "label_studio",
        "doccano", "squad", "spert", "semeval", "hub",
    ]  # fmt: skip
    path: str
    train: str | tuple[str, ...] | None = None
    dev: str | tuple[str, ...] | None = None  # none: cut from train by seed
    test: str | tuple[str, ...] | None = None  # none: cut from train by seed
    options: dict[str, Any] = {}  # of the reader: header, delimiter, encoding, columns ...
    fields: dict[str, Any] = {}  # name in an example -> name or number in the file
    label_names: dict[str, str] = {}  # label in the file -> label here
    dataset: str | None = None
    revision: str | None = None
    dev_share: Share = 0.1  # of the training rows, where dev is not named
    test_share: Share = 0.1  # likewise
    limit: Count | None = None  # training examples kept, drawn by seed: for learning curves
    on_bad_row: OnBad = "fail"

    @model_validator(mode="after")
    def _complete(self) -> TaskData:
        if self.format == "hub" and not (self.dataset and self.revision):
            raise ValueError("a hub data set needs dataset and revision")
        if self.format not in ("sample", "hub") and not self.train:
            raise ValueError(f"data of format {self.format} needs train: a path or a list of paths")
        return self


class Generation(Block):
    """How text is generated (sequence_to_sequence and dialogue)."""

    beams: Count
    sample: bool
    temperature: Positive
    top_p: Share
    max_new_tokens: Count
    no_repeat_ngram: Annotated[int, Field(ge=0)]
    length_penalty: float


class Gate(Block):
    """What a fine-tuned model must reach before the registry calls it the champion."""

    metric: str
    min: float | None
    above_baseline: bool


class Task(Block):
    """Labelled data, a family, the pretrained model to start from, a gate."""

    family: Family
    model: Name
    languages: tuple[str, ...]  # of the text, or of the target where text is generated
    labels: tuple[str, ...] | None  # of the classification; null for the other families
    multi_label: bool = False  # sequence_classification: any number of labels for a text
    regression: bool = False  # sequence_classification: the label is a number, and labels is null
    data: TaskData
    finetune: Training
    generation: Generation
    gate: Gate

    @model_validator(mode="after")
    def _complete(self) -> Task:
        classifies = self.family.endswith("classification")
        if classifies and not self.labels and not self.regression:
            raise ValueError(f"the family {self.family} needs labels: the list of them")
        return self


class Params(Block):
    """The whole file."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: Data
    tracking: Tracking
    energy: Energy
    sample: Sample
    corpus: Corpus
    checks: Checks
    tokenizer: Tokenizer
    trainer: Trainer
    architecture: Architecture
    training: Training
    generation: Generation
    pretrain: dict[Name, Model]
    tasks: dict[Name, Task]

    @model_validator(mode="after")
    def _fits_together(self) -> Params:
        for name, task in self.tasks.items():
            model = self.pretrain.get(task.model)
            if model is None:
                raise ValueError(
                    f"tasks.{name}.model: there is no model {task.model!r} under pretrain; "
                    f"known: {', '.join(self.pretrain)}"
                )
            if model.kind not in SERVES[task.family]:
                raise ValueError(
                    f"tasks.{name}.model: {task.model!r} is a model of kind {model.kind}, and the family "
                    f"{task.family} needs {' or '.join(SERVES[task.family])}"
                )
            if task.finetune.max_length > model.architecture.max_positions:
                raise ValueError(
                    f"tasks.{name}.finetune.max_length: {task.finetune.max_length} tokens are more than "
                    f"pretrain.{task.model}.architecture.max_positions {model.architecture.max_positions}"
                )
        return self


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate ``path``; raises UserError naming each wrong key, its line and what is right."""
    path = Path(path)
    tree = read_yaml(path)
    merged = _inherit(tree)
    try:
        # JSON mode: lists become tuples and whole numbers floats, and nothing else is converted.
        return Params.model_validate_json(json.dumps(merged))
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines = [_explain(path, tree, merged, item) for item in found]
        raise UserError("\n".join(dict.fromkeys(lines))) from None


def read_yaml(path: Path) -> CommentedMap:
    """The file as a round-trip tree that knows its lines; raises UserError where it is no YAML mapping."""
    try:
        tree = YAML().load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the top of the project") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}") from None
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1
        problem = str(error.problem).split("with value")[0].strip()
        raise UserError(f"{path}:{line}: {problem} a second time; a key may stand once") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: not YAML: {error.problem}") from None
    if not isinstance(tree, CommentedMap):
        raise UserError(f"{path}: expected a mapping with keys such as seed, corpus, tasks")
    return tree


def merge(base: Any, over: Any) -> Any:
    """``over`` laid on ``base``: mappings key by key, everything else replaced.

    A budget is one choice among four, so a mapping called ``budget`` is replaced whole.
    """
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = value if key == "budget" else merge(base.get(key), value)
    return merged


def _inherit(tree: CommentedMap) -> dict[str, Any]:
    """Complete each model's architecture and training, and each task's finetune, from the shared blocks."""
    plain = json.loads(json.dumps(tree))
    places = [
        (model, key, key) for model in _blocks(plain, "pretrain") for key in ("architecture", "training")
    ]
    for task in _blocks(plain, "tasks"):
        places += [(task, "finetune", "training"), (task, "generation", "generation")]
    for block, key, shared in places:
        block[key] = merge(plain.get(shared), block.get(key, {}))
    return plain


def _blocks(plain: dict[str, Any], key: str) -> list[dict[str, Any]]:
    blocks = plain.get(key)
    return [block for block in blocks.values() if isinstance(block, dict)] if isinstance(blocks, dict) else []


def _explain(path: Path, tree: CommentedMap, merged: dict[str, Any], error: Any) -> str:
    """One line of the message: file:line: dotted path: what was found, what would be right."""
    place = [part for part in error["loc"] if _exists(merged, error["loc"], part)]
    dotted = ".".join(str(part) for part in place)
    where = f"{path}:{_line(tree, place)}: {dotted}" if place else f"{path}"
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        known = sorted(_known_keys(error["loc"][:-1]))
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return f"{where}: unknown key; {hint}"
    if error["type"] == "missing":
        key = str(error["loc"][-1])
        return (
            f"{path}:{_line(tree, place)}: {dotted}: missing"
            if key in place
            else f"{where}: {key} is missing"
        )
    message = error["msg"].removeprefix("Value error, ")
    found = error.get("input")
    shown = "" if isinstance(found, (dict, list)) else f", found {json.dumps(found, ensure_ascii=False)}"
    if isinstance(found, str) and error["type"] == "float_type" and _is_number(found):
        shown += " (a number with an exponent is written 3.0e-4)"
    return f"{where}: {message}{shown}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _exists(merged: dict[str, Any], loc: tuple[Any, ...], part: Any) -> bool:
    """Whether ``part`` of pydantic's path is a key of the file and not the name of a union's branch."""
    node: Any = merged
    for step in loc:
        inside = (isinstance(node, dict) and step in node) or (
            isinstance(node, list) and isinstance(step, int)
        )
        if step == part:
            return inside
        if inside:
            node = node[step]
    return False


def _line(tree: CommentedMap, place: list[Any]) -> int:
    """The line, counted from 1, of the deepest key of ``place`` that the file itself has."""
    node: Any = tree
    line = 1
    for step in place:
        if isinstance(node, CommentedMap) and step in node:
            line = node.lc.key(step)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
            line = node.lc.item(step)[0] + 1
        else:
            break
        node = node[step]
    return line


def _known_keys(loc: tuple[Any, ...]) -> set[str]:
    """The keys that the block at ``loc`` may have."""
    node: Any = Params
    for step in loc:
        fields = getattr(node, "model_fields", None)
        if fields is not None and step in fields:
            node = fields[step].annotation
        else:
            # Inside a dict of blocks, a tuple or a union: the block class among the arguments.
            node = next((arg for arg in get_args(node) if _block_of(arg)), node)
            continue
        node = _block_of(node) or node
    block = _block_of(node)
    return set(block.model_fields) if block else set()


def _block_of(annotation: Any) -> type[Block] | None:
    if isinstance(annotation, type) and issubclass(annotation, Block):
        return annotation
    args = get_args(annotation)
    if args and type(None) in args:
        return next((arg for arg in args if isinstance(arg, type) and issubclass(arg, Block)), None)
    return None
