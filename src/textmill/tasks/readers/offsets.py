"""Offsets in UTF-16 code units, as tools in JavaScript count: an emoji is two of them and one character."""

from __future__ import annotations


def to_utf16(text: str, offset: int) -> int:
    """The offset in UTF-16 code units of the place ``offset`` characters into the text."""
    return len(text[:offset].encode("utf-16-le", "surrogatepass")) // 2


def from_utf16(text: str, offset: int) -> int | None:
    """The offset in characters of a place in UTF-16 code units; None inside a character or outside."""
    units = text.encode("utf-16-le", "surrogatepass")
    if not 0 <= 2 * offset <= len(units):
        return None
    try:
        return len(units[: 2 * offset].decode("utf-16-le"))
    except UnicodeDecodeError:
        return None
