"""What surrounds every stage's work: the run's true end, whole outputs, messages for people."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

from textmill import stage as stages
from textmill.errors import UserError
from textmill.records import read_json

COMMITTED = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One tracking store for the module: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def project(tmp_path, monkeypatch, store):
    """An empty project with the committed parameters and an input; the working folder of the test."""
    (tmp_path / "params.yaml").write_text(COMMITTED, encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.txt").write_text("input")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    previous = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, previous)


def _work(stage):
    sum(range(5_000_000))  # processor time that the meter can see
    text = stage.input("data/in.txt").read_text()
    stage.output("data/out").mkdir()
    (stage.output("data/out") / "copy.txt").parent.mkdir(exist_ok=True)
    (stage.root / "data" / ".out.partial" / "copy.txt").write_text(text)
    stage.log_params({"block": {"size": 3, "unset": None}})
    stage.metrics |= {"documents": 1, "tokens_per_second": 10.0}


def _last_run(store):
    import mlflow

    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("textmill")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    child = next(run for run in runs if "mlflow.parentRunId" in run.data.tags)
    return child, client.get_run(child.data.tags["mlflow.parentRunId"])


def test_a_good_stage_leaves_whole_outputs_and_a_finished_run(project, store):
    assert stages._run("copy", None, _work, debug=False) == 0
    assert (project / "data" / "out" / "copy.txt").read_text() == "input"
    assert read_json(project / "metrics" / "copy.json") == {"documents": 1}
    record = read_json(project / "runs" / "copy.json")
    assert record["cost"]["tokens_per_second"] == 10.0
    assert record["cost"]["energy_wh"] > 0
    run, parent = _last_run(store)
    assert run.info.run_id == record["run_id"]
    assert (run.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert run.data.params == {"block.size": "3"}
    assert run.data.metrics["documents"] == 1
    assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["data/in.txt"]
    assert not list(project.rglob("*.partial"))


def test_the_same_state_has_one_parent_and_another_state_another(project, store):
    parents = []
    for text in (COMMITTED, COMMITTED, COMMITTED.replace("seed: 1", "seed: 2", 1)):
        (project / "params.yaml").write_text(text, encoding="utf-8")
        assert stages._run("copy", None, _work, debug=False) == 0
        parents.append(_last_run(store)[1].info.run_id)
    assert parents[0] == parents[1] != parents[2]


def _mistake(stage):
    _work(stage)
    raise UserError("labels.csv:7: label 'god' is not among bad, good")


def _full_disk(stage):
    _work(stage)
    with open("/dev/full", "w") as file:
        file.write("x" * 100_000)


def _killed(stage):
    _work(stage)
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("work", "status", "message"),
    [
        (_mistake, "FAILED", "labels.csv:7: label 'god' is not among bad, good"),
        (_full_disk, "FAILED", "the disk is full"),
        (_killed, "KILLED", "interrupted"),
        (lambda stage: stage.input("data/none"), "FAILED", "data/none: missing"),
    ],
    ids=["mistake", "full disk", "killed", "missing input"],
)
def test_a_failing_stage_keeps_the_earlier_outputs_and_says_why(
    project, store, capsys, work, status, message
):
    assert stages._run("copy", None, _work, debug=False) == 0
    (project / "data" / "in.txt").write_text("changed")
    before = (project / "runs" / "copy.json").read_bytes()
    assert stages._run("copy", None, work, debug=False) == 1
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert (project / "data" / "out" / "copy.txt").read_text() == "input"
    assert (project / "runs" / "copy.json").read_bytes() == before
    assert not list(project.rglob("*.partial"))
    run, parent = _last_run(store)
    assert (run.info.status, parent.info.status) == (status, status)
    assert message in run.data.tags["textmill.error"]


def test_what_a_stage_keeps_for_its_next_run_goes_when_it_succeeds(project):
    def kept(stage):
        (stage.scratch / "resume.ckpt").touch()

    def fails(stage):
        kept(stage)
        _mistake(stage)

    assert stages._run("copy", "a", fails, debug=False) == 1
    assert (project / ".state" / "copy-a" / "resume.ckpt").exists()
    assert stages._run("copy", "b", kept, debug=False) == 0
    assert (project / ".state" / "copy-a" / "resume.ckpt").exists()
    assert stages._run("copy", "a", kept, debug=False) == 0
    assert not (project / ".state" / "copy-a").exists()


def _refused(stage):
    stage.output("reports/checks.json").write_text("what was wrong")
    stage.metrics["failed"] = 2
    if not (stage.root / "good").exists():
        raise UserError("the data failed its checks")


def test_what_a_failing_stage_found_stays_until_it_passes(project, store, capsys):
    (project / "reports").mkdir()
    (project / "reports" / "checks.json").write_text("the last good")
    assert stages._run("judge", None, _refused, debug=False) == 1
    assert (project / "reports" / "checks.json").read_text() == "the last good"
    assert (project / "reports" / "failed" / "checks.json").read_text() == "what was wrong"
    assert "reports/failed/checks.json" in capsys.readouterr().err
    run, _ = _last_run(store)
    assert run.data.metrics["failed"] == 2
    (project / "good").touch()
    assert stages._run("judge", None, _refused, debug=False) == 0
    assert (project / "reports" / "checks.json").read_text() == "what was wrong"
    assert not (project / "reports" / "failed" / "checks.json").exists()


def test_a_fault_of_ours_shows_its_traceback(project, store, capsys):
    assert stages._run("copy", None, lambda stage: 1 // 0, debug=False) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_debug_shows_the_traceback_of_a_mistake(project, store, capsys):
    assert stages._run("copy", None, _mistake, debug=True) == 1
    assert "Traceback" in capsys.readouterr().err


def test_wrong_parameters_leave_a_failed_run_with_the_message(project, store, capsys):
    (project / "params.yaml").write_text(COMMITTED.replace("seed:", "sead:", 1), encoding="utf-8")
    assert stages._run("copy", None, _work, debug=False) == 1
    assert "did you mean seed?" in capsys.readouterr().err
    run, _ = _last_run(store)
    assert run.info.status == "FAILED"
    assert "did you mean seed?" in run.data.tags["textmill.error"]


def test_a_silent_tracking_server_is_told_with_the_way_to_go_on(project, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert stages._run("copy", None, _work, debug=False) == 1
    told = capsys.readouterr().err
    assert "http://127.0.0.1:9 does not answer" in told
    assert "MLFLOW_TRACKING_URI=sqlite:///mlflow.db" in told


def test_a_run_whose_process_died_is_not_left_running(project, store):
    from textmill.params import load
    from textmill.tracking import Tracker

    tracker = Tracker(load("params.yaml").tracking, project)
    dead = tracker.start("dead", "some-state", {"textmill.pid": "999999999"})
    assert stages._run("copy", None, _work, debug=False) == 0
    assert tracker.client.get_run(dead.id).info.status == "KILLED"
    assert tracker.client.get_run(dead.parent).info.status == "KILLED"


def test_a_store_whose_making_was_cut_off_is_made_anew(project, monkeypatch):
    import mlflow

    from textmill.params import load
    from textmill.tracking import Tracker

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///new.db")
    tracking, partial = load("params.yaml").tracking, project / ".new.db.partial"

    def cut_off(*_):
        partial.write_bytes(b"half a table")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mlflow, "MlflowClient", cut_off)
        with pytest.raises(KeyboardInterrupt):
            Tracker(tracking, project)
    assert partial.exists()
    assert not (project / "new.db").exists()
    assert Tracker(tracking, project).experiment_id
    assert (project / "new.db").exists()
    assert not partial.exists()


def _packed(folder, encode):
    """Packed ids of a text of four characters, in two splits."""
    from textmill.records import write_json

    ids = np.array(encode("abcd" * 500, add_special_tokens=False)["input_ids"], np.uint16)
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        ids.tofile(folder / f"{split}.bin")
        np.array([0, len(ids)], np.uint64).tofile(folder / f"{split}.offsets.bin")
        about = {"dtype": "uint16", "tokens": len(ids), "bytes": len(ids), "digest": split, "ids": ["one"],
                 "offsets": f"{split}.offsets.bin", "vocabulary": len(encode)}  # fmt: skip
        write_json(folder / f"{split}.json", about)


@pytest.mark.slow
def test_two_processes_of_one_stage_leave_one_run_and_one_model(project, store):
    from textmill import params, tokenizer

    encode = tokenizer.train(["abcd"], params.Tokenizer(kind="character", vocabulary_size=None, path=None))
    encode.save_pretrained(project / "models" / "tokenizer")
    _packed(project / "data" / "tokens", encode)
    tree = yaml.safe_load(COMMITTED)
    tree["trainer"] |= {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "precision": "32-true"}
    tree["pretrain"]["decoder"]["architecture"] = {
        "layers": 1, "width": 16, "heads": 2, "key_value_heads": 2, "feed_forward": 32
    }  # fmt: skip
    tree["pretrain"]["decoder"]["training"] |= {
        "budget": {"steps": 6}, "batch_size": 4, "max_length": 16, "log_every": 2, "validations": 1
    }  # fmt: skip
    (project / "params.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    top = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.pretrain", "decoder"],
        env=os.environ | {"PYTHONPATH": f"{top / 'src'}{os.pathsep}{top}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    metrics = read_json(project / "metrics" / "pretrain" / "decoder.json")
    assert (metrics["steps"], metrics["tokens"]) == (6, 6 * 2 * 4 * 16)
    assert (project / "models" / "pretrained" / "decoder" / "model.safetensors").is_file()
    # (MLflow keeps its copy of the model under the name that the folder had before it was moved.)
    outputs = [
        path for folder in ("models", "metrics", "plots", "runs") for path in (project / folder).rglob("*")
    ]
    assert not [path for path in outputs if path.name.endswith(".partial")]
    import mlflow

    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("textmill").experiment_id
    runs = client.search_runs([experiment], filter_string="tags.`dvc.stage` = 'pretrain@decoder'")
    assert [run.info.status for run in runs] == ["FINISHED"]
    assert runs[0].info.run_id == read_json(project / "runs" / "pretrain" / "decoder.json")["run_id"]
    assert len(client.get_metric_history(runs[0].info.run_id, "loss")) == 3


def test_curves_reach_the_store_in_batches_and_off_the_training_thread(project, store, monkeypatch):
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    writes = []
    write = SqlAlchemyStore._log_metrics  # the queue holds on to the log_batch of when the store was opened

    def noted(self, run_id, metrics, *rest):
        if metrics:
            writes.append((threading.current_thread(), {m.step for m in metrics}))
        return write(self, run_id, metrics, *rest)

    monkeypatch.setattr(SqlAlchemyStore, "_log_metrics", noted)

    def work(stage):
        for step in range(1, 21):
            stage.logger.log_metrics({"loss": 1.0 / step, "learning_rate": 0.1}, step)
        stage.logger.finalize()

    assert stages._run("copy", None, work, debug=False) == 0
    curve = [steps for thread, steps in writes if thread is not threading.main_thread()]
    assert set().union(*curve) == set(range(1, 21))
    assert len(curve) < 20  # fewer writes than logging intervals
    assert all(steps == {0} for thread, steps in writes if thread is threading.main_thread())
