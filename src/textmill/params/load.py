"""Reading ``params.yaml``: what blocks share is laid under each, and mistakes are named by line and key."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError

from textmill.errors import UserError
from textmill.params.block import Block
from textmill.params.tree import Params


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate ``path``; raises UserError naming each wrong key, its line and what is right."""
    path = Path(path)
    tree = read_yaml(path)
    merged = _inherit(path, tree)
    try:
        # JSON mode: lists become tuples and whole numbers floats, and nothing else is converted.
        return Params.model_validate_json(json.dumps(merged))
    except ValidationError as error:
        found = error.errors(include_url=False)
        lines = [_explain(path, tree, merged, item) for item in found]
        raise UserError("\n".join(dict.fromkeys(lines))) from None


def read_yaml(path: Path) -> CommentedMap:
    """The file as a round-trip tree that knows its lines; raises UserError where it is no YAML mapping."""
    try:
        tree = YAML().load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the top of the project") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}") from None
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1
        problem = str(error.problem).split("with value")[0].strip()
        raise UserError(f"{path}:{line}: {problem} a second time; a key may stand once") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: not YAML: {error.problem}") from None
    if not isinstance(tree, CommentedMap):
        raise UserError(f"{path}: expected a mapping with keys such as seed, corpus, tasks")
    return tree


def merge(base: Any, over: Any) -> Any:
    """``over`` laid on ``base``: mappings key by key, everything else replaced.

    A budget is one choice among four, so a mapping called ``budget`` is replaced whole.
    """
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = value if key == "budget" else merge(base.get(key), value)
    return merged


def _inherit(path: Path, tree: CommentedMap) -> dict[str, Any]:
    """Complete each model's architecture and training, and each task's finetune, from the shared blocks."""

    def foreign(value: Any) -> Any:
        raise UserError(f'{path}: {value}: a date stands in quotes, as "{value}"')

    plain = json.loads(json.dumps(tree, default=foreign))
    places = [
        (model, key, key) for model in _blocks(plain, "pretrain") for key in ("architecture", "training")
    ]
    for block, key, shared in places:
        block[key] = merge(plain.get(shared), block.get(key, {}))
    training = plain.get("training")
    if isinstance(training, dict):
        training = {**training, "generation": plain.get("generation")}
    for task in _blocks(plain, "tasks"):
        task["finetune"] = merge(training, task.get("finetune", {}))
    return plain


def _blocks(plain: dict[str, Any], key: str) -> list[dict[str, Any]]:
    blocks = plain.get(key)
    return [block for block in blocks.values() if isinstance(block, dict)] if isinstance(blocks, dict) else []


def _explain(path: Path, tree: CommentedMap, merged: dict[str, Any], error: Any) -> str:
    """One line of the message: file:line: dotted path: what was found, what would be right."""
    place = [part for part in error["loc"] if _exists(merged, error["loc"], part)]
    dotted = ".".join(str(part) for part in place)
    where = f"{path}:{_line(tree, place)}: {dotted}" if place else f"{path}"
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        known = sorted(_known_keys(error["loc"][:-1]))
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return f"{where}: unknown key; {hint}"
    if error["type"] == "missing":
        key = str(error["loc"][-1])
        return (
            f"{path}:{_line(tree, place)}: {dotted}: missing"
            if key in place
            else f"{where}: {key} is missing"
        )
    message = error["msg"].removeprefix("Value error, ")
    found = error.get("input")
    shown = "" if isinstance(found, (dict, list)) else f", found {json.dumps(found, ensure_ascii=False)}"
    if isinstance(found, str) and error["type"] == "float_type" and _is_number(found):
        shown += " (a number with an exponent is written 3.0e-4)"
    return f"{where}: {message}{shown}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _exists(merged: dict[str, Any], loc: tuple[Any, ...], part: Any) -> bool:
    """Whether ``part`` of pydantic's path is a key of the file and not the name of a union's branch."""
    node: Any = merged
    for step in loc:
        inside = (isinstance(node, dict) and step in node) or (
            isinstance(node, list) and isinstance(step, int)
        )
        if step == part:
            return inside
        if inside:
            node = node[step]
    return False


def _line(tree: CommentedMap, place: list[Any]) -> int:
    """The line, counted from 1, of the deepest key of ``place`` that the file itself has."""
    node: Any = tree
    line = 1
    for step in place:
        if isinstance(node, CommentedMap) and step in node:
            line = node.lc.key(step)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
            line = node.lc.item(step)[0] + 1
        else:
            break
        node = node[step]
    return line


def _known_keys(loc: tuple[Any, ...]) -> set[str]:
    """The keys that the block at ``loc`` may have."""
    node: Any = Params
    for step in loc:
        fields = getattr(node, "model_fields", None)
        if fields is not None and step in fields:
            node = fields[step].annotation
        else:
            # Inside a dict of blocks, a tuple or a union: the block class among the arguments.
            node = next((arg for arg in get_args(node) if _block_of(arg)), node)
            continue
        node = _block_of(node) or node
    block = _block_of(node)
    return set(block.model_fields) if block else set()


def _block_of(annotation: Any) -> type[Block] | None:
    if isinstance(annotation, type) and issubclass(annotation, Block):
        return annotation
    args = get_args(annotation)
    if args and type(None) in args:
        return next((arg for arg in args if isinstance(arg, type) and issubclass(arg, Block)), None)
    return None
