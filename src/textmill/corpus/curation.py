"""Curate: each document kept or dropped, with the rule, the figure and the threshold that decided.

Two steps a shard: ``judge`` says what can be said of each document alone, ``apply`` does what was decided.
Between them what must meet across shards (copies, clusters, quotas) is joined over small tables of hashes
and figures, never over the text. The rules are asked in this order, and the first that is broken names the
reason: empty, language, quality, contamination, exact duplicate, near duplicate, weight or share.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from textmill.corpus import decontamination, duplicates, engine, privacy, rules
from textmill.corpus.codes import Codes
from textmill.corpus.ingestion import shards
from textmill.corpus.manifest import Manifest
from textmill.corpus.split import SPLITS, assign, quota, unit
from textmill.corpus.store import Facts, Store, read
from textmill.params import Corpus, NearDuplicates, Params

REASON = {"rule": pl.String, "figure": pl.Float64, "threshold": pl.Float64, "detail": pl.String}


def curate(
    params: Params, documents: Path, tasks: Mapping[str, Path], output: Path
) -> dict[str, float | int]:
    """Decide over the ingested ``documents`` and write the corpus to ``output``.

    tasks: for each task the folder of its train, dev and test examples, for decontamination. Writes
    ``train.parquet``, ``validation.parquet`` and ``test.parquet`` (the columns of the documents, with
    ``split``, ``cluster`` and ``personal_data``) and ``dropped.parquet`` (the same with the reason: rule,
    figure, threshold, detail). ``detail`` is the kept copy of a duplicate, the task of a contaminated
    document, the language of one in another language. Returns flat metrics.
    """
    corpus = params.corpus
    output.mkdir(parents=True, exist_ok=True)
    paths = shards(documents)
    fingerprint = _fingerprint(corpus, documents, tasks)
    manifest = Manifest(output / "work", fingerprint)
    address = corpus.engine.shards
    work = Store(f"{address}/curate-{fingerprint}" if address else str(manifest.folder.resolve()))
    index = decontamination.index(tasks, corpus.decontamination)
    numbers = [f"{number:07d}" for number in range(len(paths))]

    judged = {f"judged-{number}": path for number, path in zip(numbers, paths, strict=True)}
    engine.run(partial(_judge, corpus, index, work), judged, manifest, corpus.engine)
    decisions = decide(work, numbers, corpus)
    parts = decisions.partition_by("shard", as_dict=True)
    for place, number in enumerate(numbers):
        work.write(f"decided-{number}", parts.get((place,), decisions.clear()))
    applied = {f"applied-{number}": path for number, path in zip(numbers, paths, strict=True)}
    facts = engine.run(partial(_apply, corpus, index, work), applied, manifest, corpus.engine)

    _join((work.read(name) for name in applied), output)
    counts: Counter[str] = Counter()
    for found in facts:
        counts.update(found["personal"])
    metrics = _metrics(output, corpus, counts)
    kinds = ("judged", "signed", "decided", "applied")
    work.remove([f"{kind}-{number}" for number in numbers for kind in kinds])
    manifest.clear()
    return metrics


def judge(documents: pl.DataFrame, corpus: Corpus, index: decontamination.Index) -> pl.DataFrame:
    """What can be said of each document alone: a pure function from a shard to a small table.

    Columns: id, source, group, date, characters, language, the reason (null where the document stands so
    far), ``key`` (hash of the whole text) and, of those that stand, ``minima`` and ``bands``.
    """
    wanted = pl.col("language").is_in(list(corpus.language.wanted))
    sure = corpus.language.min_confidence
    broken = rules.first_broken(documents, corpus.quality)
    foreign = ~wanted | (pl.col("confidence") < sure)
    reasons = pl.concat(
        [documents.select("id", "source", "group", "date", "text", "language", "confidence"), broken],
        how="horizontal",
    )
    empty = pl.col("text") == ""
    reasons = reasons.with_columns(
        rule=pl.when(empty).then(pl.lit("empty")).when(foreign).then(pl.lit("language")).otherwise("rule"),
        figure=pl.when(empty).then(0.0).when(foreign).then(pl.col("confidence")).otherwise("figure"),
        threshold=pl.when(empty).then(1.0).when(foreign).then(sure).otherwise("threshold"),
        detail=pl.when(~empty & foreign).then("language").otherwise(None),
    )
    texts = documents["text"].to_list()
    codes = Codes(texts)
    standing = reasons["rule"].is_null().to_numpy()
    chosen = np.flatnonzero(standing)
    table = reasons.select("id", "source", "group", "date", "language", *REASON).with_columns(
        characters=pl.Series(codes.lengths),
        key=pl.Series(codes.hashes(codes.whole)),
    )
    if corpus.decontamination.action == "drop":
        shared = decontamination.overlap([texts[place] for place in chosen], index)
        hit = np.flatnonzero(shared.found)
        if len(hit):
            found = pl.DataFrame(
                {
                    "place": chosen[hit],
                    "found": shared.found[hit].astype(np.float64),
                    "task": [index.tasks[number] for number in shared.task[hit].tolist()],
                }
            )
            table = (
                table.with_row_index("place")
                .with_columns(pl.col("place").cast(pl.Int64))
                .join(found, on="place", how="left", maintain_order="left")
            )
            dirty = pl.col("found").is_not_null()
            table = table.with_columns(
                rule=pl.when(dirty).then(pl.lit("contamination")).otherwise("rule"),
                figure=pl.when(dirty).then("found").otherwise("figure"),
                threshold=pl.when(dirty).then(0.0).otherwise("threshold"),
                detail=pl.when(dirty).then("task").otherwise("detail"),
            ).drop("place", "found", "task")
    return table


def sign(documents: pl.DataFrame, judged: pl.DataFrame, near: NearDuplicates) -> pl.DataFrame:
    """The signatures of the documents that stand: their ``place`` in the shard, ``minima`` and ``bands``.

    Of copies within a shard only the first needs one.
    """
    places = np.flatnonzero(judged["rule"].is_null().to_numpy())
    first = np.unique(judged["key"].to_numpy()[places], return_index=True)[1]
    chosen = np.sort(places[first])
    found = duplicates.signatures(documents["text"].gather(chosen).to_list(), near)
    chosen, values = chosen[found.size > 0], found.values[found.size > 0]
    size = near.bands * near.rows
    return pl.DataFrame(
        {
            "place": pl.Series(chosen, dtype=pl.Int64),
            "minima": pl.Series(values.astype(np.uint16), dtype=pl.Array(pl.UInt16, size)),
            "bands": pl.Series(duplicates.bands(values, near), dtype=pl.Array(pl.UInt64, near.bands)),
        }
    )


def _judge(corpus: Corpus, index: decontamination.Index, work: Store, name: str, path: str) -> Facts:
    documents = read(path)
    table = judge(documents, corpus, index)
    near = corpus.duplicates.near
    if near is not None:
        work.write(name.replace("judged", "signed"), sign(documents, table, near))
    return work.write(name, table)


def decide(work: Store, shards: Sequence[str], corpus: Corpus) -> pl.DataFrame:
    """All documents' decisions, in order: shard, place, reason (null: kept), cluster, split, times.

    Of a cluster of near duplicates the longest document stays, and of equally long ones the first. Its
    ``cluster`` is the id of the cluster's first document in the order of the sources, which decides the split
    by its id or its date: a source that is added behind the others moves no document.
    """
    parts = [
        work.read(f"judged-{name}").with_row_index("place").with_columns(shard=pl.lit(number, pl.Int64))
        for number, name in enumerate(shards)
    ]
    table = pl.concat(parts).with_columns(pl.col("place").cast(pl.Int64))
    count = len(table)
    ids = table["id"].to_numpy()
    sizes = table["characters"].to_numpy()
    rule = table["rule"].to_list()
    figure, threshold, detail = (table[name].to_list() for name in ("figure", "threshold", "detail"))
    standing = np.array([reason is None for reason in rule], np.bool_)
    leader = np.arange(count)

    places = np.flatnonzero(standing)
    first = places[duplicates.exact(table["key"].to_numpy()[places])] if len(places) else places
    leader[places] = first
    if corpus.duplicates.exact:
        for place, original in zip(places.tolist(), first.tolist(), strict=True):
            if place != original:
                rule[place], figure[place], threshold[place] = "exact_duplicate", 1.0, 1.0
                detail[place] = ids[original]
                standing[place] = False

    near = corpus.duplicates.near
    if near is not None:
        similarity = near.similarity
        # Of copies in several shards the first stands for all.
        alone = standing & (leader == np.arange(count))
        numbers, minima, bands = _signatures(work, shards, [len(part) for part in parts], alone, near)
        left, right, alike = duplicates.pairs(bands, minima, similarity)
        label = duplicates.components(len(numbers), left, right)
        leader[numbers] = numbers[label]
        best = _best(numbers, label, sizes)
        likeness = np.zeros(len(numbers))
        np.maximum.at(likeness, left, alike)
        np.maximum.at(likeness, right, alike)
        for place, winner, value in zip(numbers.tolist(), best.tolist(), likeness.tolist(), strict=True):
            if place != winner:
                rule[place], figure[place], threshold[place] = "near_duplicate", value, similarity
                detail[place] = ids[winner]
                standing[place] = False
        leader = leader[leader]

    cluster = ids[leader]
    groups = table["group"].to_list()
    keys = [
        group if group is not None else name for group, name in zip(groups, cluster.tolist(), strict=True)
    ]
    days = table["date"].gather(leader).to_list()
    dates = [day if group is None else None for group, day in zip(groups, days, strict=True)]
    splits = assign(keys, dates, corpus.split)
    times = _times(table, ids, sizes, standing, splits, corpus, rule, figure, threshold)
    return table.select("shard", "place", "id").with_columns(
        rule=pl.Series(rule, dtype=pl.String),
        figure=pl.Series(figure, dtype=pl.Float64),
        threshold=pl.Series(threshold, dtype=pl.Float64),
        detail=pl.Series(detail, dtype=pl.String),
        cluster=pl.Series(cluster.tolist(), dtype=pl.String),
        split=pl.Series(splits, dtype=pl.String),
        times=pl.Series(times, dtype=pl.Int64),
    )


def _signatures(
    work: Store, shards: Sequence[str], counts: Sequence[int], alone: np.ndarray, near: NearDuplicates
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, minima and bands of every signed document that is marked in ``alone`` (documents,).

    Room for all is taken once and filled: nothing larger is held in the memory of the machine that decides.
    """
    room = int(alone.sum())
    numbers = np.empty(room, np.int64)
    minima = np.empty((room, near.bands * near.rows), np.uint16)
    bands = np.empty((room, near.bands), np.uint64)
    offset = end = 0
    for name, count in zip(shards, counts, strict=True):
        table = work.read(f"signed-{name}")
        here = table["place"].to_numpy() + offset
        kept = alone[here]
        begin, end = end, end + int(kept.sum())
        numbers[begin:end] = here[kept]
        minima[begin:end] = table["minima"].to_numpy()[kept]
        bands[begin:end] = table["bands"].to_numpy()[kept]
        offset += count
    return numbers[:end], minima[:end], bands[:end]


