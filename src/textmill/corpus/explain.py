"""Why a document is in the corpus or not, and what changed between two corpora."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from textmill.corpus import rules
from textmill.corpus.ingestion import shards
from textmill.corpus.split import SPLITS
from textmill.corpus.store import read
from textmill.errors import UserError
from textmill.params import Params

FILES = (*SPLITS, "dropped")
_EXCERPT = 300


@dataclass(frozen=True)
class Answer:
    """What is printed, and the same as plain data."""

    text: str
    data: dict[str, Any]


def why(document_id: str, params: Params, documents: Path, corpus: Path) -> Answer:
    """The way of one document: where it comes from, every figure and rule, the decision, its neighbours.

    documents, corpus: the outputs of ``ingest`` and ``curate``. Neighbours are the documents of its
    cluster of duplicates. The excerpt is of the curated text, in which personal data is replaced. Raises
    UserError where no document has the id; the start of an id is enough where it is the only one.
    """
    decided = _decided(corpus)
    found = decided.filter(pl.col("id").str.starts_with(document_id)).collect()
    if not len(found):
        raise UserError(
            f"no document has the id {document_id!r} in {corpus}; ids stand in the column id of its "
            f"{', '.join(f'{name}.parquet' for name in FILES)}"
        )
    ids = found["id"].unique(maintain_order=True).to_list()
    if len(ids) > 1 and document_id not in ids:
        raise UserError(
            f"{len(ids)} documents have an id that starts with {document_id!r}: {', '.join(ids[:5])}"
        )
    chosen = document_id if document_id in ids else ids[0]
    rows = found.filter(pl.col("id") == chosen).to_dicts()
    measured = _measured(chosen.split(".")[0], documents)
    answers = [_one(row, measured, params, decided) for row in rows]
    return Answer(
        "\n\n".join(text for text, _ in answers), {"id": chosen, "copies": [data for _, data in answers]}
    )


def _decided(corpus: Path) -> pl.LazyFrame:
    missing = [name for name in FILES if not (corpus / f"{name}.parquet").exists()]
    if missing:
        raise UserError(f"{corpus}/{missing[0]}.parquet: no such file; run the stage curate first")
    frames = []
    for name in FILES:
        path = corpus / f"{name}.parquet"
        try:
            columns = pl.read_parquet_schema(path)
        except pl.exceptions.PolarsError as error:
            why = str(error).splitlines()[0]
            raise UserError(f"{path}: expected a Parquet file that curate wrote ({why})") from None
        if "id" not in columns:
            raise UserError(f"{path}: expected a column id; found {', '.join(columns) or 'no columns'}")
        frames.append(pl.scan_parquet(path).with_columns(decision=pl.lit(name)))
    return pl.concat(frames, how="diagonal")


def _measured(document_id: str, documents: Path) -> dict[str, Any]:
    for path in shards(documents):
        if document_id in read(path, ["id"])["id"]:
            return read(path).filter(pl.col("id") == document_id).row(0, named=True)
    raise UserError(f"{documents}: no document has the id {document_id}; was it made by another ingest?")


def _one(
    row: dict[str, Any], measured: dict[str, Any], params: Params, decided: pl.LazyFrame
) -> tuple[str, dict[str, Any]]:
    quality = params.corpus.quality
    frame = pl.DataFrame([measured], infer_schema_length=1)
    judged = []
    for name, rule in rules.RULES.items():
        if name not in measured:
            continue
        bounds = quality.get(name)
        looked = bool(frame.select(rules.applies(rule.scope).first()).item())
        verdict = "not asked" if bounds is None else "other script" if not looked else "passed"
        if bounds is not None and looked and bool(frame.select(rules.outside(name, bounds).first()).item()):
            verdict = "broken"
        judged.append(
            {
                "rule": name,
                "figure": measured[name],
                "min": bounds.min if bounds else None,
                "max": bounds.max if bounds else None,
                "verdict": verdict,
            }
        )
    neighbours = (
        decided.filter((pl.col("cluster") == row["cluster"]) & (pl.col("id") != row["id"]))
        .select("id", "source", "decision", "rule", "figure")
        .sort("id")
        .collect()
        .to_dicts()
    )
    text = row["text"]
    data = {
        "id": row["id"],
        "decision": row["decision"],
        "rule": row.get("rule"),
        "figure": row.get("figure"),
        "threshold": row.get("threshold"),
        "detail": row.get("detail"),
        "source": row["source"],
        "licence": row["licence"],
        "file": row["file"],
        "line": row["line"],
        "group": row["group"],
        "date": row["date"],
        "language": row["language"],
        "confidence": row["confidence"],
        "personal_data": row["personal_data"],
        "boilerplate_lines": row["boilerplate_lines"],
        "rules": judged,
        "cluster": row["cluster"],
        "neighbours": neighbours,
        "excerpt": text[:_EXCERPT] + ("…" if len(text) > _EXCERPT else ""),
    }
    lines = [
        f"document   {data['id']}",
        f"from       {data['source']}: {data['file']}:{data['line']} ({data['licence']})",
        *(f"{key:10} {data[key]}" for key in ("group", "date") if data[key] is not None),
        f"decision   {_decision(data)}",
        f"language   {data['language']}, confidence {data['confidence']:.2f}",
        f"cut        {data['boilerplate_lines']} boilerplate lines",
        f"replaced   {data['personal_data']} items of personal data",
        "rules",
        *_table(
            (
                item["verdict"],
                item["rule"],
                _number(item["figure"]),
                _bounds(item["min"], item["max"]),
            )
            for item in judged
        ),
        f"cluster    {data['cluster']}, {len(neighbours)} other documents",
        *_table(
            (item["id"], item["source"], item["rule"] or item["decision"], _number(item["figure"]))
            for item in neighbours[:20]
        ),
        "text",
        *(f"  {line}" for line in data["excerpt"].split("\n")),
    ]
    return "\n".join(lines), data


def _decision(data: dict[str, Any]) -> str:
    if data["decision"] != "dropped":
        return f"kept for {data['decision']}"
    detail = f" ({data['detail']})" if data["detail"] else ""
    figures = f"{_number(data['figure'])}, threshold {_number(data['threshold'])}"
    return f"dropped by {data['rule']}: {figures}{detail}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _bounds(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return f"{_number(low) or '…'} to {_number(high) or '…'}"


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """The rows with their columns aligned, indented."""
    table = [tuple(str(cell) for cell in row) for row in rows]
    if not table:
        return []
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def diff(before: Path, after: Path) -> Answer:
    """What changed from one curated corpus to another.

    Documents that came in and went out with the reasons, documents that moved between splits, sizes, and
    the shares of languages and sources. Raises UserError where a folder holds no corpus.
    """
    old, new = (
        _decided(folder).select("id", "decision", "rule", "source", "language", "characters").collect()
        for folder in (before, after)
    )
    kept_old, kept_new = (frame.filter(pl.col("decision") != "dropped").unique("id") for frame in (old, new))
    both = kept_old.join(kept_new, on="id", suffix="_new")
    gone = kept_old.join(kept_new, on="id", how="anti")
    came = kept_new.join(kept_old, on="id", how="anti")
    reasons = (
        gone.select("id")
        .join(new.filter(pl.col("rule").is_not_null()).unique("id"), on="id", how="left")
        .select(pl.col("rule").fill_null("no longer in a source"))
    )
    earlier = (
        came.select("id")
        .join(old.filter(pl.col("rule").is_not_null()).unique("id"), on="id", how="left")
        .select(pl.col("rule").fill_null("new in a source"))
    )
    data: dict[str, Any] = {
        "documents": [len(kept_old), len(kept_new)],
        "characters": [int(frame["characters"].sum()) for frame in (kept_old, kept_new)],
        "in": _counts(earlier["rule"]),
        "out": _counts(reasons["rule"]),
        "moved": int((both["decision"] != both["decision_new"]).sum()),
        "dropped": _pairs(
            *(_counts(frame.filter(pl.col("decision") == "dropped")["rule"]) for frame in (old, new))
        ),
        "splits": _pairs(*(_counts(frame["decision"]) for frame in (kept_old, kept_new))),
        "languages": _pairs(*(_shares(frame, "language") for frame in (kept_old, kept_new))),
        "sources": _pairs(*(_shares(frame, "source") for frame in (kept_old, kept_new))),
    }
    lines = [
        f"documents   {data['documents'][0]} -> {data['documents'][1]}",
        f"characters  {data['characters'][0]} -> {data['characters'][1]}",
        f"moved       {data['moved']} documents to another split",
        f"in          {sum(data['in'].values())}",
        *_table((reason, str(count)) for reason, count in data["in"].items()),
        f"out         {sum(data['out'].values())}",
        *_table((reason, str(count)) for reason, count in data["out"].items()),
    ]
    for title in ("dropped", "splits", "languages", "sources"):
        lines.append(title)
        lines += _table(
            (name, _number(old_), "->", _number(new_)) for name, (old_, new_) in data[title].items()
        )
    return Answer("\n".join(lines), data)


def _counts(column: pl.Series) -> dict[str, int]:
    return dict(sorted(Counter(column.to_list()).items()))


def _shares(frame: pl.DataFrame, column: str) -> dict[str, float]:
    total = max(float(frame["characters"].sum()), 1.0)
    sums = frame.group_by(column).agg(pl.col("characters").sum()).sort(column)
    return {name: float(size) / total for name, size in sums.iter_rows()}


def _pairs(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (old.get(name, 0), new.get(name, 0)) for name in sorted({*old, *new})}
