"""The assistant's next turn of a conversation, by a decoder.

A conversation is written as ``<s> <user> question <assistant> answer </s>``, every answer ended by </s>; the
loss is on the last answer alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from textmill.records import Example
from textmill.tasks import baselines
from textmill.tasks.base import ROLES, Batch, Feature, Prediction
from textmill.tasks.sequence_to_sequence import Generating

IGNORE = -100


class Dialogue(Generating):
    """The next turn, from as many of the turns before as fit."""

    auto_class = "AutoModelForCausalLM"
    pipeline = "text-generation"
    added_tokens = tuple(ROLES.values())

    def source(self, example: Example) -> str:
        """The turns before the answer, a line each."""
        return "\n".join(turn["text"] for turn in self.history(example))

    def history(self, example: Example) -> list[dict[str, str]]:
        """The turns before the answer; a conversation that ends with the user has no answer yet."""
        turns = example["turns"]
        return turns[:-1] if turns[-1]["role"] == "assistant" else turns

    def lengths(self) -> dict[str, int]:
        """The answer is written behind its prompt; the last token of it is never read."""
        together = self.max_length + self.task.finetune.generation.max_new_tokens - 1
        return {"finetune.max_length and finetune.generation.max_new_tokens": together}

    def encode(self, example: Example, labelled: bool = True) -> list[Feature]:
        """One window: the last turns that leave room for the answer, and with labels the answer itself."""
        answer: list[int] = []
        if labelled:
            answer = [*self._ids(example["turns"][-1]["text"]), self.tokenizer.eos_token_id]
        roles = self.tokenizer.get_added_vocab()
        room = self.max_length - 2 - min(len(answer), self.max_length // 2)
        prompt: list[int] = []
        for turn in reversed(self.history(example)):  # the oldest turns are left out first
            ids = [roles[ROLES[turn["role"]]], *self._ids(turn["text"])]
            if turn["role"] == "assistant":
                ids.append(self.tokenizer.eos_token_id)
            if prompt and len(ids) + len(prompt) > room:
                break
            prompt = [*ids[:room], *prompt]
        beginning = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        ids = [*beginning, *prompt, roles[ROLES["assistant"]]]
        feature: Feature = {"input_ids": [*ids, *answer][: self.max_length]}
        feature["attention_mask"] = [1] * len(feature["input_ids"])
        if labelled:
            feature["labels"] = [*[IGNORE] * len(ids), *answer][: self.max_length]
        return [feature]

    def _ids(self, text: str) -> list[int]:
        # A role written out in a text is text: nobody can speak for the assistant.
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def collate(self, features: Sequence[Feature]) -> Batch:
        """Padded at the right with labels, at the left where the model goes on."""
        # The model goes on from the last token, which therefore has to be a real one.
        return self.pad(features, left="labels" not in features[0])

    def texts(self, ids: Any, batch: Batch) -> list[str]:
        """What was written behind each prompt."""
        return super().texts(ids[:, batch["input_ids"].shape[1] :], batch)

    def gold(self, example: Example) -> Any:
        """The last turn's text; None where the user has the last word."""
        last = example["turns"][-1]
        return last["text"] if last["role"] == "assistant" else None

    def baselines(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, list[Prediction]]:
        """The commonest answer, the last turn itself, and the answer to the nearest conversation of train."""
        known = [self.gold(example) for example in train]
        near = baselines.nearest([self.source(e) for e in train], [self.source(e) for e in test])
        majority = min(Counter(known).items(), key=lambda item: (-item[1], item[0]))[0]
        answers = {
            "majority": [majority] * len(test),
            "copy": [self.history(example)[-1]["text"] for example in test],
            "nearest": [known[i] for i in near],
        }
        return {name: [{"prediction": text} for text in texts] for name, texts in answers.items()}
