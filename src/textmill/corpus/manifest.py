"""Which shards of a stage are finished, so that a killed run continues where it stopped."""

from __future__ import annotations

import shutil
from pathlib import Path


class Manifest:
    """The folder of a running stage: finished shards by name, valid for one fingerprint of its inputs.

    A shard is written beside its place and moved there whole before its name is noted, so a name on the
    list is a file that is complete. A folder of another fingerprint is emptied first.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self._path = folder / "manifest.txt"
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        if not lines or lines[0] != fingerprint:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._path.write_text(fingerprint + "\n")
            lines = []
        self._names = set(lines[1:])

    def done(self, name: str) -> bool:
        """Whether the shard was finished by this run or by the killed one before it."""
        return name in self._names

    def finish(self, name: str) -> None:
        """Note that the shard is in its place."""
        with self._path.open("a") as file:
            file.write(name + "\n")
        self._names.add(name)

    def clear(self) -> None:
        """The stage is done: nothing of the way there stays."""
        shutil.rmtree(self.folder)
