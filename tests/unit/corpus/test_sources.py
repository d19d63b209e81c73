"""Each format is read with file and line, and each kind of bad input is told in one clear line."""

import gzip
import io
import json
import tarfile
import zipfile
from datetime import date, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import polars as pl
import pytest

from textmill.corpus import ingest
from textmill.corpus.ingestion import shards
from textmill.corpus.sources import BadInput, Row, read
from textmill.errors import UserError
from textmill.records import write_jsonl

BY_DATE = {"dates": {"validation": "2024-01-01", "test": "2024-07-01"}}


def rows(corpus_params, path: Path | str, **source) -> list[tuple[str, int, str]]:
    params = corpus_params({"one": {"path": str(path), **source}})
    items = list(read("one", params))
    assert all(isinstance(item, Row) for item in items), items
    return [(Path(item.file).name, item.line, item.text) for item in items]


def problems(corpus_params, path: Path | str, limit: int | None = None, **source) -> list[str]:
    over = {"text": {"max_bytes": limit}} if limit else {}
    params = corpus_params({"one": {"path": str(path), **source}}, split=BY_DATE, **over)
    return [str(item) for item in read("one", params) if isinstance(item, BadInput)]


TEXT = "First line.\nSecond, 第二行。\n\nAfter a blank.\r\n"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("document", [(1, TEXT)]),
        ("line", [(1, "First line."), (2, "Second, 第二行。"), (4, "After a blank.")]),
        ("paragraph", [(1, "First line.\nSecond, 第二行。"), (4, "After a blank.")]),
    ],
)
@pytest.mark.parametrize("packing", ["plain", "bom", "gz", "zst", "zip", "tar.gz"])
def test_text(corpus_params, tmp_path, unit, expected, packing):
    data = TEXT.encode()
    path = tmp_path / "a.txt"
    if packing == "plain":
        path.write_bytes(data)
    elif packing == "bom":
        path.write_bytes(b"\xef\xbb\xbf" + data)
    elif packing == "gz":
        path = tmp_path / "a.txt.gz"
        path.write_bytes(gzip.compress(data))
    elif packing == "zst":
        zstandard = pytest.importorskip("zstandard")
        path = tmp_path / "a.txt.zst"
        # Two frames, as parallel compressors write them.
        path.write_bytes(zstandard.compress(data[:9]) + zstandard.compress(data[9:]))
    elif packing == "zip":
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("folder/a.txt", data)
    else:
        path = tmp_path / "a.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("folder/a.txt")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    found = rows(corpus_params, path, format="text", unit=unit)
    assert [(line, text) for _, line, text in found] == expected


def test_conll_gives_a_sentence_without_its_tags(corpus_params, tmp_path):
    sentences = "Mara B-PER\nlaughs O\n. O\n\n\nቀዳሚው O\nክልል I-LOC\n\n王 B-PER\n笑 O\n"
    (tmp_path / "a.txt").write_text(sentences, encoding="utf-8")
    assert rows(corpus_params, tmp_path / "a.txt", format="conll") == [
        ("a.txt", 1, "Mara laughs ."),
        ("a.txt", 6, "ቀዳሚው ክልል"),
        ("a.txt", 9, "王笑"),
    ]


