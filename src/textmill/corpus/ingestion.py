"""Ingest: every source read once into one document table, mended, its figures measured.

Three steps a shard: ``read`` gathers rows as they stand in the files, ``clean`` mends them, ``describe`` cuts
boilerplate and measures. Between the last two the shards' lines meet, as hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from textmill.corpus import boilerplate, engine, sources
from textmill.corpus.classifier import Classifier
from textmill.corpus.files import files
from textmill.corpus.language import identify
from textmill.corpus.manifest import Manifest
from textmill.corpus.signals import measure
from textmill.corpus.store import Facts, Store
from textmill.corpus.surprise import Surprise
from textmill.corpus.text import clean
from textmill.errors import UserError
from textmill.params import Params
from textmill.records import document_id, read_json, write_json, write_jsonl

# Characters of a shard: memory is bounded by a small multiple of it for each worker, and a killed run
# repeats at most one a worker. It changes no figure and no decision.
SHARD = 4_000_000
# Bytes of files that are read together in one task; a larger file is a task of its own.
PORTION = 64_000_000

RAW = {"text": pl.String, "file": pl.String, "line": pl.Int64, "group": pl.String, "date": pl.String}
SCHEMA = {
    "id": pl.String,
    "text": pl.String,
    "source": pl.String,
    "licence": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "group": pl.String,
    "date": pl.String,
}


def ingest(params: Params, output: Path) -> dict[str, float | int]:
    """Read every source under ``corpus.sources`` into ``output``.

    Writes ``documents-00000-00000.parquet`` and so on (the columns of SCHEMA, the language, and one column
    for each quality rule), there or at ``corpus.engine.shards``; ``shards.json``, which lists them with rows,
    bytes and digest; and ``skipped.jsonl`` (source, file, line and why of all that could not be read).
    A killed run that is started again with the same ``output`` continues where it stopped, and gives the
    same bytes. Returns flat metrics. Raises UserError for what cannot be read where
    ``corpus.on_bad_input`` is ``fail``, and where there is nothing at all, no document and nothing skipped.
    """
    corpus = params.corpus
    output.mkdir(parents=True, exist_ok=True)
    learned = Classifier.learn(corpus.text.examples, params.seed) if corpus.text.learn_quality else None
    portions = _portions(params)
    fingerprint = _fingerprint(params, portions)
    manifest = Manifest(output / "work", fingerprint)
    address = corpus.engine.shards
    final = Store(f"{address}/ingest-{fingerprint}" if address else str(output.resolve()))
    work = Store(final.folder if address else str(manifest.folder.resolve()))

    read = engine.run(partial(_read, params, work, SHARD), portions, manifest, corpus.engine)
    skipped = [row for facts in read for row in facts["skipped"]]
    _found_something(params, portions, read)
    names = {name: None for facts in read for name in facts["parts"]}
    engine.run(partial(_clean, params, work), _numbered("clean", names), manifest, corpus.engine)
    common = boilerplate.common_lines(
        lambda column: (work.read(f"lines-{name}", [column])[column] for name in names),
        corpus.text.boilerplate_documents,
    )
    pairs = None
    if corpus.text.measure_surprise:
        pairs = Surprise(work.read(f"clean-{name}", ["text"])["text"].to_list() for name in names)
    described = engine.run(
        partial(_describe, work, final, common, pairs, learned, corpus.language.model),
        _numbered("documents", names),
        manifest,
        corpus.engine,
    )
    work.remove([f"{kind}-{name}" for name in names for kind in ("raw", "clean", "lines")])
    shown = [{key: facts[key] for key in ("name", "rows", "bytes", "digest")} for facts in described]
    write_json(output / "shards.json", {"folder": final.folder if address else None, "shards": shown})
    write_jsonl(output / "skipped.jsonl", skipped)
    manifest.clear()
    totals = Counter({"documents": 0})
    for facts in described:
        totals.update(facts["totals"])
    return {**totals, "shards": len(names), "skipped": len(skipped)}


def table(raw: pl.DataFrame, source: str, params: Params) -> pl.DataFrame:
    """Rows as they were read as a document table, mended, without those that are empty then."""
    corpus = params.corpus
    rows = []
    for text, *place in raw.iter_rows():
        text = clean(text, corpus.text.mend_mojibake)
        if text:
            licence = corpus.sources[source].licence
            rows.append((document_id(source, text), text, source, licence, *place))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def describe(
    documents: pl.DataFrame,
    common: boilerplate.Common,
    pairs: Surprise | None,
    learned: Classifier | None,
    languages: str | None = None,
) -> pl.DataFrame:
    """A shard with its boilerplate lines cut, its languages and figures: a pure function of a table.

    ``languages`` is the file of a fastText model, or None for CLD2.
    """
    documents = boilerplate.cut(documents, common)
    texts = documents["text"].to_list()
    figures = measure(texts)
    if pairs is not None:
        bits = pl.Series(pairs.bits(texts))
        figures = figures.with_columns(bigram_surprise=bits, unspaced_bigram_surprise=bits)
    if learned is not None:
        figures = figures.with_columns(learned_quality=pl.Series(learned.probability(texts)))
    language = identify(texts, languages)
    return pl.concat([documents, language, figures], how="horizontal")


def _read(params: Params, work: Store, size: int, name: str, portion: dict[str, Any]) -> Facts:
    """A portion's rows in shards of about ``size`` characters, in the order of its files."""
    skipped: list[dict[str, Any]] = []
    parts: list[str] = []
    for batch in _batches(params, portion, size, skipped):
        parts.append(f"{name}-{len(parts):05d}")
        rows = [(row.text, row.file, row.line, row.group, row.date) for row in batch]
        frame = pl.DataFrame(rows, schema=RAW, orient="row")
        work.write(f"raw-{parts[-1]}", frame.with_columns(source=pl.lit(portion["source"])))
    return {"parts": parts, "skipped": skipped}


