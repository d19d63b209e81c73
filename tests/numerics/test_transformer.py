"""What must hold of any Transformer, whatever its weights."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from textmill.models import build
from textmill.models.attention import ATTENTION, CrossAttention, SelfAttention
from textmill.models.configuration import CONFIGS, TransformerConfig
from textmill.models.feed_forward import FeedForward
from textmill.models.layers import Layer, Memory
from textmill.models.masks import Mask, self_mask, triangle
from textmill.models.normalization import LayerNorm, RMSNorm
from textmill.models.positions import count, rotary, rotate
from textmill.params import Kind

VOCABULARY = 61


def configuration(kind: Kind = "decoder", **changes: Any) -> TransformerConfig:
    fields: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 32,
        "dropout": 0.0,
        "classifier_dropout": 0.0,
        "initializer_range": 0.3,
        "decoder_start_token_id": 2,
    }
    return CONFIGS[kind](**fields | changes)


def tokens(batch: int = 2, length: int = 10, seed: int = 0) -> Tensor:
    return torch.randint(4, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


VARIETY = [
    {"positions": positions, "norm": norm, "norm_first": first, "attention": attention, "qk_norm": qk}
    for positions, norm, first, attention, qk in itertools.product(
        ["rotary", "learned", "sinusoidal", "none"],
        ["rms", "layer"],
        [True, False],
        ["plain", "fused"],
        [True, False],
    )
]


def name(changes: dict[str, Any]) -> str:
    return "-".join(str(value) for value in changes.values())


# Gradients, checked numerically in float64.


def gradcheck(block: nn.Module, *inputs: Tensor) -> None:
    block.double()
    parameters = tuple(block.parameters())

    def call(*arguments: Tensor) -> Tensor:
        given, values = arguments[: len(inputs)], arguments[len(inputs) :]
        names = [key for key, _ in block.named_parameters()]
        out = torch.func.functional_call(block, dict(zip(names, values, strict=True)), given)
        return out[0] if isinstance(out, tuple) else out

    assert torch.autograd.gradcheck(call, (*inputs, *parameters), atol=1e-6)


def numbers(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)


@pytest.mark.parametrize("kind", [RMSNorm, LayerNorm])
def test_gradient_of_norms(kind: type) -> None:
    gradcheck(kind(6, eps=1e-5), numbers(2, 3, 6))


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "relu2", "swiglu"])
def test_gradient_of_feed_forward(activation: str) -> None:
    torch.manual_seed(0)
    config = configuration(
        hidden_size=4, intermediate_size=5, num_attention_heads=2, bias=True, activation=activation
    )
    gradcheck(FeedForward(config), numbers(2, 3, 4))


@pytest.mark.parametrize("attention", ["plain", "fused"])
@pytest.mark.parametrize("qk_norm", [True, False])
def test_gradient_of_self_attention(attention: str, qk_norm: bool) -> None:
    torch.manual_seed(0)
    config = configuration(
        hidden_size=8, num_attention_heads=4, bias=True, attention=attention, qk_norm=qk_norm
    )
    block = SelfAttention(config, 0)
    turns = rotary(torch.arange(4)[None], config.head_width, 100.0, torch.float64)
    mask = Mask(triangle(4, 4, torch.float64, torch.device("cpu"))[None, None])

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = block

        def forward(self, x: Tensor) -> Tensor:
            return self.block(x, mask, turns)[0]

    gradcheck(Block(), numbers(1, 4, 8))


@pytest.mark.parametrize("attention", ["plain", "fused"])
def test_gradient_of_cross_attention(attention: str) -> None:
    torch.manual_seed(0)
    block = CrossAttention(configuration("seq2seq", hidden_size=8, bias=True, attention=attention), 0)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = block

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            return self.block(x, memory, Mask())[0]

    gradcheck(Block(), numbers(1, 3, 8), numbers(1, 5, 8))


@pytest.mark.parametrize("norm_first", [True, False])
def test_gradient_of_a_layer(norm_first: bool) -> None:
    torch.manual_seed(0)
    config = configuration(
        "seq2seq", hidden_size=4, intermediate_size=4, num_attention_heads=2, norm_first=norm_first
    )
    layer = Layer(config, 0, cross=True)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            return self.layer(x, Mask(causal=True), None, Memory(memory, Mask()))[0]

    gradcheck(Block(), numbers(1, 3, 4), numbers(1, 2, 4))


# Attention.


@pytest.mark.parametrize("causal", [True, False])
def test_both_attentions_are_equation_one(causal: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4, generator=generator) for _ in range(3))
    expected = torch.zeros_like(query)
    for b, h, i in itertools.product(range(2), range(3), range(5)):
        last = i + 1 if causal else 5
        scores = [float(query[b, h, i] @ key[b, h, j]) / math.sqrt(4) for j in range(last)]
        total = sum(math.exp(score) for score in scores)
        for j in range(last):
            expected[b, h, i] += math.exp(scores[j]) / total * value[b, h, j]
    for attend in ATTENTION.values():
        torch.testing.assert_close(attend(query, key, value, Mask(causal=causal), 0.0)[0], expected)


@pytest.mark.parametrize("changes", VARIETY, ids=name)
def test_plain_and_fused_models_are_equal(changes: dict[str, Any]) -> None:
    if changes["attention"] == "fused":
        return
    ids = tokens()
    padding = torch.ones_like(ids)
    padding[0, 7:] = 0
    segments = torch.tensor([[0] * 4 + [1] * 6, [0] * 10])
    for kind, head in (("encoder", "masked_lm"), ("decoder", "causal_lm")):
        plain = build(kind, head, configuration(kind, **changes), seed=1)  # type: ignore[arg-type]
        fused = build(kind, head, configuration(kind, **changes | {"attention": "fused"}), seed=1)  # type: ignore[arg-type]
        for inputs in ({}, {"attention_mask": padding}, {"segment_ids": segments}):
            one, other = plain(ids, **inputs).logits, fused(ids, **inputs).logits
            real = padding.bool() if "attention_mask" in inputs else torch.ones_like(ids).bool()
            torch.testing.assert_close(one[real], other[real], rtol=1e-4, atol=1e-4)


def test_weights_are_shown_and_sum_to_one() -> None:
    ids = tokens()
    for kind, head in (("encoder", "masked_lm"), ("decoder", "causal_lm")):
        model = build(kind, head, configuration(kind, attention="fused"), seed=1)  # type: ignore[arg-type]
        weights = model(ids, output_attentions=True).attentions
        assert len(weights) == 2
        assert weights[0].shape == (2, 4, 10, 10)
        torch.testing.assert_close(weights[1].sum(-1), torch.ones(2, 4, 10))
    model = build("seq2seq", "seq2seq_lm", configuration("seq2seq"), seed=1)
    out = model(ids, labels=ids[:, :6], output_attentions=True)
    assert out.cross_attentions[0].shape == (2, 4, 6, 10)
    assert out.encoder_attentions[0].shape == (2, 4, 10, 10)


def test_grouped_heads_equal_multi_head_with_repeated_matrices() -> None:
    grouped = SelfAttention(configuration(), 0)
    full = SelfAttention(configuration(num_key_value_heads=4), 0)
    weight = grouped.query_key_value.weight.detach()
    query, key, value = weight.split((16, 8, 8))
    key, value = (part.view(2, 4, 16).repeat_interleave(2, 0).reshape(16, 16) for part in (key, value))
    full.load_state_dict(
        {"query_key_value.weight": torch.cat((query, key, value)), "output.weight": grouped.output.weight}
    )
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(grouped(x, Mask())[0], full(x, Mask())[0])


def test_rotary_products_depend_on_distance_only() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 1, 8, generator=generator, dtype=torch.float64) for _ in range(2))

    def product(i: int, j: int) -> float:
        turned = [
            rotate(x, *rotary(torch.tensor([[p]]), 8, 10000.0, torch.float64))
            for x, p in ((query, i), (key, j))
        ]
        return float((turned[0] * turned[1]).sum())

    assert product(3, 1) == pytest.approx(product(12, 10), rel=1e-6)
    assert product(3, 1) != pytest.approx(product(3, 2), rel=1e-3)


# What a model may see.


@pytest.mark.parametrize("changes", VARIETY, ids=name)
def test_the_future_cannot_leak(changes: dict[str, Any]) -> None:
    model = build("decoder", "causal_lm", configuration(**changes), seed=1).eval()
    ids = tokens()
    left = torch.ones_like(ids)
    left[0, :3] = 0
    for inputs in ({}, {"attention_mask": left}, {"segment_ids": (torch.arange(10) // 4).expand(2, -1)}):
        before = model(ids, **inputs).logits
        for cut in (1, 5, 9):
            changed = ids.clone()
            changed[:, cut:] = tokens(seed=9)[:, cut:]
            after = model(changed, **inputs).logits
            assert torch.equal(before[:, :cut], after[:, :cut])
            assert not torch.equal(before[:, cut:], after[:, cut:])


@pytest.mark.parametrize("attention", ["plain", "fused"])
@pytest.mark.parametrize("positions", ["rotary", "learned", "sinusoidal"])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_packed_documents_equal_documents_alone(kind: Kind, positions: str, attention: str) -> None:
    head = "masked_lm" if kind == "encoder" else "causal_lm"
    model = build(kind, head, configuration(kind, positions=positions, attention=attention), seed=1).eval()
    first, second = tokens(1, 6, seed=1), tokens(1, 4, seed=2)
    segments = torch.tensor([[7] * 6 + [3] * 4])
    packed = model(torch.cat((first, second), dim=1), segment_ids=segments).logits
    torch.testing.assert_close(packed[:, :6], model(first).logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(packed[:, 6:], model(second).logits, rtol=1e-4, atol=1e-5)
    # And nothing at all crosses the boundary.
    other = model(torch.cat((tokens(1, 6, seed=5), second), dim=1), segment_ids=segments).logits
    assert torch.equal(packed[:, 6:], other[:, 6:])


def test_packed_pairs_of_an_encoder_decoder_equal_pairs_alone() -> None:
    model = build("seq2seq", "seq2seq_lm", configuration("seq2seq"), seed=1).eval()
    sources, targets = [tokens(1, n, seed=n) for n in (6, 4)], [tokens(1, n, seed=n) for n in (3, 5)]
    packed = model(
        torch.cat(sources, dim=1),
        decoder_input_ids=torch.cat(targets, dim=1),
        segment_ids=torch.tensor([[0] * 6 + [1] * 4]),
        decoder_segment_ids=torch.tensor([[0] * 3 + [1] * 5]),
    ).logits
    alone = [
        model(source, decoder_input_ids=target).logits
        for source, target in zip(sources, targets, strict=True)
    ]
    torch.testing.assert_close(packed, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-5)


def test_padding_changes_nothing() -> None:
    ids = tokens(1, 6)
    for kind, head in (("encoder", "masked_lm"), ("decoder", "causal_lm")):
        model = build(kind, head, configuration(kind), seed=1).eval()  # type: ignore[arg-type]
        alone = model(ids).logits
        for before, after in ((0, 4), (3, 0), (2, 2)):
            padded = nn.functional.pad(ids, (before, after))
            mask = nn.functional.pad(torch.ones_like(ids), (before, after))
            found = model(padded, attention_mask=mask).logits[:, before : before + 6]
            torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_without_positions_an_encoder_is_permutation_equivariant() -> None:
    model = build("encoder", "masked_lm", configuration("encoder", positions="none"), seed=1).eval()
    ids, order = tokens(), torch.randperm(10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(ids[:, order]).logits, model(ids).logits[:, order], rtol=1e-4, atol=1e-5)
    rotary_model = build("encoder", "masked_lm", configuration("encoder"), seed=1).eval()
    moved = rotary_model(ids[:, order]).logits - rotary_model(ids).logits[:, order]
    assert float(moved.detach().abs().max()) > 1e-2


def test_no_mask_is_built_where_nothing_is_hidden() -> None:
    x = torch.zeros(1, 5, 16)
    ones = {"padding": None, "segments": None}
    assert self_mask(x, keys=5, causal=False, in_kernel=True, **ones) == Mask()  # type: ignore[arg-type]
    assert self_mask(x, keys=5, causal=True, in_kernel=True, **ones) == Mask(causal=True)  # type: ignore[arg-type]
    assert self_mask(x[:, :1], keys=5, causal=True, in_kernel=False, **ones) == Mask()  # type: ignore[arg-type]


def test_positions_restart_in_each_document() -> None:
    segments = torch.tensor([[4, 4, 4, 1, 1, 4]])
    assert count(None, segments, 6, segments.device).tolist() == [[0, 1, 2, 0, 1, 0]]
    padding = torch.tensor([[0, 0, 1, 1, 1]])
    assert count(padding, None, 5, padding.device).tolist() == [[0, 0, 0, 1, 2]]


# The cache.


@pytest.mark.parametrize("attention", ["plain", "fused"])
@pytest.mark.parametrize("positions", ["rotary", "learned", "sinusoidal"])
def test_cached_logits_equal_full_ones(positions: str, attention: str) -> None:
    ids = tokens()
    left = torch.ones_like(ids)
    left[0, :3] = 0
    model = build("decoder", "causal_lm", configuration(positions=positions, attention=attention), seed=1)
    model.eval()
    full = model(ids, attention_mask=left).logits
    cache = None
    for start, end in ((0, 5), (5, 6), (6, 9), (9, 10)):  # a prompt, a token, several, a token
        out = model(ids[:, start:end], attention_mask=left[:, :end], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        real = left[:, start:end].bool()
        torch.testing.assert_close(out.logits[real], full[:, start:end][real], rtol=1e-4, atol=1e-5)

    model = build(
        "seq2seq", "seq2seq_lm", configuration("seq2seq", positions=positions, attention=attention), 1
    )
    model.eval()
    full = model(ids, attention_mask=left, decoder_input_ids=ids).logits
    encoded = model.get_encoder()(ids, left)
    cache = None
    for start, end in ((0, 1), (1, 2), (2, 6), (6, 10)):
        out = model(
            attention_mask=left,
            encoder_outputs=encoded,
            decoder_input_ids=ids[:, start:end],
            past_key_values=cache,
            use_cache=True,
        )
        cache = out.past_key_values
        torch.testing.assert_close(out.logits, full[:, start:end], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "head"), [("decoder", "causal_lm"), ("seq2seq", "seq2seq_lm")])
def test_generation_is_the_same_with_and_without_a_cache(kind: Kind, head: str) -> None:
    model = build(kind, head, configuration(kind, eos_token_id=None), seed=1).eval()
    ids = tokens(3, 6)
    left = torch.ones_like(ids)
    left[0, :2] = 0
    for mode in ({"do_sample": False}, {"num_beams": 3}, {"do_sample": True, "top_k": 0}):
        made = []
        for use_cache in (True, False):
            torch.manual_seed(4)
            made.append(
                model.generate(ids, attention_mask=left, max_new_tokens=8, use_cache=use_cache, **mode)
            )
        assert made[0].shape == (3, 9 if kind == "seq2seq" else 14)
        assert torch.equal(made[0], made[1]), mode
    # A padded row makes the text that it makes alone.
    batch = model.generate(ids, attention_mask=left, max_new_tokens=8, do_sample=False)
    alone = model.generate(ids[:1, 2:], max_new_tokens=8, do_sample=False)
    assert torch.equal(batch[0, -8:], alone[0, -8:])


# Learning.


@pytest.mark.parametrize(
    ("kind", "head"), [("encoder", "masked_lm"), ("decoder", "causal_lm"), ("seq2seq", "seq2seq_lm")]
)
@pytest.mark.parametrize("norm_first", [True, False])
def test_first_loss_is_near_ln_v(kind: Kind, head: str, norm_first: bool) -> None:
    changes = {"initializer_range": 0.02, "hidden_size": 32, "vocab_size": 1000, "norm_first": norm_first}
    model = build(kind, head, configuration(kind, **changes), seed=1)
    ids = torch.randint(4, 1000, (8, 32), generator=torch.Generator().manual_seed(0))
    labels = torch.randint(4, 1000, (8, 32), generator=torch.Generator().manual_seed(1))
    assert float(model(ids, labels=labels).loss.detach()) == pytest.approx(math.log(1000), rel=0.02)


@pytest.mark.parametrize(
    ("kind", "head"), [("encoder", "masked_lm"), ("decoder", "causal_lm"), ("seq2seq", "seq2seq_lm")]
)
def test_one_batch_is_overfitted(kind: Kind, head: str) -> None:
    model = build(kind, head, configuration(kind, hidden_size=32, initializer_range=0.1), seed=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    ids, labels = tokens(4, 8), tokens(4, 8, seed=1)
    if kind == "decoder":
        labels = ids
        ids[:, 0] = torch.arange(4)  # the first token tells the texts apart
    loss = torch.tensor(0.0)
    for _ in range(120):
        loss = model(ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05


def test_residual_branches_start_smaller() -> None:
    changes = {"hidden_size": 64, "initializer_range": 0.02, "num_hidden_layers": 8}
    model = build("decoder", "causal_lm", configuration(**changes), seed=1)
    layer = model.model.decoder.stack.layers[3]
    assert float(layer.attention.query_key_value.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(layer.attention.output.weight.detach().std()) == pytest.approx(0.02 / 4, rel=0.05)
    assert float(layer.feed_forward.output.weight.detach().std()) == pytest.approx(0.02 / 4, rel=0.08)
    zero = build("decoder", "causal_lm", configuration(residual_init="zero"), seed=1)
    assert not zero.model.decoder.stack.layers[0].feed_forward.output.weight.any()


def test_labelled_only_is_the_same_loss_and_gradient() -> None:
    for kind, head in (("encoder", "masked_lm"), ("decoder", "causal_lm"), ("seq2seq", "seq2seq_lm")):
        model = build(kind, head, configuration(kind), seed=1)  # type: ignore[arg-type]
        ids = tokens()
        labels = ids.masked_fill(torch.arange(10) % 3 != 0, -100)
        gradients = []
        for labelled_only in (False, True):
            model.zero_grad()
            model(ids, labels=labels, labelled_only=labelled_only).loss.backward()
            gradients.append(model.lm_head.weight.grad.clone())
        torch.testing.assert_close(gradients[0], gradients[1])


def test_activation_checkpointing_gives_the_same_gradients() -> None:
    model = build("seq2seq", "seq2seq_lm", configuration("seq2seq"), seed=1)
    ids = tokens()
    model(ids, labels=ids).loss.backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model.gradient_checkpointing_enable()
    model(ids, labels=ids).loss.backward()
    for one, other in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad)
