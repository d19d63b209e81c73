"""What a fine-tuning draws anew is trained, whatever else of the model is frozen or adapted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from textmill import models
from textmill.params import Lora, Params
from textmill.records import write_jsonl
from textmill.tasks import FAMILIES
from textmill.training.finetuning import Beginning, prepare
from textmill.training.fit import make_ready
from textmill.training.loading import widen
from textmill.training.optimizers import trained
from textmill.training.pretraining import start

LORA = Lora(rank=2, alpha=4.0)
SMALL = {"layers": 2, "width": 16, "heads": 2, "key_value_heads": 2, "feed_forward": 32}
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"abcdefghijklmnopqrstuvwxyz",
    "mara",
    "works",
    "ulmen",
]
RELATION = {
    "id": "r", "text": "mara works ulmen", "head": {"start": 0, "end": 4}, "tail": {"start": 11, "end": 16},
    "label": "makes",
}  # fmt: skip


def _moved(model: Any, training: Any, batch: Any, added: Sequence[int] = ()) -> dict[str, torch.Tensor]:
    """By name how far two steps move the parameters, of those that they move at all."""
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    adapted = make_ready(model, training, added)
    optimizer = torch.optim.SGD(trained(model), lr=1.0)
    for _ in range(2):  # at first one of an adapter's two matrices is zero
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    if adapted is not None:
        adapted.merge_and_unload()
    apart = {name: (value - before[name]).detach() for name, value in model.named_parameters()}
    assert list(apart) == list(before)
    return {name: change for name, change in apart.items() if change.any()}


@pytest.fixture
def questions(params: Params, tokenizer: Any, make_task: Any) -> tuple[Any, Any, Any]:
    """An encoder that marks matches, a batch for it, and its task."""
    task = make_task("questions", finetune={"mark_matches": True})
    family = FAMILIES[task.family](task, tokenizer)
    shape = params.architecture.model_copy(update=SMALL)
    made = models.config("encoder", shape, tokenizer, **family.model_config())
    context = {"question": "Who?", "context": "Mara Velt works", "answers": [{"text": "Mara", "start": 0}]}
    batch = family.collate(family.encode(context))
    return models.build("encoder", "span_extraction", made, 0), batch, task.finetune


@pytest.fixture
def begin(params: Params, make_task: Any, tmp_path: Path) -> Callable[[int], Beginning]:
    """The relations of a BERT that does not know their marks, as the fine-tuning of a seed begins."""
    tokenizer = transformers.BertTokenizerFast(vocab={word: i for i, word in enumerate(WORDS)})
    tokenizer.save_pretrained(tmp_path / "bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "bert")
    for split in ("train", "dev"):
        write_jsonl(tmp_path / f"{split}.jsonl", [RELATION])
    changed = params.model_copy(update={"tasks": {"relations": make_task("relations")}})
    return lambda seed: prepare(changed, "relations", seed, tmp_path, tmp_path / "bert")


def test_marked_matches_train_beside_adapters_and_over_frozen_embeddings(questions: Any) -> None:
    model, batch, training = questions
    matches = "model.encoder.embeddings.matches.weight"
    adapted = _moved(copy.deepcopy(model), training.model_copy(update={"lora": LORA}), batch)
    assert {matches, "span.weight"} < set(adapted)
    assert "model.embed_tokens.weight" not in adapted
    frozen = _moved(model, training.model_copy(update={"frozen_layers": 2}), batch)
    assert {matches, "span.weight"} < set(frozen)
    assert not any(name.startswith(("model.embed_tokens", "model.encoder.stack.layers.0")) for name in frozen)


def test_ngrams_train_beside_adapters_and_over_frozen_embeddings(
    params: Params, tokenizer: Any, make_task: Any
) -> None:
    task = make_task("sentiment", finetune={"ngrams": 2})
    family = FAMILIES[task.family](task, tokenizer)
    made = models.config(
        "encoder", params.architecture.model_copy(update=SMALL), tokenizer, **family.model_config()
    )
    model = models.build("encoder", "sequence_classification", made, 0)
    rows = [{"text": f"good {i}", "label": "positive"} for i in range(16)]
    batch = family.collate([feature for row in rows for feature in family.encode(row)])
    for changes in ({"lora": LORA}, {"frozen_layers": 2}):
        torch.manual_seed(0)
        moved = _moved(copy.deepcopy(model), task.finetune.model_copy(update=changes), batch)
        assert {"ngrams.table", "classifier.output.weight"} < set(moved)
        assert "model.embed_tokens.weight" not in moved


def test_new_marks_are_as_far_apart_as_words_and_drawn_from_the_seed(begin: Any) -> None:
    first, again, other = (begin(seed).network.get_input_embeddings().weight.detach() for seed in (1, 1, 2))
    _assert_new(first, again, other)


def test_so_they_are_where_the_pretraining_begins_with_a_published_model(
    begin: Any, params: Params, tmp_path: Path
) -> None:
    taught = begin(1).family.tokenizer
    spec = params.pretrain["encoder"].model_copy(update={"init": str(tmp_path / "bert")})
    _assert_new(*(start(spec, taught, seed).get_input_embeddings().weight.detach() for seed in (1, 1, 2)))


def _assert_new(first: torch.Tensor, again: torch.Tensor, other: torch.Tensor) -> None:
    """Tables of two equal seeds and another, the last four rows of which are new."""
    apart = torch.cdist(first, first)
    assert (apart[-4:, -4:] + torch.eye(4) > apart[:-4, :-4].median() / 2).all()
    assert torch.equal(first, again)
    assert torch.equal(first[:-4], other[:-4])
    assert not torch.equal(first[-4:], other[-4:])


@pytest.mark.parametrize("known", [False, True], ids=["new", "taught before pretraining"])
def test_marks_and_the_pooler_train_beside_adapters(known: bool, begin: Any, tmp_path: Path) -> None:
    if known:
        begun = begin(1)
        begun.network.save_pretrained(tmp_path / "bert")
        begun.family.tokenizer.save_pretrained(tmp_path / "bert")
    begun = begin(1)
    batch = begun.family.collate(begun.features[0])
    lora = begun.family.task.finetune.model_copy(update={"lora": LORA})
    moved = _moved(begun.network, lora, batch, begun.added_tokens)
    assert {"bert.pooler.dense.weight", "classifier.weight"} < set(moved)
    rows = moved["bert.embeddings.word_embeddings.weight"].any(dim=1)
    assert rows.tolist() == [False] * len(WORDS) + [True] * 4


@pytest.mark.parametrize("tied", [True, False])
def test_the_rows_of_new_tokens_lie_as_the_others_do(tied: bool) -> None:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=200, n_embd=16, n_layer=1, n_head=2, n_positions=8, tie_word_embeddings=tied,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    names = ("transformer.wte.weight", "lm_head.weight")
    for name in names:
        model.state_dict()[name][:, 0] -= 9.0  # as in GPT-2, whose logits are all far below 0
    before = [model.state_dict()[name].clone() for name in names]
    widen(model, 300)
    assert (model.lm_head.weight is model.transformer.wte.weight) == tied
    for name, old in zip(names, before, strict=True):
        kept, new = model.state_dict()[name].split([200, 100])
        assert torch.equal(kept, old)
        assert torch.allclose(new.mean(dim=0), old.mean(dim=0), atol=0.01)
        assert torch.allclose(new.std(dim=0), old.std(dim=0), rtol=0.4)


def test_the_rows_of_new_tokens_move_under_a_tied_head_too(params: Params, tokenizer: Any) -> None:
    shape = params.architecture.model_copy(update=SMALL)
    model: Any = models.build("decoder", "causal_lm", models.config("decoder", shape, tokenizer), 0)
    ids = torch.arange(20)[None]
    moved = _moved(
        model, params.training.model_copy(update={"lora": LORA}), {"input_ids": ids, "labels": ids}, [7]
    )
    assert moved["model.embed_tokens.weight"].any(dim=1).nonzero().flatten().tolist() == [7]
    assert model.lm_head.weight is model.model.embed_tokens.weight
