"""What a published family is: a table of tensors, which of theirs is which of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from textmill.errors import UserError
from textmill.models.configuration import TransformerConfig
from textmill.params import Kind


@dataclass(frozen=True)
class Row:
    """``ours`` is the concatenation of ``theirs`` along the rows, each transposed where ``transposed``."""

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False


@dataclass(frozen=True)
class TaskHead:
    """A model of the family that answers a task: written with its stock class, and not read."""

    stock: str  # class of transformers
    rows: Callable[[TransformerConfig], Iterator[Row]]
    needs: Mapping[str, Any]  # field -> the only value that can be expressed, beside the family's


@dataclass(frozen=True)
class Family:
    """A published family: its class and how its configuration and its tensors map to ours.

    ``head`` and ``stock`` are of its language model, whose tensors ``rows`` are.
    """

    kind: Kind
    head: str
    stock: str  # class of transformers
    read: Callable[[Any], dict[str, Any]]  # their configuration -> our fields
    write: Callable[[TransformerConfig], dict[str, Any]]  # ours -> theirs
    needs: Callable[[TransformerConfig], dict[str, Any]]  # field -> the only value that can be expressed
    rows: Callable[[TransformerConfig], Iterator[Row]]
    task_heads: Mapping[str, TaskHead] = field(default_factory=dict)  # by our names of heads


ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "swiglu",
}


def activation(name: str) -> str:
    """Our name of a stock activation; raises UserError where we have none."""
    if name not in ACTIVATIONS:
        raise UserError(f"the activation {name} is not one of ours; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def stock_activation(config: TransformerConfig) -> str:
    """The stock name of our activation; one that only we have keeps its name, which ``needs`` refuses."""
    return {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu", "swiglu": "silu"}.get(
        config.activation, config.activation
    )


def tokens(config: Any) -> dict[str, Any]:
    """The special tokens' ids, which are called the same in every family."""
    return {key: getattr(config, key, None) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}


def pairs(ours: str, theirs: str, bias: bool = True, transposed: bool = False) -> Iterator[Row]:
    """One linear map or norm: weight and bias."""
    yield Row(f"{ours}.weight", (f"{theirs}.weight",), transposed)
    if bias:
        yield Row(f"{ours}.bias", (f"{theirs}.bias",))


def fused(ours: str, theirs: tuple[str, ...], bias: bool = True) -> Iterator[Row]:
    """Several maps of theirs in one of ours."""
    yield Row(f"{ours}.weight", tuple(f"{name}.weight" for name in theirs))
    if bias:
        yield Row(f"{ours}.bias", tuple(f"{name}.bias" for name in theirs))
