"""Perplexity and bits per byte against the model's own loss, and across tokenizers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from textmill.evaluation.language_model import evaluate_language_model


class Uniform(torch.nn.Module):
    """Gives every token of a vocabulary the same probability."""

    device = torch.device("cpu")

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.asked: list[tuple[int, int]] = []

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        self.asked.append(tuple(input_ids.shape))
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, self.size))


def _packed(folder: Path, ids: list[int], size: int) -> Path:
    np.array(ids, dtype=np.uint16).tofile(folder / "test.bin")
    (folder / "test.json").write_text(json.dumps({"dtype": "uint16", "bytes": size}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("count", [2, 7, 8, 9, 33, 100])
def test_every_token_but_the_first_is_scored_once(tmp_path: Path, count: int) -> None:
    found = evaluate_language_model(Uniform(50), _packed(tmp_path, [1] * count, 200), "test", 8, 3)  # type: ignore[arg-type]
    assert found["tokens"] == count - 1
    assert found["perplexity"] == pytest.approx(50)
    assert found["bits_per_byte"] == pytest.approx((count - 1) * math.log2(50) / 200)


def test_a_window_over_the_whole_text_gives_the_models_own_loss(tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=20, n_embd=16, n_layer=1, n_head=2, n_positions=32)
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(20, (30,), generator=torch.Generator().manual_seed(1))
    packed = _packed(tmp_path, ids.tolist(), 60)
    with torch.inference_mode():
        expected = float(model(input_ids=ids[None], labels=ids[None]).loss)
    assert evaluate_language_model(model, packed, "test", 32)["loss"] == pytest.approx(expected, rel=1e-5)
    # With less context the model is asked in more windows, and another loss comes out.
    assert evaluate_language_model(model, packed, "test", 8)["tokens"] == 29
