"""The record in MLflow; the only importer of mlflow besides the model it stores.

DVC's files are the truth and MLflow is the record of it: no stage reads data out of MLflow, and
deleting the store costs history, never the pipeline.
"""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.drawing import METADATA, drawing
from textmill.errors import UserError
from textmill.params import Tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure
    from mlflow.tracking import MlflowClient
    from pytorch_lightning.loggers import MLFlowLogger

# Nothing phones home, and the asynchronous queue sends every two seconds.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS", "2")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # bars of milliseconds, in CI lines

ANSWER_WITHIN = 5.0  # seconds a tracking server may take to say that it is there
PIPELINE = "textmill.pipeline"  # tag of a parent run: the state of the experiment it stands for


class Tracker:
    """A tracking store with one experiment in it."""

    def __init__(self, tracking: Tracking, root: Path) -> None:
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking.uri
        self.root = root
        if self.uri.startswith("sqlite:///") and not self.uri.startswith("sqlite:////"):
            self.uri = f"sqlite:///{root / self.uri.removeprefix('sqlite:///')}"
        if self.uri.startswith(("http://", "https://")):
            _require_answer(self.uri)
        self.client, self.experiment_id = self._open(tracking.experiment)

    def _open(self, experiment: str) -> tuple[MlflowClient, str]:
        """The client and the experiment's id; the store is made, or migrated, by one process at a time."""
        import mlflow
        from filelock import FileLock

        mlflow.set_tracking_uri(self.uri)
        state = self.root / ".state"
        state.mkdir(exist_ok=True)
        # The first contact makes or migrates the tables, and says so at length.
        with FileLock(state / "tracking.lock"), _quiet():
            if self.uri.startswith("sqlite:///"):
                _make_store(Path(self.uri.removeprefix("sqlite:///")))
            client = mlflow.MlflowClient(self.uri)
            found = client.get_experiment_by_name(experiment)
            if found is not None:
                return client, found.experiment_id
            local = self.uri.startswith("sqlite:")
            place = (self.root / "mlartifacts").as_uri() if local else None
            # The UI opens such an experiment on runs and curves, not on traces and prompts.
            kind = {"mlflow.experimentKind": "custom_model_development"}
            return client, client.create_experiment(experiment, artifact_location=place, tags=kind)

    def parent(self, state: str) -> str:
        """The id of the parent run that stands for ``state``, found or created."""
        where = f"tags.`{PIPELINE}` = '{state}'"
        found = self.client.search_runs([self.experiment_id], filter_string=where, max_results=1)
        if found:
            return str(found[0].info.run_id)
        run = self.client.create_run(
            self.experiment_id, run_name=f"pipeline {state[:8]}", tags={PIPELINE: state}
        )
        return str(run.info.run_id)

    def fetch(self, run: str, paths: Sequence[str], folder: Path) -> Path:
        """Download artifacts of a run to a folder of its own in ``folder``.

        ``run`` is its id, the beginning of one (six characters or more), or its name, the newest finished run
        that is called so. Raises UserError where there is none, several, or one without these artifacts.
        """
        from mlflow.exceptions import MlflowException

        runs = self.client.search_runs([self.experiment_id], max_results=5000)
        finished = [r for r in runs if r.info.status == "FINISHED" and r.info.run_name == run]
        by_id = [r for r in runs if len(run) >= 6 and r.info.run_id.startswith(run)]
        if not by_id + finished:
            raise UserError(f"{run}: no such folder, and no MLflow run in {self.uri} has this id or name")
        if len(by_id) > 1:
            raise UserError(f"{run}: the beginning of {len(by_id)} runs' ids; give more of it")
        chosen = (by_id or finished)[0].info.run_id  # the newest first
        target = folder / chosen
        target.mkdir(parents=True, exist_ok=True)
        for path in paths:
            try:
                self.client.download_artifacts(chosen, path, str(target))
            except (MlflowException, OSError):
                raise UserError(f"{run}: the run {chosen} has no {path}; is it a run of evaluate?") from None
        return target

    def bury_the_dead(self) -> None:
        """Mark the runs KILLED whose process on this machine is gone (after SIGKILL or a power cut)."""
        import psutil

        where = f"attributes.status = 'RUNNING' and tags.`textmill.host` = '{socket.gethostname()}'"
        for run in self.client.search_runs([self.experiment_id], filter_string=where):
            if not psutil.pid_exists(int(run.data.tags["textmill.pid"])):
                for run_id in (run.info.run_id, run.data.tags["mlflow.parentRunId"]):
                    self.client.set_terminated(run_id, "KILLED")

    def start(self, name: str, state: str, tags: Mapping[str, str]) -> Run:
        """A new run called ``name`` under the parent that stands for ``state``."""
        self.bury_the_dead()
        parent = self.parent(state)
        self.client.update_run(parent, status="RUNNING")
        run = self.client.create_run(
            self.experiment_id,
            run_name=name,
            tags={
                "mlflow.parentRunId": parent,
                "mlflow.source.type": "LOCAL",
                "textmill.host": socket.gethostname(),
                "textmill.pid": str(os.getpid()),
                **tags,
            },
        )
        return Run(self, str(run.info.run_id), parent)


