"""Checkpoints in and out: BERT, RoBERTa, GPT-2, Llama and BART as values of our configuration.

A published family is a table of tensors, one file each: which of theirs is which of ours, fused (queries,
keys and values stand in one matrix here) or transposed (GPT-2 stores its maps input first). One table serves
both ways.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import transformers
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

from textmill.errors import UserError
from textmill.models.auto import MODELS, load_weights
from textmill.models.configuration import CONFIGS
from textmill.models.exchange.convert import FAMILIES, from_stock, to_stock
from textmill.records import read_object

__all__ = ["FAMILIES", "export_checkpoint", "from_stock", "import_checkpoint", "to_stock"]


def import_checkpoint(path_or_id: str | Path, output: Path) -> PreTrainedConfig:
    """Turn a BERT, RoBERTa, GPT-2, Llama or BART checkpoint, a folder or hub id, into one of ours.

    The language-model head comes along, the tokenizer is copied. Returns our configuration; raises
    UserError where the checkpoint is missing, of another family, or uses what we have no field for.
    """
    try:
        config = AutoConfig.from_pretrained(path_or_id)
    except (OSError, ValueError) as error:
        raise UserError(f"{path_or_id}: no checkpoint to read: {str(error).splitlines()[0]}") from None
    if config.model_type not in FAMILIES:
        raise UserError(
            f"{path_or_id}: a checkpoint of type {config.model_type} cannot be imported; "
            f"known: {', '.join(FAMILIES)}"
        )
    cls = getattr(transformers, FAMILIES[config.model_type].stock)
    model = from_stock(load_weights(cls, path_or_id, use_safetensors=True))
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    _copy_tokenizer(path_or_id, output)
    return model.config


def export_checkpoint(folder: Path, output: Path, target: str | None = None) -> PreTrainedConfig:
    """Write one of our models as a stock checkpoint: a language model as Llama or GPT-2, BERT, or BART, and
    an encoder with a head for labels, tags or answers as BERT.

    Stock ``transformers`` loads ``output`` without textmill and computes the same logits. Returns the
    written configuration; raises UserError naming the fields that the target cannot express.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json; a folder that save_pretrained wrote is expected")
    config = read_object(folder / "config.json")
    found, architecture = config.get("model_type"), (config.get("architectures") or [None])[0]
    kinds = {cls.model_type: kind for kind, cls in CONFIGS.items()}
    if found not in kinds:
        raise UserError(
            f"{folder}: a checkpoint of type {found} is not one of ours ({', '.join(kinds)}); one of "
            "transformers' own loads without textmill as it is"
        )
    classes = {cls.__name__: cls for (kind, _), (_, cls) in MODELS.items() if kind == kinds[found]}
    if architecture not in classes:
        raise UserError(
            f"{folder / 'config.json'}: architectures is {architecture}; expected {' or '.join(classes)}"
        )
    model = load_weights(classes[architecture], folder)
    stock = to_stock(model, target)
    output.mkdir(parents=True, exist_ok=True)
    stock.save_pretrained(output)
    _copy_tokenizer(folder, output)
    return stock.config


def _copy_tokenizer(source: str | Path, output: Path) -> None:
    """The tokenizer's own files where there are any, else what AutoTokenizer makes of the hub's."""
    folder = Path(source)
    if not folder.is_dir():
        AutoTokenizer.from_pretrained(source).save_pretrained(output)
        return
    for pattern in ("tokenizer*", "special_tokens_map.json", "vocab.*", "merges.txt", "chat_template.jinja"):
        for file in sorted(folder.glob(pattern)):
            shutil.copyfile(file, output / file.name)
