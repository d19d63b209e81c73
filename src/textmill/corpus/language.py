"""Language identification, offline (CLD2; Sites 2013), with a confidence."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from textmill.corpus.codes import LETTER, Codes, among, blocks

UNKNOWN = "und"
# CLD2's codes that differ from ISO 639-1.
_CODES = {"un": UNKNOWN, "zh-Hant": "zh", "iw": "he", "jw": "jv", "in": "id", "mo": "ro", "no": "nb"}
_UNRELIABLE = 0.6
_HAN = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x40000))
_KANA = ((0x3041, 0x3100),)
# A run without spaces is looked at from its start alone: from each of its characters it takes the square.
_ADDRESS = re.compile(r"(?<!\S)(?:[^\s@]*@\S*|https?://\S+)|https?://\S+")


def identify(texts: Sequence[str]) -> pl.DataFrame:
    """The language of each text (ISO 639-1 code, or und) and the confidence in it, from 0 to 1.

    The confidence is the share of the text that is in the language, times ``_UNRELIABLE`` where CLD2 calls
    its answer unreliable, as it does of texts of a few words. Addresses are no language and are left out.
    Han characters without kana are Chinese, which CLD2 takes for Japanese where it is classical.
    """
    codes, confidences = ["zh"] * len(texts), _chinese(texts)
    for place in np.flatnonzero(np.isnan(confidences)).tolist():
        codes[place], confidences[place] = _identify(texts[place])
    return pl.DataFrame(
        {"language": codes, "confidence": confidences},
        schema={"language": pl.String, "confidence": pl.Float64},
    )


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
