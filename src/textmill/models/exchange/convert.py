"""A model of ours from one of `transformers`, and the other way, by the family's table."""

from __future__ import annotations

from typing import Any, Literal

import torch
import transformers
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from textmill.errors import UserError
from textmill.models.auto import MODELS
from textmill.models.configuration import CONFIGS, TransformerConfig
from textmill.models.exchange.bart import BART
from textmill.models.exchange.bert import BERT, ROBERTA
from textmill.models.exchange.gpt2 import GPT2
from textmill.models.exchange.llama import LLAMA
from textmill.models.exchange.table import Family
from textmill.params import Kind

State = dict[str, Tensor]

# By transformers' model_type.
FAMILIES: dict[str, Family] = {"bert": BERT, "roberta": ROBERTA, "gpt2": GPT2, "llama": LLAMA, "bart": BART}
# Which family a kind of ours can be written as; the first that fits is taken.
TARGETS: dict[Kind, tuple[str, ...]] = {
    "encoder": ("bert",),
    "decoder": ("llama", "gpt2"),
    "seq2seq": ("bart",),
}


def from_stock(model: PreTrainedModel, attention: Literal["plain", "fused"] = "plain") -> PreTrainedModel:
    """Our twin of a ``transformers`` model with its language-model head: the same function, our class."""
    name = model.config.model_type
    if name not in FAMILIES:
        raise UserError(f"a checkpoint of type {name} cannot be imported; known: {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    config = CONFIGS[family.kind](attention=attention, **family.read(model.config))
    ours = MODELS[family.kind, family.head][1](config)
    theirs = model.state_dict()
    state: State = {}
    for row in family.rows(config):
        parts = [
            theirs[part].reshape(-1) if part == "final_logits_bias" else theirs[part] for part in row.theirs
        ]
        state[row.ours] = torch.cat([part.T if row.transposed else part for part in parts]).contiguous()
    ours.load_state_dict(state)
    ours.tie_weights()
    ours.to(dtype=model.dtype)  # type: ignore[call-arg]
    return ours.train(model.training)


def _unexpressed(config: TransformerConfig, family: Family, head: str) -> list[str]:
    """What of ``config`` the family has no word for, in a model with that head."""
    problems = []
    needs = family.needs(config)
    if head != family.head:
        needs |= family.task_heads[head].needs
    for field, wanted in needs.items():
        found = getattr(config, field)
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        if found not in allowed:
            problems.append(f"{field} is {found}, it must be {' or '.join(str(value) for value in allowed)}")
    return problems


def to_stock(model: PreTrainedModel, target: str | None = None) -> PreTrainedModel:
    """The stock ``transformers`` model that computes what ``model`` computes.

    ``target`` names a family; without it the first that can express the configuration is taken. Raises
    UserError naming each field that cannot be expressed, or the head.
    """
    config: Any = model.config
    kinds = {cls.model_type: kind for kind, cls in CONFIGS.items()}
    if config.model_type not in kinds:
        raise UserError(f"a checkpoint of type {config.model_type} is not one of ours: {', '.join(kinds)}")
    kind = kinds[config.model_type]
    if target is not None and target not in TARGETS[kind]:
        raise UserError(f"a {kind} can be exported as {' or '.join(TARGETS[kind])}; found {target}")
    names = TARGETS[kind] if target is None else (target,)
    head = next(name for (_, name), (_, cls) in MODELS.items() if cls is type(model))
    with_head = [name for name in names if head == FAMILIES[name].head or head in FAMILIES[name].task_heads]
    if not with_head:
        raise UserError(f"no stock checkpoint is written of {type(model).__name__}")
    problems = {name: _unexpressed(config, FAMILIES[name], head) for name in with_head}
    fitting = [name for name in with_head if not problems[name]]
    if not fitting:
        told = "; ".join(f"as {name}: {', '.join(found)}" for name, found in problems.items())
        raise UserError(f"this {kind} cannot be written as a stock checkpoint ({told})")
    family = FAMILIES[fitting[0]]
    written = family.write(config)
    if head == family.head:
        stock, tensors = family.stock, family.rows
    else:
        stock, tensors = family.task_heads[head].stock, family.task_heads[head].rows
        written |= {key: getattr(config, key) for key in ("id2label", "label2id", "problem_type")}
    cls = getattr(transformers, stock)
    theirs = cls(cls.config_class(**written))
    ours, shapes = model.state_dict(), theirs.state_dict()
    state: State = {}
    for row in tensors(config):
        if row.ours not in ours:
            # A bias or an embedding that we do not have is one of zeros.
            state |= {part: torch.zeros_like(shapes[part]) for part in row.theirs}
            continue
        whole = ours[row.ours].T if row.transposed else ours[row.ours]
        if row.ours.endswith("embeddings.positions.weight"):
            # Rows that BART's table starts with and never uses.
            whole = F.pad(whole, (0, 0, shapes[row.theirs[0]].shape[0] - whole.shape[0], 0))
        rows = [shapes[part].shape[0] for part in row.theirs]
        pieces = [whole.reshape(shapes[row.theirs[0]].shape)] if len(rows) == 1 else whole.split(rows)
        for part, piece in zip(row.theirs, pieces, strict=True):
            state[part] = piece.contiguous()
    theirs.load_state_dict(state, strict=False)
    theirs.tie_weights()
    theirs.to(dtype=model.dtype)
    return theirs.train(model.training)
