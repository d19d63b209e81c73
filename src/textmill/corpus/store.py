"""Where shards lie: a folder here, or an address that fsspec knows (``s3://``, ``gs://``, ``memory://``)."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from textmill.errors import UserError

Facts = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """A folder of Parquet shards by name; ``folder`` is absolute or an address with a scheme."""

    folder: str

    def path(self, name: str) -> str:
        """The shard's path or address."""
        return f"{self.folder}/{name}.parquet"

    def write(self, name: str, table: pl.DataFrame, compression: str = "lz4") -> Facts:
        """Write the shard whole or not at all; returns its name, rows, bytes and digest."""
        buffer = io.BytesIO()
        table.write_parquet(buffer, compression=compression)  # type: ignore[arg-type]
        data = buffer.getbuffer()
        path = self.path(name)
        if "://" in path:  # object stores show an object when all of it is there
            with _system(path).open(path, "wb") as file:
                file.write(data)
        else:
            part = f"{path}.{os.getpid()}.part"
            with open(part, "wb") as file:
                file.write(data)
            os.replace(part, path)
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        return {"name": name, "rows": len(table), "bytes": len(data), "digest": digest}

    def read(self, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The shard, or some of its columns."""
        return read(self.path(name), columns)

    def remove(self, names: Sequence[str]) -> None:
        """Remove shards that are no longer needed, where they are at an address."""
        if names and "://" in self.folder:
            _system(self.folder).rm([self.path(name) for name in names])


def read(path: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A Parquet file at a path or an address, or some of its columns; UserError where it is gone."""
    wanted = None if columns is None else list(columns)
    try:
        if "://" not in path:
            return pl.read_parquet(path, columns=wanted)
        with _system(path).open(path, "rb") as file:
            return pl.read_parquet(file, columns=wanted)
    except FileNotFoundError:
        raise UserError(f"{path}: no such shard; was it removed? Run the stage ingest again") from None


def _system(address: str) -> Any:
    """The file system of an address; UserError where fsspec or its driver is missing."""
    try:
        import fsspec

        return fsspec.core.url_to_fs(address)[0]
    except (ImportError, ValueError) as error:
        raise UserError(
            f"corpus.engine.shards: {address}: {error}; addresses need fsspec and the driver of their "
            f"scheme: pip install 'textmill[web]' s3fs (for s3://) or gcsfs (for gs://)"
        ) from None
