"""A pretrained model as a fine-tuning begins with it: under the head of its task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.tasks.base import Family
from textmill.training.optimizers import NEW

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load(family: Family, folder: Path) -> PreTrainedModel:
    """The model in ``folder`` with the head of ``family``; a new head is drawn from torch's global state.

    Where the family has a head of its own, it is new and that of pretraining left out by design, and nothing
    is said of either. Of other weights that are missing or left over transformers reports.
    """
    import torch
    import transformers

    import textmill  # noqa: F401  registers textmill's architectures with transformers

    known = transformers.AutoConfig.from_pretrained(folder)  # a published architecture has no marker_ids
    settings = {key: value for key, value in family.model_config().items() if hasattr(known, key)}
    auto = getattr(transformers, family.auto_class)
    kind = auto._model_mapping.get(type(known), transformers.PreTrainedModel)
    body = re.escape(kind.base_model_prefix)
    head = () if family.generates else (rf"^(?!{body}\.)", NEW.pattern)
    transformers.utils.logging.disable_progress_bar()  # of reading and writing one small file
    with _unreported(kind, head):
        model: PreTrainedModel = auto.from_pretrained(folder, dtype=torch.float32, **settings)
    # Where this project lies is nobody's business who is given the model, and no part of what was learnt.
    model.config.name_or_path = ""
    return model


def widen(model: PreTrainedModel, size: int) -> None:
    """Give ``model`` rows for ``size`` tokens; new ones are drawn from torch's global state, as the old lie.

    About their mean, for what a language model writes to stay as likely as it was (Hewitt 2021,
    https://nlp.stanford.edu/~johnhew/vocab-expansion.html); but as far apart as they are, where transformers
    draws all but one point, so that a model can tell one new token from another.
    """
    import torch

    known = model.get_input_embeddings().num_embeddings
    model.resize_token_embeddings(size, mean_resizing=False)
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    for weight in {id(table.weight): table.weight.data for table in tables if table is not None}.values():
        old, new = weight[:known], weight[known:]
        new.copy_(old.mean(dim=0) + old.std(dim=0) * torch.randn_like(new))


@contextmanager
def _unreported(kind: type[PreTrainedModel], patterns: Sequence[str]) -> Iterator[None]:
    """Within, models of ``kind`` are loaded without a report of the weights whose names match."""
    names = ("_keys_to_ignore_on_load_missing", "_keys_to_ignore_on_load_unexpected")
    before: dict[str, Any] = {name: getattr(kind, name) for name in names}
    for name, known in before.items():
        setattr(kind, name, [*(known or ()), *patterns])
    try:
        yield
    finally:
        for name, known in before.items():
            setattr(kind, name, known)