def _clean(params: Params, work: Store, name: str, item: object) -> Facts:
    part = name.removeprefix("clean-")
    raw = work.read(f"raw-{part}")
    documents = table(raw.drop("source"), raw["source"][0], params)
    work.write(f"lines-{part}", boilerplate.lines(documents))
    return work.write(name, documents)


def _describe(
    work: Store,
    final: Store,
    common: boilerplate.Common,
    pairs: Surprise | None,
    learned: Classifier | None,
    languages: str | None,
    name: str,
    item: object,
) -> Facts:
    cleaned = work.read(f"clean-{name.removeprefix('documents-')}")
    documents = describe(cleaned, common, pairs, learned, languages)
    totals = {
        "documents": len(documents),
        "characters": int(documents["characters"].sum()),
        "bytes": int(documents["text"].str.len_bytes().sum()),
        "boilerplate_lines": int(documents["boilerplate_lines"].sum()),
    }
    return {**final.write(name, documents, compression="zstd"), "totals": totals}


def _numbered(kind: str, names: Sequence[str] | dict[str, None]) -> dict[str, None]:
    return {f"{kind}-{name}": None for name in names}


def _portions(params: Params) -> dict[str, dict[str, Any]]:
    """The tasks of reading: source and files of each, by number; they hang on nothing but the files."""
    portions: list[dict[str, Any]] = []
    for name, source in params.corpus.sources.items():
        found = files(name, source)
        if not found:
            portions.append({"source": name, "files": None, "state": []})
        size = PORTION
        for file in found:
            if size >= PORTION:
                portions.append({"source": name, "files": [], "state": []})
                size = 0
            portions[-1]["files"].append(file.path)
            portions[-1]["state"].append([file.size, file.state])
            size += file.size or PORTION
    return {f"{number:05d}": portion for number, portion in enumerate(portions)}


def _batches(
    params: Params, portion: dict[str, Any], size: int, skipped: list[dict[str, Any]]
) -> Iterator[list[sources.Row]]:
    name = portion["source"]
    batch: list[sources.Row] = []
    held = 0
    for item in sources.read(name, params, portion["files"]):
        if isinstance(item, sources.BadInput):
            _bad(params, name, item, skipped)
            continue
        batch.append(item)
        held += len(item.text) + 1
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _bad(params: Params, name: str, item: sources.BadInput, skipped: list[dict[str, Any]]) -> None:
    if params.corpus.on_bad_input == "fail":
        raise UserError(f"{item} (corpus.sources.{name}; on_bad_input: skip would leave it out and list it)")
    skipped.append({"source": name, "file": item.file, "line": item.line, "why": item.why})


def _found_something(params: Params, portions: dict[str, dict[str, Any]], read: Sequence[Facts]) -> None:
    filled = {
        portion["source"] for portion, facts in zip(portions.values(), read, strict=True) if facts["parts"]
    }
    for name, source in params.corpus.sources.items():
        if name not in filled and params.corpus.on_bad_input == "fail":
            raise UserError(f"corpus.sources.{name}: no document in {source.path}")
    # Where all there was has been set aside, the list says why: the other sources go on.
    if not filled and not any(facts["skipped"] for facts in read):
        raise UserError("corpus.sources: no document was found in any source")


def _fingerprint(params: Params, portions: dict[str, dict[str, Any]]) -> str:
    """What the shards depend on: parameters, names, sizes and states of the files, and the examples."""
    corpus = params.corpus
    parts: list[Any] = [
        params.seed,
        params.sample.model_dump(),
        corpus.text.model_dump(),
        corpus.language.model,
        corpus.on_bad_input,
        {name: source.model_dump() for name, source in corpus.sources.items()},
        SHARD,
        portions,
    ]
    if corpus.text.learn_quality:
        examples = (corpus.text.examples.good, corpus.text.examples.bad)
        parts += [hashlib.blake2b(Path(path).read_bytes()).hexdigest() for path in examples]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def shards(documents: Path) -> list[str]:
    """Path or address of each shard of an ingested folder, or of a folder of such, in order.

    Raises UserError where there is none.
    """
    lists = sorted(documents.glob("shards.json")) or sorted(documents.glob("[!.]*/shards.json"))
    found = []
    for path in lists:
        made = read_json(path)
        store = Store(made["folder"] or str(path.parent.resolve()))
        found += [store.path(shard["name"]) for shard in made["shards"]]
    if not lists:
        raise UserError(f"{documents}: no shards.json; run the stage ingest first")
    if not found:
        raise UserError(f"{documents}: no source has a document; skipped.jsonl beside each says why")
    return found
