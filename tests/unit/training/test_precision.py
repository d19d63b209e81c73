"""Precision that follows the machine: bfloat16 only where there are instructions for it."""

from pathlib import Path

import pytest
import torch

from textmill.params import load
from textmill.training import optimizers, precision

TRAINER = load(Path(__file__).parents[3] / "params.yaml").trainer.model_copy(update={"accelerator": "cpu"})


@pytest.mark.parametrize(
    ("known", "wanted"),
    [({"avx512_bf16": True}, "bf16-mixed"), ({"amx_bf16": True}, "bf16-mixed"), ({"avx2": True}, "32-true")],
)
def test_auto_follows_the_processor(monkeypatch, known, wanted):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert precision.resolve(TRAINER.model_copy(update={"precision": "auto"})).precision == wanted


def test_a_named_precision_stays(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    named = TRAINER.model_copy(update={"precision": "bf16-mixed"})
    assert precision.resolve(named) is named


def test_muon_multiplies_in_what_the_processor_can(monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "baddbmm", lambda x, *rest, **_: seen.append(x.dtype) or x)
    for known, wanted in (({"avx512_bf16": True}, torch.bfloat16), ({}, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known)
        optimizers.orthogonal(torch.randn(1, 4, 8))
        assert seen[-1] == wanted
