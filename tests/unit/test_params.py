"""params.yaml: what loads, and what each slip is told."""

from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.params import load, merge

COMMITTED = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")


def _load(tmp_path: Path, text: str):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def test_shared_blocks_complete_the_models_and_tasks(tmp_path):
    params = _load(tmp_path, COMMITTED)
    assert params.pretrain["seq2seq"].architecture.layers != params.architecture.layers
    assert params.pretrain["seq2seq"].architecture.width == params.architecture.width
    finetune = params.tasks["sentiment"].finetune
    assert finetune.max_length == params.training.max_length
    assert finetune.optimizer.name != params.training.optimizer.name
    assert finetune.optimizer.betas == params.training.optimizer.betas
    assert params.tasks["dialogue"].finetune.generation.beams == params.generation.beams


def test_an_existing_tokenizer_needs_no_size(tmp_path):
    start, rest = COMMITTED.split("tokenizer:\n")
    rest = rest[rest.index("\n\n") :]
    params = _load(tmp_path, f"{start}tokenizer: {{kind: existing, path: models/theirs}}\n{rest}")
    assert params.tokenizer.path == "models/theirs"
    with pytest.raises(UserError, match="an existing tokenizer needs path"):
        _load(tmp_path, f"{start}tokenizer: {{kind: existing}}\n{rest}")
    with pytest.raises(UserError, match="a bpe tokenizer needs vocabulary_size"):
        _load(tmp_path, f"{start}tokenizer: {{kind: bpe}}\n{rest}")


def test_params_are_frozen(tmp_path):
    params = _load(tmp_path, COMMITTED)
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 2


DATA = "    data: {format: sample, path: src/textmill/sample"
SLIPS = [
    # what is replaced, by what, and what the message must say
    ("seed: 1\n", "sead: 1\n", ["sead: unknown key", "did you mean seed?", "seed is missing"]),
    ("seed: 1\n", "seed: one\n", ["seed: ", "valid integer", '"one"']),
    ("seed: 1\n", "seed: 1\nseed: 2\n", ["seed", "a second time"]),
    ("seed: 1\n", "seed: 1\n  data: {}\n", ["not YAML"]),
    ("metric: accuracy", "metric: rmse", ["tasks.sentiment.gate.metric", "take pearson", '"rmse"']),
    ("  batch_size: 32", "  batch_size: '32'", ["training.batch_size", "valid integer", '"32"']),
    (
        "      learning_rate: 1.0e-3\n      optimizer",
        "      learnin_rate: 1.0e-3\n      optimizer",
        ["learnin_rate: unknown key", "did you mean learning_rate?"],
    ),
    (
        "model: encoder",
        "model: encodr",
        ["tasks.sentiment.model", "encodr", "known: encoder, decoder, seq2seq"],
    ),
    ("model: seq2seq", "model: encoder", ["tasks.headlines.model", "kind encoder", "needs seq2seq"]),
    ("{name: causal, separate", "{name: denoising, separate", ["pretrain.decoder", "denoising needs"]),
    ("  kind: bpe", "  kind: bp", ["tokenizer.kind", "'bpe'", '"bp"']),
    (
        "budget: {epochs: 1}",
        "budget: {epochs: 1, steps: 2}",
        ["exactly one of steps, epochs, tokens, minutes"],
    ),
    ("format: sample, licence", "format: text, licence", ["corpus.sources.world", "needs unit"]),
    (
        "    dates: null",
        "    dates: {validation: 2024-01-01, test: 2024-07-01}",
        ["2024-01-01: a date stands in quotes"],
    ),
    ("  width: 192", "  width: 190", ["width 190 is not a multiple of heads"]),
    ("labels: [negative, positive]", "labels: null", ["tasks.sentiment", "needs labels"]),
    ("labels: [negative, positive]", "labels: [bad, good]", ["behaviour", "labels negative and positive"]),
    ("budget: {epochs: 4}", "out_of_scope: other", ["out_of_scope", "'other' is none of the labels"]),
    ("budget: {epochs: 4}", "class_weights: {positive: 2}", ["a weight for each of negative, positive"]),
    ("budget: {epochs: 2}", "class_weights: balanced", ["tasks.entities", "give one label to a text"]),
    ("budget: {epochs: 4}", "auxiliary: [headlines]", ["'headlines' is not another task on the encoder"]),
    ("budget: {epochs: 4}", "auxiliary: [sentiment]", ["'sentiment' is not another task on the encoder"]),
    (
        "  strategy: auto",
        "  strategy: fsdp_cpu_offload",
        ["trainer.strategy", "fsdp alone is built here", '"fsdp_cpu_offload"'],
    ),
    (
        "  strategy: auto                  # ddp | fsdp: docs/scale.md\n  precision: auto ",
        "  strategy: fsdp\n  precision: 16-mixed ",
        ["trainer", "no loss scaling for precision 16-mixed; take bf16-mixed"],
    ),
    (
        "  lora: null\n  gradual_unfreezing: null",
        "  lora: {rank: 2, alpha: 4.0}\n  gradual_unfreezing: 0.5",
        ["training", "every layer in the end, and lora trains some never"],
    ),
    (
        "  frozen_layers: 0\n  lora: null\n  gradual_unfreezing: null",
        "  frozen_layers: 1\n  lora: null\n  gradual_unfreezing: 0.5",
        ["training", "every layer in the end, and frozen_layers trains some never"],
    ),
    (
        "  gradual_unfreezing: null",
        "  gradual_unfreezing: 0.0",
        ["training.gradual_unfreezing", "greater than 0"],
    ),
    (
        "  frozen_layers: 0\n  lora: null",
        "  frozen_layers: 2\n  lora: {rank: 2, alpha: 4.0}",
        ["training", "lora trains matrices in every layer, and frozen_layers trains some layers never"],
    ),
    (
        f"    labels: [none, works_for, founded, located_in, makes, born_in]\n{DATA}}}",
        f"    labels: [none, works_for]\n{DATA}, multi_label: true}}",
        ["tasks.relations", "data.multi_label is for the family sequence_classification"],
    ),
    (
        f"    labels: [person, company, place, product]\n{DATA}}}",
        f"    labels: null\n{DATA}, regression: true}}",
        ["tasks.entities", "data.regression is for the family sequence_classification"],
    ),
    (
        f"    labels: null\n{DATA}}}",
        f"    labels: null\n{DATA}, multi_label: true}}",
        ["tasks.questions", "data.multi_label is for the family sequence_classification"],
    ),
    (
        f"    labels: [negative, positive]\n{DATA}}}",
        f"    labels: null\n{DATA}, regression: true, multi_label: true}}",
        ["tasks.sentiment", "data.multi_label and data.regression exclude each other"],
    ),
    (
        f"    labels: [negative, positive]\n{DATA}}}",
        f"    labels: [negative, positive]\n{DATA}, regression: true}}",
        ["tasks.sentiment", "data.regression needs labels: null"],
    ),
    (
        "labels: [negative, positive]",
        "labels: [negative, positive, positive]",
        ["tasks.sentiment", "labels has positive more than once"],
    ),
    (
        "  label_smoothing: 0.0",
        "  label_smoothing: 0.1",
        ["tasks.questions", "span_extraction has a loss of its own, without label_smoothing and z_loss"],
    ),
    (
        "budget: {epochs: 3}",
        "z_loss: 1.0e-4",
        ["tasks.questions", "span_extraction has a loss of its own, without label_smoothing and z_loss"],
    ),
    (
        "budget: {epochs: 4}",
        "label_smoothing: 0.1\n      auxiliary: [entities, questions]",
        ["tasks.sentiment.finetune.auxiliary: 'questions' has a loss of its own by span_extraction"],
    ),
    ("  min_new_tokens: 0", "  min_new_tokens: 65", ["generation", "65 is more than max_new_tokens 64"]),
]


