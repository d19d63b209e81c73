"""A small project as the stages leave it, without running them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textmill.params import Params, load
from textmill.records import write_json, write_jsonl

ROOT = Path(__file__).parents[3]
TEXT = "Ada Novak founded Brightwell in Lisbon."
SPAN = {"start": 0, "end": 9, "label": "person"}
TAIL = {"start": 18, "end": 28, "label": "company"}
TURNS = [{"role": "user", "text": "你好"}, {"role": "assistant", "text": "您好"}]

Row = dict[str, Any]
EXAMPLES: dict[str, tuple[Row, Any, Any, Any]] = {  # family -> example, gold, right and wrong prediction
    "sequence_classification": ({"text": TEXT, "label": "positive"}, "positive", "positive", "negative"),
    "token_classification": (
        {"text": TEXT, "spans": [SPAN]},
        [{**SPAN, "text": "Ada Novak"}],
        [{**SPAN, "text": "Ada Novak", "score": 0.9}],
        [{**TAIL, "text": "Brightwell"}],
    ),
    "relation_classification": (
        {"text": TEXT, "head": SPAN, "tail": TAIL, "label": "founded"},
        "founded",
        "founded",
        "none",
    ),
    "span_extraction": (
        {"context": TEXT, "question": "Who?", "answers": [{"text": "Ada Novak", "start": 0}]},
        [{"text": "Ada Novak", "start": 0}],
        {"text": "Ada Novak", "start": 0},
        {"text": "", "start": 0},
    ),
    "sequence_to_sequence": ({"source": TEXT, "target": "Founded"}, "Founded", "Founded", "Novak"),
    "dialogue": (
        {"turns": TURNS}, "您好", "您好", "再见",
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def params() -> Params:
    return load(ROOT / "params.yaml")


@pytest.fixture
def project(tmp_path: Path, params: Params) -> Path:
    """metrics, predictions, examples and reports of every task and model of params.yaml."""
    write_project(tmp_path, params)
    return tmp_path


def write_project(root: Path, params: Params) -> None:
    for name, task in params.tasks.items():
        example, gold, right, wrong = EXAMPLES[task.family]
        rows = [{"id": f"{name}-{i}", "language": "en", **example} for i in range(4)]
        write_jsonl(root / f"data/tasks/{name}/test.jsonl", rows)
        guesses = [right, wrong, right, wrong]
        folder = root / "data/predictions" / name
        write_jsonl(
            folder / "predictions.jsonl",
            [
                {"id": row["id"], "language": "en", "gold": gold, "prediction": guess, "score": 0.5 + 0.1 * i}
                for i, (row, guess) in enumerate(zip(rows, guesses, strict=True))
            ],
        )
        write_json(folder / "scores.json", scores(name, task.gate.metric))
        write_json(root / f"metrics/task_data/{name}.json", {"train_examples": 1600, "test_examples": 4})
        write_json(root / f"metrics/finetune/{name}.json", {"train_beyond_window": 0.25})
    for name in params.pretrain:
        metrics = {
            "parameters": 3_100_000, "tokens": 2_400_000, "train_loss": 1.5, "validation_loss": 1.6,
            "perplexity": 4.95, "bits_per_byte": 0.8,
        }  # fmt: skip
        write_json(root / f"metrics/pretrain/{name}.json", metrics)
    for name in params.corpus.sources:
        write_json(root / f"metrics/ingest/{name}.json", {"documents": 6000, "boilerplate_lines": 12})
    curated = {
        "documents": 5400, "characters": 2_000_000, "dropped": 600, "dropped_share": 0.1,
        "dropped_exact_duplicate": 350, "dropped_language": 250, "train_documents": 4800,
        "validation_documents": 300, "test_documents": 300, "language_share_en": 0.6,
        "language_share_zh": 0.4,
        "source_share_world": 1.0, "personal_email": 9,
    }  # fmt: skip
    write_json(root / "metrics/curate.json", curated)
    write_json(root / "metrics/tokenize.json", {"train_tokens": 600_000})
    check = {
        "level": "document", "name": "mojibake", "passed": False, "figure": 2, "min": None, "max": 0,
        "unit": "tags", "severity": "warn", "why": "It wastes vocabulary.", "offenders": ["ab12"],
        "command": "textmill why ab12",
    }  # fmt: skip
    write_json(root / "reports/checks.json", {"results": [check], "errors": []})
    write_json(root / "reports/token_checks.json", {"results": [{**check, "passed": True}], "errors": []})


def scores(name: str, metric: str, value: float = 0.9, low: float = 0.1) -> dict[str, Any]:
    """A task's scores: the headline metric, baselines, and the margin over the best of them."""
    value *= 100 if metric in ("bleu", "chrf") else 1
    return {
        "task": name,
        "examples": 4,
        "metrics": {metric: value, "other": 0.5},
        "intervals": {metric: [value * 0.95, value * 1.05]},
        "baselines": {
            "majority": {"metrics": {metric: value * 0.4}, "intervals": {metric: [0, 1]}},
            "linear": {"metrics": {metric: value * 0.7}, "intervals": {metric: [0, 1]}},
        },
        "best_baseline": {
            "name": "linear",
            "difference": low + 0.1,
            "low": low,
            "high": low + 0.2,
            "p": 0.001,
        },
    }


@pytest.fixture
def make_scores() -> Callable[..., dict[str, Any]]:
    return scores
