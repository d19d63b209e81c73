"""Which parameter is moved by what, how far; and the learning rate over the budget."""

from pathlib import Path

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration, GPT2Config, GPT2LMHeadModel

from textmill import models
from textmill.models.configuration import CONFIGS
from textmill.params import Schedule, load
from textmill.training import optimizers
from textmill.training.schedules import factor

TRAINING = load(Path(__file__).parents[3] / "params.yaml").training


@pytest.fixture
def model():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=16, n_positions=8, n_embd=16, n_layer=3, n_head=2))


def spec(optimizer=None, **update):
    chosen = TRAINING.optimizer.model_copy(update=optimizer or {})
    return TRAINING.model_copy(update={"optimizer": chosen, **update})


def test_vectors_are_not_decayed(model):
    groups = optimizers.groups(model, spec({"weight_decay": 0.1}))
    assert {p.ndim > 1: g["weight_decay"] for g in groups for p in g["params"]} == {True: 0.1, False: 0.0}
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_muon_takes_the_matrices_of_the_blocks(model):
    groups = optimizers.groups(model, spec({"name": "muon", "muon_learning_rate": 0.05}, learning_rate=1e-3))
    taken = {id(p) for g in groups if g["muon"] for p in g["params"]}
    wanted = {id(p) for n, p in model.named_parameters() if ".h." in n and p.ndim == 2}
    assert taken == wanted
    assert {g["lr"] for g in groups if g["muon"]} == {0.05}
    assert {g["lr"] for g in groups if not g["muon"]} == {1e-3}


def test_layer_decay_falls_with_depth(model):
    groups = optimizers.groups(model, spec(layer_decay=0.5, learning_rate=1.0))
    rates = {id(p): g["lr"] for g in groups for p in g["params"]}
    assert rates[id(model.transformer.wte.weight)] == 0.5**4
    assert rates[id(model.transformer.h[0].mlp.c_fc.weight)] == 0.5**3
    assert rates[id(model.transformer.h[2].mlp.c_fc.weight)] == 0.5
    assert rates[id(model.transformer.ln_f.weight)] == 1.0


def test_stacks_of_different_height_end_at_one_depth():
    config = BartConfig(vocab_size=16, d_model=16, encoder_layers=1, decoder_layers=3, encoder_ffn_dim=16,
                        decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2)  # fmt: skip
    depths = optimizers.depths(BartForConditionalGeneration(config))
    assert depths["model.encoder.layers.0.fc1.weight"] == 3
    assert depths["model.decoder.layers.2.fc1.weight"] == 3
    assert depths["model.shared.weight"] == 0


@pytest.mark.parametrize("shape", [(2, 32, 32), (1, 16, 64), (3, 64, 16)])
def test_newton_schulz_makes_singular_values_equal(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(optimizers.orthogonal(torch.randn(shape)))
    assert values.max() < 1.35
    assert values.flatten().sort().values[len(values.flatten()) // 10] > 0.5


def test_batched_muon_equals_one_matrix_at_a_time():
    torch.manual_seed(0)
    matrices = torch.randn(4, 16, 24)
    alone = torch.stack([optimizers.orthogonal(m[None])[0] for m in matrices])
    assert torch.allclose(optimizers.orthogonal(matrices), alone, atol=2e-2)


@pytest.mark.parametrize("kind", ["decoder", "seq2seq"])
def test_maps_that_stand_in_one_matrix_are_made_orthogonal_each_by_itself(kind, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)  # in float32, to compare closely
    config = CONFIGS[kind](
        vocab_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=24, max_position_embeddings=8, activation="swiglu",
    )  # fmt: skip
    model = models.build(kind, {"decoder": "causal_lm", "seq2seq": "seq2seq_lm"}[kind], config, 1)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = optimizers.optimizer(
        model, spec({"name": "muon", "muon_learning_rate": 1.0, "weight_decay": 0.0}), "cpu"
    )
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    expected = {"query_key_value": (16, 8, 8), "key_value": (8, 8), "feed_forward.input": (24, 24)}
    seen = set()
    for name, after in model.named_parameters():
        for key, rows in expected.items():
            if name.endswith(f".{key}.weight"):
                seen.add(key)
                steps = (before[name] - after).detach().split(rows)
                for moved, alone in zip(steps, after.grad.split(rows), strict=True):
                    scale = max(1.0, alone.shape[0] / alone.shape[1]) ** 0.5
                    assert torch.allclose(moved, scale * optimizers.orthogonal(alone[None])[0], atol=1e-4)
    assert seen == (set(expected) if kind == "seq2seq" else set(expected) - {"key_value"})


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_state_comes_back(model, name):
    def moved(steps, state=None):
        torch.manual_seed(1)
        twin = GPT2LMHeadModel(model.config).eval()
        twin.load_state_dict(weights)
        optimizer = optimizers.optimizer(twin, spec({"name": name}), "cpu")
        if state:
            optimizer.load_state_dict(state)
        for i in steps:
            optimizer.zero_grad()
            ids = (torch.arange(8)[None] + i) % 16
            twin(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
        return twin.state_dict(), optimizer.state_dict()

    weights = model.state_dict()
    whole, _ = moved(range(4))
    weights, state = moved(range(2))
    rest, _ = moved(range(2, 4), state)
    assert all(torch.equal(whole[key], rest[key]) for key in whole)


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("linear", {0.05: 0.5, 0.1: 1.0, 0.55: 0.5, 1.0: 0.0}),
        ("cosine", {0.05: 0.5, 0.1: 1.0, 0.55: 0.5, 1.0: 0.0}),
        ("constant", {0.05: 0.5, 0.5: 1.0, 1.0: 1.0}),
        ("warmup_stable_decay", {0.05: 0.5, 0.5: 1.0, 0.8: 1.0, 0.9: 0.5, 1.0: 0.0}),
        ("inverse_sqrt", {0.05: 0.5, 0.1: 1.0, 0.4: 0.5}),
    ],
)
def test_schedules(name, at):
    schedule = Schedule(name=name, warmup=0.1)
    for progress, expected in at.items():
        assert factor(schedule, progress) == pytest.approx(expected, abs=1e-6)
