"""Predictions by a model folder, fine-tuned or pretrained: for the command line, MLflow and the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from textmill.errors import UserError
from textmill.params import Generation, Task
from textmill.records import EXAMPLE_FIELDS, Example, half_character, read_object, write_json

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CARD = "textmill.json"  # in a model's folder: what it was made for
Input = str | Mapping[str, Any]  # a mapping with the family's fields, or a text where one is enough
SEEDS = "seeds"  # in a fine-tuned folder: the models of the other seeds, a folder each


def write_card(
    folder: Path, name: str, task: Task, example: Example, fitted: Mapping[str, float] | None = None
) -> None:
    """Write what a fine-tuned folder is for: the task's name and block, an example of its input, and what was
    fitted on its dev split (``temperature``, which its weights have already, and ``threshold``)."""
    fields = inputs_of(task.family)
    shown = {field: example[field] for field in fields if example.get(field) is not None}
    if task.family == "dialogue":
        shown["turns"] = shown["turns"][:-1]
    spec = task.model_dump(mode="json")
    write_json(folder / CARD, {"task": name, "spec": spec, "input_example": shown, **(fitted or {})})


def inputs_of(family: str) -> tuple[str, ...]:
    """The fields of an example that a prediction needs."""
    answers = ("label", "spans", "answers", "target")
    return tuple(f.rstrip("?") for f in EXAMPLE_FIELDS[family] if f.rstrip("?") not in answers)


def find_model(name: str, root: Path = Path("models")) -> Path:
    """The folder of a model: of that path, or of that name under ``root``, fine-tuned before pretrained."""
    for folder in (Path(name), root / "finetuned" / name, root / "pretrained" / name):
        if (folder / "config.json").exists():
            return folder
    known = sorted({path.parent.name for path in root.glob("*/[!.]*/config.json")})
    none = f"none under {root.resolve()} yet; run dvc repro there, or name a folder that has a config.json"
    raise UserError(f"no model {name!r}; {'known: ' + ', '.join(known) if known else none}")


def load_model(folder: Path, auto_class: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model and tokenizer of a folder, in full precision and evaluation mode."""
    import torch
    import transformers

    import textmill  # noqa: F401  registers textmill's architectures with transformers
    from textmill.models.auto import load_weights

    if not (folder / "config.json").exists():
        raise UserError(f"{folder}: no model here (config.json is missing)")
    transformers.utils.logging.disable_progress_bar()  # of reading one small file
    model = load_weights(getattr(transformers, auto_class), folder, dtype=torch.float32)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def predict_batch_size(task: Task) -> int:
    """Examples a batch when nothing has to be remembered for gradients."""
    return 2 * task.finetune.batch_size


