"""Predictions by a model folder, fine-tuned or pretrained: for the command line, MLflow and the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError
from textmill.params import Task
from textmill.records import EXAMPLE_FIELDS, Example, read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CARD = "textmill.json"  # in a model's folder: what it was made for


def write_card(folder: Path, name: str, task: Task, example: Example) -> None:
    """Write what a fine-tuned folder is for: the task's name and block, and an example of its input."""
    fields = inputs_of(task.family)
    shown = {field: example[field] for field in fields if example.get(field) is not None}
    if task.family == "dialogue":
        shown["turns"] = shown["turns"][:-1]
    write_json(folder / CARD, {"task": name, "spec": task.model_dump(mode="json"), "input_example": shown})


def inputs_of(family: str) -> tuple[str, ...]:
    """The fields of an example that a prediction needs."""
    answers = ("label", "spans", "answers", "target")
    return tuple(f.rstrip("?") for f in EXAMPLE_FIELDS[family] if f.rstrip("?") not in answers)


def load_model(folder: Path, auto_class: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model and tokenizer of a folder, in full precision and evaluation mode."""
    import torch
    import transformers

    import textmill  # noqa: F401  registers textmill's architectures with transformers

    if not (folder / "config.json").exists():
        raise UserError(f"{folder}: no model here (config.json is missing)")
    transformers.utils.logging.disable_progress_bar()  # of reading one small file
    model = getattr(transformers, auto_class).from_pretrained(folder, dtype=torch.float32)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def predict_batch_size(task: Task) -> int:
    """Examples a batch when nothing has to be remembered for gradients."""
    return 2 * task.finetune.batch_size


class Predictor:
    """A model folder behind one method: examples in, predictions out, the same as ``evaluate`` writes.

    A folder without a card is a pretrained model: a decoder continues a text, an encoder fills its masks,
    an encoder-decoder restores it.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        card = self.folder / CARD
        self.task: Task | None = None
        self.name = self.folder.name
        if card.exists():
            from textmill.tasks import FAMILIES

            self.card = read_json(card)
            self.name = self.card["task"]
            self.task = Task.model_validate_json(json.dumps(self.card["spec"]))
            kind = FAMILIES[self.task.family]
            self.model, self.tokenizer = load_model(self.folder, kind.auto_class)
            self.family = kind(self.task, self.tokenizer)
        else:
            architecture = (read_json(self.folder / "config.json").get("architectures") or [""])[0]
            endings = {
                "ForMaskedLM": ("AutoModelForMaskedLM", self._fill),
                "ForCausalLM": ("AutoModelForCausalLM", self._write),
                "LMHeadModel": ("AutoModelForCausalLM", self._write),
                "ForSeq2SeqLM": ("AutoModelForSeq2SeqLM", self._write),
                "ForConditionalGeneration": ("AutoModelForSeq2SeqLM", self._write),
            }
            found = next((v for ending, v in endings.items() if architecture.endswith(ending)), None)
            if found is None:
                raise UserError(f"{folder}: there is no {CARD}, and {architecture!r} is no language model")
            auto_class, self._answer = found
            self.model, self.tokenizer = load_model(self.folder, auto_class)

    def input_example(self) -> list[dict[str, Any]]:
        """An input to try the model with."""
        if self.task:
            return [self.card["input_example"]]
        mask = self.tokenizer.mask_token
        masked = self.model.config.architectures and "MaskedLM" in self.model.config.architectures[0]
        return [{"text": f"The {mask} is new." if masked else "The company"}]

    def predict(
        self,
        inputs: Sequence[str | Mapping[str, Any]],
        batch_size: int | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[dict[str, Any]]:
        """A prediction for each input: a mapping with the family's fields, or a text where one is enough.

        ``on_progress`` is told how many inputs are done. Raises UserError naming an input that lacks a field.
        """
        if self.task is None:
            return [self._answer(_text(item, number)) for number, item in enumerate(inputs, 1)]
        examples = [self.example(item, number) for number, item in enumerate(inputs, 1)]
        size = batch_size or predict_batch_size(self.task)
        step = 16 * size  # a part at a time, so that progress can be told and memory stays bounded
        found: list[dict[str, Any]] = []
        for start in range(0, len(examples), step):
            found += self.family.predict(self.model, examples[start : start + step], size)
            if on_progress:
                on_progress(len(found))
        return found

    def example(self, item: str | Mapping[str, Any], number: int = 1) -> Example:
        """An input as an example of the family, checked."""
        assert self.task is not None
        fields = inputs_of(self.task.family)
        if isinstance(item, str):
            item = {"turns": [{"role": "user", "text": item}]} if "turns" in fields else {fields[0]: item}
        example = {key: item[key] for key in fields if key in item and not _missing(item[key])}
        for field in fields:
            if field not in example and field != "pair":
                wanted = ", ".join(fields)
                raise UserError(f"input {number}: {field} is missing; {self.name} needs {wanted}")
        for field in ("text", "pair", "question", "context", "source"):
            if field in example and not isinstance(example[field], str):
                raise UserError(
                    f"input {number}: {field}: expected text, found {type(example[field]).__name__}"
                )
        return example

    def _fill(self, text: str) -> dict[str, Any]:
        """The likeliest token at each mask, or the text itself where there is none."""
        import torch

        encoding = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=self._limit())
        with torch.inference_mode():
            logits = self.model(**{k: encoding[k] for k in ("input_ids", "attention_mask")}).logits[0]
        places = (encoding["input_ids"][0] == self.tokenizer.mask_token_id).nonzero().flatten()
        ids = encoding["input_ids"][0].clone()
        ids[places] = logits[places].argmax(dim=-1)
        return {"prediction": str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()}

    def _write(self, text: str) -> dict[str, Any]:
        """The text that the model writes, from its likeliest tokens one by one."""
        import torch

        encoding = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=self._limit())
        ids = encoding["input_ids"]
        causal = not self.model.config.is_encoder_decoder
        if causal and ids[0, -1] == self.tokenizer.eos_token_id:
            ids = ids[:, :-1]  # to go on, not to begin the next document
        generate: Any = self.model.generate
        with torch.inference_mode():
            written = generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=min(40, self._limit() - ids.shape[1]) if causal else 40,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
            )
        return {"prediction": str(self.tokenizer.decode(written[0], skip_special_tokens=True)).strip()}

    def _limit(self) -> int:
        config = self.model.config
        longest = getattr(config, "max_position_embeddings", None) or getattr(config, "max_positions", None)
        return max(8, int(longest or 512) - 8)


def _text(item: str | Mapping[str, Any], number: int) -> str:
    text = item if isinstance(item, str) else item.get("text")
    if not isinstance(text, str):
        raise UserError(f"input {number}: text is missing")
    return text


def _missing(value: Any) -> bool:
    """None, or the NaN that a table puts where a row has no value."""
    return value is None or (isinstance(value, float) and value != value)
