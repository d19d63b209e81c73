"""A fine-tuned folder evaluated and used: the same predictions everywhere, scores beside baselines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from textmill.errors import UserError
from textmill.evaluation import evaluate
from textmill.params import Params, load
from textmill.prediction import Predictor, write_card
from textmill.records import read_json, read_jsonl, write_jsonl
from textmill.tasks import FAMILIES


@pytest.fixture(scope="module")
def params() -> Params:
    """The parameters of the repository."""
    return load()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, params: Params) -> dict[str, Path]:
    """Data and a tiny stock model for sentiment, untrained: evaluation needs no good one."""
    import torch
    import transformers

    from textmill.tokenizer import train

    top = tmp_path_factory.mktemp("evaluate")
    said = {"positive": ("good", "not bad", "很好"), "negative": ("bad", "not good", "不好")}
    rows = [
        {"id": f"s{i}", "language": "en", "text": f"{said[label][i % 3]} tools {i}", "label": label}
        for i in range(60)
        for label in ["positive" if i % 2 else "negative"]
    ]
    for split, part in (("train", rows[:30]), ("dev", rows[30:35]), ("test", rows[35:])):
        write_jsonl(top / "data" / f"{split}.jsonl", part)
    tokenizer = train(
        [r["text"] for r in rows] * 3,
        params.tokenizer.model_copy(update={"kind": "bpe", "vocabulary_size": 320}),
    )
    task = params.tasks["sentiment"]
    family = FAMILIES[task.family](task, tokenizer)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, pad_token_id=tokenizer.pad_token_id, **family.model_config(),
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(top / "model")
    tokenizer.save_pretrained(top / "model")
    write_card(top / "model", "sentiment", task, rows[0])
    return {"data": top / "data", "model": top / "model", "top": top}


def test_evaluation_writes_predictions_scores_intervals_and_baselines(
    folders: dict[str, Path], params: Params, tmp_path: Path
) -> None:
    metrics, figures = evaluate(params, "sentiment", folders["data"], folders["model"], tmp_path)
    rows = list(read_jsonl(tmp_path / "predictions.jsonl"))
    assert [row["id"] for row in rows] == [f"s{i}" for i in range(35, 60)]
    right = sum(row["gold"] == row["prediction"] for row in rows)
    assert metrics["accuracy"] == pytest.approx(right / 25, abs=1e-6)
    assert metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"]
    found = read_json(tmp_path / "scores.json")
    assert set(found["baselines"]) == {"majority", "linear"}
    best = found["best_baseline"]
    assert best["difference"] == pytest.approx(
        found["metrics"]["accuracy"] - found["baselines"][best["name"]]["metrics"]["accuracy"]
    )
    assert {"confusion_matrix", "calibration"} <= set(figures)
    assert all(isinstance(value, (int, float)) for value in metrics.values())


def test_texts_that_train_has_too_are_left_out_of_a_second_score(
    folders: dict[str, Path], params: Params, tmp_path: Path
) -> None:
    """Ten test texts are put into train: the score without them is of the other fifteen."""
    test = list(read_jsonl(folders["data"] / "test.jsonl"))
    write_jsonl(tmp_path / "test.jsonl", test)
    train = list(read_jsonl(folders["data"] / "train.jsonl"))
    copies = [{**row, "id": f"copy{i}", "text": row["text"].upper()} for i, row in enumerate(test[:10])]
    write_jsonl(tmp_path / "train.jsonl", [*train, *copies])
    metrics, _ = evaluate(params, "sentiment", tmp_path, folders["model"], tmp_path)
    rows = list(read_jsonl(tmp_path / "predictions.jsonl"))[10:]
    right = sum(row["gold"] == row["prediction"] for row in rows)
    assert metrics["seen_in_train"] == 10
    assert metrics["accuracy_not_seen_in_train"] == pytest.approx(right / 15, abs=1e-6)
    found = read_json(tmp_path / "scores.json")["seen_in_train"]
    low, high = found["intervals_without"]["accuracy"]
    assert low <= found["metrics_without"]["accuracy"] <= high


def test_the_predictor_and_the_pipeline_say_what_evaluation_wrote(
    folders: dict[str, Path], params: Params, tmp_path: Path
) -> None:
    import transformers

    evaluate(params, "sentiment", folders["data"], folders["model"], tmp_path)
    rows = list(read_jsonl(tmp_path / "predictions.jsonl"))
    examples = list(read_jsonl(folders["data"] / "test.jsonl"))
    predictor = Predictor(folders["model"])
    told: list[int] = []
    found = predictor.predict([example["text"] for example in examples], on_progress=told.append)
    assert [p["prediction"] for p in found] == [row["prediction"] for row in rows]
    assert [p["score"] for p in found] == pytest.approx([row["score"] for row in rows], abs=2e-6)
    assert told[-1] == len(examples)
    pipeline: Any = transformers.pipeline("text-classification", str(folders["model"]))
    said = pipeline([example["text"] for example in examples])
    assert [p["label"] for p in said] == [row["prediction"] for row in rows]
    assert [p["score"] for p in said] == pytest.approx([row["score"] for row in rows], abs=1e-5)
    assert json.dumps(predictor.predict(predictor.input_example()))


def test_prediction_in_bfloat16_is_near_and_not_the_same(folders: dict[str, Path]) -> None:
    texts = ["good", "a bad thing", "good good, not bad"]
    exact, mixed = (
        [row["score"] for row in Predictor(folders["model"], precision).predict(texts)]
        for precision in ("32-true", "bf16-mixed")
    )
    assert exact != mixed
    assert exact == pytest.approx(mixed, abs=0.02)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, r"input 2: text is missing"),
        ({"text": 3}, r"input 2: text: expected text, found int"),
        ({"text": float("nan")}, r"input 2: text is missing"),
    ],
)
def test_bad_input_to_the_predictor_is_told(folders: dict[str, Path], item: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Predictor(folders["model"]).predict(["good", item])


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json: no such file"):
        Predictor(tmp_path / "nothing")
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}', encoding="utf-8")
    with pytest.raises(UserError, match=r"no textmill\.json, and 'BertModel' is no language model"):
        Predictor(tmp_path)
