"""How the dev score grows with the number of training examples: would more labels help?"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill import lineage
from textmill.drawing import METADATA, drawing
from textmill.errors import UserError
from textmill.evaluation.metrics import bootstrap
from textmill.params import Params
from textmill.prediction import Predictor
from textmill.records import Example, read_examples, write_json, write_jsonl
from textmill.tracking import Tracker
from textmill.training.finetuning import finetune

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = 5  # sizes by default, each twice the one before, the last the whole split
Row = dict[str, Any]


def draw_curve(params: Params, root: Path, name: str, sizes: Sequence[int] | None) -> str:
    """The learning curve of a task of the project in ``root``, as a run of its own in MLflow.

    Writes reports/curves/<name>.json and .svg, tells each row on standard error as it comes, and returns what
    was written. Raises UserError where there is no such task, or its data or model are missing.
    """
    if name not in params.tasks:
        raise UserError(f"no task {name!r}; known: {', '.join(params.tasks)}")
    metric = params.tasks[name].gate.metric
    data, model = root / "data/tasks" / name, root / "models/pretrained" / params.tasks[name].model
    for folder in (data, model):
        if not folder.exists():
            raise UserError(f"{folder}: missing; `dvc repro finetune@{name}` makes it")
    tags = {"textmill.stage": "curve", "textmill.item": name}
    run = Tracker(params.tracking, root).start(f"curve@{name}", lineage.state(root, params), tags)
    logger, status = run.logger(), "FAILED"

    def tell(row: Row) -> None:
        """Log and print a row, with the number of examples as the step."""
        logger.log_metrics({key: row[key] for key in row if key != "examples"}, row["examples"])
        values = f"{metric} {row[metric]:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        print(f"{row['examples']:>8,} examples  {values}  baseline {row['baseline']:.3f}", file=sys.stderr)

    try:
        rows = learning_curve(params, name, data, model, sizes, tell)
        run.log_figure("learning_curve", write_curve(root / "reports/curves", name, metric, rows))
        status = "FINISHED"
    finally:
        run.finish(status)
    return f"reports/curves/{name}.json and .svg"


def learning_curve(
    params: Params,
    name: str,
    data: Path,
    model: Path,
    sizes: Sequence[int] | None,
    on_row: Callable[[Row], None],
) -> list[Row]:
    """Fine-tune the pretrained ``model`` on ever more of the task's train split, and score each on dev.

    The parts are drawn by the parameters' seed and nested: each holds the one before. Each is trained with
    the task's own settings, so that a budget in epochs gives fewer steps to the smaller and one in steps the
    same to all. A row has ``examples``, the headline metric on dev with the ``low`` and ``high`` of its 95%
    bootstrap interval, and the ``baseline``s' best; ``on_row`` is told each. The test split is not read.
    Raises UserError where a size is not a part of the split.
    """
    train, dev = read_examples(data, "train"), read_examples(data, "dev")
    chosen = sorted(set(sizes or (len(train) // 2**i for i in range(PARTS))) - {0})
    wrong = [size for size in chosen if not 0 < size <= len(train)]
    if wrong:
        raise UserError(f"a size of {wrong[0]}: the train split of {name} has {len(train)} examples")
    order = random.Random(f"{params.seed}:{name}:curve").sample(range(len(train)), len(train))
    rows = []
    for size in chosen:
        part = [train[i] for i in sorted(order[:size])]
        rows.append(_measure(params, name, part, dev, data, model))
        on_row(rows[-1])
    return rows


def _measure(
    params: Params, name: str, train: list[Example], dev: Sequence[Example], data: Path, model: Path
) -> Row:
    """One part of the split: trained in a folder of its own, of which nothing stays."""
    metric = params.tasks[name].gate.metric
    with tempfile.TemporaryDirectory() as top:
        part, output = Path(top) / "data" / name, Path(top) / "model"
        write_jsonl(part / "train.jsonl", train)
        write_jsonl(part / "dev.jsonl", dev)
        for other in params.tasks[name].finetune.auxiliary:  # they are looked for beside the task's
            (part.parent / other).symlink_to((data.parent / other).resolve(), target_is_directory=True)
        finetune(params, name, part, model, output, logger=None, folder=Path(top) / "state")
        predictor = Predictor(output)
        measured = predictor.family.measure(dev, predictor.predict(dev))
        rivals = predictor.family.baselines(train, dev)
    low, high = bootstrap(measured, params.seed)[metric]
    scores = {key: predictor.family.score(dev, rows)[metric] for key, rows in rivals.items()}
    return {
        "examples": len(train),
        metric: round(measured.values()[metric], 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "baseline": round(max(scores.values()), 6),
    }


def write_curve(folder: Path, name: str, metric: str, rows: Sequence[Row]) -> Figure:
    """Write ``folder/<name>.json`` and ``.svg``; returns the figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    x = [row["examples"] for row in rows]
    axes.fill_between(
        x, [row["low"] for row in rows], [row["high"] for row in rows], color="#4878a8", alpha=0.2
    )
    axes.plot(x, [row[metric] for row in rows], marker="o", color="#4878a8", label="fine-tuned model")
    axes.plot(x, [row["baseline"] for row in rows], marker="o", color="#999999", label="best baseline")
    axes.set_xscale("log")
    axes.set_xticks(x, [f"{size:,}" for size in x])
    axes.minorticks_off()
    axes.set_xlabel("training examples")
    axes.set_ylabel(f"{metric} on dev")
    axes.legend()
    write_json(folder / f"{name}.json", {"task": name, "metric": metric, "rows": list(rows)})
    with drawing():
        figure.savefig(folder / f"{name}.svg", metadata=METADATA)
    return figure
