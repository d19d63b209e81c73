"""The files of a source: found here or at an address, opened, unpacked."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from textmill.errors import UserError
from textmill.params import Source


@dataclass(frozen=True)
class File:
    """A file of a source: ``size`` in bytes (0 where its server does not tell), ``state`` changes with it."""

    path: str
    size: int
    state: str


def files(name: str, source: Source) -> list[File]:
    """The files of a source, in order: ``path`` itself, or what ``glob`` finds below it; none for code.

    Addresses with a scheme (``s3://``, ``https://``, ``memory://``) go through fsspec. Raises UserError where
    there is none.
    """
    if source.format in ("sample", "docstrings", "hub"):
        return []
    where = f"corpus.sources.{name}.path"
    if "://" in source.path:
        found = _remote_files(source, where)
    else:
        path = Path(source.path)
        if path.is_dir():
            pattern = source.glob or "**/*"
            paths = sorted(str(file) for file in path.glob(pattern) if file.is_file())
        elif any(sign in source.path for sign in "*?["):
            top = Path(path.anchor or ".")
            pattern = str(path.relative_to(path.anchor)) if path.anchor else source.path
            paths = sorted(str(file) for file in top.glob(pattern) if file.is_file())
        elif path.exists():
            paths = [str(path)]
        else:
            raise UserError(f"{where}: {source.path}: no such file or folder; corpus.sources.{name} reads it")
        stats = [(file, Path(file).stat()) for file in paths]
        found = [File(file, stat.st_size, str(stat.st_mtime_ns)) for file, stat in stats]
    if not found:
        raise UserError(f"{where}: {source.path}: no file matches {source.glob or source.path!r}")
    return found


def _remote_files(source: Source, where: str) -> list[File]:
    fsspec = extra("fsspec", "an address with a scheme", where)
    address = source.path if source.glob is None else f"{source.path.rstrip('/')}/{source.glob}"
    try:
        system, path = fsspec.core.url_to_fs(address)
        many = any(sign in address for sign in "*?[")
        found = system.glob(path, detail=True) if many else {path: system.info(path)}
        # What stores and servers call the state of an object.
        names = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created")
        return [
            File(
                system.unstrip_protocol(file) if many else address,
                int(info.get("size") or 0),
                str(next((info[name] for name in names if info.get(name)), "")),
            )
            for file, info in sorted(found.items())
            if info.get("type") != "directory"
        ]
    except FileNotFoundError:
        raise UserError(f"{where}: {address}: no such file") from None
    except (ImportError, ValueError, OSError) as error:
        raise UserError(f"{where}: {address}: cannot be listed: {error}") from None
    except Exception as error:
        if not from_driver(error):
            raise
        raise UserError(f"{where}: {address}: cannot be listed: {error}") from None


def from_driver(error: Exception) -> bool:
    """Whether an error is one of the libraries that read files: what they raise has no common class."""
    known = ("zstandard", "zlib", "pyarrow", "fsspec", "aiohttp", "botocore", "gcsfs", "adlfs")
    return type(error).__module__.split(".")[0] in known


def extra(module: str, what: str, where: str) -> Any:
    """A module of the extra ``web``; raises UserError saying at ``where`` ``what`` needs it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{where}: {what} needs {module} ({error}); install it with: pip install 'textmill[web]'"
        ) from None


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """The file's bytes; errors of opening and of a stream cut short are the reader's to tell."""
    if "://" in path:
        import fsspec

        with fsspec.open(path, "rb") as file:
            yield file
    else:
        with open(path, "rb") as file:
            yield file


def streams(path: str, file: IO[bytes], pattern: str | None) -> Iterator[tuple[str, IO[bytes]]]:
    """The plain streams in a file with their names: one, or one for each member of an archive."""
    if path.endswith((".tar", ".tar.gz", ".tgz", ".zip")):
        members = _zip_members if path.endswith(".zip") else _tar_members
        for member, stream in members(file, pattern):
            yield f"{path}/{member}", stream
    elif path.endswith(".gz"):
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield path, unpacked  # type: ignore[misc]
    elif path.endswith(".zst"):
        import zstandard

        plain = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        yield path, io.BufferedReader(plain)  # type: ignore[type-var]
    else:
        yield path, file


def _wanted(member: str, pattern: str | None) -> bool:
    return pattern is None or PurePosixPath(member).match(pattern.removeprefix("**/"))


def _zip_members(file: IO[bytes], pattern: str | None) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as archive:
        for member in sorted(archive.namelist()):
            if not member.endswith("/") and _wanted(member, pattern):
                with archive.open(member) as stream:
                    yield member, stream


def _tar_members(file: IO[bytes], pattern: str | None) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=file, mode="r|*") as archive:  # as a stream, in the order of the archive
        for member in archive:
            if member.isfile() and _wanted(member.name, pattern):
                stream = archive.extractfile(member)
                if stream is not None:
                    yield member.name, stream
