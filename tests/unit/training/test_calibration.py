"""Temperature and threshold on cases whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from textmill.errors import UserError
from textmill.params import load
from textmill.tasks.span_extraction import SpanExtraction
from textmill.training.calibration import calibrate, ngram_weight, softened, temperature, threshold


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_the_temperature_is_what_the_true_logits_were_multiplied_by(times: float) -> None:
    draw = np.random.default_rng(1)
    logits = draw.normal(0, 2, (20000, 4))
    truth = np.array([draw.choice(4, p=row) for row in _softmax(logits)])
    assert temperature(_softmax(times * logits), truth) == pytest.approx(times, rel=0.05)


def test_the_weight_of_ngrams_is_what_the_true_logits_were_mixed_by() -> None:
    draw = np.random.default_rng(3)
    deep, wide = draw.normal(0, 2, (2, 20000, 3))
    mixed = softened(np.exp(2 * deep + 0.5 * wide), 1.0)
    truth = np.array([draw.choice(3, p=row) for row in mixed])
    found = ngram_weight(softened(np.exp(deep), 1.0), softened(np.exp(wide), 1.0), truth)
    assert found == pytest.approx(0.25, rel=0.1)
    useless = ngram_weight(softened(np.exp(wide), 1.0), softened(np.exp(deep), 1.0), truth)
    assert useless == pytest.approx(4, rel=0.1)


def test_softening_is_the_softmax_of_divided_logits_and_can_be_undone() -> None:
    logits = np.random.default_rng(2).normal(0, 3, (50, 5))
    cooled = softened(_softmax(logits), 2.5)
    np.testing.assert_allclose(cooled, _softmax(logits / 2.5), rtol=1e-9)
    np.testing.assert_allclose(softened(cooled, 1 / 2.5), _softmax(logits), rtol=1e-9)


def test_the_threshold_is_where_most_answers_are_right() -> None:
    certainty = np.array([0.9, 0.8, 0.7, 0.4, 0.3, 0.2])
    outside = np.array([False, False, False, True, True, False])
    right = np.array([True, True, True, False, False, True])
    # Above 0.4 all are right and both outsiders told; the sure one at 0.2 is lost for it.
    assert 0.4 < threshold(certainty, right, outside) < 0.7
    assert threshold(certainty, right, np.zeros(6, dtype=bool)) < 0.2
    assert threshold(certainty, np.zeros(6, dtype=bool), ~np.zeros(6, dtype=bool)) > 0.9


class Fixed:
    """A family whose model is a linear map of an example's numbers."""

    def __init__(self, task: Any) -> None:
        self.task = task

    def learns(self, example: dict[str, Any]) -> bool:
        return bool(example["label"] != self.task.finetune.out_of_scope)

    def gold(self, example: dict[str, Any]) -> str:
        return str(example["label"])

    def outputs(self, model: Any, examples: Any, batch_size: int) -> tuple[list, list]:
        import torch

        with torch.no_grad():
            rows = model(torch.tensor([e["x"] for e in examples])).softmax(dim=-1).double().numpy()
        return [], [[row] for row in rows]


def make(out_of_scope: str | None = None) -> Fixed:
    task = load().tasks["sentiment"]
    labels = ("negative", "positive", *filter(None, [out_of_scope]))
    finetune = task.finetune.model_copy(update={"out_of_scope": out_of_scope})
    return Fixed(task.model_copy(update={"labels": labels, "finetune": finetune}))


def _examples(labels: list[str]) -> list[dict[str, Any]]:
    draw = np.random.default_rng(3)
    scale = {"negative": (6.0, 0.0), "positive": (0.0, 6.0), "oos": (1.0, 1.2)}
    rows = [
        {"x": (np.array(scale[label]) + draw.normal(0, 3, 2)).astype(np.float32).tolist(), "label": label}
        for label in labels
    ]
    for row in rows[::7]:  # errors, without which no temperature is too low
        row["label"] = "positive" if row["label"] == "negative" else "negative"
    return rows


