"""Tokenizer, architecture, objective and training: ``tokenizer``, ``trainer``, ``pretrain``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from textmill.params.block import Block, Count, Positive, Share

Kind = Literal["encoder", "decoder", "seq2seq"]

# The objectives that an architecture can be pretrained with.
LEARNS: dict[Kind, tuple[str, ...]] = {
    "encoder": ("masked",),
    "decoder": ("causal",),
    "seq2seq": ("denoising",),
}


class Tokenizer(Block):
    """Trained on the corpus (``kind`` and ``vocabulary_size``), or taken from a folder or hub id.

    A character tokenizer without a size holds every character of the corpus.
    """

    kind: Literal["bpe", "wordpiece", "unigram", "character", "existing"]
    vocabulary_size: Count | None = None
    path: str | None = None

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
    # Share of the budget over which the layers join the training, from the head down to the embeddings.
    gradual_unfreezing: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    divergence: Positive  # stop where an interval's loss is so many times the first interval's
    checkpoint_activations: bool
    compile: bool
    validations: Count  # how often the dev or validation split is scored
    checkpoint_every: Count  # steps between resume checkpoints
    log_every: Count  # steps

    @model_validator(mode="after")
    def _thawing(self) -> Training:
        if self.gradual_unfreezing is not None and (self.frozen_layers or self.lora):
            other = "lora" if self.lora else "frozen_layers"
            raise ValueError(
                f"gradual_unfreezing trains every layer in the end, and {other} trains some never; "
                "give one of them"
            )
        if self.lora and self.frozen_layers:
            raise ValueError(
                "lora trains matrices in every layer, and frozen_layers trains some layers never; "
                "give one of them"
            )
        return self


class Trainer(Block):
    """Lightning's own words, handed to its Trainer; ``threads`` null means all cores."""

    accelerator: str
    devices: Count | Literal["auto"]
    num_nodes: Count
    strategy: str
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true"]  # auto: bf16-mixed if fast
    threads: Count | None
    deterministic: bool  # the same bits again; on a GPU some operations become slower

    @field_validator("strategy")
    @classmethod
    def _whole(cls, strategy: str) -> str:
        if strategy.startswith(("fsdp_", "deepspeed")):
            raise ValueError(
                "of the strategies that cut the model into shards, fsdp alone is built here; take it"
            )
        return strategy

    @model_validator(mode="after")
    def _unscaled(self) -> Trainer:
        if self.strategy == "fsdp" and self.precision == "16-mixed":
            raise ValueError("the strategy fsdp has no loss scaling for precision 16-mixed; take bf16-mixed")
        return self


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
