"""Curate: each document kept or dropped, with the rule, the figure and the threshold that decided.

What must meet across shards (copies, clusters, quotas) is joined over small tables of hashes and figures,
never over the text. The rules are asked in this order, and the first that is broken names the reason:
empty, language, quality, contamination, exact duplicate, near duplicate, weight or share.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from textmill.corpus import decontamination, duplicates, privacy, rules
from textmill.corpus.codes import Codes
from textmill.corpus.ingestion import shard_name, shards
from textmill.corpus.manifest import Manifest
from textmill.corpus.split import SPLITS, assign, quota, unit
from textmill.params import Corpus, Params

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
    manifest = Manifest(output / "work", _fingerprint(corpus, paths, tasks))
    index = decontamination.index(tasks, corpus.decontamination)
    for path in paths:
        _judge_shard(path, corpus, index, manifest)
    decisions = decide([manifest.folder / f"{shard_name(path)}.judged.parquet" for path in paths], corpus)
    counts: Counter[str] = Counter()
    for number, path in enumerate(paths):
        part = decisions.filter(pl.col("shard") == number)
        _write_shard(path, part, corpus, index, manifest)
    for name in (*SPLITS, "dropped"):
        _join(
            [manifest.folder / f"{shard_name(path)}.{name}.parquet" for path in paths],
            output / f"{name}.parquet",
        )
    for path in paths:
        counts.update(json.loads((manifest.folder / f"{shard_name(path)}.personal.json").read_text()))
    metrics = _metrics(output, corpus, counts)
    manifest.clear()
    return metrics


def judge(documents: pl.DataFrame, corpus: Corpus, index: decontamination.Index) -> pl.DataFrame:
    """What can be said of each document alone: a pure function from a shard to a small table.

    Columns: id, source, group, characters, language, the reason (null where the document stands so far),
    ``key`` (hash of the whole text) and, of those that stand, ``minima`` and ``bands``.
    """
    wanted = pl.col("language").is_in(list(corpus.language.wanted))
    sure = corpus.language.min_confidence
    broken = rules.first_broken(documents, corpus.quality)
    foreign = ~wanted | (pl.col("confidence") < sure)
    reasons = pl.concat(
        [documents.select("id", "source", "group", "text", "language", "confidence"), broken],
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
    table = reasons.select("id", "source", "group", "language", *REASON).with_columns(
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


def _judge_shard(path: Path, corpus: Corpus, index: decontamination.Index, manifest: Manifest) -> None:
    name = f"{shard_name(path)}.judged"
    if manifest.done(name):
        return
    documents = pl.read_parquet(path)
    table = judge(documents, corpus, index)
    near = corpus.duplicates.near
    if near is not None:
        standing = table["rule"].is_null().to_numpy()
        # Of copies within a shard only the first needs a signature.
        first = np.zeros(len(table), np.bool_)
        places = np.flatnonzero(standing)
        first[places[np.unique(table["key"].to_numpy()[places], return_index=True)[1]]] = True
        chosen = np.flatnonzero(first)
        texts = documents["text"].to_list()
        found = duplicates.signatures([texts[place] for place in chosen], near)
        chosen, values = chosen[found.size > 0], found.values[found.size > 0]
        np.savez(
            manifest.folder / f"{shard_name(path)}.minima.npz",
            place=chosen,
            minima=values.astype(np.uint16),
            bands=duplicates.bands(values, near),
        )
    table.write_parquet(manifest.folder / f"{name}.parquet")
    manifest.finish(name)


def decide(tables: Sequence[Path], corpus: Corpus) -> pl.DataFrame:
    """All documents' decisions, in order: shard, place, reason (null: kept), cluster, split, times.

    Of a cluster of near duplicates the longest document stays, and of equally long ones the first. Its
    ``cluster`` is the id of the cluster's first document in the order of the sources, and decides the split:
    a source that is added behind the others moves no document.
    """
    parts = [
        pl.read_parquet(path).with_row_index("place").with_columns(shard=pl.lit(number, pl.Int64))
        for number, path in enumerate(tables)
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
        numbers, minima, bands = _signatures(tables, [len(part) for part in parts])
        # A document that stands for its copies in another shard.
        unique = leader[numbers] == numbers
        numbers, minima, bands = numbers[unique], minima[unique], bands[unique]
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
    splits = assign(keys, corpus.split)
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


def _signatures(tables: Sequence[Path], counts: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers, minima, bands = [], [], []
    offset = 0
    for path, count in zip(tables, counts, strict=True):
        with np.load(path.parent / path.name.replace(".judged.parquet", ".minima.npz")) as arrays:
            numbers.append(arrays["place"] + offset)
            minima.append(arrays["minima"])
            bands.append(arrays["bands"])
        offset += count
    return np.concatenate(numbers), np.concatenate(minima), np.concatenate(bands)


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


def _write_shard(
    path: Path, decisions: pl.DataFrame, corpus: Corpus, index: decontamination.Index, manifest: Manifest
) -> None:
    """The rows of one shard in their splits, with personal data replaced."""
    name = f"{shard_name(path)}.written"
    if manifest.done(name):
        return
    documents = pl.read_parquet(path)
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
    table = table.with_columns(characters=pl.col("text").str.len_chars().cast(pl.Float64))
    kept = table.filter(pl.col("rule").is_null()).drop(*REASON)
    for split in SPLITS:
        part = _repeated(kept.filter(pl.col("split") == split))
        part.write_parquet(manifest.folder / f"{shard_name(path)}.{split}.parquet")
    dropped = table.filter(pl.col("rule").is_not_null()).drop("times", "split")
    first = ["id", "source", *REASON, "text"]
    dropped.select(*first, pl.exclude(first)).write_parquet(
        manifest.folder / f"{shard_name(path)}.dropped.parquet"
    )
    standing = decisions["rule"].is_null().to_list()
    total: Counter[str] = Counter()
    for stands, count in zip(standing, found, strict=True):
        if stands:
            total.update(count)
    (manifest.folder / f"{shard_name(path)}.personal.json").write_text(json.dumps(total, sort_keys=True))
    manifest.finish(name)


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


def _join(parts: Sequence[Path], path: Path) -> None:
    """The parts as one file, a row group at a time."""
    import pyarrow.parquet as pq

    writer = None
    for part in parts:
        table = pq.read_table(part)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
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


def _fingerprint(corpus: Corpus, paths: Sequence[Path], tasks: Mapping[str, Path]) -> str:
    parts: list[object] = [corpus.model_dump(mode="json")]
    files = [*paths, *(tasks[name] / f"{split}.jsonl" for name in sorted(tasks) for split in ("dev", "test"))]
    for file in files:
        if file.exists():
            stat = file.stat()
            parts.append([str(file), stat.st_size, stat.st_mtime_ns])
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
