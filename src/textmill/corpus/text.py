"""What is done to a text before it is looked at: mojibake mended, NFC, control characters, white space."""

from __future__ import annotations

import re
import unicodedata

# A byte from 0x80 to 0xBF as the Western, Central European, Cyrillic, Greek, Turkish and Macintosh code
# pages show it, after a byte that starts a UTF-8 sequence (0xC2 to 0xF4) as they show that. Nearly all text
# has no such pair, and ftfy need not look at it.
_CONTINUATION = (
    "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014\u2018-\u201a"
    "\u201c-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2116\u2122"
    "\u0401\u0402-\u040f\u0451-\u045f\u0490\u0491\u00c0-\u00ff\u2202-\u2265\u03c0\u03a9\ufb01\ufb02\u0131"
)
_LEAD = "".join(
    (
        "\u00c2-\u00f4\u0100-\u017f\u0370-\u03ff\u0410-\u044f\u2013\u2014",
        "\u2018-\u201e\u2020-\u2044\u02c6-\u02dd\u221a\u00ac",
    )
)
_SUSPECT = re.compile(f"[{_LEAD}][{_CONTINUATION}]|\ufffd|[\u0080-\u0084\u0086-\u009f]")
# Bytes of UTF-8 read as GBK nearly always give some of these rare characters.
_READ_AS_GBK = re.compile(
    "[鍏鍙鍥鍦鍚鍜鍒鍐鏄鏂鏈鏃鎴鎵鐨鐢鐩鐭鑷鑰绗绋绾缁缃缂澶澶浠浣浜涓涔閫閮闂闃璇璁璧锛銆濂濡杩杈鈥]"
)

_NEWLINES = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Control characters, byte order marks, invisible operators, direction marks, non-characters, surrogates.
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u206a-\u206f"
    "\ufeff\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)
_SPACES = re.compile(
    r"[\t \u00a0\u1680\u2000-\u200a\u202f\u205f]{2,}|[\t\u00a0\u1680\u2000-\u200a\u202f\u205f]"
)
_LINE_ENDS = re.compile(r"[ \u3000]+(?=\n)")
_BLANK_LINES = re.compile(r"\n{3,}")


def clean(text: str, mend_mojibake: bool) -> str:
    """The text as the corpus keeps it.

    Mojibake is mended with ftfy's ``fix_encoding`` alone: its other steps rewrite full-width characters
    and curly quotes, which are right in Chinese. Line ends become one kind, runs of blanks one blank, three
    and more line ends two, and control characters go.
    """
    if mend_mojibake and not text.isascii():
        text = mend(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if text.isascii():
        return _clean_ascii(text)
    text = _NEWLINES.sub("\n", text)
    text = _CONTROL.sub("", text)
    text = _SPACES.sub(" ", text)
    text = _LINE_ENDS.sub("", text)
    return _BLANK_LINES.sub("\n\n", text).strip()


# The same for ASCII, by means that are ten times faster than regular expressions.
_ASCII = dict.fromkeys((*range(32), 127)) | dict.fromkeys((0x0B, 0x0C, 0x1C, 0x1D, 0x1E), "\n")
_ASCII |= {0x09: " ", 0x0A: "\n"}


def _clean_ascii(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.translate(_ASCII)
    for many, one in (("  ", " "), (" \n", "\n"), ("\n\n\n", "\n\n")):
        while many in text:
            text = text.replace(many, one)
    return text.strip()


def mend(text: str) -> str:
    """Mojibake turned back, line by line: a document may mix broken and whole lines."""
    if _READ_AS_GBK.search(text):
        text = "\n".join(_from_gbk(line) for line in text.split("\n"))
    if not _SUSPECT.search(text):
        return text
    from ftfy import fix_encoding

    return "\n".join(fix_encoding(line) if _SUSPECT.search(line) else line for line in text.split("\n"))


def _from_gbk(line: str) -> str:
    """A line of UTF-8 that was read as GBK; any other line, which such bytes cannot be, stays as it is."""
    if not _READ_AS_GBK.search(line):
        return line
    try:
        return line.encode("gb18030").decode("utf-8")
    except UnicodeError:
        return line
