"""The outcome of the checks: results, errors, metrics, Data Docs, and the gate of the stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from textmill.checks import suites
from textmill.checks.definitions import Definition, command
from textmill.checks.profile import Profile
from textmill.errors import UserError
from textmill.params import Check, Checks
from textmill.records import write_json

OFFENDERS = 5  # ids of the worst offenders that a result names
ITEMS = ("documents", "token_documents", "examples")  # tables whose rows have ids that a command can show

Result = dict[str, Any]


class Report:
    """Results of a set of checks, each with its figure, bounds and offenders.

    ``results`` are in the order of the tables: level, name, table, passed, figure (the value farthest outside
    its bounds, or nearest to them), row (which has it), min, max, mostly, unit, rows, unexpected (rows
    outside), severity, why, offenders (ids) and command. ``errors`` are the checks that could not be run:
    level, name, table, severity, error. ``profile`` is the corpus's own, to be kept as the reference for
    the next one's drift.
    """

    def __init__(
        self, results: list[Result], errors: list[Result], raw: list[Any], profile: Profile | None = None
    ) -> None:
        self.results = results
        self.errors = errors
        self.profile = profile
        self._raw = raw

    def write(self, path: Path) -> None:
        """Write results and errors as sorted JSON: the same data gives the same bytes."""
        write_json(path, {"results": self.results, "errors": self.errors, "summary": self.metrics()})

    def write_data_docs(self, folder: Path) -> None:
        """Write Great Expectations' Data Docs as static pages that need no network."""
        from textmill.checks.data_docs import write

        write(self, self._raw, folder)

    def metrics(self) -> dict[str, float | int]:
        """How many checks ran, passed, failed, warned and could not be run; and each figure."""
        failed = [row for row in self.results if not row["passed"]]
        counts: dict[str, float | int] = {
            "checks": len(self.results) + len(self.errors),
            "passed": len(self.results) - len(failed),
            "failed": sum(row["severity"] == "fail" for row in failed),
            "warned": sum(row["severity"] == "warn" for row in failed),
            "errors": len(self.errors),
        }
        figures = {
            f"{row['level']}_{row['name']}": row["figure"]
            for row in self.results
            if row["figure"] is not None
        }
        return counts | figures

    def require(self) -> None:
        """Raise UserError naming each failed check of severity `fail`, and each that could not be run."""
        lines = [_explain(row) for row in self.results if not row["passed"] and row["severity"] == "fail"]
        lines += [
            f"{row['level']}.{row['name']} could not be run: {row['error']}"
            for row in self.errors
            if row["severity"] == "fail"
        ]
        if lines:
            raise UserError("the data failed its checks\n" + "\n".join(lines))


def _explain(row: Result) -> str:
    """What was found, what was allowed, who is outside, and how to look at it."""
    low, high = row["min"], row["max"]
    if low is None:
        bounds = f"at most {high:g}"
    elif high is None:
        bounds = f"at least {low:g}"
    else:
        bounds = f"between {low:g} and {high:g}"
    if row["mostly"] < 1:
        bounds += f" for {row['mostly']:.4g} of the rows"
    line = (
        f"{row['level']}.{row['name']}: {row['figure']:g} {row['unit']}, expected {bounds} "
        f"({row['unexpected']} of {row['rows']} {row['table'].replace('_', ' ')} outside, first {row['row']})"
    )
    if row["offenders"]:
        line += f": {', '.join(row['offenders'])}"
    return f"{line}; see: {row['command']}" if row["command"] else line


def check(
    tables: Mapping[str, pl.DataFrame],
    definitions: tuple[Definition, ...],
    bounds: Checks,
    profile: Profile | None = None,
) -> Report:
    """Run the checks of ``definitions`` that have bounds, on their tables.

    A table has a column ``id``, a column a check, and where the offenders of a row are others than the row
    itself a list column ``ids``, or ``NAME:ids`` for the check NAME.
    """
    jobs = []
    for name, table in tables.items():
        checks = tuple(
            (definition, limits)
            for definition in definitions
            if definition.table == name
            and (limits := getattr(getattr(bounds, definition.level), definition.name)) is not None
        )
        if checks:
            jobs.append(suites.Suite(name, table, checks))
    verdicts, raw = suites.run(jobs)
    results, errors = [], []
    for suite, row in zip(jobs, verdicts, strict=True):
        for (definition, limits), verdict in zip(suite.checks, row, strict=True):
            about = {"level": definition.level, "name": definition.name, "severity": limits.severity}
            if verdict.error is not None:
                errors.append(about | {"error": verdict.error, "table": definition.table})
            else:
                results.append(about | _result(suite.table, definition, limits, verdict))
    return Report(results, errors, raw, profile)


def _result(table: pl.DataFrame, definition: Definition, limits: Check, verdict: suites.Verdict) -> Result:
    name = definition.name
    values = table.select("id", pl.col(name).cast(pl.Float64).alias("value"), *_id_columns(table, name))
    values = values.drop_nulls("value")
    # How far a value is outside its bounds; inside, how near it is to them (negative).
    low = limits.min - pl.col("value") if limits.min is not None else pl.lit(float("-inf"))
    high = pl.col("value") - limits.max if limits.max is not None else pl.lit(float("-inf"))
    values = values.with_columns(pl.max_horizontal(low, high).alias("outside"))
    values = values.sort(["outside", "id"], descending=[True, False])
    worst = values.filter(pl.col("outside") > 0) if verdict.unexpected else values.clear()
    first = str(values["id"][0]) if len(values) else None
    offenders = [str(item) for row in worst.head(OFFENDERS)["ids"].to_list() for item in row]
    offenders = list(dict.fromkeys(offenders))[:OFFENDERS]
    return {
        "table": definition.table,
        "unit": definition.unit,
        "why": definition.why,
        "passed": verdict.passed,
        "figure": _number(values["value"][0]) if len(values) else None,
        "row": first,
        "rows": len(values),
        "unexpected": verdict.unexpected,
        "min": limits.min,
        "max": limits.max,
        "mostly": limits.mostly,
        "offenders": offenders,
        # A split or a language is no document, which a command could show, but it may name some.
        "command": command(definition.table, offenders)
        if definition.table in ITEMS or (offenders and offenders[0] != first)
        else None,
    }


def _id_columns(table: pl.DataFrame, name: str) -> list[pl.Expr]:
    """Who is to blame for a row: the documents or examples that it names, otherwise the row itself."""
    itself = pl.concat_list(pl.col("id").cast(pl.String))
    named = [pl.col(column) for column in (f"{name}:ids", "ids") if column in table.columns]
    return [pl.coalesce(*named, itself).alias("ids")]


def _number(value: float) -> float | int:
    """Whole numbers as such, others to six significant digits: figures are read by people."""
    return int(value) if float(value).is_integer() else float(f"{round(value, 9):.6g}")
