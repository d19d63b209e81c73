"""Which files of a folder or an archive are train, dev and test."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from textmill.errors import UserError
from textmill.tasks.readers.files import ARCHIVES

Names = str | tuple[str, ...]
# The words by which files and folders say which split they are.
WORDS = {
    "train": ("training", "train"),
    "dev": ("development", "validation", "valid", "dev", "val", "trial"),
    "test": ("testing", "test"),
}
ABOUT = re.compile(r"(^|/)(\.|readme|licen[cs]e|source\.md|copying)|\.(md|pdf|html|py|png)$", re.IGNORECASE)
CODE = re.compile("[a-z]{2}")  # of a language, as the last part of a name
MANY = 5  # files of a split in one folder, from which on they are named by a pattern
MOST = 200_000  # names that are looked at


@dataclass(frozen=True)
class Layout:
    """``names`` holds for each split the names, relative to ``folder``, as a task's data block has them.

    ``other`` are names of the same split, in case the first is of another form; ``left`` files that are none.
    """

    folder: Path
    names: dict[str, Names]
    other: dict[str, list[str]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    form: str | None = None  # pairs or brat, which only the names tell


def find(path: Path) -> Layout:
    """The layout of a folder or archive; a file alone is train.

    Raises UserError where no file is called train and none is much larger than the others.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_file() and not path.name.endswith(ARCHIVES):
        return Layout(path.parent, {"train": path.name})
    folder = path if path.is_dir() else path.parent
    names = [name for name in _names(path, folder) if not ABOUT.search(name)]
    if found := _brat(folder, names) or _parallel(folder, names):
        return found
    groups: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        split, key = _split(name)
        if split:
            groups[key][split].append(name)
    trained = {key: group for key, group in groups.items() if "train" in group}
    if not trained:
        if largest := _largest(folder, names):
            return Layout(folder, {"train": largest}, left=[name for name in names if name != largest])
        shown = ", ".join(names[:10]) or "nothing"
        raise UserError(f"{path}: no file here is called train; name one file. Found: {shown}")
    languages = Counter(key[0] for key in trained if CODE.fullmatch(key[1]))
    if translated := [place for place, count in languages.items() if count > 1]:
        place = min(translated)
        return _languages(
            folder, trained, [key for key in trained if key[0] == place and CODE.fullmatch(key[1])], names
        )
    chosen = min(trained, key=lambda key: (key[0].count("/"), -len(trained[key]), key))
    group = trained[chosen]
    first = {split: _one(found) for split, found in group.items()}
    used = {name for found in group.values() for name in found}
    return Layout(
        folder,
        {split: first[split] for split in WORDS if split in first},
        {split: sorted(found, key=len) for split, found in group.items() if len(found) <= MANY},
        [name for name in names if name not in used],
    )


def _names(path: Path, folder: Path) -> list[str]:
    """The files below a folder and inside the archives there, with / between."""
    found: list[str] = []
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not file.is_file() or any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        name = file.relative_to(folder).as_posix()
        try:
            if name.endswith(".zip"):
                with zipfile.ZipFile(file) as archive:
                    found += [f"{name}/{n}" for n in sorted(archive.namelist()) if not n.endswith("/")]
            elif name.endswith(ARCHIVES):
                with tarfile.open(file) as tar:
                    found += [f"{name}/{m.name}" for m in sorted(tar, key=lambda m: m.name) if m.isfile()]
            else:
                found.append(name)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
            raise UserError(f"{file}: not a whole archive: {error}") from None
    return found[:MOST]


def _largest(folder: Path, names: list[str]) -> str | None:
    """The file that has nearly all of the data, if one has."""
    sizes = sorted(((folder / name).stat().st_size, name) for name in names if (folder / name).is_file())
    if len(names) == 1:
        return names[0]
    return sizes[-1][1] if len(sizes) > 1 and sizes[-1][0] > 10 * sizes[-2][0] else None


def _split(name: str) -> tuple[str | None, tuple[str, str]]:
    """The split that a name says, its own part before those of the folders; and what it is without that."""
    parts = name.split("/")
    split = None
    for part in reversed(parts):
        for candidate, words in WORDS.items():
            if re.search(rf"(^|[^a-z])({'|'.join(words)})([^a-z]|$)", part.lower()):
                split = split or candidate
    every = "|".join(word for words in WORDS.values() for word in words)
    folders = [p for p in parts[:-1] if not re.search(rf"(^|[^a-z])({every})([^a-z]|$)", p.lower())]
    base = re.sub(r"\.(gz|zst)$", "", parts[-1])
    return split, ("/".join(folders), PurePosixPath(base).suffix.lstrip(".").lower())


def _one(names: list[str]) -> Names:
    """A split's file; many in one folder as a pattern, otherwise that of the shortest name."""
    if len(names) > MANY:
        folders = {name.rpartition("/")[0] for name in names}
        suffixes = {PurePosixPath(name).suffix for name in names}
        if len(folders) == len(suffixes) == 1:
            return f"{folders.pop()}/*{suffixes.pop()}"
    return min(names, key=lambda name: (len(name), name))


def _brat(folder: Path, names: list[str]) -> Layout | None:
    """Texts with annotations of the same name beside them; folders that are called after splits are these."""
    noted = {name.removesuffix(".ann") for name in names if name.endswith(".ann")}
    places: dict[str, str] = {}
    for name in names:
        if name.endswith(".txt") and name.removesuffix(".txt") in noted:
            split, _ = _split(name)
            places.setdefault(split or "train", name.rpartition("/")[0] or ".")
    if "train" not in places:
        return None
    return Layout(folder, {split: places[split] for split in WORDS if split in places}, form="brat")


def _parallel(folder: Path, names: list[str]) -> Layout | None:
    """Files called source and target, in one folder or in many."""
    sources = [name for name in names if name.rpartition("/")[2] == "source.txt"]
    targets = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == "target.txt"}
    if not sources or any(name.rpartition("/")[0] not in targets for name in sources):
        return None
    start = "**/" if len(sources) > 1 else sources[0].removesuffix("source.txt")
    return Layout(folder, {"train": (f"{start}source.txt", f"{start}target.txt")}, form="pairs")


def _languages(
    folder: Path,
    groups: dict[tuple[str, str], dict[str, list[str]]],
    keys: list[tuple[str, str]],
    names: list[str],
) -> Layout:
    """Files that differ in a language's code are translations of each other: English first."""
    one, two = sorted(keys, key=lambda key: (key[1] != "en", key[1]))[:2]
    pairs: dict[str, Names] = {}
    for split in WORDS:
        if split in groups[one] and split in groups[two]:
            pairs[split] = (min(groups[one][split]), min(groups[two][split]))
    used = {name for pair in pairs.values() for name in pair}
    return Layout(folder, pairs, left=[name for name in names if name not in used], form="pairs")