@pytest.mark.parametrize(("old", "new", "expected"), SLIPS, ids=[new.strip()[:40] for _, new, _ in SLIPS])
def test_a_slip_is_told_with_its_place_and_what_would_be_right(tmp_path, old, new, expected):
    assert old in COMMITTED
    with pytest.raises(UserError) as caught:
        _load(tmp_path, COMMITTED.replace(old, new, 1))
    message = str(caught.value)
    assert "params.yaml" in message
    for part in expected:
        assert part in message


def test_the_line_of_a_wrong_value_is_its_line_in_the_file(tmp_path):
    text = COMMITTED.replace("  kind: bpe", "  kind: bp", 1)
    line = next(number for number, row in enumerate(text.splitlines(), 1) if row.startswith("  kind: bp"))
    with pytest.raises(UserError, match=rf"params.yaml:{line}: tokenizer.kind"):
        _load(tmp_path, text)


def test_a_number_in_exponent_form_is_a_number(tmp_path):
    params = _load(tmp_path, COMMITTED.replace("learning_rate: 1.0e-3", "learning_rate: 5e-4", 1))
    assert params.training.learning_rate == 5e-4


def test_missing_file_and_bad_encoding_are_told(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"seed: \xff")
    with pytest.raises(UserError, match="not UTF-8 at byte 6"):
        load(tmp_path / "params.yaml")


def test_a_budget_is_replaced_whole_and_other_mappings_key_by_key():
    base = {"budget": {"epochs": 1}, "schedule": {"name": "linear", "warmup": 0.1}}
    over = {"budget": {"steps": 5}, "schedule": {"warmup": 0.0}}
    assert merge(base, over) == {"budget": {"steps": 5}, "schedule": {"name": "linear", "warmup": 0.0}}


@pytest.mark.parametrize("changed", ["label_smoothing: 0.1", "z_loss: 1.0e-4"])
@pytest.mark.parametrize(
    ("kind", "labels", "metric"),
    [("multi_label", "[negative, positive]", "micro_f1"), ("regression", "null", "pearson")],
)
def test_the_losses_of_several_labels_and_of_numbers_are_not_smoothed(
    tmp_path, kind, labels, metric, changed
):
    text = COMMITTED.replace(
        f"    labels: [negative, positive]\n{DATA}}}", f"    labels: {labels}\n{DATA}, {kind}: true}}", 1
    )
    text = text.replace("    behaviour: sentiment", "    behaviour: null").replace("accuracy", metric, 1)
    _load(tmp_path, text)
    with pytest.raises(UserError, match=rf"tasks.sentiment: data.{kind} has a loss of its own"):
        _load(tmp_path, text.replace("budget: {epochs: 4}", changed, 1))


def test_an_auxiliary_task_with_a_random_field_is_not_smoothed(tmp_path):
    text = COMMITTED.replace("budget: {epochs: 2}", "crf: true", 1)
    text = text.replace("budget: {epochs: 4}", "auxiliary: [entities]", 1)
    _load(tmp_path, text)
    smoothed = text.replace("auxiliary: [entities]", "auxiliary: [entities]\n      label_smoothing: 0.1", 1)
    with pytest.raises(UserError, match=r"sentiment\.finetune\.auxiliary: 'entities' .* by finetune\.crf"):
        _load(tmp_path, smoothed)
