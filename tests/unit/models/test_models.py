"""Our models as transformers models: configurations, files, Auto classes, pipelines."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from textmill.errors import UserError
from textmill.models import build, config
from textmill.models.auto import MODELS, model_class
from textmill.models.configuration import CONFIGS, DecoderConfig, EncoderConfig
from textmill.models.embeddings import matches
from textmill.models.exchange import export_checkpoint, import_checkpoint
from textmill.models.heads import NgramScores, ngram_places
from textmill.params import Architecture, Kind


@pytest.fixture(scope="module")
def tokenizer() -> transformers.PreTrainedTokenizerFast:
    words = ["<pad>", "<unk>", "<s>", "</s>", "<mask>", "the", "mill", "grinds", "text", "磨", "字"]
    fast = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=fast,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        mask_token="<mask>",
        cls_token="<s>",
        sep_token="</s>",
    )


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    return Architecture(
        layers=2,
        width=32,
        heads=4,
        key_value_heads=2,
        feed_forward=48,
        max_positions=32,
        positions="rotary",
        norm="rms",
        norm_first=True,
        activation="relu2",
        attention="plain",
        bias=False,
        qk_norm=False,
        dropout=0.1,
        attention_dropout=0.0,
        tie_embeddings=True,
        pooling="first",
        init_std=0.02,
        residual_init="scaled",
    )


def test_an_unknown_key_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(UserError, match="no key 'hidden_sise'; did you mean hidden_size"):
        EncoderConfig(hidden_sise=3)


def test_a_wrong_value_is_an_error() -> None:
    with pytest.raises(Exception, match="norm"):
        EncoderConfig(norm="batch")
    with pytest.raises(UserError, match="hidden_size 10 is not a multiple"):
        EncoderConfig(hidden_size=10)


def test_a_head_that_a_kind_does_not_have_is_an_error() -> None:
    with pytest.raises(UserError, match="no decoder with the head masked_lm; its heads are: base, causal_lm"):
        model_class("decoder", "masked_lm")


def test_a_text_beyond_the_learned_positions_is_an_error() -> None:
    small = DecoderConfig(
        vocab_size=9, hidden_size=8, num_attention_heads=2, num_key_value_heads=2, positions="learned",
        max_position_embeddings=4,
    )  # fmt: skip
    with pytest.raises(UserError, match="5 tokens is longer than the model's 4 learned positions"):
        build("decoder", "causal_lm", small)(torch.ones(1, 5, dtype=torch.long))


def test_config_takes_all_of_the_architecture(
    tokenizer: transformers.PreTrainedTokenizerFast, architecture: Architecture
) -> None:
    made = config("seq2seq", architecture, tokenizer, num_labels=3)
    assert (made.vocab_size, made.hidden_size, made.num_key_value_heads) == (11, 32, 2)
    assert (made.pad_token_id, made.bos_token_id, made.eos_token_id) == (0, 2, 3)
    assert made.decoder_start_token_id == 2
    assert made.num_labels == 3


def test_the_seed_alone_decides_the_weights(
    tokenizer: transformers.PreTrainedTokenizerFast, architecture: Architecture
) -> None:
    made = config("decoder", architecture, tokenizer)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one = build("decoder", "causal_lm", made, seed=5).state_dict()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(1)
    other = build("decoder", "causal_lm", made, seed=5).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(("kind", "head"), MODELS)
@pytest.mark.parametrize("tie", [True, False])
def test_saved_and_loaded_are_the_same_bits(
    kind: Kind,
    head: str,
    tie: bool,
    tmp_path: Path,
    tokenizer: transformers.PreTrainedTokenizerFast,
    architecture: Architecture,
) -> None:
    made = config(kind, architecture, tokenizer, tie_word_embeddings=tie)
    model = build(kind, head, made, seed=2)
    model.save_pretrained(tmp_path)
    loaded, report = getattr(transformers, MODELS[kind, head][0]).from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert type(loaded) is type(model)
    anywhere = {"dtype": None, "_name_or_path": None}
    assert loaded.config.to_dict() | anywhere == model.config.to_dict() | anywhere
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    state = loaded.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_task_head_starts_from_a_pretrained_body(
    tmp_path: Path, tokenizer: transformers.PreTrainedTokenizerFast, architecture: Architecture
) -> None:
    model = build("encoder", "masked_lm", config("encoder", architecture, tokenizer), seed=2)
    model.save_pretrained(tmp_path)
    loaded, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, num_labels=5, output_loading_info=True
    )
    assert all(key.startswith("classifier.") for key in report["missing_keys"])
    body = loaded.model.state_dict()
    assert all(torch.equal(value, body[key]) for key, value in model.model.state_dict().items())
    assert loaded.classifier.output.weight.shape == (5, 32)


FRESH = """
import sys
import textmill
assert not {{"torch", "transformers", "textmill.models"}} & set(sys.modules), "import textmill is not light"
{imports}
import torch
folder, expected = sys.argv[1:]
classify = pipeline("text-classification", folder)
classify.model.eval()
ids = torch.tensor([[2, 5, 6, 7, 3]])
with torch.no_grad():
    logits = classify.model(ids).logits
