"""Native and Ray, whole and with a worker killed, here and at an address: the same bytes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from textmill.corpus import curate, engine, ingest, ingestion
from textmill.corpus.ingestion import shards
from textmill.corpus.manifest import Manifest
from textmill.corpus.store import Store, read
from textmill.errors import UserError
from textmill.params import Engine
from textmill.records import read_json, write_jsonl

NATIVE = Engine(runner="native", address=None, shards=None)
WORDS = """the river mill grinds corn and wheat for every village in the valley while children watch how water
turns old wooden wheels slowly under a grey sky that nobody of them will ever forget"""


@pytest.fixture
def sources(tmp_path):
    draw = random.Random(5)
    folder = tmp_path / "text"
    for number in range(4):
        rows = [{"t": " ".join(draw.choices(WORDS.split(), k=90)).capitalize() + "."} for _ in range(150)]
        write_jsonl(folder / f"{number}.jsonl", [*rows, rows[0]])
    return {"one": {"format": "jsonl", "path": str(folder), "text_field": "t"}}


def bytes_of(folder: Path) -> dict[str, bytes]:
    names = ("train", "validation", "test", "dropped")
    return {name: (folder / "corpus" / f"{name}.parquet").read_bytes() for name in names}


def digests(folder: Path) -> list[str]:
    return [shard["digest"] for shard in read_json(folder / "documents" / "shards.json")["shards"]]


def both(params, folder: Path) -> None:
    ingest(params, folder / "documents")
    curate(params, folder / "documents", {}, folder / "corpus")


def test_a_single_item_is_done_without_starting_the_engine(tmp_path, monkeypatch):
    def started(*_):
        raise AssertionError("the engine was started")

    monkeypatch.setattr(engine, "_daft", started)
    manifest = Manifest(tmp_path / "work", "x")
    assert engine.run(lambda name, item: {"double": 2 * item}, {"a": 1}, manifest, NATIVE) == [{"double": 2}]
    with pytest.raises(AssertionError, match="was started"):
        engine.run(lambda name, item: {}, {"b": 1, "c": 2}, manifest, NATIVE)


def test_what_is_finished_is_not_done_again_and_a_cut_line_is_forgotten(tmp_path):
    def work(name: str, item: int) -> dict:
        if item == 3:
            raise UserError("row 3 is wrong")
        return {"name": name, "double": 2 * item}

    manifest = Manifest(tmp_path / "work", "x")
    done = engine.run(work, {"a": 1, "b": 2}, manifest, NATIVE)
    assert done == [{"name": "a", "double": 2}, {"name": "b", "double": 4}]
    with pytest.raises(UserError, match="row 3 is wrong"):
        engine.run(work, {"a": 9, "c": 3}, manifest, NATIVE)
    with (tmp_path / "work" / "manifest.jsonl").open("a") as file:
        file.write('["d", {"dou')
    again = Manifest(tmp_path / "work", "x")
    assert again.facts("a") == {"name": "a", "double": 2}
    assert not again.done("d")
    assert not Manifest(tmp_path / "work", "y").done("a")


def test_shards_at_an_address_are_the_same(tmp_path, corpus_params, sources, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setattr(ingestion, "PORTION", 100_000)
    both(corpus_params(sources), tmp_path / "here")
    there = {"runner": "native", "address": None, "shards": "memory://bucket/corpus"}
    both(corpus_params(sources, engine=there), tmp_path / "there")
    assert digests(tmp_path / "here") == digests(tmp_path / "there")
    assert bytes_of(tmp_path / "here") == bytes_of(tmp_path / "there")
    addresses = shards(tmp_path / "there" / "documents")
    assert len(addresses) == 2
    assert all(address.startswith("memory://bucket/corpus/ingest-") for address in addresses)
    assert not list((tmp_path / "there" / "documents").glob("*.parquet"))
    with pytest.raises(UserError, match=r"documents-9\.parquet: no such shard"):
        read(Store("memory://bucket/none").path("documents-9"))
    with pytest.raises(UserError, match=r"corpus\.engine\.shards: nowhere://x.*fsspec and the driver"):
        Store("nowhere://x").write("a", pl.DataFrame({"a": [1]}))


JOB = """
import json, sys
from pathlib import Path
from textmill.corpus import curate, engine, ingest, ingestion
from textmill.params import Params
params = Params.model_validate_json(Path(sys.argv[1]).read_text())
folder, runner = Path(sys.argv[2]), sys.argv[3]
ingestion.SHARD, ingestion.PORTION, engine.SHARDS_A_PROCESS = 20_000, 100_000, 2
cluster = None
if runner != "native":
    import ray
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    from textmill.corpus.manifest import Manifest
    finish, count = Manifest.finish, 0
    def finishing(self, name, facts):
        global count
        finish(self, name, facts)
        count += 1
        if runner == "killed" and count == 8:
            cluster.remove_node(nodes[0], allow_graceful=False)
            print("a worker killed")
    Manifest.finish = finishing
ingest(params, folder / "documents")
curate(params, folder / "documents", {}, folder / "corpus")
if cluster is not None:
    ray.shutdown()
    cluster.shutdown()
"""


def start(tmp_path: Path, params, name: str, runner: str) -> subprocess.Popen:
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / f"{name}.json").write_text(json.dumps(params.model_dump(mode="json")))
    command = [sys.executable, tmp_path / "job.py", tmp_path / f"{name}.json", tmp_path / name, runner]
    path = os.pathsep.join(str(Path(__file__).parents[3] / part) for part in ("src", ""))
    environment = {**os.environ, "PYTHONPATH": path}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def finished(job: subprocess.Popen) -> str:
    output, _ = job.communicate(timeout=600)
    assert job.returncode == 0, output[-3000:]
    return output


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["documents", "corpus"])
def test_a_killed_process_leaves_what_gives_the_same_bytes(tmp_path, corpus_params, sources, stage):
    params = corpus_params(sources)
    finished(start(tmp_path, params, "whole", "native"))
    job = start(tmp_path, params, "again", "native")
    manifest = tmp_path / "again" / stage / "work" / "manifest.jsonl"
    while job.poll() is None:
        if manifest.exists() and manifest.read_text().count("\n") > 6:
            job.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    job.communicate()
    assert job.returncode == -signal.SIGKILL
    assert manifest.exists()
    finished(start(tmp_path, params, "again", "native"))
    assert digests(tmp_path / "whole") == digests(tmp_path / "again")
    assert bytes_of(tmp_path / "whole") == bytes_of(tmp_path / "again")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("runner", ["ray", "killed"])
def test_ray_gives_the_bytes_of_native(tmp_path, corpus_params, sources, runner):
    pytest.importorskip("ray", reason="Ray is an optional extra: pip install 'textmill[ray]'")
    finished(start(tmp_path, corpus_params(sources), "native", "native"))
    ray = {"runner": "ray", "address": None, "shards": None}
    output = finished(start(tmp_path, corpus_params(sources, engine=ray), "cluster", runner))
    assert ("a worker killed" in output) == (runner == "killed")
    assert digests(tmp_path / "native") == digests(tmp_path / "cluster")
    assert bytes_of(tmp_path / "native") == bytes_of(tmp_path / "cluster")