class Run:
    """One stage's run: what it was given, what came out, and how it ended."""

    def __init__(self, tracker: Tracker, run_id: str, parent: str) -> None:
        self.tracker = tracker
        self.client = tracker.client
        self.id = run_id
        self.parent = parent
        self.history: list[dict[str, float]] = []  # what the logger was given, in order

    def logger(self) -> MLFlowLogger:
        """Lightning's logger on this run; the stage, and not a ``fit`` inside it, says how the run ended."""
        from pytorch_lightning.loggers import MLFlowLogger

        run = self

        class StageLogger(MLFlowLogger):
            """Keeps in ``run.history`` what it logs, and leaves the run open."""

            def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
                run.history.append({"step": step or 0, **metrics})
                super().log_metrics(metrics, step)

            def finalize(self, status: str = "success") -> None:
                """Write out what waits; the run goes on."""
                import mlflow

                mlflow.flush_async_logging()

        return StageLogger(tracking_uri=self.tracker.uri, run_id=self.id, synchronous=False)

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Log a nested mapping under dotted names; what is not set is left out."""
        from mlflow.entities import Param

        flat = [Param(key, str(value)[:500]) for key, value in _flatten(values)]
        for start in range(0, len(flat), 100):
            self.client.log_batch(self.id, params=flat[start : start + 100])

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0, run_id: str | None = None) -> None:
        """Log final figures, as those of a training's last ``step``, on this run or another."""
        from time import time

        from mlflow.entities import Metric

        now = int(time() * 1000)
        metrics = [Metric(key, float(value), now, step) for key, value in values.items()]
        for start in range(0, len(metrics), 1000):
            self.client.log_batch(run_id or self.id, metrics=metrics[start : start + 1000])

    def log_input(self, path: str, digest: str) -> None:
        """Record that the run read ``path`` with this content."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(path, digest[:36], source_type="local", source=json.dumps({"uri": path}))
        context = [InputTag("mlflow.data.context", "input")]
        self.client.log_inputs(self.id, datasets=[DatasetInput(data, tags=context)])

    def log_figure(self, name: str, figure: Figure) -> None:
        """Log a figure as ``figures/<name>.svg``."""
        with drawing():
            path = f"figures/{name}.svg"
            self.client.log_figure(self.id, figure, path, save_kwargs={"metadata": METADATA})

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Log a file, or a folder with what is in it."""
        if path.is_dir():
            self.client.log_artifacts(self.id, str(path), folder)
        else:
            self.client.log_artifact(self.id, str(path), folder)

    def log_table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Log a table as ``<name>.json``, which the UI shows as one."""
        self.client.log_table(self.id, {key: list(column) for key, column in columns.items()}, f"{name}.json")

    def log_model(
        self, folder: Path, *, name: str, examples: Any, predictions: Any, tags: Mapping[str, str]
    ) -> None:
        """Log a model folder so that ``mlflow.pyfunc.load_model`` predicts with it, and register it.

        The model is stored as its safetensors folder and a file of code, nothing pickled.
        """
        import mlflow
        import pandas

        code = Path(__file__).with_name("mlflow_model.py")
        frame = pandas.DataFrame(examples)
        with _quiet(), mlflow.start_run(run_id=self.id):
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(code),
                artifacts={"model": str(folder)},
                signature=mlflow.models.infer_signature(frame, pandas.DataFrame(predictions)),
                input_example=frame,
                pip_requirements=["textmill"],
                registered_model_name=name,
                metadata=dict(tags),
            )
            version = max(
                (v for v in self.client.search_model_versions(f"name = '{name}'") if v.run_id == self.id),
                key=lambda v: int(v.version),
            )
        for key, value in tags.items():
            self.client.set_model_version_tag(name, version.version, key, value)

    def set_tags(self, tags: Mapping[str, str], run_id: str | None = None) -> None:
        """Set tags on this run, or on another."""
        for key, value in tags.items():
            self.client.set_tag(run_id or self.id, key, str(value)[:5000])

    def set_champion(self, name: str, run_id: str) -> None:
        """Move the registry's alias ``champion`` to the version that ``run_id`` logged."""
        versions = [v for v in self.client.search_model_versions(f"name = '{name}'") if v.run_id == run_id]
        if versions:
            newest = max(versions, key=lambda v: int(v.version))
            self.client.set_registered_model_alias(name, "champion", newest.version)

    def describe_pipeline(self, table: Mapping[str, Sequence[str]], metrics: Mapping[str, float]) -> None:
        """Say on the parent run which stages ran for it, which were reused from an earlier one, and how good
        what came of it is."""
        self.log_metrics(metrics, run_id=self.parent)
        self.client.log_table(
            self.parent, {key: list(column) for key, column in table.items()}, "stages.json"
        )
        rows = zip(table["stage"], table["how"], strict=True)
        lines = [f"| {stage} | {how} |" for stage, how in rows]
        note = "\n".join(["| stage | |", "|---|---|", *lines])
        self.set_tags({"mlflow.note.content": note}, self.parent)

    def exists(self, run_id: str) -> bool:
        """Whether the store knows ``run_id`` (it may have been deleted since the stage ran)."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_run(run_id)
        except MlflowException:
            return False
        return True

    def finish(self, status: str, error: str | None = None) -> None:
        """Close the run, and the parent with it, as FINISHED, FAILED or KILLED."""
        import mlflow

        mlflow.flush_async_logging()
        if error:
            self.set_tags({"textmill.error": error, "mlflow.note.content": f"```\n{error}\n```"})
        self.client.set_terminated(self.id, status)
        self.client.set_terminated(self.parent, status)


def _make_store(path: Path) -> None:
    """A new store in ``path``, moved into place whole: MLflow cannot go on with tables half made."""
    import mlflow

    if path.exists():
        return
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    mlflow.MlflowClient(f"sqlite:///{partial}").search_experiments(max_results=1)
    partial.replace(path)


def _require_answer(uri: str) -> None:
    """Raise UserError where the tracking server does not answer; MLflow itself would retry for minutes."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_WITHIN):
            return
    except urllib.error.HTTPError:
        return  # something is there; a server behind a login may not show /health
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"the tracking server {uri} does not answer: {reason}. Start it, set MLFLOW_TRACKING_URI (or "
            "tracking.uri in params.yaml) to one that runs, or go on offline with "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db"
        ) from None


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif value is not None and value != () and value != []:
            yield f"{prefix}{key}", value


@contextmanager
def _quiet() -> Iterator[None]:
    """Without MLflow's notes on how models are best logged; its errors still come through."""
    import logging
    import warnings

    names = (
        "mlflow",
        "mlflow.models",
        "mlflow.pyfunc",
        "mlflow.tracking",
        "mlflow.store.db.utils",
        "alembic",
    )
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
