"""Language identification, offline (CLD2; Sites 2013), with a confidence."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

UNKNOWN = "und"
# CLD2's codes that differ from ISO 639-1.
_CODES = {"un": UNKNOWN, "zh-Hant": "zh", "iw": "he", "jw": "jv", "in": "id", "mo": "ro", "no": "nb"}
_UNRELIABLE = 0.6
_LETTERS = re.compile(r"[^\W\d_]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile("[\u3041-\u30ff]")
_NOISE = re.compile(r"https?://\S+|\S+@\S+|\d+")


def identify(texts: Sequence[str]) -> pl.DataFrame:
    """The language of each text (ISO 639-1 code, or und) and the confidence in it, from 0 to 1.

    The confidence is the share of the text that is in the language, times ``_UNRELIABLE`` where CLD2 calls
    its answer unreliable, as it does of texts of a few words. Addresses and numbers are no language and are
    left out. Han characters without kana are Chinese, which CLD2 takes for Japanese where it is classical.
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

    if (certainty := _chinese(text)) is not None:
        return "zh", certainty
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
    return code.split("-")[0], percent / 100 * (1.0 if reliable else _UNRELIABLE)


def _chinese(text: str) -> float | None:
    """The share of Han characters among the letters, if they are most of them and no kana stand between."""
    if text.isascii():
        return None
    han = len(_HAN.findall(text))
    if not han or len(_KANA.findall(text)) * 20 > han:
        return None
    share = han / max(len(_LETTERS.findall(text)), han)
    return share if share > 0.5 else None