def test_the_temperature_goes_into_the_weights_and_moves_no_answer() -> None:
    import torch

    from textmill.models.configuration import EncoderConfig
    from textmill.models.heads import NgramScores

    class Both(torch.nn.Module):
        """A linear map that sees half of an input, and n-grams that see the other and say too little."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(2, 2)
            self.ngrams = NgramScores(EncoderConfig(num_labels=2, ngrams=1, ngram_rows=2))
            with torch.no_grad():
                self.linear.weight.copy_(torch.diag(torch.tensor([2.0, 0.0])))
                self.linear.bias.zero_()
                self.ngrams.table.copy_(torch.diag(torch.tensor([0.0, 0.5])))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) + x @ self.ngrams.table

    family, dev = make(), _examples(["negative", "positive"] * 100)
    both: Any = Both()
    fitted = calibrate(family, both, dev, 8)
    assert set(fitted) == {"ngram_weight", "temperature"}
    assert fitted["ngram_weight"] == pytest.approx(4, rel=0.3)
    seen = float(both.linear.weight[0, 0].detach())
    assert seen == pytest.approx(2 / fitted["temperature"], abs=1e-4)
    assert float(both.ngrams.table[1, 1].detach()) == pytest.approx(seen, rel=0.3)
    again = calibrate(family, both, dev, 8)
    assert again == pytest.approx({"ngram_weight": 1, "temperature": 1}, abs=0.02)

    model: Any = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2) * 2)
        model.bias.zero_()
    before = np.array([row[0] for row in family.outputs(model, dev, 8)[1]])
    found = calibrate(family, model, dev, 8)
    after = np.array([row[0] for row in family.outputs(model, dev, 8)[1]])
    assert found["temperature"] > 1.5
    assert set(found) == {"temperature"}
    np.testing.assert_allclose(after, softened(before, found["temperature"]), atol=1e-6)
    assert (after.argmax(1) == before.argmax(1)).all()
    assert calibrate(family, model, dev, 8)["temperature"] == pytest.approx(1, abs=0.02)


def test_the_threshold_tells_what_is_out_of_scope_and_needs_some_of_it_on_dev() -> None:
    import torch

    model: Any = torch.nn.Linear(2, 2)
    family = make(out_of_scope="oos")
    found = calibrate(family, model, _examples(["negative", "positive", "oos"] * 50), 8)
    assert 0 < found["threshold"] < 1
    with pytest.raises(UserError, match="no example labelled 'oos'"):
        calibrate(family, model, _examples(["negative", "positive"] * 20), 8)


class Spans(SpanExtraction):
    """A reader whose score of the span "b" over that of no answer is the example's ``margin``."""

    def __init__(self) -> None:
        super().__init__(load().tasks["questions"], None)  # type: ignore[arg-type]

    def outputs(self, model: Any, examples: Any, batch_size: int, run: Any = None) -> Any:
        features = [[{"_spans": [(0, 0), (0, 1), (2, 3)]}] for _ in examples]
        rows = [[(np.array([0.0, -50.0, e["margin"]]), np.array([0.0, -50.0, 0.0]))] for e in examples]
        return features, rows


def _asked(margin: float, answer: str) -> dict[str, Any]:
    answers = [{"text": answer, "start": 2}] if answer else []
    return {"question": "what?", "context": "a b", "answers": answers, "margin": margin}


def test_no_answer_is_given_below_the_margin_that_dev_asks_for() -> None:
    family = Spans()
    dev = [_asked(5.0, "b"), _asked(4.0, "b"), _asked(2.0, ""), _asked(1.0, ""), _asked(-3.0, "")]
    family.prepare(dev)
    found = calibrate(family, None, dev, 8)  # type: ignore[arg-type]
    assert found["threshold"] == pytest.approx(3.0)  # half way between 4, an answer, and 2, none
    family.threshold = found["threshold"]
    answers = [p["prediction"]["text"] for p in family.predict(None, dev, 8)]  # type: ignore[arg-type]
    assert answers == ["b", "b", "", "", ""]


def test_where_every_question_has_an_answer_one_is_always_given() -> None:
    family = Spans()
    dev = [_asked(-5.0, "b"), _asked(4.0, "b")]
    family.prepare(dev)
    family.threshold = calibrate(family, None, dev, 8)["threshold"]  # type: ignore[arg-type]
    answers = [p["prediction"]["text"] for p in family.predict(None, dev, 8)]  # type: ignore[arg-type]
    assert answers == ["b", "b"]
