"""Ingest: every source read once into one document table, mended, its figures measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from textmill.corpus import boilerplate, sources
from textmill.corpus.language import identify
from textmill.corpus.manifest import Manifest
from textmill.corpus.signals import measure
from textmill.corpus.surprise import Surprise
from textmill.corpus.text import clean
from textmill.errors import UserError
from textmill.params import Params
from textmill.records import document_id, write_jsonl

# Characters of a batch, which becomes one shard: memory is bounded by a small multiple of it, and a killed
# run repeats at most one. It changes no figure and no decision.
SHARD = 4_000_000

SCHEMA = {
    "id": pl.String,
    "text": pl.String,
    "source": pl.String,
    "licence": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "group": pl.String,
}


def ingest(params: Params, output: Path) -> dict[str, float | int]:
    """Read every source under ``corpus.sources`` into ``output``.

    Writes ``documents-00000.parquet`` and so on (the columns of SCHEMA, the language, and one column for
    each quality rule) and ``skipped.jsonl`` (source, file, line and why of all that could not be read).
    A killed run that is started again with the same ``output`` continues at the shard where it stopped,
    and gives the same bytes. Returns flat metrics. Raises UserError for what cannot be read where
    ``corpus.on_bad_input`` is ``fail``, and where there is no document at all.
    """
    output.mkdir(parents=True, exist_ok=True)
    work = output / "work"
    manifest = Manifest(work, _fingerprint(params))
    skipped: list[dict[str, Any]] = []
    read = list(_gather(params, work, manifest, skipped))
    if not read:
        raise UserError("corpus.sources: no document was found in any source")
    common = boilerplate.common_lines(
        (pl.read_parquet(path, columns=["source", "text"]) for path in read),
        params.corpus.text.boilerplate_documents,
    )
    pairs = None
    if params.corpus.text.measure_surprise:
        pairs = Surprise(pl.read_parquet(path, columns=["text"])["text"].to_list() for path in read)
    totals: dict[str, float | int] = {"documents": 0, "characters": 0, "bytes": 0, "boilerplate_lines": 0}
    for number, path in enumerate(read):
        name = f"documents-{number:05d}.parquet"
        if not manifest.done(name):
            describe(pl.read_parquet(path), common, pairs).write_parquet(work / name, compression="zstd")
            (work / name).replace(output / name)
            manifest.finish(name)
        counted = pl.scan_parquet(output / name).select(
            documents=pl.len(),
            characters=pl.col("characters").sum().cast(pl.Int64),
            bytes=pl.col("text").str.len_bytes().sum(),
            boilerplate_lines=pl.col("boilerplate_lines").sum(),
        )
        for key, value in counted.collect().row(0, named=True).items():
            totals[key] += value
    write_jsonl(output / "skipped.jsonl", skipped)
    manifest.clear()
    return {**totals, "shards": len(read), "skipped": len(skipped)}


def describe(documents: pl.DataFrame, common: boilerplate.Common, pairs: Surprise | None) -> pl.DataFrame:
    """A shard with its boilerplate lines cut, its languages and figures: a pure function of a table."""
    documents = boilerplate.cut(documents, common)
    texts = documents["text"].to_list()
    figures = measure(texts)
    if pairs is not None:
        figures = figures.with_columns(bigram_surprise=pl.Series(pairs.bits(texts)))
    language = identify(texts)
    return pl.concat([documents, language, figures], how="horizontal")


def _gather(params: Params, work: Path, manifest: Manifest, skipped: list[dict[str, Any]]) -> Iterator[Path]:
    """Cleaned rows in shards of about SHARD characters, in the order of the sources."""
    for number, batch in enumerate(_batches(params, skipped)):
        name = f"read-{number:05d}.parquet"
        if not manifest.done(name):
            table(batch, params).write_parquet(work / f"{name}.part", compression="lz4")
            (work / f"{name}.part").replace(work / name)
            manifest.finish(name)
        yield work / name


def table(batch: Sequence[tuple[str, sources.Row]], params: Params) -> pl.DataFrame:
    """Rows with their sources' names as a document table, without those that are empty once cleaned."""
    corpus = params.corpus
    rows = []
    for name, row in batch:
        text = clean(row.text, corpus.text.mend_mojibake)
        if text:
            licence = corpus.sources[name].licence
            rows.append((document_id(name, text), text, name, licence, row.file, row.line, row.group))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _batches(params: Params, skipped: list[dict[str, Any]]) -> Iterator[list[tuple[str, sources.Row]]]:
    batch: list[tuple[str, sources.Row]] = []
    size = 0
    for name in params.corpus.sources:
        count = 0
        for item in sources.read(name, params):
            if isinstance(item, sources.BadInput):
                _bad(params, name, item, skipped)
                continue
            count += 1
            batch.append((name, item))
            size += len(item.text) + 1
            if size >= SHARD:
                yield batch
                batch, size = [], 0
        if not count and params.corpus.on_bad_input == "fail":
            raise UserError(f"corpus.sources.{name}: no document in {params.corpus.sources[name].path}")
    if batch:
        yield batch


def _bad(params: Params, name: str, item: sources.BadInput, skipped: list[dict[str, Any]]) -> None:
    if params.corpus.on_bad_input == "fail":
        raise UserError(f"{item} (corpus.sources.{name}; on_bad_input: skip would leave it out and list it)")
    skipped.append({"source": name, "file": item.file, "line": item.line, "why": item.why})


def _fingerprint(params: Params) -> str:
    """What the shards depend on: parameters, and names, sizes and times of the files."""
    corpus = params.corpus
    parts: list[Any] = [
        params.seed,
        params.sample.model_dump(),
        corpus.text.model_dump(),
        corpus.on_bad_input,
        SHARD,
    ]
    for name, source in corpus.sources.items():
        parts.append([name, source.model_dump()])
        if source.format in ("sample", "docstrings", "hub") or "://" in source.path:
            continue
        for file in sources.files(name, source):
            stat = Path(file).stat()
            parts.append([file, stat.st_size, stat.st_mtime_ns])
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def shards(documents: Path) -> list[Path]:
    """The shards of an ingested folder, or of a folder of such, in order; UserError where there is none."""
    found = sorted(documents.glob("documents-*.parquet")) or sorted(
        documents.glob("[!.]*/documents-*.parquet")
    )
    if not found:
        raise UserError(f"{documents}: no documents-*.parquet; run the stage ingest first")
    return found


def shard_name(shard: Path) -> str:
    """A name for a shard that no other source's shard has."""
    return f"{shard.parent.name}-{shard.stem}"
