"""The prose of the running Python's standard library: real English that is on every machine."""

from __future__ import annotations

import ast
import inspect
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_LEAST = 200  # characters: below it a docstring is a label and no prose
_NOT_PROSE = (
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "__pycache__",
    "ensurepip",
)


def docstrings() -> Iterator[tuple[str, int, str]]:
    """File (from the library's folder), line and text of each docstring of the standard library, in order."""
    top = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(top.rglob("*.py")):
        inside = path.relative_to(top)
        if any(part in _NOT_PROSE for part in inside.parts):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):  # files that are wrong on purpose
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node, clean=False)
                if text and len(text) >= _LEAST:
                    yield inside.as_posix(), node.body[0].lineno, _prose(inspect.cleandoc(text))


def _prose(text: str) -> str:
    """The docstring without the examples of an interactive session."""
    kept: list[str] = []
    session = False
    for line in text.split("\n"):
        session = line.lstrip().startswith((">>>", "...")) or (session and bool(line.strip()))
        if not session:
            kept.append(line)
    return "\n".join(kept)
