"""FineWeb-2's thresholds for a language as bounds of our quality rules (Penedo et al. 2025).

They are published as ``configs/LANGUAGE_Script.yml`` (ISO 639-3 and ISO 15924: swh_Latn) in the
repository huggingface/fineweb-2, under Apache-2.0. Its stop words and its language score, which is another
classifier's, have no counterpart here. Rules on words do not look at scripts without spaces.
"""

from __future__ import annotations

import difflib
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from textmill.errors import UserError
from textmill.params import read_yaml

# Their key -> our rule, and which of its bounds the threshold is.
_BOUNDS = {
    "min_avg_word_length": ("gopher_word_length", "min"),
    "max_avg_word_length": ("gopher_word_length", "max"),
    "max_non_alpha_words_ratio": ("gopher_alphabetic_words", "min"),  # a least share of words with letters
    "dup_line_frac": ("gopher_duplicate_lines", "max"),
    "line_punct_thr": ("fineweb_line_punctuation", "min"),
    "new_line_ratio": ("fineweb_newlines", "max"),
}
_NGRAMS = {"top_n_grams": "gopher_top_{}gram", "dup_n_grams": "gopher_duplicate_{}grams"}


# What is printed goes into params.yaml, so that an experiment does not change with the branch.
_PUBLISHED = "https://raw.githubusercontent.com/huggingface/fineweb-2/main/configs"
_PATIENCE = 20  # seconds


def thresholds(code: str, folder: Path | None = None) -> dict[str, dict[str, float]]:
    """Bounds by rule, as ``corpus.quality`` takes them, from ``folder``/``code``.yml or as published.

    Raises UserError where there is no such file, it cannot be fetched, or a threshold is no number.
    """
    if folder is not None:
        return _bounds(_file(folder, code))
    with tempfile.TemporaryDirectory() as fetched:
        path = Path(fetched) / f"{code}.yml"
        path.write_bytes(_fetch(code))
        return _bounds(path)


def _file(folder: Path, code: str) -> Path:
    path = folder / f"{code}.yml"
    if not path.exists():
        near = difflib.get_close_matches(code, [file.stem for file in folder.glob("*.yml")], n=3)
        hint = f"near it: {', '.join(near)}" if near else "the folder is configs/ of huggingface/fineweb-2"
        raise UserError(f"{path}: no such file; {hint}")
    return path


def _fetch(code: str) -> bytes:
    address = f"{_PUBLISHED}/{quote(code, safe='')}.yml"
    try:
        with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise UserError(
                f"{code}: FineWeb-2 publishes no thresholds for it; "
                f"expected a language of ISO 639-3 and a script of ISO 15924, as in swh_Latn"
            ) from None
        why = f"HTTP {error.code}"
    except OSError as error:
        why = str(getattr(error, "reason", error))
    raise UserError(
        f"{address}: cannot be fetched ({why}). Two ways out: run where there is a network, or copy configs/ "
        f"of the repository huggingface/fineweb-2 here and name it: textmill corpus thresholds {code} FOLDER"
    )


def _bounds(path: Path) -> dict[str, dict[str, float]]:
    found: dict[str, Any] = read_yaml(path)
    rules: dict[str, dict[str, float]] = {}
    try:
        for key, (rule, side) in _BOUNDS.items():
            if key in found:
                rules.setdefault(rule, {})[side] = float(found[key])
        for key, rule in _NGRAMS.items():
            for size, bound in found.get(key) or ():
                rules[rule.format(int(size))] = {"max": float(bound)}
    except (TypeError, ValueError):
        raise UserError(f"{path}: {key}: expected a number, or pairs of a size and a number") from None
    return rules
