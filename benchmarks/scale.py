"""Cost of ingest and curate by size of the corpus, and what a second core gains.

    python -m benchmarks.scale [--megabytes 10 40 160 1000] [--cores 1 2]

English made by exchanging every fourth word of the standard library's docstrings, in files of at most 40 MB.
Prints a table: processor seconds (workers included), seconds, rate and the largest process's peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textmill import params
from textmill.corpus import curate, ingest
from textmill.corpus.docstrings import docstrings
from textmill.corpus.text import clean

_FILE = 40_000_000


def write(folder: Path, size: int) -> None:
    """``size`` bytes of JSON lines; the same ones each time."""
    draw = random.Random(1)
    texts = [clean(text, mend_mojibake=False) for _, _, text in docstrings()]
    vocabulary = sorted({word for text in texts for word in text.split()})
    written = 0
    while written < size:
        number = written // _FILE
        with (folder / f"{number:04d}.jsonl").open("w") as file:
            while written < min(size, (number + 1) * _FILE):
                words = draw.choice(texts).split(" ")
                for place in range(draw.randrange(4), len(words), 4):
                    words[place] = draw.choice(vocabulary)
                written += file.write(json.dumps({"text": " ".join(words)}) + "\n")


def measure(source: Path, output: Path) -> None:
    """Both stages over the files, in this process and its workers; prints their costs as JSON."""
    tree = params.load().model_dump(mode="json")
    tree["corpus"]["sources"] = {
        "all": {"format": "jsonl", "path": str(source), "text_field": "text", "licence": "none"}
    }
    spec = params.Params.model_validate_json(json.dumps(tree))
    costs = {}
    for name, work in (
        ("ingest", lambda: ingest(spec, output / "documents")),
        ("curate", lambda: curate(spec, output / "documents", {}, output / "corpus")),
    ):
        begin, used = time.perf_counter(), _processor()
        work()
        costs[name] = [_processor() - used, time.perf_counter() - begin]
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({**costs, "peak": max(peaks) / 1e6}))


def _processor() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 40, 160, 1000])
    parser.add_argument("--cores", type=int, nargs="+", default=[1])
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return
    print("| text | cores | ingest CPU s | curate CPU s | seconds | MB per CPU s | peak of a process |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for size in arguments.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "text"
            source.mkdir()
            write(source, size * 1_000_000)
            for cores in arguments.cores:
                command = ["taskset", "-c", ",".join(map(str, range(cores))), sys.executable]
                command += ["-m", "benchmarks.scale", "--measure", str(source), f"{folder}/out{cores}"]
                costs = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                (used, took), (used2, took2) = costs["ingest"], costs["curate"]
                print(
                    f"| {size} MB | {cores} | {used:.1f} | {used2:.1f} | {took + took2:.1f} "
                    f"| {size / (used + used2):.2f} | {costs['peak']:.2f} GB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