assert torch.equal(logits, torch.load(expected, weights_only=True)), logits
print(type(classify.model).__name__, classify("the mill grinds text")[0]["label"])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "from transformers import pipeline",
        "from textmill.models.encoder import EncoderModel\nfrom transformers import pipeline",
    ],
    ids=["transformers first", "our models first"],
)
def test_a_fresh_process_knows_our_models(
    imports: str,
    tmp_path: Path,
    tokenizer: transformers.PreTrainedTokenizerFast,
    architecture: Architecture,
) -> None:
    made = config("encoder", architecture, tokenizer, id2label={0: "bad", 1: "good"})
    model = build("encoder", "sequence_classification", made, seed=2).eval()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with torch.no_grad():
        torch.save(model(torch.tensor([[2, 5, 6, 7, 3]])).logits, tmp_path / "logits.pt")
    run = subprocess.run(
        [sys.executable, "-c", FRESH.format(imports=imports), tmp_path / "model", tmp_path / "logits.pt"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": "src", "OMP_NUM_THREADS": str(torch.get_num_threads()), "HF_HUB_OFFLINE": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[0] == "EncoderForSequenceClassification"
    assert "is not supported" not in run.stderr


PIPELINES = [
    ("encoder", "masked_lm", "fill-mask", "the <mask> grinds"),
    ("encoder", "sequence_classification", "text-classification", "the mill grinds"),
    ("encoder", "token_classification", "token-classification", "the mill grinds"),
    ("decoder", "causal_lm", "text-generation", "the mill"),
]


@pytest.mark.parametrize(("kind", "head", "task", "text"), PIPELINES)
def test_pipelines_accept_our_models(
    kind: Kind,
    head: str,
    task: str,
    text: str,
    tokenizer: transformers.PreTrainedTokenizerFast,
    architecture: Architecture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = build(kind, head, config(kind, architecture, tokenizer), seed=2)
    made = transformers.pipeline(task, model=model, tokenizer=tokenizer)(text)
    assert made
    assert "is not supported" not in caplog.text


# Import and export.


STOCK = """
import sys
import torch, transformers
folder, expected, name = sys.argv[1:]
model = getattr(transformers, name).from_pretrained(folder).eval()
assert "textmill" not in sys.modules
ids = torch.arange(4, 11)[None]
inputs = {"decoder_input_ids": ids[:, :5]} if model.config.is_encoder_decoder else {}
with torch.no_grad():
    logits = model(ids, **inputs).logits
expected = torch.load(expected, weights_only=True)
print(float((logits - expected).abs().max() / expected.abs().max()))
"""
COMMON = {
    "vocab_size": 17,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 16,
    "initializer_range": 0.2,
}
BIASED = {"positions": "learned", "norm": "layer", "bias": True, "activation": "gelu"}
POST_NORM = BIASED | {"norm_first": False, "final_norm": False, "embedding_norm": True, "head_bias": True}
LLAMA = {"activation": "swiglu", "num_key_value_heads": 2}
BERT = POST_NORM | {"head_transform": True, "type_vocab_size": 2}
BART = POST_NORM | {"position_offset": 2, "decoder_start_token_id": 2}
LESS = {"bias": False, "head_bias": False}
EXPORTS = [
    ("decoder", "causal_lm", None, "AutoModelForCausalLM", LLAMA),
    ("decoder", "causal_lm", "gpt2", "AutoModelForCausalLM", BIASED),
    ("encoder", "masked_lm", None, "AutoModelForMaskedLM", BERT),
    ("seq2seq", "seq2seq_lm", None, "AutoModelForSeq2SeqLM", BART),
    ("decoder", "causal_lm", "gpt2", "AutoModelForCausalLM", BIASED | LESS),
    ("encoder", "masked_lm", None, "AutoModelForMaskedLM", BERT | LESS | {"type_vocab_size": 0}),
    ("seq2seq", "seq2seq_lm", None, "AutoModelForSeq2SeqLM", BART | LESS | {"position_offset": 0}),
]


Exported = tuple[Path, Kind, transformers.PreTrainedModel, dict[str, torch.Tensor], torch.Tensor, str]


@pytest.fixture(params=EXPORTS, ids=["llama", "gpt2", "bert", "bart", "gpt2-less", "bert-less", "bart-less"])
def exported(
    request: pytest.FixtureRequest, tmp_path: Path, tokenizer: transformers.PreTrainedTokenizerFast
) -> Exported:
    """A folder with our model and its export, an input and the logits that are expected."""
    kind, head, target, auto, changes = request.param
    model = build(kind, head, CONFIGS[kind](**COMMON | changes), seed=3).eval()
    model.save_pretrained(tmp_path / "ours")
    tokenizer.save_pretrained(tmp_path / "ours")
    export_checkpoint(tmp_path / "ours", tmp_path / "stock", target)
    ids = torch.arange(4, 11)[None]
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids[:, :5]} if kind == "seq2seq" else {})
    with torch.no_grad():
        return tmp_path, kind, model, inputs, model(**inputs).logits, auto


def test_an_export_computes_the_same_and_comes_back(exported: Exported) -> None:
    folder, _, model, inputs, expected, auto = exported
    stock = getattr(transformers, auto).from_pretrained(folder / "stock").eval()
    assert type(stock).__module__.startswith("transformers.")
    import_checkpoint(folder / "stock", folder / "back")
    back = getattr(transformers, auto).from_pretrained(folder / "back").eval()
    assert type(back) is type(model)
    assert (folder / "back" / "tokenizer.json").is_file()
    with torch.no_grad():
        for other in (stock, back):
            torch.testing.assert_close(other(**inputs).logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_an_export_needs_no_textmill(exported: Exported) -> None:
    folder, _, _, _, expected, auto = exported
    torch.save(expected, folder / "logits.pt")
    run = subprocess.run(
        [sys.executable, "-c", STOCK, folder / "stock", folder / "logits.pt", auto],
        capture_output=True,
        text=True,
        check=False,
        env={"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 1e-5


def test_export_names_the_fields_that_the_target_cannot_express(tmp_path: Path) -> None:
    small = COMMON | {"qk_norm": True, "activation": "relu2"}
    build("decoder", "causal_lm", DecoderConfig(**small), seed=3).save_pretrained(tmp_path / "ours")
    with pytest.raises(UserError) as caught:
        export_checkpoint(tmp_path / "ours", tmp_path / "stock")
    message = str(caught.value)
    assert "as llama: activation is relu2, it must be swiglu, qk_norm is True, it must be False" in message
    assert "as gpt2: positions is rotary, it must be learned" in message
    assert not (tmp_path / "stock").exists()


LABELS = {"num_labels": 3, "id2label": {0: "bad", 1: "so so", 2: "good"}}
HEADS = [
    ("sequence_classification", "AutoModelForSequenceClassification", LABELS),
    ("sequence_classification", "AutoModelForSequenceClassification", {"num_labels": 1}),
    ("token_classification", "AutoModelForTokenClassification", LABELS),
    ("span_extraction", "AutoModelForQuestionAnswering", {}),
]


@pytest.mark.parametrize(("head", "auto", "changes"), HEADS)
def test_an_export_has_the_head_of_a_task(tmp_path: Path, head: str, auto: str, changes: dict) -> None:
    """The head is exported with its labels, for a stock pipeline to name them as ours does."""
    config = CONFIGS["encoder"](**COMMON | BERT | changes)
    if head == "sequence_classification":
        config.problem_type = "regression" if config.num_labels == 1 else "single_label_classification"
    model = build("encoder", head, config, seed=3).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases begin at zero, where a mix-up would not show
            parameter.add_(torch.linspace(-0.1, 0.1, parameter.numel()).view_as(parameter))
    model.save_pretrained(tmp_path / "ours")
    written = export_checkpoint(tmp_path / "ours", tmp_path / "stock")
    assert (written.id2label, written.problem_type) == (config.id2label, config.problem_type)
    stock, told = getattr(transformers, auto).from_pretrained(tmp_path / "stock", output_loading_info=True)
    assert type(stock).__module__.startswith("transformers.")
    assert not any(told.values())
    ids = torch.arange(4, 11)[None]
    with torch.no_grad():
        ours, theirs = (m.eval()(input_ids=ids).to_tuple() for m in (model, stock))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_export_names_what_a_head_has_that_the_target_has_not(tmp_path: Path) -> None:
    for changes, head, told in (
        ({"pooling": "mean"}, "sequence_classification", "as bert: pooling is mean, it must be first"),
        ({"marker_ids": [5, 6]}, "sequence_classification", r"marker_ids is \[5, 6\], it must be None"),
        ({"ngrams": 2, "ngram_rows": 8}, "sequence_classification", "ngrams is 2, it must be 0"),
        ({"crf": True}, "token_classification", "crf is True, it must be False"),
        ({}, "base", "no stock checkpoint is written of EncoderModel"),
    ):
        config = CONFIGS["encoder"](**COMMON | BERT | changes)
        build("encoder", head, config, seed=3).save_pretrained(tmp_path / head)
        with pytest.raises(UserError, match=told):
            export_checkpoint(tmp_path / head, tmp_path / "stock")
        assert not (tmp_path / "stock").exists()


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.json", "[]", r"config\.json: expected a JSON object, found \[\]"),
        ("config.json", "{", r"config\.json:1: not JSON"),
        (
            "config.json",
            '{"model_type": "textmill-encoder"}',
            "architectures is None; expected EncoderModel or",
        ),
        ("model.safetensors", "x" * 99, "no model to load: .*header"),
    ],
)
def test_export_says_what_is_broken(tmp_path: Path, file: str, content: str, told: str) -> None:
    build("encoder", "masked_lm", CONFIGS["encoder"](**COMMON | BERT), seed=3).save_pretrained(tmp_path)
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=told):
        export_checkpoint(tmp_path, tmp_path / "stock")


def test_import_says_what_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint to read"):
        import_checkpoint(tmp_path / "missing", tmp_path / "out")
    transformers.T5Config(d_model=8).save_pretrained(tmp_path / "t5")
    with pytest.raises(
        UserError, match="type t5 cannot be imported; known: bert, roberta, gpt2, llama, bart"
    ):
        import_checkpoint(tmp_path / "t5", tmp_path / "out")


def test_a_classifier_reads_the_states_of_its_markers_side_by_side() -> None:
    config = EncoderConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=32, num_labels=3, marker_ids=[7, 5],
    )  # fmt: skip
    model = build("encoder", "sequence_classification", config, seed=1).eval()
    ids = torch.tensor([[2, 5, 9, 7, 3], [2, 7, 5, 3, 0]])
    mask = (ids != 0).long()
    with torch.no_grad():
        found = model(input_ids=ids, attention_mask=mask).logits
        states = model.model(input_ids=ids, attention_mask=mask).last_hidden_state
        read = torch.cat([states[[0, 1], [3, 1]], states[[0, 1], [1, 2]]], dim=1)
        assert torch.equal(found, model.classifier.output(model.classifier.dense(read).tanh()))
        embedded = model.get_input_embeddings()(ids)
        places = torch.tensor([[3, 1], [1, 2]])
        again = model(inputs_embeds=embedded, attention_mask=mask, marker_positions=places).logits
    assert torch.equal(found, again)