def test_tables(corpus_params, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "one", "by": "x"}\n\n{"body": "二"}\n', encoding="utf-8")
    assert rows(corpus_params, tmp_path / "a.jsonl", format="jsonl", text_field="body") == [
        ("a.jsonl", 1, "one"),
        ("a.jsonl", 3, "二"),
    ]
    (tmp_path / "a.csv").write_text('n,body\n1,"one\nmore"\n2,二\n', encoding="utf-8")
    assert rows(corpus_params, tmp_path / "a.csv", format="csv", text_field="body") == [
        ("a.csv", 2, "one\nmore"),
        ("a.csv", 4, "二"),
    ]
    (tmp_path / "b.tsv").write_text('"one\t1\n二\t2\n', encoding="utf-8")
    assert rows(corpus_params, tmp_path / "b.tsv", format="csv", text_field=0) == [
        ("b.tsv", 1, '"one'),
        ("b.tsv", 2, "二"),
    ]
    pl.DataFrame({"body": ["one", "二"], "n": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    assert rows(corpus_params, tmp_path / "a.parquet", format="parquet", text_field="body") == [
        ("a.parquet", 1, "one"),
        ("a.parquet", 2, "二"),
    ]


def test_glob_order_and_encoding(corpus_params, tmp_path):
    for name in ("b.txt", "a.txt", "c.md"):
        (tmp_path / name).write_text(f"文件 {name}", encoding="gb18030")
    found = rows(corpus_params, tmp_path, format="text", unit="document", glob="*.txt", encoding="gb18030")
    assert found == [("a.txt", 1, "文件 a.txt"), ("b.txt", 1, "文件 b.txt")]


def test_address_with_scheme(corpus_params):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://shelf/a.txt", "wb") as file:
        file.write(b"from memory")
    found = rows(corpus_params, "memory://shelf", format="text", unit="document", glob="*.txt")
    assert [text for _, _, text in found] == ["from memory"]


def test_address_of_a_web_server(corpus_params, tmp_path):
    pytest.importorskip("fsspec")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"over the wire\n"))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        found = rows(corpus_params, f"{address}/a.txt.gz", format="text", unit="line")
        with pytest.raises(UserError, match=r"corpus\.sources\.one\.path: .*no\.txt"):
            rows(corpus_params, f"{address}/no.txt", format="text", unit="line")
        server.shutdown()
    assert found == [("a.txt.gz", 1, "over the wire")]


def test_hub_reads_what_datasets_reads(corpus_params, tmp_path):
    pytest.importorskip("datasets")
    pl.DataFrame({"t": ["one", "二"]}).write_parquet(tmp_path / "train.parquet")
    hub = {"format": "hub", "path": ".", "dataset": str(tmp_path), "revision": "main", "split": "train"}
    items = list(read("one", corpus_params({"one": {**hub, "text_field": "t"}})))
    assert [(item.text, item.line, item.file) for item in items] == [
        ("one", 1, f"{tmp_path}@main"),
        ("二", 2, f"{tmp_path}@main"),
    ]


def test_html(corpus_params, tmp_path):
    pytest.importorskip("trafilatura")
    prose = "The mill at the river grinds the texts of a whole valley, slowly and with care. " * 4
    page = f"<html><body><nav>Home About</nav><article><p>{prose}</p></article></body></html>"
    (tmp_path / "a.html").write_text(page)
    ((_, _, text),) = rows(corpus_params, tmp_path / "a.html", format="html")
    assert "grinds the texts" in text
    assert "About" not in text


def warc(*records: tuple[str, str, bytes], length: int | None = None) -> bytes:
    data = b""
    for kind, content, body in records:
        if kind == "response":
            body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
        data += (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:0>\r\n"
            f"WARC-Target-URI: https://example.org/\r\nWARC-Date: 2020-01-01T00:00:00Z\r\n"
            f"Content-Type: {content}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
        ).encode()
        data += body + b"\r\n\r\n"
    return data


PAGE = ("response", "application/http; msgtype=response", b"<html><body><p>" + b"A page about mills. " * 30)


def test_warc_and_wet(corpus_params, tmp_path):
    pytest.importorskip("warcio")
    (tmp_path / "a.warc").write_bytes(warc(PAGE, ("metadata", "text/plain", b"no text of the page")))
    ((_, line, text),) = rows(corpus_params, tmp_path / "a.warc", format="warc")
    assert line == 1
    assert text.startswith("A page about mills.")
    wet = warc(("conversion", "text/plain", "纯文本 one".encode()), ("conversion", "text/plain", b"two"))
    (tmp_path / "a.wet.gz").write_bytes(gzip.compress(wet))
    assert [text for _, _, text in rows(corpus_params, tmp_path / "a.wet.gz", format="warc")] == [
        "纯文本 one",
        "two",
    ]


def test_docstrings_are_english_prose(corpus_params):
    items = read("one", corpus_params({"one": {"format": "docstrings", "path": "."}}))
    first = [next(items) for _ in range(50)]
    assert all(len(row.text) > 20 and row.file.endswith(".py") and row.line > 0 for row in first)
    assert not any(">>>" in row.text for row in first)


