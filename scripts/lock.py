"""Write ``requirements.lock`` from what is installed: the versions of everything that textmill needs.

Run it in the environment whose versions have proven themselves: ``.venv/bin/python scripts/lock.py``.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("web", "graph", "dev")


def main() -> None:
    """Walk the requirements from pyproject.toml and pin each package found on the way."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [*project["dependencies"], *(r for e in EXTRAS for r in project["optional-dependencies"][e])]
    waiting.append("setuptools")  # builds textmill itself
    pinned: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # wanted on another system alone
        pinned[name] = found.version.split("+")[0]
        for text in found.requires or ():
            marker = Requirement(text).marker
            extras = requirement.extras or {""}
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(text)
    lines = [f"{name}=={version}" for name, version in sorted(pinned.items())]
    head = "# Exact versions that work together; written by scripts/lock.py from pyproject.toml's ranges."
    (ROOT / "requirements.lock").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