def _code(tokens: list[int]) -> int:
    """The hash of an n-gram by Python's integers: FNV-1a over tokens, folded, of a signed 64-bit number."""
    code = len(tokens)
    for token in tokens:
        code = (code ^ token) * 1099511628211 % 2**64
    signed = code - 2**64 if code >= 2**63 else code
    return signed ^ (signed >> 32)


def test_ngrams_of_a_text_score_its_labels() -> None:
    """A saved table has to be read the same way for ever: the rows are those of a hash written down here."""
    config = EncoderConfig(**COMMON, num_labels=3, ngrams=3, ngram_rows=997)
    scores = NgramScores(config)
    assert not scores.table.any()
    with torch.no_grad():
        scores.table.copy_(torch.randn(997, 3, generator=torch.Generator().manual_seed(3)))
    ids = torch.tensor([[2, 5, 9, 5, 3], [2, 7, 3, 0, 0], [0, 2, 7, 3, 0]])
    found = scores(ids, (ids != 0).long())
    places = ngram_places(3, 5)
    assert found.shape == (3, len(places), 3) == (3, 12, 3)
    for row, tokens in ((0, [2, 5, 9, 5, 3]), (1, [2, 7, 3]), (2, [2, 7, 3])):
        grams = [tokens[i : i + n] for n in (1, 2, 3) for i in range(len(tokens) - n + 1)]
        expected = sum(scores.table[_code(gram) % 997] for gram in grams) * 50 / math.sqrt(len(grams))
        torch.testing.assert_close(found[row].sum(dim=0), expected)
    at = places.index(range(1, 3))
    torch.testing.assert_close(found[0, at], scores.table[_code([5, 9]) % 997] * 50 / math.sqrt(12))
    assert scores(ids[:, :1]).shape == (3, 1, 3)  # shorter than the longest n-gram


