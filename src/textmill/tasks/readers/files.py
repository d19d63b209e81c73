"""Files as text: plain, compressed or inside an archive, in a known encoding.

A name goes on inside an archive as it does inside a folder: ``data.zip/train.txt``,
``mail.tar.gz/mail/train/*.txt``. Patterns with * give files in order of name.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from textmill.errors import UserError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
MAX_LINE = 10_000_000  # characters; a line beyond is a broken file, and would fill the memory further on

NAME_IT = "name the file's encoding in data.options.encoding (for instance latin-1 or gb18030)"


@dataclass(frozen=True)
class File:
    """A file's name for messages, its content, and which of the names or patterns asked for found it."""

    name: str
    content: bytes
    asked: int = 0

    def text(self, encoding: str | None = None, keep_ends: bool = False) -> str:
        """The content as text, without a byte-order mark and with \\n at the ends of lines.

        ``keep_ends`` leaves the ends of lines as they are, for offsets that count them so. ``encoding`` None
        means UTF-8, or what a byte-order mark says. Raises UserError naming the line where the bytes do not
        fit.
        """
        marked = next((name for mark, name in _MARKS if self.content.startswith(mark)), None)
        chosen = encoding or marked or "utf-8"
        try:
            text = self.content.decode(chosen)
        except UnicodeDecodeError as error:
            line = self.content[: error.start].count(b"\n") + 1
            told = f"{self.name}:{line}: byte 0x{self.content[error.start]:02x} is not {chosen}; {NAME_IT}"
            wrong = _EncodingError(told)
            wrong.encoding = chosen
            raise wrong from None
        except LookupError:
            raise UserError(f"data.options.encoding: there is no encoding called {chosen!r}") from None
        text = text.removeprefix("\ufeff")
        return text if keep_ends else text.replace("\r\n", "\n").replace("\r", "\n")

    def lines(self, encoding: str | None = None) -> list[str]:
        """The lines without their ends; raises UserError at one that is broken."""
        lines = []
        for number, line, problem in self.numbered(encoding):
            if problem:
                raise UserError(f"{self.name}:{number}: {problem}")
            lines.append(line)
        return lines

    def numbered(self, encoding: str | None = None) -> Iterator[tuple[int, str, str | None]]:
        """Each line with its number from 1 and what is wrong with it, without a byte-order mark before it.

        Broken is a line whose bytes are not of the encoding, as where files of several were put together,
        and one of more than ten million characters. The first has U+FFFD for those bytes, so that the quotes
        of a table still pair; the second is empty.
        """
        lines: list[tuple[str, str | None]]
        try:
            lines = [(line.removeprefix("\ufeff"), None) for line in self.text(encoding).split("\n")]
        except _EncodingError as error:
            if error.encoding.startswith("utf-16"):
                raise
            lines = [_decoded(line, error.encoding) for line in self.content.split(b"\n")]
        if lines[-1] == ("", None):
            lines.pop()
        for number, (line, problem) in enumerate(lines, 1):
            if len(line) > MAX_LINE:
                yield number, "", f"a line of {len(line):,} characters; at most {MAX_LINE:,}"
            else:
                yield number, line, problem


class _EncodingError(UserError):
    """Bytes that are not of the encoding."""

    encoding = ""


def _decoded(line: bytes, encoding: str) -> tuple[str, str | None]:
    """A line as text, or what is wrong with it."""
    try:
        return line.decode(encoding).removeprefix("\ufeff").rstrip("\r"), None
    except UnicodeDecodeError as error:
        told = f"byte 0x{line[error.start]:02x} is not {encoding}; {NAME_IT}"
        return line.decode(encoding, "replace").removeprefix("\ufeff").rstrip("\r"), told


def open_files(folder: Path, names: str | Sequence[str]) -> list[File]:
    """The files of the given names or patterns; raises UserError where one is missing or empty."""
    files: list[File] = []
    for asked, name in enumerate([names] if isinstance(names, str) else names):
        found = list(_open(folder if name in ("", ".") else folder / name))
        if not found:
            raise UserError(
                f"{folder / name}: no such file; data.path and the split's name are joined to this"
            )
        files += [replace(file, asked=asked) for file in found]
    for file in files:
        # A text in which brat's annotators found nothing has an empty file beside it.
        if not file.content.strip() and not file.name.endswith(".ann"):
            raise UserError(f"{file.name}: the file is empty")
    return files


def _open(path: Path) -> Iterator[File]:
    if any(character in str(path) for character in "*?[") and not path.exists():
        inside = _archive_of(path)
        if inside:
            yield from _members(*inside)
            return
        base = next(parent for parent in path.parents if not any(c in str(parent) for c in "*?["))
        for found in sorted(base.glob(str(path.relative_to(base)))):
            if found.is_file():
                yield from _open(found)
    elif path.is_dir():
        for found in sorted(path.rglob("*")):
            if found.is_file():
                yield from _open(found)
    elif path.is_file():
        if _is_archive(path.name):
            yield from _members(path, "*")
        else:
            yield File(str(path), _expand(path.name, path.read_bytes(), str(path)))
    elif inside := _archive_of(path):
        yield from _members(*inside)


def _archive_of(path: Path) -> tuple[Path, str] | None:
    """The archive that ``path`` leads into, and the rest of the way."""
    for parent in path.parents:
        if parent.is_file() and _is_archive(parent.name):
            return parent, path.relative_to(parent).as_posix()
    return None


def _is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def _members(archive: Path, pattern: str) -> Iterator[File]:
    def wanted(name: str) -> bool:
        if name.startswith("__MACOSX/"):  # what macOS packs beside the files: their icons and the like
            return False
        inside = name.startswith(pattern.rstrip("/") + "/")
        return inside or name == pattern or fnmatch.fnmatchcase(name, pattern)

    try:
        if archive.name.lower().endswith(".zip"):
            with zipfile.ZipFile(archive) as zipped:
                for name in sorted(n for n in zipped.namelist() if not n.endswith("/") and wanted(n)):
                    yield File(f"{archive}/{name}", _expand(name, zipped.read(name), f"{archive}/{name}"))
        else:
            with tarfile.open(archive) as tar:
                for member in sorted((m for m in tar if m.isfile() and wanted(m.name)), key=lambda m: m.name):
                    content = tar.extractfile(member)
                    assert content is not None  # regular files have content
                    yield File(f"{archive}/{member.name}", _expand(member.name, content.read(), member.name))
    # zipfile leaves its data's errors as they are, and says RuntimeError of a password or a method it lacks.
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise UserError(f"{archive}: not a whole archive: {error}") from None


def _expand(name: str, content: bytes, shown: str) -> bytes:
    """The content of a .gz or .zst file, and any other as it is."""
    try:
        if name.lower().endswith(".gz"):
            return gzip.decompress(content)
        if name.lower().endswith(".zst"):
            import zstandard

            return (
                zstandard.ZstdDecompressor()
                .stream_reader(io.BytesIO(content), read_across_frames=True)
                .read()
            )
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{shown}: cannot be expanded: {error}") from None
    except Exception as error:  # zstandard's own error class, without importing it here
        raise UserError(f"{shown}: cannot be expanded: {error}") from None
    return content
