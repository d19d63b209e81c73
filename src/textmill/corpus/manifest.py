"""Which shards of a stage are finished, so that a killed run continues where it stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any


class Manifest:
    """The folder of a running stage: finished shards with what is known of them, for one state of its inputs.

    A shard is in its place before its line is written, so a name on the list is a shard that is complete.
    A folder of another fingerprint is emptied first.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self._path = folder / "manifest.jsonl"
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        if not lines or lines[0] != json.dumps(fingerprint):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            lines = [json.dumps(fingerprint)]
        self._facts: dict[str, dict[str, Any]] = dict(filter(None, map(_entry, lines[1:])))
        # Written anew: the last line of a killed run may be cut.
        written = [lines[0], *(json.dumps(item) for item in self._facts.items())]
        self._path.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")

    def done(self, name: str) -> bool:
        """Whether the shard was finished by this run or by the killed one before it."""
        return name in self._facts

    def facts(self, name: str) -> dict[str, Any]:
        """What its step said of a finished shard."""
        return self._facts[name]

    def finish(self, name: str, facts: dict[str, Any]) -> None:
        """Note that the shard is in its place."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, facts]) + "\n")
        self._facts[name] = facts

    def clear(self) -> None:
        """The stage is done: nothing of the way there stays."""
        shutil.rmtree(self.folder)


def _entry(line: str) -> tuple[str, dict[str, Any]] | None:
    try:
        name, facts = json.loads(line)
    except ValueError:
        return None
    return name, facts
