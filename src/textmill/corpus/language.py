"""Language identification, offline, with a confidence: CLD2 (Sites 2013), or a fastText model of the user's
(Joulin et al. 2017) where it knows languages that CLD2 does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from textmill.corpus.codes import LETTER, Codes, among, blocks
from textmill.errors import UserError

UNKNOWN = "und"
# CLD2's codes that differ from ISO 639-1.
_CODES = {"un": UNKNOWN, "zh-Hant": "zh", "iw": "he", "jw": "jv", "in": "id", "mo": "ro", "no": "nb"}
_UNRELIABLE = 0.6
_COLUMNS = {"language": pl.String, "confidence": pl.Float64}
_HAN = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x40000))
_KANA = ((0x3041, 0x3100),)
# A run without spaces is looked at from its start alone: from each of its characters it takes the square.
_ADDRESS = re.compile(r"(?<!\S)(?:[^\s@]*@\S*|https?://\S+)|https?://\S+")


def identify(texts: Sequence[str], model: str | None = None) -> pl.DataFrame:
    """The language of each text (ISO 639-1 code, or und) and the confidence in it, from 0 to 1.

    With ``model``, a fastText model's file, the codes and confidences are the model's. Otherwise CLD2's:

    the confidence is the share of the text that is in the language, times ``_UNRELIABLE`` where it calls
    its answer unreliable, as it does of texts of a few words. Addresses are no language and are left out.
    Han characters without kana are Chinese, which CLD2 takes for Japanese where it is classical.
    """
    if model is not None:
        return _by_fasttext(texts, model)
    codes, confidences = ["zh"] * len(texts), _chinese(texts)
    for place in np.flatnonzero(np.isnan(confidences)).tolist():
        codes[place], confidences[place] = _identify(texts[place])
    return pl.DataFrame({"language": codes, "confidence": confidences}, schema=_COLUMNS)


def _by_fasttext(texts: Sequence[str], model: str) -> pl.DataFrame:
    # A model reads one line; of a text without letters it says nothing.
    lines = [" ".join(text.split()) for text in texts]
    labels, shares = _fasttext(model).predict(lines, k=1)
    codes = [label[0].removeprefix("__label__") if len(label) else UNKNOWN for label in labels]
    sure = [min(float(share[0]), 1.0) if len(share) else 0.0 for share in shares]
    return pl.DataFrame({"language": codes, "confidence": sure}, schema=_COLUMNS)


@lru_cache(maxsize=1)
def _fasttext(path: str) -> Any:
    """The model, read once a process. Raises UserError where it, or the library, is missing."""
    try:
        import fasttext
    except ImportError:
        raise UserError(
            f"corpus.language.model: {path}: the library is not here; pip install 'textmill[fasttext]'"
        ) from None
    if not Path(path).is_file():
        raise UserError(f"corpus.language.model: {path}: no such file; expected a fastText model (.bin)")
    try:
        return fasttext.load_model(path)
    except ValueError as error:
        raise UserError(f"corpus.language.model: {path}: {error}") from None


def _identify(text: str) -> tuple[str, float]:
    import pycld2

    plain = _ADDRESS.sub(" ", text) if "@" in text or "://" in text else text
    try:
        reliable, _, found = pycld2.detect(plain, bestEffort=False)
        if found[0][1] == "un":
            reliable, _, found = pycld2.detect(plain, bestEffort=True)
            reliable = False
    except pycld2.error:  # unassigned code points
        return UNKNOWN, 0.0
    _, code, percent, _ = found[0]
    code = _CODES.get(code, code)
    if code == UNKNOWN:
        return UNKNOWN, 0.0
    return code.split("-")[0], percent / 100 * (1.0 if reliable else _UNRELIABLE)


def _chinese(texts: Sequence[str]) -> NDArray[np.float64]:
    """The share of Han characters among each text's letters, where most are and hardly any kana stand
    between; elsewhere NaN: (texts,)."""
    found = np.full(len(texts), np.nan)
    places = [place for place, text in enumerate(texts) if not text.isascii()]
    start = 0
    for block in blocks([texts[place] for place in places]):
        codes = Codes(block)
        han = codes.count(among(ranges=_HAN)[codes.points])
        kana = codes.count(among(ranges=_KANA)[codes.points])
        share = han / np.maximum(np.maximum(codes.count(codes.has(LETTER)), han), 1)
        here = np.array(places[start : start + len(block)], np.int64)
        start += len(block)
        chinese = (share > 0.5) & (kana * 20 <= han)
        found[here[chinese]] = share[chinese]
    return found
