"""Gather what the stages left and write it as one page."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textmill.corpus import privacy
from textmill.params import Params
from textmill.records import read_examples, read_json, read_jsonl
from textmill.report import analysis, charts, examples, format, gates

Costs = Mapping[str, Mapping[str, float]]
View = dict[str, Any]

SHOWN = 2  # right and wrong predictions of each task
ASIDE = 5  # reasons a task
STAGES = ("task_data", "ingest", "curate", "validate", "tokenize", "pretrain", "finetune", "evaluate")
RULES = {
    "exact_duplicate": "exact copy of another document",
    "near_duplicate": "near copy of another document",
    "contamination": "overlaps a task's dev or test text",
    "language": "another language, or unsure",
    "empty": "nothing left after cleaning",
    "weight": "over the source's weight",
    "share": "over the language's share",
    "sampling": "sampled out",
}


def build(params: Params, root: Path, output: Path, cost: Costs) -> dict[str, bool]:
    """Write the page to ``output``, one file that needs no other; returns which tasks pass their gate.

    root: the top of the project, whose ``metrics``, ``data/predictions``, ``data/tasks`` and ``reports``
    hold what the stages left. cost: for each stage (``finetune@sentiment``) its seconds, energy_wh, co2_g and
    peak_memory_gb. Raises UserError where a stage's result is missing.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals |= {
        "count": format.count,
        "percent": format.percent,
        "duration": format.duration,
        "plain": format.plain,
    }
    tasks = [_task(params, root, name) for name in params.tasks]
    models = [_model(params, root, name) for name in params.pretrain]
    page = environment.get_template("page.jinja").render(
        style=(here / "page.css").read_text(encoding="utf-8"),
        seed=params.seed,
        tasks=tasks,
        models=models,
        corpus=_corpus(params, root),
        quality=_quality(root, output),
        aside=_set_aside(params, root),
        cost=_cost(cost),
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(page, encoding="utf-8", newline="\n")
    return {task["name"]: task["verdict"].passed for task in tasks}


def _task(params: Params, root: Path, name: str) -> View:
    """A task's result: scores, baselines, gate, examples."""
    spec = params.tasks[name]
    folder = root / "data" / "predictions" / name
    scores = read_json(folder / "scores.json")
    verdict = gates.judge(name, spec.gate, scores)
    metric = spec.gate.metric
    baselines = {
        key: format.scaled(row["metrics"][metric], metric) for key, row in scores["baselines"].items()
    }
    low, high = scores["intervals"][metric]
    rival = scores["best_baseline"]
    test = {str(example["id"]): example for example in read_examples(root / "data" / "tasks" / name, "test")}
    predictions = list(read_jsonl(folder / "predictions.jsonl"))
    others = [key for key in scores["metrics"] if key != metric]
    return {
        "name": name,
        "family": spec.family,
        "model": spec.model,
        "metric": format.metric_name(metric),
        "value": format.number(scores["metrics"][metric], metric),
        "low": format.number(low, metric),
        "high": format.number(high, metric),
        "track": None
        if metric in format.RAW
        else charts.track(
            format.scaled(scores["metrics"][metric], metric),
            (format.scaled(low, metric), format.scaled(high, metric)),
            baselines,
        ),
        "baselines": [
            (key, format.number(row["metrics"][metric], metric)) for key, row in scores["baselines"].items()
        ],
        "rival": rival["name"],
        "margin": format.number(rival["difference"], metric, sign=True),
        "margin_low": format.number(rival["low"], metric, sign=True),
        "margin_high": format.number(rival["high"], metric, sign=True),
        "others": [(format.metric_name(key), format.number(scores["metrics"][key], key)) for key in others],
        "examples": scores["examples"],
        "beyond_window": _metrics(root, "finetune", name).get("train_beyond_window"),
        "training_examples": _metrics(root, "task_data", name).get("train_examples"),
        "verdict": verdict,
        "seeds": analysis.seeds(scores, metric),
        "without_seen": analysis.without_seen(scores, metric),
        "analysis": analysis.view(scores, metric, root / "reports/curves" / f"{name}.json"),
        "shown": examples.choose(spec.family, test, predictions, params.corpus.privacy, SHOWN),
    }


def _model(params: Params, root: Path, name: str) -> View:
    """A pretraining: its size, losses and curve."""
    spec = params.pretrain[name]
    metrics = _metrics(root, "pretrain", name)
    architecture = spec.architecture
    return {
        "name": name,
        "kind": spec.kind,
        "objective": spec.objective.name,
        "init": spec.init,
        "shape": f"{architecture.layers} layers of {architecture.width}, {architecture.heads} heads",
        "metrics": metrics,
        "curve": charts.curve(
            _history(root / "plots" / "pretrain" / f"{name}.csv", "validation_loss"),
            f"validation loss of {name}",
        ),
    }


def _history(path: Path, column: str) -> list[tuple[float, float]]:
    """A logged curve; empty where the stage logged none."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [(float(row["step"]), float(row[column])) for row in csv.DictReader(file) if row.get(column)]


def _corpus(params: Params, root: Path) -> View:
    """What went in, what was dropped by which rule, what is left."""
    curated = _metrics(root, "curate")
    sources = {name: _metrics(root, "ingest", name) for name in params.corpus.sources}
    kept, dropped = curated["documents"], curated["dropped"]
    total = max(kept + dropped, 1)
    reasons = {
        key.removeprefix("dropped_"): value
        for key, value in curated.items()
        if key.startswith("dropped_") and key != "dropped_share"
    }
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return {
        "read": sum(row.get("documents", 0) for row in sources.values()),
        "documents": kept,
        "characters": curated["characters"],
        "dropped": dropped,
        "kept_share": kept / total,
        "rules": [(RULES.get(rule, format.plain(rule)), number, number / total) for rule, number in ranked],
        "sources": [
            {
                "name": name,
                "licence": params.corpus.sources[name].licence,
                "documents": row.get("documents", 0),
                "share": curated.get(f"source_share_{name}", 0.0),
            }
            for name, row in sources.items()
        ],
        "languages": _shares(curated, "language_share_"),
        "splits": [
            (split, curated.get(f"{split}_documents", 0)) for split in ("train", "validation", "test")
        ],
        "personal": [
            (kind, curated[f"personal_{kind}"])
            for kind in params.corpus.privacy
            if curated.get(f"personal_{kind}")
        ],
        "boilerplate_lines": sum(row.get("boilerplate_lines", 0) for row in sources.values()),
        "skipped": sum(row.get("skipped", 0) for row in sources.values()),
        "tokens": _metrics(root, "tokenize"),
        "tokenizer": params.tokenizer,
    }


def _shares(metrics: Mapping[str, float], prefix: str) -> list[tuple[str, float]]:
    found = [(key.removeprefix(prefix), value) for key, value in metrics.items() if key.startswith(prefix)]
    return sorted(found, key=lambda item: (-item[1], item[0]))


def _quality(root: Path, output: Path) -> View:
    """The checks on the data by level, those that did not pass, and the way to the Data Docs."""
    results, errors = [], []
    for name in ("checks.json", "token_checks.json"):
        report = read_json(root / "reports" / name)
        results += report["results"]
        errors += report["errors"]
    levels: dict[str, dict[str, int]] = {}
    for row in results:
        counts = levels.setdefault(row["level"], {"checks": 0, "passed": 0})
        counts["checks"] += 1
        counts["passed"] += row["passed"]
    return {
        "checks": len(results) + len(errors),
        "passed": sum(row["passed"] for row in results),
        "levels": levels,
        "open": [row for row in results if not row["passed"]],
        "errors": errors,
        "docs": (root / "reports" / "data_docs" / "index.html").exists(),
    }


def _set_aside(params: Params, root: Path) -> list[View]:
    """The labelled rows that reading left out, by task and field, with the first of each."""
    found = []
    for name in params.tasks:
        path = root / "data" / "tasks" / name / "skipped.jsonl"
        rows = list(read_jsonl(path)) if path.exists() else []
        reasons: dict[str, list[str]] = {}
        for row in rows:
            reasons.setdefault(row["problem"].partition(":")[0], []).append(
                f"{row['place']}: {row['problem']}"
            )
        firsts, _ = privacy.redact([lines[0] for lines in reasons.values()], params.corpus.privacy)
        if rows:
            shown = [(len(lines), first) for lines, first in zip(reasons.values(), firsts, strict=True)]
            found.append({"task": name, "rows": len(rows), "reasons": sorted(shown, reverse=True)[:ASIDE]})
    return found


def _cost(cost: Costs) -> View:
    """Time, energy and memory by stage, and in all."""
    rows: list[View] = []
    for stage in STAGES:
        parts = [row for label, row in cost.items() if label.split("@")[0] == stage]
        if parts:
            rows.append(
                {
                    "stage": stage,
                    "runs": len(parts),
                    "seconds": sum(row.get("seconds", 0.0) for row in parts),
                    "energy": sum(row.get("energy_wh", 0.0) for row in parts),
                    "memory": max(row.get("peak_memory_gb", 0.0) for row in parts),
                }
            )
    return {
        "rows": rows,
        "seconds": sum(row["seconds"] for row in rows),
        "energy": sum(row["energy"] for row in rows),
        "co2": sum(row.get("co2_g", 0.0) for row in cost.values()),
        "longest": max((row["seconds"] for row in rows), default=0.0) or 1.0,
    }


def _metrics(root: Path, stage: str, item: str | None = None) -> dict[str, Any]:
    """The metrics that a stage left for DVC."""
    path = root / "metrics" / stage / f"{item}.json" if item else root / "metrics" / f"{stage}.json"
    metrics: dict[str, Any] = read_json(path)
    return metrics
