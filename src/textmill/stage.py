"""What every stage does around its work.

Parameters are read and validated, seeds set, a run opened in MLflow and always closed with the true
status; outputs are written to a temporary sibling and moved into place whole; metrics go to DVC as
sorted JSON and to MLflow. A stage script is then the few lines that say what the stage is.
"""

from __future__ import annotations

import argparse
import csv
import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill import lineage
from textmill.energy import Meter
from textmill.errors import UserError
from textmill.params import Params, Tracking, load
from textmill.records import read_json, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pytorch_lightning.loggers import MLFlowLogger

    from textmill.tracking import Run

# Figures that differ from run to run; they go to MLflow and the run's record, not to DVC's metrics,
# so that a rerun with the same result is the same bytes.
COSTS = ("seconds", "minutes", "per_second", "flops", "memory", "energy", "_mfu")
# How Lightning, torchrun and Slurm number processes; a number other than 0 is not the first process.
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
# Where a run that fails on its parameters is recorded, since they cannot say it.
FALLBACK = Tracking(uri="sqlite:///mlflow.db", experiment="textmill")


class Stage:
    """The work's view of its surroundings; paths are relative to the top of the project."""

    def __init__(self, name: str, item: str | None, params: Params, run: Run, root: Path) -> None:
        self.name = name
        self.item = item
        self.params = params
        self.run = run
        self.root = root
        self.metrics: dict[str, float] = {}
        self._outputs: dict[Path, Path] = {}
        self._fresh: list[Path] = []
        self._logger: MLFlowLogger | None = None

    @property
    def label(self) -> str:
        """``finetune@sentiment``, DVC's name of the stage."""
        return f"{self.name}@{self.item}" if self.item else self.name

    @property
    def logger(self) -> MLFlowLogger:
        """Lightning's logger on the stage's run."""
        if self._logger is None:
            self._logger = self.run.logger()
        return self._logger

    @property
    def scratch(self) -> Path:
        """A folder that outlives a failing run: resume checkpoints, weights of trainings that have ended."""
        folder = self.root / ".state" / self.label.replace("@", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def input(self, path: str) -> Path:
        """An input; its content is recorded with the run. Raises UserError where it is missing."""
        if not (self.root / path).exists():
            raise UserError(f"{path}: missing; `dvc repro {self.label}` makes what {self.label} needs first")
        self.run.log_input(path, lineage.dvc_hash(self.root, path) or "unknown")
        return self.root / path

    def output(self, path: str, *, resumable: bool = False) -> Path:
        """Where to write the output ``path`` (a file or a folder): moved there whole on success.

        A ``resumable`` output keeps what an interrupted run had finished; its writer knows by a
        fingerprint of its own what still holds.
        """
        final = self.root / path
        partial = final.with_name(f".{final.name}.partial")
        if not resumable:
            _remove(partial)
            self._fresh.append(partial)
        partial.parent.mkdir(parents=True, exist_ok=True)
        self._outputs[final] = partial
        return partial

    def log_params(self, *blocks: Mapping[str, Any]) -> None:
        """Log what this stage was told, and not the rest of the file."""
        for block in blocks:
            self.run.log_params(block)

    def log_figures(self, figures: Mapping[str, Figure]) -> None:
        """Log figures as artifacts of the run."""
        for name, figure in figures.items():
            self.run.log_figure(name, figure)

    def log_model(self, name: str, folder: Path) -> None:
        """Log a model folder as one that loads back and predicts, with an input example and signature."""
        from textmill.prediction import SEEDS, Predictor

        if (folder / SEEDS).exists():  # the models of other seeds are for evaluation alone
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as top:
                ignore = shutil.ignore_patterns(SEEDS)
                kept = shutil.copytree(folder, Path(top) / folder.name, ignore=ignore, copy_function=os.link)
                self.log_model(name, kept)
            return

        predictor = Predictor(folder)
        examples = predictor.input_example()
        tags = {"stage": self.label, "seed": str(self.params.seed)}
        self.run.log_model(
            folder, name=name, examples=examples, predictions=predictor.predict(examples), tags=tags
        )

    def costs(self) -> dict[str, dict[str, float]]:
        """What each stage of the current pipeline cost when it ran, by DVC's name of the stage."""
        return {label: record["cost"] for label, record in self._records().items()}

    def complete_lineage(self, champions: Sequence[str], metrics: Mapping[str, float]) -> None:
        """Tag every stage's run with its DVC hashes; put on the parent which stages ran, which were reused,
        and the pipeline's ``metrics``; make the models of ``champions`` the registry's champions."""
        locked = lineage.locked_stages(self.root)
        records = self._records()
        table: dict[str, list[str]] = {"stage": [], "run": [], "how": []}
        for label, record in records.items():
            if not self.run.exists(record["run_id"]):
                continue
            self.run.set_tags(lineage.hash_tags(locked.get(label, {})), record["run_id"])
            table["stage"].append(label)
            table["run"].append(record["run_id"])
            table["how"].append("run" if record["parent"] == self.run.parent else "reused")
        self.run.describe_pipeline(table, metrics)
        for name in champions:
            self.run.set_champion(name, records[f"finetune@{name}"]["run_id"])

    def _records(self) -> dict[str, dict[str, Any]]:
        """The records under runs/ of the stages that the parameters call for."""
        params = self.params
        items: dict[str, Mapping[str, Any]] = {
            "task_data": params.tasks,
            "ingest": params.corpus.sources,
            "pretrain": params.pretrain,
            "finetune": params.tasks,
            "evaluate": params.tasks,
        }
        records = {}
        for stage in (
            "task_data",
            "ingest",
            "curate",
            "validate",
            "tokenize",
            "pretrain",
            "finetune",
            "evaluate",
        ):
            for item in items.get(stage, {"": None}):
                path = self.root / "runs" / (f"{stage}/{item}.json" if item else f"{stage}.json")
                if path.exists():
                    records[f"{stage}@{item}" if item else stage] = read_json(path)
        return records

    def commit(self, cost: Mapping[str, float]) -> None:
        """Move the outputs into place and write metrics and the run's record."""
        lasting = {key: value for key, value in self.metrics.items() if not _is_cost(key)}
        passing = {key: value for key, value in self.metrics.items() if _is_cost(key)}
        suffix = f"{self.name}/{self.item}.json" if self.item else f"{self.name}.json"
        if lasting:
            write_json(self.output(f"metrics/{suffix}"), lasting)
        if self.run.history:
            _write_history(self.output(f"plots/{suffix.removesuffix('.json')}.csv"), self.run.history)
        record = {"run_id": self.run.id, "parent": self.run.parent, "cost": {**passing, **cost}}
        write_json(self.output(f"runs/{suffix}"), record)
        self.run.log_metrics({**self.metrics, **cost}, step=int(self.metrics.get("steps", 0)))
        for final, partial in self._outputs.items():
            if not partial.exists():
                raise RuntimeError(f"{self.label} did not write its output {final}")
            _replace(partial, final)
            if final.is_relative_to(self.root / "reports"):
                _remove(self.root / "reports" / "failed" / final.relative_to(self.root / "reports"))
        _remove(self.scratch)

    def abandon(self) -> None:
        """Remove what was half written, and bring the last good outputs back from DVC's cache.

        Reports stay, under ``reports/failed``: they say what the data failed by.
        """
        reports, failed = self.root / "reports", self.root / "reports" / "failed"
        for final, partial in self._outputs.items():
            if final.is_relative_to(reports) and partial in self._fresh and partial.exists():
                kept = failed / final.relative_to(reports)
                kept.parent.mkdir(parents=True, exist_ok=True)
                _replace(partial, kept)
                print(f"{self.label}: what was found is in {kept.relative_to(self.root)}", file=sys.stderr)
        for partial in self._fresh:
            _remove(partial)
        if os.environ.get("DVC_STAGE"):
            # DVC removed the outputs before it started the stage; its lock still names the last good ones.
            command = [sys.executable, "-m", "dvc", "checkout", "--force", "--quiet", os.environ["DVC_STAGE"]]
            subprocess.run(command, cwd=self.root, check=False, capture_output=True)
        self.run.log_metrics(self.metrics)  # last: a store that does not answer leaves the files in order


class Share(Stage):
    """The stage in a process that was started for a share of a training: it reads the same inputs, and leaves
    the record and the outputs to the first process."""

    def __init__(self, name: str, item: str | None, params: Params, root: Path) -> None:
        self.name = name
        self.item = item
        self.params = params
        self.root = root
        self.metrics = {}

    @property
    def logger(self) -> None:  # type: ignore[override]
        """None: what the processes measure is gathered in the first."""
        return None

    def input(self, path: str) -> Path:
        """The path; the first process notes what is read."""
        return self.root / path

    def output(self, path: str, *, resumable: bool = False) -> Path:
        """Where the first process writes before it is done; nothing is made or moved here."""
        final = self.root / path
        return final.with_name(f".{final.name}.partial")

    def log_params(self, *blocks: Mapping[str, Any]) -> None:
        """Nothing: the first process does."""


def run_data_stage(name: str, prepare: Callable[[Stage], None]) -> None:
    """Run ``prepare`` as a Lightning data module's ``prepare_data``: once, on one process."""

    def work(stage: Stage) -> None:
        """``prepare`` in a data module, which Lightning calls."""
        from pytorch_lightning import LightningDataModule

        class Preparation(LightningDataModule):
            def prepare_data(self) -> None:
                prepare(stage)

        Preparation().prepare_data()

    run_stage(name, work)


def run_stage(name: str, work: Callable[[Stage], None]) -> None:
    """Run ``work`` as the stage ``name``; the first argument on the command line is the item, if any."""
    parser = argparse.ArgumentParser(prog=f"python -m pipeline.{name}")
    parser.add_argument("item", nargs="?", help="the model or task, for stages that loop over them")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a user's mistake too")
    arguments = parser.parse_args()
    # What imports make lives to the end: collecting garbage among it takes a quarter of a stage's start.
    gc.disable()

    def begin(stage: Stage) -> None:
        """``work`` with garbage collected again, except what imports have made."""
        gc.freeze()
        gc.enable()
        work(stage)

    sys.exit(_run(name, arguments.item, begin, debug=arguments.debug))


def _run(name: str, item: str | None, work: Callable[[Stage], None], *, debug: bool) -> int:
    from textmill.tracking import Tracker

    root = Path.cwd()
    label = f"{name}@{item}" if item else name
    signal.signal(signal.SIGTERM, _interrupt)
    if _shares():
        shared = load("params.yaml")
        _seed(shared.seed)
        work(Share(name, item, shared, root))
        return 0
    stage: Stage | None = None
    opened: Run | None = None
    status, message = "FAILED", None
    try:
        params, problem = _load(root)
        tracker = Tracker(params.tracking if params else FALLBACK, root)
        tags = {"textmill.stage": name, "textmill.item": item or "", "dvc.stage": label}
        opened = tracker.start(label, lineage.state(root, params), tags | lineage.git_tags(root))
        if params is None:
            raise problem or UserError("params.yaml: not read")
        stage = Stage(name, item, params, opened, root)
        meter = Meter(params.energy)
        _seed(params.seed)
        work(stage)
        stage.commit(meter.read())
        status = "FINISHED"
    except KeyboardInterrupt:
        status, message = "KILLED", "interrupted"
    except Exception as error:
        told = _explain(error)
        # A fault of ours, not the user's: the whole traceback helps whoever mends it.
        message = traceback.format_exc() if debug or told is None else told
    if message:
        print(f"\n{label}: {message}", file=sys.stderr)
    if stage and status != "FINISHED":
        stage.abandon()
    if opened:
        opened.finish(status, message)
    return 0 if status == "FINISHED" else 1


def _shares() -> bool:
    """Whether another process runs this stage, and started this one for a share of a training."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in RANKS)


def _load(root: Path) -> tuple[Params | None, UserError | None]:
    """The parameters, or what is wrong with them: the run that says so needs a store all the same."""
    try:
        return load("params.yaml"), None
    except UserError as error:
        return None, error


def _interrupt(signum: int, frame: object) -> None:
    """SIGTERM ends a stage as Ctrl-C does, so that its run is closed and its partial output removed."""
    raise KeyboardInterrupt


def _explain(error: Exception) -> str | None:
    """The message for a mistake or misfortune of the user's; None for a fault of ours."""
    if isinstance(error, UserError):
        return str(error)
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "disk is full" in str(error):
        where = getattr(error, "filename", None) or Path.cwd()
        return (
            f"the disk is full ({where}); free some space (`dvc gc --workspace` drops old outputs) and rerun"
        )
    return None


def _seed(seed: int) -> None:
    from pytorch_lightning import seed_everything

    seed_everything(seed, verbose=False)


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    """The logged curves as CSV for ``dvc plots``, a row a step, without what differs from run to run."""
    rows: dict[int, dict[str, float]] = {}
    for entry in history:
        lasting = {key: value for key, value in entry.items() if not _is_cost(key)}
        rows.setdefault(int(entry["step"]), {}).update(lasting)
    columns = ["step", *sorted({key for row in rows.values() for key in row} - {"step"})]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[step] for step in sorted(rows))


def _is_cost(key: str) -> bool:
    return any(part in key for part in COSTS)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _replace(partial: Path, final: Path) -> None:
    """Move ``partial`` to ``final``; a folder cannot replace a full one, so the old steps aside first."""
    aside = final.with_name(f".{final.name}.old")
    _remove(aside)
    if final.exists():
        final.rename(aside)
    partial.rename(final)
    _remove(aside)
