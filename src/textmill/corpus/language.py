"""Language identification, offline (CLD2; Sites 2013), with a confidence."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

UNKNOWN = "und"
# CLD2's codes that differ from ISO 639-1.
_CODES = {"un": UNKNOWN, "zh-Hant": "zh", "iw": "he", "jw": "jv", "in": "id", "mo": "ro", "no": "nb"}
_NOISE = re.compile(r"https?://\S+|\S+@\S+|\d+")


def identify(texts: Sequence[str]) -> pl.DataFrame:
    """The language of each text (ISO 639-1 code, or und) and the confidence in it, from 0 to 1.

    The confidence is the share of the text that is in the language, halved where CLD2 calls its answer
    unreliable. Addresses and numbers are no language and are left out.
    """
    codes, confidences = [], []
    for text in texts:
        code, confidence = _identify(text)
        codes.append(code)
        confidences.append(confidence)
    return pl.DataFrame(
        {"language": codes, "confidence": confidences},
        schema={"language": pl.String, "confidence": pl.Float64},
    )


def _identify(text: str) -> tuple[str, float]:
    import pycld2

    plain = _NOISE.sub(" ", text)
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
    return code.split("-")[0], percent / 100 * (1.0 if reliable else 0.5)
