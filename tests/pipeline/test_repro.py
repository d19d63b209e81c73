"""The pipeline as DVC runs it, on a tiny configuration: what a change reruns, and what MLflow keeps."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from ruamel.yaml import YAML

from textmill.records import read_json, read_jsonl

pytestmark = pytest.mark.pipeline
TOP = Path(__file__).parents[2]
STAGES = [
    *("task_data@sentiment", "task_data@headlines", "ingest@world", "curate", "validate", "tokenize"),
    *("pretrain@encoder", "pretrain@seq2seq", "finetune@sentiment", "finetune@headlines"),
    *("evaluate@sentiment", "evaluate@headlines", "report"),
]


def _shrink(params):
    """A tenth of everything: the stages are the same, the models learn nothing."""
    params["sample"] = {"documents": 400, "train": 60, "dev": 20, "test": 40}
    params["tokenizer"]["vocabulary_size"] = 700
    params["architecture"] |= {"layers": 1, "width": 32, "heads": 2, "key_value_heads": 2, "feed_forward": 64}
    params["training"] |= {"batch_size": 8, "max_length": 64, "validations": 1}
    for name in ("decoder",):
        del params["pretrain"][name]
    for model in params["pretrain"].values():
        model.pop("architecture", None)
        model["training"] = {"budget": {"steps": 4}}
    params["tasks"] = {name: params["tasks"][name] for name in ("sentiment", "headlines")}
    for task in params["tasks"].values():
        few = {"max_new_tokens": 4}
        task["finetune"] = {"learning_rate": 1e-3, "budget": {"steps": 4}, "generation": few}
        task["gate"]["min"] = 0.0
    for level in params["checks"].values():
        for check in level.values() if isinstance(level, dict) else ():
            if isinstance(check, dict) and "severity" in check:
                check["severity"] = "warn"


class Project:
    """A copy of the project in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
            "DVC_NO_ANALYTICS": "1",
        }
        files = ("dvc.yaml", "params.yaml", ".dvc/config", ".dvcignore", ".gitignore")
        for name in ("src", "pipeline", *files, "reports/curves/.gitignore"):
            source, target = TOP / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
        self.change(_shrink)
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
            subprocess.run([*git, *command], cwd=folder, check=True)

    def change(self, edit):
        """Edit params.yaml through ``edit``, which gets it as plain data."""
        path = self.folder / "params.yaml"
        params = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        edit(params)
        with path.open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(params, file)

    def run(self, *command, code=0):
        """Run a command there; returns what it printed."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def repro(self, code=0):
        """``dvc repro``; returns which stages ran, and the output."""
        told = self.run("dvc", "repro", code=code)
        return [line.split("'")[1] for line in told.splitlines() if line.startswith("Running stage")], told

    def client(self):
        import mlflow

        return mlflow.MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")

    def runs(self):
        """All runs of the store, newest first."""
        client = self.client()
        experiment = client.get_experiment_by_name("textmill")
        return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    built = Project(tmp_path_factory.mktemp("project"))
    ran, _ = built.repro()
    assert sorted(ran) == sorted(STAGES)
    return built


def test_every_stage_leaves_its_record_and_a_finished_run_under_one_parent(project):
    runs = {run.info.run_id: run for run in project.runs()}
    parents = set()
    for label in STAGES:
        record = read_json(project.folder / "runs" / f"{label.replace('@', '/')}.json")
        run = runs[record["run_id"]]
        assert run.data.tags["dvc.stage"] == label
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.source.git.commit"]
        parents.add(run.data.tags["mlflow.parentRunId"])
        if label != "report":
            assert "dvc.outs" in run.data.tags
    assert len(parents) == 1
    parent = runs[parents.pop()]
    assert parent.info.status == "FINISHED"
    assert "finetune@sentiment" in parent.data.tags["mlflow.note.content"]
    # The pipeline's run has the scores of its tasks, and a training's final figures end its curves.
    evaluated = next(run for run in runs.values() if run.info.run_name == "evaluate@sentiment")
    assert parent.data.metrics["tasks/sentiment.accuracy"] == evaluated.data.metrics["accuracy"]
    trained = next(run for run in runs.values() if run.info.run_name.startswith("pretrain@"))
    last = trained.data.metrics["steps"]
    history = project.client().get_metric_history(trained.info.run_id, "bits_per_byte")
    assert max(point.step for point in history) == last
    assert trained.data.metrics["bits_per_byte"] == next(p.value for p in history if p.step == last)
    assert not [run for run in runs.values() if run.info.status == "RUNNING"]


def test_the_page_metrics_and_plots_are_there(project):
    page = (project.folder / "reports" / "index.html").read_text(encoding="utf-8")
    assert "sentiment" in page
    assert "<script" not in page
    assert "accuracy" in project.run("dvc", "metrics", "show")
    assert "sentiment" in project.run("textmill", "results")
    assert "pretrain@encoder" in project.run("textmill", "trace", "sentiment")


def test_stock_transformers_pipeline_answers_as_evaluate_wrote(project):
    from transformers import pipeline

    import textmill

    assert textmill
    classify = pipeline("text-classification", str(project.folder / "models" / "finetuned" / "sentiment"))
    examples = {row["id"]: row for row in read_jsonl(project.folder / "data/tasks/sentiment/test.jsonl")}
    written = list(read_jsonl(project.folder / "data/predictions/sentiment/predictions.jsonl"))
    assert len(written) == len(examples)
    answers = classify([examples[row["id"]]["text"] for row in written])
    assert [answer["label"] for answer in answers] == [row["prediction"] for row in written]


def test_the_logged_model_predicts_as_evaluate_wrote(project):
    import mlflow
    import pandas

    mlflow.set_tracking_uri(f"sqlite:///{project.folder / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model("models:/sentiment/1")
    written = next(read_jsonl(project.folder / "data/predictions/sentiment/predictions.jsonl"))
    example = next(
        row
        for row in read_jsonl(project.folder / "data/tasks/sentiment/test.jsonl")
        if row["id"] == written["id"]
    )
    answer = model.predict(pandas.DataFrame([{"text": example["text"]}]))
    assert answer["prediction"][0] == written["prediction"]


def test_mlflow_serves_what_evaluate_wrote(project):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = f"sqlite:///{project.folder / 'mlflow.db'}"
    command = ["mlflow", "models", "serve", "-m", "models:/sentiment/1", "--env-manager", "local", "--port"]
    server = subprocess.Popen(
        [*command, str(port)],
        cwd=project.folder, env=project.environment | {"MLFLOW_TRACKING_URI": store}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(240):
            try:
                urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.5)
        written = list(read_jsonl(project.folder / "data/predictions/sentiment/predictions.jsonl"))[:5]
        texts = {row["id"]: row for row in read_jsonl(project.folder / "data/tasks/sentiment/test.jsonl")}
        asked = {"dataframe_records": [{"text": texts[row["id"]]["text"]} for row in written]}
        kind = {"Content-Type": "application/json"}
        request = Request(f"http://127.0.0.1:{port}/invocations", json.dumps(asked).encode(), kind)
        with urlopen(request, timeout=60) as answer:
            told = json.load(answer)["predictions"]
        assert [row["prediction"] for row in told] == [row["prediction"] for row in written]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def test_a_change_reruns_what_it_touches_and_nothing_else(project):
    assert project.repro()[0] == []

    def rate(params):
        params["tasks"]["sentiment"]["finetune"]["learning_rate"] = 2e-3

    project.change(rate)
    assert sorted(project.repro()[0]) == ["evaluate@sentiment", "finetune@sentiment", "report"]
    newest = project.runs()[0]
    parent = newest.data.tags.get("mlflow.parentRunId", newest.info.run_id)
    note = next(run for run in project.runs() if run.info.run_id == parent).data.tags["mlflow.note.content"]
    assert "| finetune@sentiment | run |" in note
    assert "| finetune@headlines | reused |" in note

    def writing(params):
        params["tasks"]["headlines"]["finetune"]["generation"] = {"max_new_tokens": 5}

    project.change(writing)  # which is stored with the model
    assert sorted(project.repro()[0]) == ["evaluate@headlines", "finetune@headlines", "report"]

    def threshold(params):
        params["checks"]["document"]["characters"]["min"] = 5

    project.change(threshold)
    ran = set(project.repro()[0])
    assert "validate" in ran
    assert ran <= {"validate", "report"}


def test_a_failed_stage_leaves_the_last_good_outputs_and_the_message(project):
    before = (project.folder / "data/corpus/train.parquet").read_bytes()
    docs = read_json(project.folder / "reports" / "checks.json")

    def impossible(params):
        params["checks"]["corpus"]["documents"] = {"min": 1000000, "severity": "fail"}

    project.change(impossible)
    ran, told = project.repro(code=255)
    assert ran == ["validate"]
    assert "Traceback" not in told
    assert "documents" in told
    assert "1000000" in told.replace(",", "").replace("1e+06", "1000000")
    assert (project.folder / "data/corpus/train.parquet").read_bytes() == before
    assert read_json(project.folder / "reports" / "checks.json") == docs
    failed = project.runs()[0]
    assert failed.info.status == "FAILED"
    assert "documents" in failed.data.tags.get("textmill.error", "documents")
