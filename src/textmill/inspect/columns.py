"""The columns of rows, and what one holds: labels, scores, flags, text in a language."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from textmill.corpus.language import identify
from textmill.inspect import names
from textmill.tasks.readers.row import FLAGS

FEW = 200  # different values that a column of labels has at most
MANY = 10  # different values that a column of scores has more of
SAMPLE = 500  # texts whose language is identified
SEPARATORS = "|;,，、；"  # of labels in a cell


def keys(rows: Sequence[Any]) -> list[Any]:
    """The columns: names, or numbers from 0."""
    if rows and isinstance(rows[0], dict):
        return list(dict.fromkeys(key for row in rows[:100] for key in row))
    return list(range(len(rows[0]))) if rows and isinstance(rows[0], list) else []


def leaves(rows: Sequence[Any]) -> list[Any]:
    """The columns with the parts of a mapping in its place, by names with dots as ``fields`` takes them."""
    named = [name for row in rows[:100] if isinstance(row, dict) for name in _leaves(row)]
    return list(dict.fromkeys(named)) or keys(rows)


def _leaves(mapping: dict[str, Any]) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, dict) and value and key != "answers":  # which a reader takes as they are
            yield from (f"{key}.{name}" for name in _leaves(value))
        else:
            yield key


def by_name(columns: Sequence[Any]) -> dict[str, Any]:
    """The columns by their own names; of several called so, the one that stands highest."""
    return {plain_name(key): key for key in sorted(columns, key=lambda key: -str(key).count("."))}


def plain_name(key: Any) -> str:
    """A column's own name, without those that it stands below."""
    return str(key).lower().rpartition(".")[2]


def is_label(key: Any) -> bool:
    """Whether a column is called as labels are."""
    return plain_name(key) in names.LABEL or plain_name(key).endswith(names.LABEL_ENDS)


def is_score(key: Any) -> bool:
    """Whether a column is called as labels are, or as numbers to be foretold."""
    return is_label(key) or plain_name(key) in names.SCORE or plain_name(key).endswith(names.SCORE_ENDS)


def separator_of(column: Sequence[Sequence[str]]) -> str | None:
    """What divides several labels in a cell: the parts are fewer than the cells, and one stands alone too."""
    cells = {name for of_text in column for name in of_text}
    for sign in SEPARATORS:
        if not any(sign in name for name in cells):
            continue  # the parts have lost no more than spaces
        parts = {part for name in cells for part in split_cell([name], sign)}
        if 1 < len(parts) < len(cells) and len(parts) <= FEW and parts & cells:
            return sign
    return None


def split_cell(cell: Sequence[str], sign: str) -> list[str]:
    """The labels between the signs."""
    return [part.strip() for name in cell for part in name.split(sign) if part.strip()]


def are_flags(column: Sequence[Any]) -> bool:
    """Whether a column has 1 or 0, or true or false, in every row."""
    return {str(value).casefold() for value in column} <= FLAGS.keys()


def scores_of(column: Sequence[Any]) -> list[float]:
    """The numbers of a column that has hardly anything else, many of them different, some with fractions."""
    given = [value for value in column if value not in (None, "")]
    numbers = [float(value) for value in given if is_number(value)]
    if len(numbers) < max(len(column) / 2, 0.95 * len(given)) or len(set(numbers)) <= MANY:
        return []
    return numbers if any(map(is_fraction, numbers)) else []


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, or a text that spells one."""
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (OverflowError, TypeError, ValueError):
        return False


def is_fraction(value: Any) -> bool:
    """Whether a value is a number, and no whole one."""
    return is_number(value) and not float(value).is_integer()


def is_code(values: Sequence[Any]) -> bool:
    """Whether most values are lists or mappings, or such written as text."""
    return sum(not isinstance(v, str) or v[:1] in ("[", "{", "(") for v in values) > len(values) / 2


def languages(texts: Sequence[str]) -> list[tuple[str, float]]:
    """The languages of some texts and their shares; short texts are put together, for one says too little."""
    chosen = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
    joined = [" ".join(chosen[i : i + 5]) for i in range(0, len(chosen), 5)]
    counts = Counter(identify(joined)["language"].to_list())
    return [(code, count / len(joined)) for code, count in counts.most_common()]
