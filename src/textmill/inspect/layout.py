"""Which files of a folder or an archive are train, dev and test."""

from __future__ import annotations

import re
import string
import tarfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from textmill.errors import UserError
from textmill.tasks.readers.files import ARCHIVES

Names = str | tuple[str, ...]
# The words by which files and folders say which split they are.
WORDS = {
    "train": ("training", "train", "训练集", "训练"),
    "dev": ("development", "validation", "valid", "dev", "val", "trial", "验证集", "验证", "开发集"),
    "test": ("testing", "test", "测试集", "测试"),
}
ABOUT = re.compile(r"(^|/)(\.|readme|licen[cs]e|source\.md|copying)|\.(md|pdf|html|py|png)$", re.IGNORECASE)
CODE = re.compile("[a-z]{2}")  # of a language, as the last part of a name
MANY = 5  # files of a split in one folder, from which on they are named by a pattern
MOST = 200_000  # names that are looked at


@dataclass(frozen=True)
class Layout:
    """``names`` holds the files of each split, train first, below ``path``: a folder, an archive, a file.

    Of a form they stand as a task's data block has them. ``left`` are files of no split, ``every`` all.
    """

    path: Path
    names: dict[str, Names]
    left: list[str] = field(default_factory=list)
    form: str | None = None  # pairs, brat or folders, which only the names tell
    every: list[str] = field(default_factory=list)


def find(path: Path) -> Layout:
    """The layout of a folder or archive; a file alone is train.

    Raises UserError where no file is called train and none is much larger than the others.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_file() and not path.name.endswith(ARCHIVES):
        return Layout(path, {"train": (".",)})
    every = _names(path)
    names = [name for name in every if not ABOUT.search(name)]
    if found := _brat(path, names) or _parallel(path, names) or _folders(path, names):
        return found
    groups: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in _once(names):
        # An archive's own name may say which split it is.
        split, key = _split(name if path.is_dir() else f"{path.name}/{name}")
        if split:
            groups[key][split].append(name)
    trained = {key: group for key, group in groups.items() if "train" in group}
    if not trained:
        if largest := _largest(path, names):
            return Layout(path, {"train": (largest,)}, [name for name in names if name != largest])
        shown = ", ".join(names[:10]) or "nothing"
        raise UserError(f"{path}: no file here is called train; name one file. Found: {shown}")
    languages = Counter(key[0] for key in trained if CODE.fullmatch(key[1]))
    if translated := [place for place, count in languages.items() if count > 1]:
        place = min(translated)
        return _languages(
            path, trained, [key for key in trained if key[0] == place and CODE.fullmatch(key[1])], names
        )
    chosen = min(trained, key=lambda key: (key[0].count("/"), -len(trained[key]), key))
    group = trained[chosen]
    used = {name for found in group.values() for name in found}
    return Layout(
        path,
        {split: tuple(sorted(group[split])) for split in WORDS if split in group},
        [name for name in names if name not in used],
        every=every,
    )


def named(names: Sequence[str], every: Sequence[str]) -> Names:
    """Files as a task's data block names them: one, a list, or of many a pattern that catches no other."""
    if len(names) > MANY and len({name.rpartition("/")[0] for name in names}) == 1:
        start, end = _shared(names), _shared([name[::-1] for name in names])[::-1]
        for pattern in (f"{start.rstrip(string.digits)}*{end[end.find('.') :]}", f"{start}*{end}"):
            if {name for name in every if fnmatchcase(name, pattern)} == set(names):
                return pattern
    return names[0] if len(names) == 1 else tuple(names)


def _shared(names: Sequence[str]) -> str:
    """What all names begin with: what the first and the last in order do."""
    first, last = min(names), max(names)
    return next((first[:i] for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), first)


def _once(names: Sequence[str]) -> list[str]:
    """The names without those of compressed copies of files that are there too."""
    known = set(names)
    return [name for name in names if name.removesuffix(".gz").removesuffix(".zst") not in known - {name}]


def _names(path: Path) -> list[str]:
    """The files below a folder, and inside an archive or the archives there with / between."""
    found: list[str] = []
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        name = file.relative_to(path).as_posix()
        if not file.is_file() or any(part.startswith(".") for part in name.split("/")[:-1]):
            continue
        start = f"{name}/" if file != path else ""
        try:
            if file.name.endswith(".zip"):
                with zipfile.ZipFile(file) as archive:
                    found += [f"{start}{n}" for n in sorted(archive.namelist()) if not n.endswith("/")]
            elif file.name.endswith(ARCHIVES):
                with tarfile.open(file) as tar:
                    found += [f"{start}{m.name}" for m in sorted(tar, key=lambda m: m.name) if m.isfile()]
            else:
                found.append(name)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
            raise UserError(f"{file}: not a whole archive: {error}") from None
    return found[:MOST]


def _largest(path: Path, names: list[str]) -> str | None:
    """The file that has nearly all of the data, if one has."""
    sizes = sorted(((path / name).stat().st_size, name) for name in names if (path / name).is_file())
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


def _brat(path: Path, names: list[str]) -> Layout | None:
    """Texts with annotations of the same name beside them; folders that are called after splits are these."""
    noted = {name.removesuffix(".ann") for name in names if name.endswith(".ann")}
    places: dict[str, str] = {}
    for name in names:
        if name.endswith(".txt") and name.removesuffix(".txt") in noted:
            split, _ = _split(name)
            places.setdefault(split or "train", name.rpartition("/")[0] or ".")
    if "train" not in places:
        return None
    return Layout(path, {split: places[split] for split in WORDS if split in places}, form="brat")


def _parallel(path: Path, names: list[str]) -> Layout | None:
    """Files called source and target, in one folder or in many."""
    sources = [name for name in names if name.rpartition("/")[2] == "source.txt"]
    targets = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == "target.txt"}
    if not sources or any(name.rpartition("/")[0] not in targets for name in sources):
        return None
    start = "**/" if len(sources) > 1 else sources[0].removesuffix("source.txt")
    return Layout(path, {"train": (f"{start}source.txt", f"{start}target.txt")}, form="pairs")


def _folders(path: Path, names: list[str]) -> Layout | None:
    """A text a file, in folders that are called as the labels, those that every split has."""
    places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        place, folder, file = ("/" + name).rsplit("/", 2) if "/" in name else ("", "", name)
        if folder and file.endswith(".txt") and not _split(f"{folder}/{file}")[0]:
            places[place.lstrip("/")][folder].append(name)
    splits: dict[str, str] = {}
    for place, folders in places.items():
        if len(folders) > 1 and min(map(len, folders.values())) >= MANY:
            splits.setdefault(_split(f"{place}/")[0] or "train", place)
    if "train" not in splits:
        return None
    every = [set(places[place]) for place in splits.values()]
    labels = sorted(set.intersection(*every))
    if len(labels) < 2:
        return None
    whole = all(found == set(labels) for found in every)
    patterns: dict[str, Names] = {}
    for split in (split for split in WORDS if split in splits):
        start = f"{splits[split]}/" if splits[split] else ""
        one_by_one = tuple(f"{start}{label}/*.txt" for label in labels)
        patterns[split] = f"{start}*/*.txt" if whole else one_by_one
    used = {name for place in splits.values() for label in labels for name in places[place][label]}
    return Layout(path, patterns, [name for name in names if name not in used], form="folders")


def _languages(
    path: Path,
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
    return Layout(path, pairs, left=[name for name in names if name not in used], form="pairs")