def _best(numbers: np.ndarray, label: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """For each document the one of its cluster that stays: the longest, of equally long ones the first."""
    order = np.lexsort((numbers, -sizes[numbers], label))
    fresh = np.diff(label[order], prepend=-1) != 0
    winner = np.zeros(len(numbers), np.int64)
    winner[label[order[fresh]]] = numbers[order[fresh]]
    return winner[label]


def _times(
    table: pl.DataFrame,
    ids: np.ndarray,
    sizes: np.ndarray,
    standing: np.ndarray,
    splits: Sequence[str],
    corpus: Corpus,
    rule: list[str | None],
    figure: list[float | None],
    threshold: list[float | None],
) -> np.ndarray:
    """How often each kept document stands in its split; sampling, weights and shares drop, with reasons."""
    times = np.ones(len(table), np.int64)
    trains = standing & (np.array(splits) == "train")
    names = table["source"].to_numpy()
    draws = np.zeros(len(table))
    sampled = any(source.sampling != 1.0 for source in corpus.sources.values())
    weights = {name: source.weight for name, source in corpus.sources.items() if source.weight is not None}
    shares = corpus.language.shares or {}
    if sampled or weights or shares:
        draws[trains] = [unit(name, "sampling") for name in ids[trains].tolist()]
    if sampled:
        for name, source in corpus.sources.items():
            here = trains & (names == name)
            whole = int(source.sampling)
            times[here] = whole + (draws[here] < source.sampling - whole)
            for place in np.flatnonzero(here & (times == 0)).tolist():
                rule[place], figure[place], threshold[place] = (
                    "sampling",
                    float(draws[place]),
                    source.sampling,
                )
    for reason, labels, wanted in (
        ("weight", names, weights),
        ("share", table["language"].to_numpy(), shares),
    ):
        if not wanted:
            continue
        left = np.flatnonzero(trains & (times > 0) & np.array([r is None for r in rule]))
        kept = quota(labels[left].tolist(), sizes[left] * times[left], draws[left], wanted)
        for place in left[~kept].tolist():
            rule[place], figure[place] = reason, float(draws[place])
            threshold[place] = wanted[labels[place]] / sum(wanted.values())
    return times


def apply(
    documents: pl.DataFrame, decisions: pl.DataFrame, corpus: Corpus, index: decontamination.Index
) -> tuple[pl.DataFrame, Counter[str]]:
    """A shard with what was decided, personal data replaced; and the counts of it in what is kept."""
    texts = documents["text"].to_list()
    if corpus.decontamination.action == "cut":
        shared = decontamination.overlap(texts, index)
        for place, spans in shared.spans.items():
            texts[place] = decontamination.cut(texts[place], spans)
    texts, found = privacy.redact(texts, corpus.privacy)
    table = documents.with_columns(
        text=pl.Series(texts, dtype=pl.String),
        personal_data=pl.Series([count.total() for count in found], dtype=pl.Int64),
    ).with_columns(decisions.select(*REASON, "cluster", "split", "times"))
    total: Counter[str] = Counter()
    for stands, count in zip(decisions["rule"].is_null().to_list(), found, strict=True):
        if stands:
            total.update(count)
    return table.with_columns(characters=pl.col("text").str.len_chars().cast(pl.Float64)), total


def _apply(corpus: Corpus, index: decontamination.Index, work: Store, name: str, path: str) -> Facts:
    decisions = work.read(name.replace("applied", "decided"))
    table, personal = apply(read(path), decisions, corpus, index)
    return {**work.write(name, table), "personal": personal}


def _repeated(kept: pl.DataFrame) -> pl.DataFrame:
    """Documents as often as they are to stand; the copies have an id of their own, behind a full stop."""
    if not len(kept) or kept["times"].max() == 1:
        return kept.drop("times")
    return (
        kept.with_columns(copy=pl.int_ranges(pl.col("times")))
        .explode("copy")
        .with_columns(id=pl.when(pl.col("copy") > 0).then(pl.format("{}.{}", "id", "copy")).otherwise("id"))
        .drop("times", "copy")
    )


def _join(tables: Iterator[pl.DataFrame], output: Path) -> None:
    """The shards' rows in their files, a shard a row group."""
    import pyarrow.parquet as pq

    writers: dict[str, Any] = {}
    first = ["id", "source", *REASON, "text"]
    for table in tables:
        kept = table.filter(pl.col("rule").is_null()).drop(*REASON)
        dropped = table.filter(pl.col("rule").is_not_null()).drop("times", "split")
        parts = {split: _repeated(kept.filter(pl.col("split") == split)) for split in SPLITS}
        parts["dropped"] = dropped.select(*first, pl.exclude(first))
        for name, part in parts.items():
            rows = part.to_arrow()
            if name not in writers:
                path = output / f"{name}.parquet"
                writers[name] = pq.ParquetWriter(path, rows.schema, compression="zstd")
            writers[name].write_table(rows)
    for writer in writers.values():
        writer.close()


def _metrics(output: Path, corpus: Corpus, personal: Counter[str]) -> dict[str, float | int]:
    """Documents by split, source and language, dropped ones by rule, personal data by kind."""
    metrics: dict[str, float | int] = {}
    dropped = pl.scan_parquet(output / "dropped.parquet").select("rule", "detail").collect()
    kept = pl.concat(
        [
            pl.scan_parquet(output / f"{split}.parquet")
            .select("source", "language", "characters", split=pl.lit(split))
            .collect()
            for split in SPLITS
        ]
    )
    metrics["documents"] = len(kept)
    metrics["characters"] = int(kept["characters"].sum())
    metrics["dropped"] = len(dropped)
    metrics["dropped_share"] = len(dropped) / max(len(dropped) + len(kept), 1)
    for split in SPLITS:
        metrics[f"{split}_documents"] = int((kept["split"] == split).sum())
    for rule, count in sorted(Counter(dropped["rule"].to_list()).items()):
        metrics[f"dropped_{rule}"] = count
    tasks = Counter(dropped.filter(pl.col("rule") == "contamination")["detail"].to_list())
    for task, count in sorted(tasks.items()):
        metrics[f"contaminated_{task}"] = count
    for name in corpus.privacy:
        metrics[f"personal_{name}"] = personal[name]
    total = max(metrics["characters"], 1)
    for column, prefix in (("source", "source_share"), ("language", "language_share")):
        for name, size in sorted(kept.group_by(column).agg(pl.col("characters").sum()).iter_rows()):
            metrics[f"{prefix}_{name}"] = size / total
    return metrics


def _fingerprint(corpus: Corpus, documents: Path, tasks: Mapping[str, Path]) -> str:
    """What the decisions depend on: parameters, the shards by their digests, the tasks' texts."""
    lists = sorted(documents.glob("shards.json")) or sorted(documents.glob("[!.]*/shards.json"))
    parts: list[object] = [corpus.model_dump(mode="json", exclude={"engine"})]
    parts += [path.read_text(encoding="utf-8") for path in lists]
    for name in sorted(tasks):
        for split in ("dev", "test"):
            file = tasks[name] / f"{split}.jsonl"
            if file.exists():
                stat = file.stat()
                parts.append([str(file), stat.st_size, stat.st_mtime_ns])
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
