"""FineWeb-2's thresholds for a language as bounds of our quality rules (Penedo et al. 2025).

They are published as ``configs/LANGUAGE_Script.yml`` (ISO 639-3 and ISO 15924: swh_Latn) in the
repository huggingface/fineweb-2. Its stop words and its language score, which is another classifier's,
have no counterpart here. Rules on words do not look at scripts without spaces.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

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


def thresholds(folder: Path, code: str) -> dict[str, dict[str, float]]:
    """Bounds by rule, as ``corpus.quality`` takes them, from ``folder``/``code``.yml.

    Raises UserError where the folder has no such file, or the file a threshold that is no number.
    """
    path = folder / f"{code}.yml"
    if not path.exists():
        near = difflib.get_close_matches(code, [file.stem for file in folder.glob("*.yml")], n=3)
        hint = f"near it: {', '.join(near)}" if near else "the folder is configs/ of huggingface/fineweb-2"
        raise UserError(f"{path}: no such file; {hint}")
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
