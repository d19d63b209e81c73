"""Lines that many documents of a source share: menus, notices, footers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from textmill.corpus.codes import Codes, Hashes, Ints, mix

_TABLE = 1 << 22  # counters of the first pass, 16 MB; more only saves candidates in the second


@dataclass(frozen=True)
class Common:
    """The lines to be cut: sorted hashes of source and line."""

    keys: Hashes


def common_lines(shards: Iterable[pl.DataFrame], documents: int) -> Common:
    """The lines that stand in ``documents`` different documents of one source or more.

    shards: tables with ``source`` and ``text``; they are kept as hashes of their lines only. Copies of a
    document count once, so that its lines do not become boilerplate by its being copied.
    """
    counts = np.zeros(_TABLE, np.uint32)
    seen = np.zeros(0, np.uint64)
    kept: list[Hashes] = []
    for shard in shards:
        keys, whole, text = _keys(Codes(shard["text"].to_list()), shard["source"])
        fresh = np.zeros(len(whole), np.bool_)
        fresh[np.unique(whole, return_index=True)[1]] = True
        fresh &= ~np.isin(whole, seen)
        seen = np.union1d(seen, whole[fresh])
        keys = _once_a_text(keys[fresh[text]], text[fresh[text]])
        counts += np.bincount((keys & np.uint64(_TABLE - 1)).astype(np.int64), minlength=_TABLE).astype(
            np.uint32
        )
        # A line is worth keeping only if its counter may still reach the number; the last shards decide,
        # so all are kept, as 8 bytes each.
        kept.append(keys)
    likely = [keys[counts[(keys & np.uint64(_TABLE - 1)).astype(np.int64)] >= documents] for keys in kept]
    if not likely:
        return Common(np.zeros(0, np.uint64))
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


def _once_a_text(keys: Hashes, text: Ints) -> Hashes:
    """The keys with those that repeat in one text left out."""
    marked = keys ^ mix(text.astype(np.uint64) + np.uint64(1))
    return keys[np.sort(np.unique(marked, return_index=True)[1])]
