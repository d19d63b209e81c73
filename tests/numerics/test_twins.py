"""Our Transformer against independent twins: the published architectures, their weights copied in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import transformers
from torch import Tensor, nn

from textmill.models.configuration import Seq2SeqConfig
from textmill.models.exchange import FAMILIES, from_stock, to_stock
from textmill.models.seq2seq import Seq2SeqForConditionalGeneration

VOCABULARY = 53
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,
    **NO_DROPOUT,
}


def bert() -> nn.Module:
    return transformers.BertForMaskedLM(transformers.BertConfig(**BERT, pad_token_id=0))


def roberta() -> nn.Module:
    return transformers.RobertaForMaskedLM(transformers.RobertaConfig(**BERT, pad_token_id=1))


def gpt2(**changes: object) -> nn.Module:
    fields = {
        "vocab_size": VOCABULARY,
        "n_embd": 32,
        "n_layer": 3,
        "n_head": 4,
        "n_positions": 40,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "initializer_range": 0.2,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**fields | changes))


def llama(**changes: object) -> nn.Module:
    fields = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 40,
        "initializer_range": 0.2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
    }
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**fields | changes))


def bart(**changes: object) -> nn.Module:
    fields = {
        "vocab_size": VOCABULARY,
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "max_position_embeddings": 40,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "init_std": 0.2,
    }
    return transformers.BartForConditionalGeneration(transformers.BartConfig(**fields | changes))


TWINS: dict[str, Callable[[], nn.Module]] = {
    "bert": bert,
    "roberta": roberta,
    "gpt2": gpt2,
    "gpt2-untied": lambda: gpt2(tie_word_embeddings=False),
    "llama": llama,
    "llama-tied": lambda: llama(tie_word_embeddings=True),
    "llama-multi-head": lambda: llama(num_key_value_heads=4),
    "bart": bart,
    "bart-scaled": lambda: bart(scale_embedding=True, activation_function="gelu_new"),
}


def perturbed(model: nn.Module) -> nn.Module:
    """Norms and biases start at one and zero, where a mix-up would not show: move them away."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        for name, buffer in model.named_buffers():
            if name == "final_logits_bias":
                buffer.add_(torch.randn(buffer.shape, generator=generator))
    return model


def assert_close(ours: Tensor, theirs: Tensor, what: str = "", tolerance: float = 1e-5) -> None:
    """Equal to ``tolerance`` of the largest number."""
    assert ours.shape == theirs.shape, f"{what}: {tuple(ours.shape)} and {tuple(theirs.shape)}"
    scale = float(theirs.detach().abs().max()) or 1.0
    difference = float((ours - theirs).detach().abs().max())
    assert difference <= tolerance * scale, f"{what}: differs by {difference / scale:.2e} of {scale:.2e}"


def batches(kind: str) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Inputs with every mask: none, padding on the right, on the left, and token types."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(4, VOCABULARY, (3, 13), generator=generator)
    labels = torch.randint(4, VOCABULARY, (3, 13), generator=generator)
    labels[:, ::3] = -100
    right = torch.ones_like(ids)
    right[0, 9:] = 0
    right[2, 5:] = 0
    left = right.flip(1)
    positions = (left.cumsum(1) - 1).clamp(min=0)
    if kind == "seq2seq":
        # Ignored labels stand at the end: the embedding of padding takes no gradient in BART.
        targets = torch.randint(4, VOCABULARY, (3, 7), generator=generator)
        targets[1, 5:] = -100
        yield "no padding", {"input_ids": ids, "labels": targets}
        yield "padding", {"input_ids": ids, "attention_mask": right, "labels": targets}
        decoder_mask = torch.ones_like(targets)
        decoder_mask[1, 4:] = 0
        yield (
            "padding on both sides",
            {
                "input_ids": ids,
                "attention_mask": right,
                "decoder_input_ids": targets.clamp(min=0),
                "decoder_attention_mask": decoder_mask,
                "labels": targets.masked_fill(decoder_mask == 0, -100),
            },
        )
        return
    yield "no padding", {"input_ids": ids, "labels": labels}
    yield (
        "right padding",
        {"input_ids": ids, "attention_mask": right, "labels": labels.masked_fill(right == 0, -100)},
    )
    yield (
        "left padding",
        {
            "input_ids": ids,
            "attention_mask": left,
            "position_ids": positions,
            # The first real token would be predicted by a padded position, which computes nothing.
            "labels": labels.masked_fill((left == 0) | (left.roll(1, 1) == 0), -100),
        },
    )