def test_a_classifier_learns_by_one_of_two_halves_and_answers_by_both() -> None:
    config = EncoderConfig(
        **COMMON | {"dropout": 0.0}, num_labels=3, ngrams=2, ngram_rows=64, classifier_dropout=0.0
    )
    model = build("encoder", "sequence_classification", config, 1)
    with torch.no_grad():
        model.ngrams.table.copy_(torch.randn(64, 3, generator=torch.Generator().manual_seed(3)))
    ids = torch.randint(4, 17, (40, 6), generator=torch.Generator().manual_seed(4))
    states = model.model(input_ids=ids).last_hidden_state
    deep, wide = model.classifier(states, None, None), model.ngrams(ids).sum(dim=1)
    torch.manual_seed(5)
    learnt = model(input_ids=ids).logits
    by_deep, by_wide = ((learnt == half).all(dim=1) for half in (deep, wide))
    assert (by_deep ^ by_wide).all()
    assert 10 < by_deep.sum() < 30
    torch.manual_seed(5)
    assert torch.equal(model(input_ids=ids).logits, learnt)
    model.eval()
    torch.testing.assert_close(model(input_ids=ids).logits, (deep + wide) / 2)
    embedded = model.get_input_embeddings()(ids)
    again = model(inputs_embeds=embedded, ngram_scores=model.ngrams(ids)).logits
    assert torch.equal(again, model(input_ids=ids).logits)


def test_a_model_sees_which_tokens_a_pair_shares() -> None:
    shape = {
        "vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "intermediate_size": 32, "num_labels": 3,
    }  # fmt: skip
    ids = torch.tensor([[2, 5, 9, 3, 9, 7, 3], [2, 5, 3, 6, 3, 0, 0]])
    found = matches(ids, separator=3)
    assert found.tolist() == [[0, 0, 1, 0, 3, 2, 2], [0, 0, 0, 2, 2, 2, 2]]
    model = build("encoder", "sequence_classification", EncoderConfig(**shape, mark_matches=True), 1).eval()
    mask = (ids != 0).long()
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
        embedded = model.get_input_embeddings()(ids)
        assert torch.equal(logits, model(inputs_embeds=embedded, attention_mask=mask, matched=found).logits)
        other = model(inputs_embeds=embedded, attention_mask=mask, matched=found // 2 * 2).logits
    assert not torch.equal(logits[0], other[0])  # two tokens matched
    assert torch.equal(logits[1], other[1])  # none did
    plain = build("encoder", "sequence_classification", EncoderConfig(**shape), 1)
    assert "model.encoder.embeddings.matches.weight" not in plain.state_dict()
