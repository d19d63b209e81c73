"""Overlays on ``params.yaml``: what runs is always in the one file that DVC and git see."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from textmill.errors import UserError
from textmill.params import load, read_yaml

NULL = "tag:yaml.org,2002:null"
# Mappings of blocks by name: a null in an overlay takes the block out.
NAMED = (("corpus", "sources"), ("corpus", "quality"), ("pretrain",), ("tasks",))


def write_params(experiment: str | None, root: Path, data_root: str | None = None) -> str:
    """Write ``params.yaml`` as the committed one with ``experiments/<experiment>.yaml`` laid over it.

    Returns a line that says what was written. Without an experiment the committed file is restored.
    Raises UserError where the overlay is missing or the result does not validate; ``params.yaml``
    then stays as it was.
    """
    committed = _committed(root)
    tree = read_yaml(root / "params.yaml") if committed is None else _round_trip().load(committed)
    if experiment:
        overlays = {path.stem: path for path in sorted((root / "experiments").glob("*.yaml"))}
        if experiment not in overlays:
            known = ", ".join(overlays) or "none"
            raise UserError(f"no experiment {experiment!r} in {root / 'experiments'}; known: {known}")
        _lay_over(tree, read_yaml(overlays[experiment]))
    if data_root:
        tree["data"]["root"] = data_root
    _resolve(tree, str(tree["data"]["root"]))
    for keys in NAMED:
        block: Any = tree
        for key in keys:
            block = block[key]
        for name in [name for name, value in block.items() if value is None]:
            del block[name]
    target = root / "params.yaml"
    partial = target.with_name(".params.yaml.partial")
    if committed is not None and not (experiment or data_root):
        partial.write_text(committed, encoding="utf-8", newline="")
    else:
        with partial.open("w", encoding="utf-8") as file:
            _round_trip().dump(tree, file)
    try:
        load(partial)
    except UserError as error:
        partial.unlink()
        raise UserError(
            str(error).replace(str(partial), f"experiments/{experiment}.yaml over params.yaml")
        ) from None
    partial.replace(target)
    if not tree["tasks"]:
        # Curation hangs on the tasks' folder, which no stage makes where there are none.
        (root / "data" / "tasks").mkdir(parents=True, exist_ok=True)
    return f"params.yaml: {experiment or 'as committed'}, data from {tree['data']['root']}"


def _committed(root: Path) -> str | None:
    """The committed ``params.yaml`` as it is, or None where there is no git history."""
    command = ["git", "show", "HEAD:./params.yaml"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    return None if done.returncode else done.stdout.decode("utf-8")


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.width = 120
    yaml.preserve_quotes = True
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar(NULL, "null")
    )
    return yaml


def _lay_over(base: dict[str, Any], over: dict[str, Any]) -> None:
    """As ``params.merge``, in place, so that the base keeps its comments."""
    for key, value in over.items():
        if key != "budget" and isinstance(value, dict) and isinstance(base.get(key), dict):
            _lay_over(base[key], value)
        else:
            base[key] = value


def _resolve(node: Any, data_root: str) -> None:
    """Put the folder in the place of ``${data.root}`` in every string."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        if isinstance(value, str) and "${data.root}" in value:
            node[key] = value.replace("${data.root}", data_root)
        else:
            _resolve(value, data_root)