LINES = {"format": "text", "unit": "line"}
WHOLE = {"format": "text", "unit": "document"}
JSONL = {"format": "jsonl", "text_field": "t"}
CSV = {"format": "csv", "text_field": "t"}
PARQUET = {"format": "parquet", "text_field": "t"}
BAD = {
    "empty": ("a.txt", b"", LINES, "a.txt: empty file"),
    "not UTF-8": (
        "a.txt", b"good\nb\xe4d\n", LINES, "a.txt:2: not UTF-8 at byte 1",
    ),
    "document not UTF-8": (
        "a.txt", b"good\nb\xe4d\n", WHOLE, "a.txt:2: not UTF-8 at byte 1",
    ),
    "binary": ("a.txt", b"PNG\0\1\2", LINES, "a.txt:1: not text: it contains zero"),
    "binary document": ("a.txt", b"\0\1", WHOLE, "a.txt: not text"),
    "long line": (
        "a.txt", b"x" * 5000 + b"\nok\n", LINES, "a.txt:1: a line of more than 1000",
    ),
    "long document": ("a.txt", b"x\n" * 5000, WHOLE, "a.txt: more than 1000"),
    "broken JSON": (
        "a.jsonl", b'{"t": "a"}\n{"t": \n', JSONL, "a.jsonl:2: not JSON at column 7",
    ),
    "JSON of another kind": (
        "a.jsonl", b'["t"]\n', JSONL, "a.jsonl:1: expected a JSON object, found list",
    ),
    "missing field": (
        "a.jsonl", b'{"txt": "a"}\n', JSONL, "a.jsonl:1: no field 't'; found: txt",
    ),
    "field of another type": (
        "a.jsonl", b'{"t": 3}\n', JSONL, "a.jsonl:1: field 't': expected text, found int",
    ),
    "missing group": (
        "a.jsonl", b'{"t": "a"}\n', {**JSONL, "group_field": "g"}, "a.jsonl:1: no field 'g'",
    ),
    "missing date": (
        "a.jsonl", b'{"t": "a"}\n', {**JSONL, "time_field": "d"},
        "a.jsonl:1: field 'd' (time_field): expected a date as 2024-05-31, found null",
    ),
    "no date": (
        "a.csv", b"t,d\na,31.05.2024\n", {**CSV, "time_field": "d"},
        "a.csv:2: field 'd' (time_field): expected a date as 2024-05-31, found \"31.05.2024\"",
    ),
    "missing column": (
        "a.csv", b"a,b\n1,2\n", CSV, "a.csv:1: no column 't'; found: a, b",
    ),
    "ragged row": (
        "a.csv", b"t,b\n1,2\n3\n", CSV, "a.csv:3: 1 fields where the header has 2",
    ),
    "no such column": (
        "a.csv", b"1,2\n", {**CSV, "text_field": 2}, "a.csv:1: no column 2: the first row has 2 fields",
    ),
    "not Parquet": ("a.parquet", b"PAR1 no", PARQUET, "a.parquet: not Parquet"),
    "truncated gz": (
        "a.txt.gz", gzip.compress(bytes(range(1, 128)) * 999)[:-30], WHOLE,
        "a.txt.gz: damaged or cut short",
    ),
    "no gz": ("a.txt.gz", b"plain", LINES, "a.txt.gz: damaged or cut short"),
    "no zip": ("a.zip", b"plain", LINES, "a.zip: damaged or cut short"),
    "no zst": ("a.txt.zst", b"plain", LINES, "a.txt.zst: damaged or cut short"),
    "no WARC": ("a.warc", b"plain text\n", {"format": "warc"}, "a.warc:1: broken WARC record"),
    "WARC cut short": ("a.warc", warc(PAGE)[:-200], {"format": "warc"}, "a.warc:1: broken WARC record: 19"),
    "WARC length": (
        "a.warc", warc(PAGE, length=10**6), {"format": "warc"}, "a.warc:1: broken WARC record",
    ),
}  # fmt: skip


