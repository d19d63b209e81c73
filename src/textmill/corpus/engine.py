"""Where the steps of the corpus run: Daft, on this machine's cores or on a Ray cluster.

A step is a pure function from tables to a table. What is handed to the engine is the work around one: read
the shard, apply the step, write the shard, say what is known of it. Only names and such small facts go
through Daft; the text goes from the store to the worker and back. So the same program gives the same bytes
with every runner and any number of workers, and a worker that is lost costs the shard in its hands.
"""

from __future__ import annotations

import atexit
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from textmill.corpus.manifest import Manifest
from textmill.errors import UserError
from textmill.params import Engine

Work = Callable[[str, Any], dict[str, Any]]

# Shards that a further process must have before it: starting it costs the time of about one.
SHARDS_A_PROCESS = 4
# Ray is told of so many tasks a worker: enough to share them out evenly, and to lose little with a worker.
TASKS_A_WORKER = 32


def run(work: Work, items: Mapping[str, Any], manifest: Manifest, spec: Engine) -> list[dict[str, Any]]:
    """Do ``work(name, item)`` for each item that the manifest does not hold as finished.

    work: can be pickled; gives facts that JSON can hold, the same ones each time. Returns the facts of all
    items in their order. Raises UserError where the work does, or where the runner is not there.
    """
    pending = {name: json.dumps(item) for name, item in items.items() if not manifest.done(name)}
    if pending:
        for name, answer in _answers(work, pending, spec):
            facts = json.loads(answer)
            if "user_error" in facts:
                raise UserError(facts["user_error"])
            manifest.finish(name, facts)
    return [manifest.facts(name) for name in items]


def _answers(work: Work, pending: Mapping[str, str], spec: Engine) -> Iterable[tuple[str, str]]:
    """Names and answers; of one item here and now, as sharing it out takes longer than a small shard."""
    if spec.runner == "native" and len(pending) == 1:
        return [(name, _answer(work, name, item)) for name, item in pending.items()]
    return _daft(work, pending, spec)


def _daft(work: Work, pending: Mapping[str, str], spec: Engine) -> Iterator[tuple[str, str]]:
    """Names and answers, as they come."""
    import daft

    cores = _ray(spec.address) if spec.runner == "ray" else _native()
    many = spec.runner == "ray" or (cores > 1 and len(pending) >= 2 * SHARDS_A_PROCESS)
    folder = os.getcwd()

    @daft.func.batch(return_dtype=daft.DataType.string(), batch_size=1, use_process=many)
    def answers(names: daft.Series, items: daft.Series) -> list[str]:
        """One answer a name, in this process or another."""
        if os.path.isdir(folder):  # paths are as in params.yaml, from the top of the project
            os.chdir(folder)
        pairs = zip(names.to_pylist(), items.to_pylist(), strict=True)
        return [_answer(work, name, item) for name, item in pairs]

    table = daft.from_pydict({"name": list(pending), "item": list(pending.values())})
    if spec.runner == "ray":
        table = table.into_partitions(min(len(pending), cores * TASKS_A_WORKER))
    name, item = daft.col("name"), daft.col("item")
    for row in table.select(name, answers(name, item).alias("answer")).iter_rows():
        yield row["name"], row["answer"]


def _answer(work: Work, name: str, item: str) -> str:
    """The facts as JSON; what the user can put right goes back as a fact, and not as a traceback."""
    try:
        return json.dumps(work(name, json.loads(item)))
    except UserError as error:
        return json.dumps({"user_error": str(error)})


@cache
def _native() -> int:
    """Daft in this process; its cores. A process has one runner."""
    import daft

    # Threads of Daft outlive a query a little, and one that meets a closed interpreter aborts it: seen in one
    # of sixty programs that end with their query, and in none that waits.
    atexit.register(time.sleep, 0.5)
    daft.set_runner_native()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _ray(address: str | None) -> int:
    """Daft on the cluster at the address (null: one of this machine); the cluster's cores."""
    try:
        import ray
    except ImportError:
        raise UserError(
            "corpus.engine.runner: ray needs Ray; install it with: pip install 'textmill[ray]'"
        ) from None
    import daft

    try:
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False)
        daft.set_runner_ray(address=address)
    except ConnectionError as error:
        raise UserError(f"corpus.engine.address: no Ray cluster answers at {address}: {error}") from None
    return int(ray.cluster_resources().get("CPU", 1))
