"""One text made from another by an encoder-decoder: summaries, headlines, translation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from textmill.params import Generation
from textmill.records import Example
from textmill.tasks import baselines, figures, scores
from textmill.tasks.base import Batch, Family, Feature, Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def generation_settings(spec: Generation, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """A block ``generation`` as the arguments of transformers' ``generate``."""
    # Each named, since what is not is transformers' own: the 50 likeliest tokens.
    drawn = {"temperature": spec.temperature, "top_p": spec.top_p, "top_k": spec.top_k}
    sampling = drawn if spec.sample else {}
    lengths = {"length_penalty": spec.length_penalty} if spec.beams > 1 else {}
    return {
        "num_beams": spec.beams,
        "do_sample": spec.sample,
        "min_new_tokens": spec.min_new_tokens,
        "max_new_tokens": spec.max_new_tokens,
        "no_repeat_ngram_size": spec.no_repeat_ngram,
        "repetition_penalty": spec.repetition_penalty,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **sampling,
        **lengths,
    }


class Generating(Family):
    """What the two families that write text share.

    Attributes: ``seed`` is that of the sampling. A text that is drawn is the same for the same input and
    seed, whatever other examples are predicted with it.
    """

    generates = True
    seed: int = 0

    @abstractmethod
    def source(self, example: Example) -> str:
        """The text that the answer is made from."""

    def generate(self, model: PreTrainedModel, batch: Batch) -> Any:
        """Token ids (batch, length) as ``params.yaml: tasks.*.finetune.generation`` says."""
        generate: Any = model.generate
        with self._sampling(batch) if self.task.finetune.generation.sample else nullcontext():
            return generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                **generation_settings(self.task.finetune.generation, self.tokenizer),
            )

    def _sampling(self, batch: Batch) -> AbstractContextManager[Any]:
        from textmill.tasks.sampling import Sampling

        rows = zip(batch["input_ids"], batch["attention_mask"], strict=True)
        return Sampling([ids[mask.bool()].tolist() for ids, mask in rows], self.seed)

    def forward(self, model: PreTrainedModel, batch: Batch) -> list[Any]:
        """The text written for each row."""
        return self.texts(self.generate(model, batch), batch)

    def texts(self, ids: Any, batch: Batch) -> list[str]:
        """What the model wrote for each row of the batch, of the ids that ``generate`` gave."""
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def decode(self, example: Example, features: Sequence[Feature], outputs: Sequence[Any]) -> Prediction:
        """The text of the one window."""
        return {"prediction": outputs[0]}

    @property
    def chinese(self) -> bool:
        """Whether BLEU counts Chinese by character."""
        return "zh" in self.task.languages

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> scores.Scores:
        """BLEU and chrF in 0..100, ROUGE and exact match in 0..1."""
        gold = [self.gold(example) for example in examples]
        return scores.generation(gold, [p["prediction"] for p in predictions], self.chinese)

    def explain(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """sacrebleu's signatures, which say how its scores were made."""
        return {"signatures": scores.signatures(self.chinese)}

    def figures(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, Figure]:
        """Length of an answer over that of its truth, in characters; what is above 3 counts as 3."""
        gold = [max(1, len(self.gold(example))) for example in examples]
        ratios = [len(p["prediction"]) / length for p, length in zip(predictions, gold, strict=True)]
        return {"length_ratio": figures.histogram([min(r, 3.0) for r in ratios], "length: predicted / true")}


class SequenceToSequence(Generating):
    """A text from a text, each cut at ``max_length`` tokens."""

    auto_class = "AutoModelForSeq2SeqLM"
    pipeline = "text2text-generation"

    def source(self, example: Example) -> str:
        return example["source"]

    def encode(self, example: Example, labelled: bool = True) -> list[Feature]:
        """One window; with labels the target, always ended by </s>."""
        encoding = self.tokenizer(
            example["source"], truncation=True, max_length=self.max_length, split_special_tokens=True
        )
        feature = self.inputs(encoding)
        feature.pop("token_type_ids", None)
        if labelled:
            target = self.tokenizer(example["target"], add_special_tokens=False, split_special_tokens=True)
            target = target["input_ids"]
            feature["labels"] = [*target[: self.max_length - 1], self.tokenizer.eos_token_id]
        return [feature]

    def collate(self, features: Sequence[Feature]) -> Batch:
        return self.pad(features)

    def gold(self, example: Example) -> Any:
        return example.get("target")

    def baselines(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, list[Prediction]]:
        """The source itself, its first sentence, and the target of the nearest source of train."""
        sources = [example["source"] for example in test]
        near = baselines.nearest([example["source"] for example in train], sources)
        answers = {
            "copy": sources,
            "lead": [baselines.first_sentence(source) for source in sources],
            "nearest": [train[i]["target"] for i in near],
        }
        return {name: [{"prediction": text} for text in texts] for name, texts in answers.items()}
