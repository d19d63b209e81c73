"""Great Expectations, and nothing else of the project imports it: tables and bounds in, verdicts out.

A suite is run whole, one a table: one check at a time costs several times as much.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from textmill.checks.definitions import Definition
from textmill.params import Check

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult


@dataclass(frozen=True)
class Suite:
    """The checks on one table, each with its bounds."""

    name: str
    table: pl.DataFrame  # a column `id` and a column of numbers for each check
    checks: tuple[tuple[Definition, Check], ...]


@dataclass(frozen=True)
class Verdict:
    """What Great Expectations says of one check; ``error`` is set where it could not be run."""

    passed: bool
    unexpected: int
    error: str | None


def run(suites: Sequence[Suite]) -> tuple[list[list[Verdict]], list[ExpectationSuiteValidationResult]]:
    """Validate every suite; returns for each its verdicts in order, and the raw result for Data Docs."""
    verdicts, results = [], []
    with _quiet():
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        source = context.data_sources.add_pandas("statistics")
        for suite in suites:
            batch = source.add_dataframe_asset(suite.name).add_batch_definition_whole_dataframe("all")
            expectations = context.suites.add(
                gx.ExpectationSuite(
                    name=suite.name, expectations=[_expectation(*row) for row in suite.checks]
                )
            )
            definition = context.validation_definitions.add(
                gx.ValidationDefinition(name=suite.name, data=batch, suite=expectations)
            )
            result = definition.run(
                batch_parameters={"dataframe": _to_pandas(suite)},
                # Numbers only: the tables hold no text, and the docs list but a few of them.
                result_format={"result_format": "SUMMARY", "partial_unexpected_count": 10},
            )
            verdicts.append(_verdicts(suite, result))
            results.append(result)
    return verdicts, results


def _expectation(definition: Definition, check: Check) -> Any:
    import great_expectations as gx
    from great_expectations.expectations.metadata_types import FailureSeverity

    return gx.expectations.ExpectColumnValuesToBeBetween(
        column=definition.name,
        min_value=check.min,
        max_value=check.max,
        mostly=check.mostly,
        severity=FailureSeverity.CRITICAL if check.severity == "fail" else FailureSeverity.WARNING,
        meta={"check": definition.name, "notes": {"format": "string", "content": [definition.why]}},
    )


def _to_pandas(suite: Suite) -> Any:
    """The columns that are checked, as floats; what a column does not apply to is null and passes."""
    names = [definition.name for definition, _ in suite.checks if definition.name in suite.table.columns]
    return suite.table.select(pl.col("id"), *(pl.col(name).cast(pl.Float64) for name in names)).to_pandas()


def _verdicts(suite: Suite, result: ExpectationSuiteValidationResult) -> list[Verdict]:
    """The results in the order of the suite's checks (the library puts errors first)."""
    found: list[Any] = result.results
    by_name = {item.expectation_config.meta["check"]: item for item in found}
    verdicts = []
    for definition, _ in suite.checks:
        item = by_name[definition.name]
        error = _error(item.exception_info)
        verdicts.append(Verdict(bool(item.success), int(item.result.get("unexpected_count") or 0), error))
    return verdicts


def _error(information: Any) -> str | None:
    """The message of an expectation that raised, found at whatever depth the library put it."""
    if not isinstance(information, dict):
        return None
    if information.get("raised_exception"):
        message = str(information.get("exception_message") or "unknown error")
        return message.strip().splitlines()[0]
    return next((found for value in information.values() if (found := _error(value))), None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No analytics, and no chatter in the log of a stage."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
