"""The page: whole, escaped, self-contained; the gates; the examples it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textmill.errors import UserError
from textmill.params import Gate, Params
from textmill.records import write_json, write_jsonl
from textmill.report import build, charts, examples, format, gates

COST = {
    "pretrain@encoder": {"seconds": 200.0, "energy_wh": 1.5, "co2_g": 0.6, "peak_memory_gb": 1.2},
    "finetune@sentiment": {"seconds": 20.0, "energy_wh": 0.1, "co2_g": 0.1, "peak_memory_gb": 0.9},
}
Make = Callable[..., dict[str, Any]]


def page(project: Path, params: Params) -> str:
    output = project / "reports/index.html"
    build(params, project, output, COST)
    return output.read_text(encoding="utf-8")


def test_the_page_tells_results_data_and_cost(project: Path, params: Params) -> None:
    text = page(project, params)
    assert "7 of 7 tasks pass their gate" in text
    for name in (*params.tasks, *params.pretrain):
        assert name in text
    for part in ("exact copy of another document", "mojibake", "3.7 min", "1.60 Wh", "0.800", "600,000"):
        assert part in text
    assert "您好" in text


def test_the_page_needs_no_other_file_and_no_script(project: Path, params: Params) -> None:
    text = page(project, params)
    assert not re.search(r"https?:|<script|<link|src=|@import|url\(", text)
    assert "data_docs/index.html" not in text
    write_jsonl(project / "reports/data_docs/index.html", [])
    assert 'href="data_docs/index.html"' in page(project, params)


def test_rows_set_aside_are_shown_with_their_reasons(project: Path, params: Params) -> None:
    assert "set aside" not in page(project, params)
    assert "25.0 % of the training texts longer than the window" in page(project, params)
    rows = [
        {"split": "train", "place": f"a.csv:{i}", "problem": f"label: '<b>{i}' is none"} for i in range(3)
    ]
    rows.append({"split": "train", "place": "a.csv:9", "problem": "text: lena.moss@example.org"})
    write_jsonl(project / "data/tasks/sentiment/skipped.jsonl", rows)
    text = page(project, params)
    assert "sentiment: 4 in" in text
    assert "3 such as <code>a.csv:0: label: &#39;&lt;b&gt;0&#39; is none</code>" in text
    assert "lena.moss" not in text


def test_the_same_results_give_the_same_bytes(project: Path, params: Params) -> None:
    assert page(project, params) == page(project, params)


def test_text_is_escaped_and_personal_data_replaced(project: Path, params: Params) -> None:
    text = "<script>alert(1)</script> Write to lena.moss@example.org"
    rows = [{"id": f"sentiment-{i}", "text": text, "label": "positive"} for i in range(4)]
    write_jsonl(project / "data/tasks/sentiment/test.jsonl", rows)
    shown = page(project, params)
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "lena.moss" not in shown
    assert "[EMAIL]" in shown


def test_personal_data_is_found_across_marks_and_where_a_text_is_cut() -> None:
    text = "Write to lena.moss@example.org now."
    found = examples._private(examples.marked(text, [{"start": 9, "end": 18, "label": "person"}]), ["email"])
    assert found == [examples.Piece("Write to [EMAIL] now.")]
    apart = examples._private(examples.marked(text, [{"start": 0, "end": 5, "label": "verb"}]), ["email"])
    assert apart == [examples.Piece("Write", "verb"), examples.Piece(" to [EMAIL] now.")]
    row = {"id": "0", "gold": "a", "prediction": "a", "score": 0.9}
    long = {"0": {"text": "x" * (examples.LONGEST - 8) + " lena.moss@example.org"}}
    (shown,) = examples.choose("sequence_classification", long, [row], ["email"], 1)
    assert "lena" not in "".join(piece.text for _, pieces in shown.lines for piece in pieces)


def test_a_missing_result_says_which(project: Path, params: Params) -> None:
    (project / "data/predictions/sentiment/scores.json").unlink()
    with pytest.raises(UserError, match=r"sentiment/scores\.json"):
        page(project, params)


def test_a_failed_gate_is_on_the_page_with_why(project: Path, params: Params, make_scores: Make) -> None:
    path = project / "data/predictions/sentiment/scores.json"
    write_json(path, make_scores("sentiment", "accuracy", value=0.7, low=-0.02))
    passed = build(params, project, project / "reports/index.html", COST)
    assert [name for name, good in passed.items() if not good] == ["sentiment"]
    text = (project / "reports/index.html").read_text(encoding="utf-8")
    assert "6 of 7 tasks pass" in text
    wanted = 100 * (params.tasks["sentiment"].gate.min or 0)
    assert f"accuracy 70.0 is below the gate&#39;s {wanted:.1f}" in text
    assert "not clearly above the baseline linear" in text


@pytest.mark.parametrize(
    ("value", "low", "passed"),
    [(0.8, 0.01, True), (0.79, 0.01, False), (0.9, 0.0, False), (0.9, -0.1, False)],
)
def test_gate(value: float, low: float, passed: bool, make_scores: Make) -> None:
    gate = Gate(metric="f1", min=0.8, above_baseline=True)
    verdict = gates.judge("entities", gate, make_scores("entities", "f1", value=value, low=low))
    assert verdict.passed is passed
    assert bool(verdict.reasons) is not passed


def test_a_gate_without_bounds_is_open(make_scores: Make) -> None:
    gate = Gate(metric="f1", min=None, above_baseline=False)
    assert gates.judge("entities", gate, make_scores("entities", "f1", value=0.0, low=-1)).passed


def test_a_gate_on_an_unknown_metric_names_the_known_ones(make_scores: Make) -> None:
    gate = Gate(metric="f2", min=0.8, above_baseline=True)
    with pytest.raises(UserError, match=r"tasks\.entities\.gate\.metric.*'f2'.*f1"):
        gates.judge("entities", gate, make_scores("entities", "f1"))


@pytest.mark.parametrize(
    ("family", "gold", "prediction", "right"),
    [
        ("sequence_classification", "a", "a", True),
        ("sequence_classification", ["a", "b"], ["b", "a"], True),
        ("sequence_classification", ["a"], [], False),
        ("span_extraction", [], {"text": "", "start": 0}, True),
        ("span_extraction", [{"text": "x", "start": 1}], {"text": "", "start": 0}, False),
        ("dialogue", "好的。", " 好的。", True),
        (
            "token_classification",
            [{"start": 0, "end": 2, "label": "a", "text": "xy"}],
            [{"start": 0, "end": 2, "label": "a", "text": "xy", "score": 0.3}],
            True,
        ),
        ("token_classification", [{"start": 0, "end": 2, "label": "a"}], [], False),
        ("span_extraction", [{"text": "《诺比》"}], {"text": "诺比"}, True),
        ("span_extraction", [], {"text": ""}, True),
    ],
)
def test_is_right(family: str, gold: Any, prediction: Any, right: bool) -> None:
    assert examples.is_right(family, gold, prediction) is right


def test_examples_are_right_and_wrong_sure_ones_first_and_languages_in_turn() -> None:
    rows = [
        {"id": str(i), "language": language, "gold": "a", "prediction": guess, "score": score}
        for i, (language, guess, score) in enumerate(
            [("en", "a", 0.9), ("en", "a", 0.8), ("zh", "a", 0.6), ("en", "b", 0.7), ("en", "b", 0.99)]
        )
    ]
    known = {row["id"]: {"text": f"text {row['id']}"} for row in rows}
    shown = examples.choose("sequence_classification", known, rows, (), 2)
    assert [(item.id, item.right) for item in shown] == [("0", True), ("2", True), ("4", False), ("3", False)]
    assert shown[0].lines == (("Text", (examples.Piece("text 0"),)), ("Gold", (examples.Piece("a"),)))


def test_a_long_text_is_cut_around_its_first_mark() -> None:
    text = "x" * 900 + "HERE" + "y" * 900
    pieces = examples._clip(examples.marked(text, [{"start": 900, "end": 904, "label": "place"}]))
    assert examples.Piece("HERE", "place") in pieces
    assert sum(len(piece.text) for piece in pieces) <= examples.LONGEST + 4


def test_the_page_shows_seeds_leaks_slices_calibration_and_behaviour(
    project: Path, params: Params, make_scores: Make
) -> None:
    bins = [{"certainty": 0.9, "right": 0.7, "examples": 3}]
    part = {"slice": "language <zh>", "examples": 40, "metric": "accuracy", "score": 0.55}
    failing = {"before": "It was good.", "after": "It was not good.", "said": ["positive 0.91"] * 2}
    test = {"test": "negation", "kind": "direction", "language": "en", "cases": 48, "failures": 12}
    found = make_scores("sentiment", "accuracy") | {
        "seeds": {"models": 3, "mean": {"accuracy": 0.875}, "deviation": {"accuracy": 0.0125}},
        "seen_in_train": {
            "examples": 331, "metrics_without": {"accuracy": 0.8125}, "best_baseline_without": 0.625,
        },
        "slices": [{**part, "low": 0.4, "high": 0.7, "difference": -0.35}],
        "calibration": {
            "expected_calibration_error": 0.021, "bins": bins, "temperature": 1.73,
            "before": {"expected_calibration_error": 0.093, "bins": bins},
        },
        "behaviour": [{**test, "failure_rate": 0.25, "failing": [failing]}],
    }  # fmt: skip
    write_json(project / "data/predictions/sentiment/scores.json", found)
    row = {"examples": 1200, "accuracy": 0.765, "low": 0.741, "high": 0.789, "baseline": 0.782}
    curve = {"task": "sentiment", "metric": "accuracy", "rows": [row]}
    write_json(project / "reports/curves/sentiment.json", curve)
    text = page(project, params)
    for wanted in (
        "1,200 examples", "76.5", "74.1 – 78.9", "78.2",
        "87.5 ± 1.3 over 3 seeds", "81.2 without 331 that train has too (baseline 62.5)",
        "language &lt;zh&gt;",
        "55.0", "\u221235.0", "0.021", "0.093 before the temperature 1.73", "12 / 48", "was not good.",
        'class="reliability"',
    ):  # fmt: skip
        assert wanted in text, wanted


def test_a_track_stays_on_its_scale() -> None:
    row = charts.track(120, (-3, 130), {"copy": 50})
    assert (row.value, row.low, row.high, row.baselines) == (100, 0, 100, (("copy", 50),))


def test_a_curve_needs_two_points() -> None:
    assert charts.curve([(1, 2.0)], "loss") == ""
    assert charts.curve([(1, 2.0), (2, float("nan"))], "loss") == ""
    picture = charts.curve([(0, 4.0), (100, 1.5)], "loss <a>")
    assert "4.00" in picture
    assert "1.50" in picture
    assert "loss &lt;a&gt;" in picture


def test_numbers() -> None:
    assert format.number(0.935, "accuracy") == "93.5"
    assert (
        format.number(0.7775, "accuracy") == f"{100 * float(f'{0.7775:.3f}'):.1f}" == "77.7"
    )  # as the terminal has it
    assert format.number(31.24, "chrf") == "31.2"
    assert format.number(-0.01, "f1", sign=True) == "\u22121.0"
    assert format.count(1234.0) == "1,234"
    assert format.count(2_345_678) == "2.35 M"
    assert format.percent(0.0004) == "0.04 %"
    assert json.loads(json.dumps(format.metric_name("rouge_l"))) == "ROUGE-L"