class Predictor:
    """A model folder behind one method: examples in, predictions out, the same as ``evaluate`` writes.

    A folder without a card is a pretrained model: a decoder continues a text, an encoder fills its masks,
    an encoder-decoder restores it.

    precision: ``32-true``, which ``evaluate`` computes in, or ``bf16-mixed``, which is faster where the
    processor has instructions for it, and whose scores differ in the third digit.
    """

    def __init__(self, folder: Path | str, precision: str = "32-true") -> None:
        self.folder = Path(folder)
        self.precision = precision
        card = self.folder / CARD
        self.task: Task | None = None
        self.name = self.folder.name
        if card.exists():
            from textmill.tasks import FAMILIES

            self.card = read_object(card)
            missing = [key for key in ("task", "spec", "input_example") if key not in self.card]
            if missing:
                raise UserError(f"{card}: no {' and no '.join(missing)}; fine-tune the model again")
            self.name = self.card["task"]
            self.task = _task(card, self.card["spec"])
            kind = FAMILIES[self.task.family]
            self.model, self.tokenizer = load_model(self.folder, kind.auto_class)
            self.family = kind(self.task, self.tokenizer)
            self.family.threshold = self.card.get("threshold")
        else:
            architecture = (read_object(self.folder / "config.json").get("architectures") or [""])[0]
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
            if auto_class == "AutoModelForCausalLM":
                self.tokenizer.truncation_side = "left"  # a text is gone on with from its end

    def input_example(self) -> list[dict[str, Any]]:
        """An input to try the model with."""
        if self.task:
            return [self.card["input_example"]]
        mask = self.tokenizer.mask_token
        masked = self.model.config.architectures and "MaskedLM" in self.model.config.architectures[0]
        return [{"text": f"The {mask} is new." if masked else "The company"}]

    def predict(
        self,
        inputs: Sequence[Input],
        batch_size: int | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[dict[str, Any]]:
        """A prediction for each input.

        ``on_progress`` is told how many inputs are done. Raises UserError naming an input that lacks a field
        or has a wrong one.
        """
        found: list[dict[str, Any]] = []
        for part in self.parts(inputs, batch_size):
            found += [prediction for _, prediction in part]
            if on_progress:
                on_progress(len(found))
        return found

    def parts(
        self, inputs: Iterable[Input], batch_size: int | None = None
    ) -> Iterator[list[tuple[Input, dict[str, Any]]]]:
        """Some inputs with their predictions after the other, so that any number of them fits in memory.

        A part is of several batches, which go by length.
        """
        rows = enumerate(inputs, 1)
        size = batch_size or (predict_batch_size(self.task) if self.task else 1)
        while part := list(islice(rows, 16 * size if self.task else 1)):
            with self._computing():
                if self.task:
                    examples = [self.example(item, f"input {number}") for number, item in part]
                    found = self.family.predict(self.model, examples, size)
                else:
                    found = [self._answer(_text(item, f"input {number}")) for number, item in part]
            yield [(item, prediction) for (_, item), prediction in zip(part, found, strict=True)]

    def generate(self, prompt: str, generation: Generation, seed: int) -> str:
        """What the model writes after, or in answer to, ``prompt``; the same again for the same seed.

        A task's model draws for the seed 0 what ``predict`` says. Raises UserError where the model does not
        write or has no room for so much, or the prompt has half a character.
        """
        if self.task and self.family.generates:
            example = self.example(prompt, "the prompt")
            finetune = self.task.finetune.model_copy(update={"generation": generation})
            task = self.task.model_copy(update={"finetune": finetune})
            family: Any = type(self.family)(task, self.tokenizer)
            if problem := family.too_long(self.model):
                raise UserError(f"{self.name}: {problem}")
            family.seed = seed
            return str(family.predict(self.model, [example], 1)[0]["prediction"])
        if self.task or self._answer == self._fill:
            raise UserError(f"{self.name} does not write text; see textmill predict")
        import torch

        from textmill.tasks.sequence_to_sequence import generation_settings

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            settings = generation_settings(generation, self.tokenizer)
            return str(self._write(_text(prompt, "the prompt"), settings)["prediction"])

    def _computing(self) -> AbstractContextManager[None]:
        import torch

        mixed = self.precision == "bf16-mixed"
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=mixed)

    def check(self, item: Input, where: str) -> None:
        """Raise UserError, which begins with ``where``, if no prediction can be made for the input."""
        if self.task:
            self.example(item, where)
        else:
            _text(item, where)

    def example(self, item: Input, where: str = "input 1") -> Example:
        """An input as an example of the family, checked as by ``check``."""
        assert self.task is not None
        fields = inputs_of(self.task.family)
        if isinstance(item, str):
            item = {"turns": [{"role": "user", "text": item}]} if "turns" in fields else {fields[0]: item}
        example = {key: item[key] for key in fields if key in item and not _missing(item[key])}
        for field in fields:
            if field not in example and field != "pair":
                wanted = ", ".join(fields)
                raise UserError(f"{where}: {field} is missing; {self.name} needs {wanted}")
        for field in ("text", "pair", "question", "context", "source"):
            if field in example and not isinstance(example[field], str):
                raise UserError(f"{where}: {field}: expected text, found {type(example[field]).__name__}")
        problem = _misplaced(example) or _unanswerable(example) or half_character(item)
        if problem:
            raise UserError(f"{where}: {problem}")
        return example

    def _fill(self, text: str) -> dict[str, Any]:
        """The likeliest token at each mask, or the text itself where there is none."""
        import torch

        encoding = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=self.limit())
        with torch.inference_mode():
            logits = self.model(**{k: encoding[k] for k in ("input_ids", "attention_mask")}).logits[0]
        places = (encoding["input_ids"][0] == self.tokenizer.mask_token_id).nonzero().flatten()
        ids = encoding["input_ids"][0].clone()
        ids[places] = logits[places].argmax(dim=-1)
        return {"prediction": str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()}

    def _write(self, text: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The text with what the model writes after it, or in its place, as ``written`` has it."""
        _, ids = self.written(text, settings)
        return {"prediction": str(self.tokenizer.decode(ids[0], skip_special_tokens=True)).strip()}

    def written(self, text: str, settings: Mapping[str, Any] | None = None) -> tuple[Tensor, Tensor]:
        """The ids that a pretrained model reads of a text, and what it writes, of a decoder behind these.

        (1, length) each; by default the likeliest tokens. Of a text that is too long an encoder-decoder reads
        the beginning, and a decoder the end, which leaves room for what it writes.
        """
        import torch

        likeliest = {"do_sample": False, "max_new_tokens": 40, "pad_token_id": self.tokenizer.pad_token_id}
        chosen = {**likeliest, "eos_token_id": self.tokenizer.eos_token_id, **(settings or {})}
        causal = not self.model.config.is_encoder_decoder
        longest = max(8, self.limit() + 8 - chosen["max_new_tokens"]) if causal else self.limit()
        encoding = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)
        ids = encoding["input_ids"]
        if causal and ids[0, -1] == self.tokenizer.eos_token_id:
            ids = ids[:, :-1]  # to go on, not to begin the next document
        if causal:
            chosen["max_new_tokens"] = min(chosen["max_new_tokens"], self.limit() + 8 - ids.shape[1])
        generate: Any = self.model.generate
        with torch.inference_mode():
            return ids, generate(input_ids=ids, attention_mask=torch.ones_like(ids), **chosen)

    def limit(self) -> int:
        """The tokens that a pretrained model can read, less a few to write."""
        config = self.model.config
        longest = getattr(config, "max_position_embeddings", None) or getattr(config, "max_positions", None)
        return max(8, int(longest or 512) - 8)


def _task(path: Path, spec: Any) -> Task:
    """The task of a card; raises UserError where another version of textmill wrote it."""
    try:
        return Task.model_validate_json(json.dumps(spec))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise UserError(
            f"{path}: the model was made by another version of textmill ({wrong}); run its fine-tuning again"
        ) from None


def _misplaced(example: Example) -> str | None:
    """What is wrong with the marked arguments of a relation, if anything."""
    for field in ("head", "tail"):
        if field in example:
            span = example[field]
            places = [span.get(key) for key in ("start", "end")] if isinstance(span, dict) else []
            whole = [int(place) for place in places if isinstance(place, Integral)]  # numpy's too
            if len(whole) != 2:
                return f"{field}: expected start and end as whole numbers, found {span!r}"
            start, end = whole
            if not 0 <= start < end <= len(example["text"]):
                return f"{field}: {start} to {end} is outside the text of {len(example['text'])} characters"
    return None


def _unanswerable(example: Example) -> str | None:
    """What is wrong with a conversation that is to be gone on with, if anything."""
    if "turns" not in example:
        return None
    turns = example["turns"]
    for number, turn in enumerate(turns if isinstance(turns, list) else [], 1):
        if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant"):
            return f"turns: turn {number} has no role user or assistant"
        if not isinstance(turn.get("text"), str):
            return f"turns: turn {number} has no text"
    if not isinstance(turns, list) or not any(turn["role"] == "user" for turn in turns):
        return "turns: expected a list with a turn of the user"
    return None


def _text(item: Input, where: str) -> str:
    """The text that a pretrained model reads, checked."""
    item = {"text": item} if isinstance(item, str) else item
    text = item.get("text")
    if not isinstance(text, str):
        raise UserError(f"{where}: text is missing")
    if problem := half_character(item):
        raise UserError(f"{where}: {problem}")
    return text


def _missing(value: Any) -> bool:
    """None, or the NaN that a table puts where a row has no value."""
    return value is None or (isinstance(value, float) and value != value)
