"""Perplexity and bits per byte of a language model on a split of the packed corpus.

Perplexity depends on the tokenizer; bits per byte of the text do not, so that models with different
tokenizers compare (Gao et al. 2020, section 3.1).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textmill.records import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def evaluate_language_model(
    model: PreTrainedModel, tokens: Path, split: str, length: int, batch_size: int = 32
) -> dict[str, float]:
    """Score every token of tokens/split.bin once, in windows of ``length`` that overlap by half.

    A token is predicted with at least half a window of context, except at the beginning of the file. The
    model is causal: logits (batch, length, vocabulary) at i predict token i + 1. Returns loss (nats a
    token), perplexity, bits_per_byte and tokens.
    """
    import torch
    from torch.nn.functional import cross_entropy

    about = read_json(tokens / f"{split}.json")
    ids = np.fromfile(tokens / f"{split}.bin", dtype=about["dtype"]).astype(np.int64)
    step = max(1, length // 2)
    starts = list(range(0, max(1, len(ids) - 1), step))
    starts = [s for s in starts if s == 0 or s + length - step < len(ids) - 1 + step]
    total, count, done = 0.0, 0, 1  # token 0 has nothing to be predicted from
    was_training = model.training
    model.eval()
    jobs: list[tuple[np.ndarray, int]] = []  # window, and its first position that is new
    for start in starts:
        end = min(start + length, len(ids))
        if end > done:
            jobs.append((ids[start:end], done - start))
            done = end
    with torch.inference_mode():
        for begin in range(0, len(jobs), batch_size):
            group = jobs[begin : begin + batch_size]
            longest = max(len(window) for window, _ in group)
            inputs = torch.zeros(len(group), longest, dtype=torch.long)
            targets = torch.full((len(group), longest), -100)
            mask = torch.zeros(len(group), longest, dtype=torch.long)
            for row, (window, first) in enumerate(group):
                inputs[row, : len(window)] = torch.from_numpy(window)
                mask[row, : len(window)] = 1
                targets[row, first : len(window)] = inputs[row, first : len(window)]
            logits = model(input_ids=inputs.to(model.device), attention_mask=mask.to(model.device)).logits
            wanted = targets[:, 1:].to(model.device)
            flat = logits[:, :-1].float().flatten(0, 1)
            total += float(cross_entropy(flat, wanted.flatten(), ignore_index=-100, reduction="sum"))
            count += int((wanted != -100).sum())
    model.train(was_training)
    return {
        "loss": total / count,
        "perplexity": math.exp(min(total / count, 700)),
        "bits_per_byte": total / math.log(2) / about["bytes"],
        "tokens": count,
    }