@pytest.mark.parametrize("attention", ["plain", "fused"])
@pytest.mark.parametrize("name", TWINS)
def test_logits_loss_and_gradients_equal_the_twin(name: str, attention: str) -> None:
    torch.manual_seed(0)
    theirs = perturbed(TWINS[name]()).train()
    ours = from_stock(theirs, attention)  # type: ignore[arg-type]
    family = FAMILIES[theirs.config.model_type]
    for case, batch in batches(family.kind):
        if name == "roberta" and "position_ids" in batch:
            # RoBERTa's position numbers start behind its padding id.
            given = batch | {"position_ids": batch["position_ids"] + 2}
        else:
            given = batch
        expected = theirs(**given, use_cache=False) if family.kind != "encoder" else theirs(**given)
        found = ours(**batch)
        real = batch["labels"] != -100
        if family.kind != "seq2seq":
            mask = batch.get("attention_mask", torch.ones_like(real))
            real = mask.bool()
        assert_close(found.logits[real], expected.logits[real], f"{case}: logits")
        assert_close(found.loss, expected.loss, f"{case}: loss")
        theirs.zero_grad()
        ours.zero_grad()
        expected.loss.backward()
        found.loss.backward()
        theirs_grad = {n: p.grad for n, p in theirs.named_parameters(remove_duplicate=False)}
        ours_grad = {n: p.grad for n, p in ours.named_parameters(remove_duplicate=False)}
        largest = max(float(g.abs().max()) for g in theirs_grad.values() if g is not None)
        compared = 0
        for row in family.rows(ours.config):
            parts = [theirs_grad.get(part) for part in row.theirs]
            if any(part is None for part in parts):
                continue  # BART's final_logits_bias is a buffer
            whole = torch.cat([part.T if row.transposed else part for part in parts])  # type: ignore[union-attr]
            difference = float((ours_grad[row.ours] - whole).abs().max())  # type: ignore[operator]
            scale = max(float(whole.abs().max()), 1e-3 * largest)
            assert difference <= 1e-5 * scale, f"{case}: gradient of {row.ours} differs by {difference:.2e}"
            compared += 1
        assert compared > 20


@pytest.mark.parametrize("name", TWINS)
def test_every_weight_of_the_twin_is_used(name: str) -> None:
    theirs = TWINS[name]()
    ours = from_stock(theirs)
    family = FAMILIES[theirs.config.model_type]
    rows = list(family.rows(ours.config))
    assert {row.ours for row in rows} == set(ours.state_dict())
    named = {part for row in rows for part in row.theirs}
    left = {key for key in theirs.state_dict() if key not in named}
    # A bias that BERT holds twice under two names.
    assert left <= {
        "cls.predictions.decoder.bias",
        "lm_head.decoder.bias",
        "model.encoder.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
    }


@pytest.mark.parametrize("name", [name for name in TWINS if name != "roberta"])
def test_there_and_back_are_the_same_bits(name: str) -> None:
    theirs = perturbed(TWINS[name]())
    back = to_stock(from_stock(theirs), theirs.config.model_type)
    after = back.state_dict()
    for key, value in theirs.state_dict().items():
        assert torch.equal(value, after[key]), key


