"""WARC and WET files: archived web pages, and the text that was taken from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from textmill.corpus import files, sources

_PAGES = ("text/html", "application/xhtml+xml")


def records(name: str, stream: IO[bytes], limit: int) -> Iterator[sources.Row | sources.BadInput]:
    """One row for each page (main text of its HTML) and each text record; ``line`` counts the records from 1.

    A record that is broken ends the file with a BadInput: behind it no boundary can be trusted.
    """
    archive = files.extra("warcio.archiveiterator", "WARC", "corpus.sources")
    exceptions = files.extra("warcio.exceptions", "WARC", "corpus.sources")
    number = 0
    try:
        # check_digests would read every payload twice; a length that does not fit is told all the same.
        for record in archive.ArchiveIterator(stream, no_record_parse=False, arc2warc=True):
            number += 1
            if record.rec_type not in ("response", "conversion", "resource"):
                continue
            declared = record.rec_headers.get_header("Content-Length")
            if declared is not None and not declared.strip().isdigit():
                yield sources.BadInput(name, number, f"broken WARC record: Content-Length {declared!r}")
                return
            yield from _record(name, number, record, limit)
    # AttributeError: the reader's own, where a response does not name its address
    except (exceptions.ArchiveLoadFailed, EOFError, ValueError, OSError, AttributeError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        yield sources.BadInput(name, number + 1, f"broken WARC record: {why}")
        return
    if not number:
        yield sources.BadInput(name, 0, "no WARC record")


def _record(name: str, number: int, record: object, limit: int) -> Iterator[sources.Row | sources.BadInput]:
    kind = record.rec_type  # type: ignore[attr-defined]
    headers = record.http_headers if kind == "response" else record.rec_headers  # type: ignore[attr-defined]
    if kind == "response" and (headers is None or not str(headers.get_statuscode()).startswith("2")):
        return
    content = (headers.get_header("Content-Type") or "").split(";")[0].strip().lower()
    if kind == "conversion":
        content = content or "text/plain"
    if content not in (*_PAGES, "text/plain"):
        return
    declared = record.length  # type: ignore[attr-defined]
    stream = record.content_stream()  # type: ignore[attr-defined]
    data = stream.read(limit + 1)
    left = getattr(record.raw_stream, "limit", 0)  # type: ignore[attr-defined]
    if len(data) > limit:
        yield sources.BadInput(name, number, f"a record of more than {limit} bytes (corpus.text.max_bytes)")
        return
    if left:
        yield sources.BadInput(
            name, number, f"broken WARC record: {left} of its {declared} bytes are missing"
        )
        return
    if content in _PAGES:
        text = sources.main_text(data)
        if text:
            yield sources.Row(text, name, number)
        return
    try:
        yield sources.Row(data.decode("utf-8"), name, number)
    except UnicodeDecodeError as error:
        yield sources.BadInput(name, number, f"not UTF-8 at byte {error.start} of the record")