DATES = {
    "2024-05-31": "2024-05-31",
    "20240531": "2024-05-31",
    "2024-05-31T23:59:59Z": "2024-05-31",
    "2024-05-31 08:00:00+08:00": "2024-05-31",
    "2024-05": "2024-05-01",
    "2024": "2024-01-01",
    2024: "2024-01-01",
}


def test_dates_of_iso_8601_are_days(corpus_params, tmp_path):
    write_jsonl(tmp_path / "a.jsonl", ({"t": "磨坊", "d": day} for day in DATES))
    days = [date(2024, 5, 31), datetime(2024, 5, 31, 8, 30)]
    for number, day in enumerate(days):
        pl.DataFrame({"t": ["the mill"], "d": [day]}).write_parquet(tmp_path / f"{number}.parquet")
    found = []
    for name in ("a.jsonl", "0.parquet", "1.parquet"):
        source = {**(JSONL if name.endswith("l") else PARQUET), "time_field": "d"}
        spec = corpus_params({"s": {"path": str(tmp_path / name), **source}}, split=BY_DATE)
        found += [row.date for row in read("s", spec)]
    assert found == [*DATES.values(), "2024-05-31", "2024-05-31"]


@pytest.mark.parametrize("case", BAD)
def test_bad_input(corpus_params, tmp_path, case):
    name, data, source, message = BAD[case]
    for extra in ("warcio", "zstandard"):
        if extra[:3] in name:
            pytest.importorskip(extra)
    (tmp_path / name).write_bytes(data)
    found = problems(corpus_params, tmp_path / name, limit=1000 if "long" in case else None, **source)
    assert len(found) == 1
    assert found[0].startswith(str(tmp_path / message))


def test_fail_and_skip(corpus_params, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "A good line of text."}\n{"t": \n{"t": "Another good line."}\n')
    sources = {"one": {"format": "jsonl", "path": str(tmp_path / "a.jsonl"), "text_field": "t"}}
    with pytest.raises(
        UserError, match=r"a\.jsonl:2: not JSON at column 7.*corpus\.sources\.one.*on_bad_input"
    ):
        ingest(corpus_params(sources, on_bad_input="fail"), tmp_path / "fail")
    metrics = ingest(corpus_params(sources, on_bad_input="skip"), tmp_path / "skip")
    assert metrics["documents"] == 2
    assert metrics["skipped"] == 1
    (skipped,) = (json.loads(line) for line in (tmp_path / "skip" / "skipped.jsonl").open())
    assert (skipped["source"], skipped["line"]) == ("one", 2)


def test_missing_file(corpus_params, tmp_path):
    for path, glob in ((tmp_path / "no.txt", None), (tmp_path, "*.txt")):
        params = corpus_params({"one": {"format": "text", "unit": "line", "path": str(path), "glob": glob}})
        with pytest.raises(UserError, match=r"corpus\.sources\.one\.path"):
            ingest(params, tmp_path / "out")


def test_unreadable_file(corpus_params, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("secret")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("textmill.corpus.files.open", refuse, raising=False)
    (found,) = problems(corpus_params, tmp_path / "a.txt", format="text", unit="line")
    assert "permission denied" in found


def test_hub_without_network_names_two_ways_out(corpus_params, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    hub = {
        "format": "hub",
        "path": ".",
        "dataset": "some/set",
        "revision": "abc",
        "split": "train",
        "text_field": "t",
    }
    with pytest.raises(UserError, match=r"some/set at revision abc.*Two ways out.*format: parquet"):
        ingest(corpus_params({"one": hub}), tmp_path / "out")


def test_a_source_that_is_set_aside_whole_stops_no_other(corpus_params, tmp_path):
    (tmp_path / "bytes.txt").write_bytes(b"\x89PNG\x00\x1a" * 50)
    sources = {"picture": {"format": "text", "unit": "document", "path": str(tmp_path / "bytes.txt")}}
    output = tmp_path / "documents" / "picture"
    metrics = ingest(corpus_params(sources, on_bad_input="skip"), output)
    assert metrics == {"documents": 0, "shards": 0, "skipped": 1}
    with pytest.raises(UserError, match=r"no source has a document; skipped\.jsonl beside each says why"):
        shards(tmp_path / "documents")
