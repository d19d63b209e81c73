"""Lines that many documents of a source share: menus, notices, footers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from textmill.corpus.codes import Codes, Hashes, Ints, mix

_TABLE = 1 << 22  # counters of the first pass, 16 MB; more only saves candidates in the second


@dataclass(frozen=True)
class Common:
    """The lines to be cut: sorted hashes of source and line."""

    keys: Hashes


def lines(documents: pl.DataFrame) -> pl.DataFrame:
    """What the search for shared lines needs of a shard: a row a document, hashes alone.

    ``whole`` is that of source and text, ``keys`` are those of source and line, each once.
    """
    keys, whole, text = _keys(Codes(documents["text"].to_list()), documents["source"])
    marked = keys ^ mix(text.astype(np.uint64) + np.uint64(1))
    once = np.sort(np.unique(marked, return_index=True)[1])
    first = np.searchsorted(text[once], np.arange(len(whole) + 1))
    lists = pa.LargeListArray.from_arrays(pa.array(first, pa.int64()), pa.array(keys[once]))
    return pl.DataFrame({"whole": whole, "keys": pl.Series(lists, dtype=pl.List(pl.UInt64))})


def common_lines(shards: Callable[[str], Iterator[pl.Series]], documents: int) -> Common:
    """The lines that stand in ``documents`` different documents of one source or more.

    shards: a column of all shards' tables of ``lines``, by name; asked for more than once, so that no more
    of them is in memory than 8 bytes a document. Copies of a document count once, so that its lines do not
    become boilerplate by its being copied.
    """
    wholes = [column.to_numpy() for column in shards("whole")]
    if not wholes:
        return Common(np.zeros(0, np.uint64))
    first = np.zeros(sum(map(len, wholes)), np.bool_)
    first[np.unique(np.concatenate(wholes), return_index=True)[1]] = True
    firsts = np.split(first, np.cumsum([len(whole) for whole in wholes])[:-1])

    def keys() -> Iterator[tuple[Hashes, Ints]]:
        """Of each shard the hashes of lines, without those of copies, and their places in the table."""
        for column, fresh in zip(shards("keys"), firsts, strict=True):
            found = column.filter(pl.Series(fresh)).explode(empty_as_null=False).to_numpy()
            yield found, (found & np.uint64(_TABLE - 1)).astype(np.int64)

    # A line is worth keeping only if its counter reached the number; counters are shared by several lines.
    counts = np.zeros(_TABLE, np.uint32)
    for _, place in keys():
        met, times = np.unique(place, return_counts=True)
        counts[met] += times.astype(np.uint32)
    likely = [found[counts[place] >= documents] for found, place in keys()]
    values, times = np.unique(np.concatenate(likely), return_counts=True)
    return Common(values[times >= documents])


def cut(documents: pl.DataFrame, common: Common) -> pl.DataFrame:
    """The documents without their boilerplate lines, and how many each lost as ``boilerplate_lines``."""
    texts: list[str] = documents["text"].to_list()
    lost = np.zeros(len(texts), np.int64)
    if len(common.keys) and texts:
        codes = Codes(texts)
        keys, _, text = _keys(codes, documents["source"])
        hit = np.isin(keys, common.keys)
        lost = np.bincount(text[hit], minlength=len(texts))
        first = np.searchsorted(text, np.arange(len(texts) + 1))
        for index in np.flatnonzero(lost).tolist():
            texts[index] = _without(texts[index], hit[first[index] : first[index + 1]].tolist())
    return documents.with_columns(
        text=pl.Series(texts, dtype=pl.String), boilerplate_lines=pl.Series(lost, dtype=pl.Int64)
    )


def _without(text: str, hit: list[bool]) -> str:
    """The text without the lines that are hit; blank lines stay between lines that stay."""
    marks = iter(hit)
    kept: list[str] = []
    for line in text.split("\n"):
        if not line.strip():
            if kept and kept[-1]:
                kept.append("")
        elif not next(marks):
            kept.append(line)
    return "\n".join(kept).strip()


def _keys(codes: Codes, source: Sequence[str] | pl.Series) -> tuple[Hashes, Hashes, Ints]:
    """Hashes of source and line of each line that is not blank, of each text, and the line's text."""
    from textmill.corpus.signals import trimmed

    lines = trimmed(codes, codes.lines)
    lines = lines.where(lines.lengths > 0)
    names = pl.Series(source)
    salts = {name: _salt(name) for name in names.unique().to_list()}
    salt = np.array([salts[name] for name in names.to_list()], np.uint64)
    return codes.hashes(lines) ^ salt[lines.text], codes.hashes(codes.whole) ^ salt, lines.text


def _salt(source: str) -> int:
    codes = Codes([source])
    return int(mix(codes.hashes(codes.whole))[0])
