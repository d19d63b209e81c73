"""Which code, parameters and data a run belongs to."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.params import Params
from textmill.records import read_json


def state(root: Path, params: Params | None) -> str:
    """A digest of the experiment: parameters, code and the files the data comes from.

    Data files count by name, size and time of change, so that gigabytes are not read for a label.
    """
    digest = hashlib.blake2b(digest_size=16)
    parameters = params.model_dump_json() if params else (root / "params.yaml").read_text(errors="replace")
    digest.update(parameters.encode())
    for folder in ("src/textmill", "pipeline"):
        for file in sorted((root / folder).rglob("*.py")):
            digest.update(f"\0{file.relative_to(root)}\0".encode() + file.read_bytes())
    for path in _data_paths(params) if params else ():
        for file in _files(root / path):
            stat = file.stat()
            digest.update(f"\0{file}\0{stat.st_size}\0{stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _data_paths(params: Params) -> list[str]:
    sources = [source.path for source in params.corpus.sources.values()]
    tasks = [task.data.path for task in params.tasks.values()]
    return sorted({path for path in sources + tasks if not path.startswith("src/")})


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())


def git_tags(root: Path) -> dict[str, str]:
    """The commit and whether the tree differed from it; empty outside git."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return {}
    dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD")
    return {
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": branch,
        "git.dirty": str(dirty).lower(),
    }


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def locked_stages(root: Path) -> dict[str, dict[str, Any]]:
    """The stages of ``dvc.lock`` with dependencies, parameters and outputs; empty before a run."""
    path = root / "dvc.lock"
    if not path.exists():
        return {}
    return _read_lock(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_lock(path: Path, changed: int) -> dict[str, dict[str, Any]]:
    from ruamel.yaml import YAML

    return dict((YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}).get("stages", {}))


def dvc_hash(root: Path, path: str) -> str | None:
    """DVC's hash of ``path``, an output of an earlier stage or inside one; None where DVC knows none."""
    for stage in locked_stages(root).values():
        for out in stage.get("outs", ()):
            if path == out["path"]:
                return str(out["md5"])
            if path.startswith(out["path"] + "/"):
                return hashlib.md5(f"{out['md5']}:{path}".encode(), usedforsecurity=False).hexdigest()
    return None


def content_digest(path: Path) -> str:
    """A digest of a file, or of a folder's files with their names: the same content, the same digest."""
    digest = hashlib.blake2b(digest_size=16)
    for file in _files(path):
        digest.update(f"\0{file.relative_to(path)}\0".encode())
        with file.open("rb") as opened:
            while chunk := opened.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def hash_tags(stage: dict[str, Any]) -> dict[str, str]:
    """DVC's hashes of one locked stage's dependencies and outputs, as tags of its run."""
    sides = {"dvc.deps": stage.get("deps", ()), "dvc.outs": stage.get("outs", ())}
    return {
        tag: json.dumps({entry["path"]: entry["md5"] for entry in entries}, sort_keys=True)
        for tag, entries in sides.items()
    }


def trace(root: Path, model: str) -> str:
    """From a model back through the stages that made it, as ``dvc.lock`` and ``runs/`` have it.

    Each line: the stage, its MLflow run, and the files it depended on with their hashes;
    what no stage made (code and sources) ends the walk. Raises UserError where no stage made the model.
    """
    stages = locked_stages(root)
    made_by = {out["path"]: label for label, stage in stages.items() for out in stage.get("outs", ())}
    starts = [path for path in (f"models/finetuned/{model}", f"models/pretrained/{model}") if path in made_by]
    if not starts:
        folders = ("models/finetuned/", "models/pretrained/")
        known = sorted(path.rsplit("/", 1)[-1] for path in made_by if path.startswith(folders))
        raise UserError(f"no stage has made a model {model!r}; known: {', '.join(known) or 'none yet'}")
    lines: list[str] = []
    waiting, seen = [made_by[starts[0]]], set()
    while waiting:
        label = waiting.pop(0)
        if label in seen:
            continue
        seen.add(label)
        stage = stages[label]
        record = root / "runs" / f"{label.replace('@', '/')}.json"
        run = read_json(record)["run_id"] if record.exists() else "unknown"
        lines.append(f"{label}  run {run}")
        for dep in stage.get("deps", ()):
            makers = _makers(dep["path"], made_by)
            origin = f"made by {', '.join(makers)}" if makers else "not made by a stage"
            lines.append(f"    {dep['path']}  {dep['md5']}  {origin}")
            waiting += makers
        for file, values in stage.get("params", {}).items():
            lines += [f"    {file}: {key}" for key in values]
    return "\n".join(lines)


def _makers(path: str, made_by: dict[str, str]) -> list[str]:
    """The stages whose outputs are ``path``, hold it, or lie in it."""
    return sorted(
        {
            label
            for out, label in made_by.items()
            if out == path or path.startswith(out + "/") or out.startswith(path + "/")
        }
    )