def sinusoidal_table(length: int, width: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5, number by number."""
    table = torch.zeros(length, width)
    for position in range(length):
        for i in range(width // 2):
            angle = torch.tensor(position / 10000 ** (2 * i / width))
            table[position, 2 * i] = angle.sin()
            table[position, 2 * i + 1] = angle.cos()
    return table


@pytest.mark.parametrize("attention", ["plain", "fused"])
def test_the_original_transformer_equals_torch(attention: str) -> None:
    """Post-norm, sinusoidal positions, embeddings times sqrt(d): against torch.nn.Transformer."""
    torch.manual_seed(0)
    width, heads, layers, inner = 32, 4, 2, 48
    config = Seq2SeqConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=inner,
        positions="sinusoidal",
        embedding_scale=width**0.5,
        norm="layer",
        norm_first=False,
        final_norm=True,  # torch's Transformer ends both stacks with one
        activation="relu",
        bias=True,
        dropout=0.0,
        initializer_range=0.2,
        decoder_start_token_id=2,
        attention=attention,
    )
    ours = perturbed(Seq2SeqForConditionalGeneration(config)).train()
    theirs = nn.Transformer(width, heads, layers, layers, inner, 0.0, "relu", batch_first=True).train()
    weights = ours.state_dict()
    state = {}
    names = {
        "attention.output": "self_attn.out_proj",
        "feed_forward.input": "linear1",
        "feed_forward.output": "linear2",
        "attention_norm": "norm1",
    }
    for side, body in (("encoder", "model.encoder.body"), ("decoder", "model.decoder")):
        last = "norm2" if side == "encoder" else "norm3"
        for i in range(layers):
            a, b = f"{body}.stack.layers.{i}", f"{side}.layers.{i}"
            for end in ("weight", "bias"):
                state[f"{b}.self_attn.in_proj_{end}"] = weights[f"{a}.attention.query_key_value.{end}"]
                for one, other in (names | {"feed_forward_norm": last}).items():
                    state[f"{b}.{other}.{end}"] = weights[f"{a}.{one}.{end}"]
                if side == "decoder":
                    cross = [weights[f"{a}.cross_attention.{part}.{end}"] for part in ("query", "key_value")]
                    state[f"{b}.multihead_attn.in_proj_{end}"] = torch.cat(cross)
                    state[f"{b}.multihead_attn.out_proj.{end}"] = weights[f"{a}.cross_attention.output.{end}"]
                    state[f"{b}.norm2.{end}"] = weights[f"{a}.cross_attention_norm.{end}"]
        for end in ("weight", "bias"):
            state[f"{side}.norm.{end}"] = weights[f"{body}.stack.norm.{end}"]
    theirs.load_state_dict(state)

    source = torch.randint(4, VOCABULARY, (3, 9))
    target = torch.randint(4, VOCABULARY, (3, 7))
    mask = torch.ones_like(source)
    mask[1, 6:] = 0
    table = weights["model.embed_tokens.weight"]
    made = [
        (table[ids] * width**0.5 + sinusoidal_table(ids.shape[1], width)).requires_grad_()
        for ids in (source, target)
    ]
    expected = theirs(
        *made,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(7),
        src_key_padding_mask=mask == 0,
        memory_key_padding_mask=mask == 0,
        tgt_is_causal=True,
    )
    expected_logits = expected @ table.T
    expected_loss = nn.functional.cross_entropy(expected_logits.flatten(0, 1), target.flatten())
    found = ours(input_ids=source, attention_mask=mask, decoder_input_ids=target, labels=target)
    assert_close(found.logits, expected_logits, "logits")
    assert_close(found.loss, expected_loss, "loss")
    expected_loss.backward()
    found.loss.backward()
    theirs_grad = dict(theirs.named_parameters())
    ours_grad = dict(ours.named_parameters())
    pairs = {
        "encoder.layers.0.self_attn.in_proj_weight": (
            "model.encoder.body.stack.layers.0.attention.query_key_value.weight"
        ),
        "decoder.layers.1.linear1.weight": "model.decoder.stack.layers.1.feed_forward.input.weight",
        "decoder.layers.1.norm3.bias": "model.decoder.stack.layers.1.feed_forward_norm.bias",
        "encoder.norm.weight": "model.encoder.body.stack.norm.weight",
        "decoder.layers.0.multihead_attn.out_proj.weight": (
            "model.decoder.stack.layers.0.cross_attention.output.weight"
        ),
    }
    for one, other in pairs.items():
        assert_close(ours_grad[other].grad, theirs_grad[one].grad, other)  # type: ignore[arg-type]
