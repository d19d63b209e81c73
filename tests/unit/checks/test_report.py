"""Great Expectations' verdicts on all suites, run once; what is written, and what stops the pipeline."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.unit.browser import CHROMIUM, Browser
from textmill.checks import Report, check_corpus, data_docs, report
from textmill.checks.definitions import DEFINITIONS
from textmill.errors import UserError
from textmill.params import Check, Params
from textmill.records import write_jsonl


def write(folder: Path, documents: pl.DataFrame, tasks: dict[str, Any]) -> dict[str, Path]:
    """A curated corpus and task data as the stages leave them; returns the folders of the tasks."""
    (folder / "corpus").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = documents.filter(pl.col("split") == split).drop("split")
        rows.write_parquet(folder / "corpus" / f"{split}.parquet")
    dropped = pl.DataFrame({"id": ["gone"] * 24, "rule": ["language"] * 24})
    dropped.write_parquet(folder / "corpus" / "dropped.parquet")
    for name, splits in tasks.items():
        for split, examples in splits.items():
            write_jsonl(folder / name / f"{split}.jsonl", examples)
    return {name: folder / name for name in tasks}


@pytest.fixture(scope="module")
def small(params: Params) -> Params:
    """Bounds of size that a corpus of 240 documents meets."""
    size = Check(min=1, severity="fail")
    corpus = params.checks.corpus.model_copy(update={"documents": size, "characters": size})
    return params.model_copy(update={"checks": params.checks.model_copy(update={"corpus": corpus})})


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory, clean: pl.DataFrame, small: Params) -> Report:
    """A corpus with one secret text that is mojibake, without the column that confidence needs."""
    folder = tmp_path_factory.mktemp("dirty")
    place = pl.int_range(pl.len()) == 4
    spoilt = "Verysecret words about the river and the cafÃ© in the old town near the green garden."
    documents = clean.with_columns(pl.when(place).then(pl.lit(spoilt)).otherwise("text").alias("text")).drop(
        "confidence"
    )
    return check_corpus(small, folder / "corpus", write(folder, documents, {}))


def test_good_data_passes_every_check(
    clean: pl.DataFrame, tasks: dict[str, Any], small: Params, tmp_path: Path
) -> None:
    found = check_corpus(small, tmp_path / "corpus", write(tmp_path, clean, tasks))
    assert [row["name"] for row in found.results if not row["passed"]] == []
    assert found.errors == []
    found.require()
    metrics = found.metrics()
    assert metrics["checks"] == metrics["passed"] == 62
    assert metrics["corpus_language_share"] == pytest.approx(0.24, abs=0.02)


def test_a_failure_is_told_apart_from_an_error(dirty: Report, clean: pl.DataFrame) -> None:
    failed = [row for row in dirty.results if not row["passed"]]
    assert [row["name"] for row in failed] == ["mojibake"]
    row = failed[0]
    assert row["offenders"] == [clean["id"][4]]
    assert row["command"] == f"textmill why {clean['id'][4]}"
    assert (row["figure"], row["max"], row["unexpected"], row["rows"]) == (1, 0, 1, 240)
    assert [row["name"] for row in dirty.errors] == ["language_confidence"]
    assert "language_confidence" in dirty.errors[0]["error"]


def test_what_stops_the_pipeline_names_check_figure_bound_ids_and_command(
    dirty: Report, clean: pl.DataFrame
) -> None:
    with pytest.raises(UserError) as caught:
        dirty.require()
    message = str(caught.value)
    assert "document.mojibake: 1 sequences, expected at most 0 (1 of 240 documents outside" in message
    assert f"textmill why {clean['id'][4]}" in message
    assert "language_confidence" not in message  # only a warning


def test_results_are_the_same_bytes_and_hold_no_text(dirty: Report, tmp_path: Path) -> None:
    dirty.write(tmp_path / "a.json")
    first = (tmp_path / "a.json").read_bytes()
    data = json.loads(first)
    assert [list(row) for row in data["results"]] == [sorted(row) for row in data["results"]]
    assert b"Verysecret" not in first
    assert not re.search(rb"20\d\d-\d\d-\d\d|run_id", first)


def test_data_docs_are_offline_deterministic_and_hold_no_text(dirty: Report, tmp_path: Path) -> None:
    dirty.write_data_docs(tmp_path / "a")
    dirty.write_data_docs(tmp_path / "b")
    pages = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {"index.html", "documents.html", "splits.html"} <= set(pages)
    for name in pages:
        text = (tmp_path / "a" / name).read_text(encoding="utf-8")
        assert text == (tmp_path / "b" / name).read_text(encoding="utf-8")
        assert not re.search(r"https?:|<script|<link|src=|Verysecret|Traceback|/site-packages/", text)
        for target in re.findall(r'href="([^"#]+)', text):
            assert target in pages
    documents = (tmp_path / "a" / "documents.html").read_text(encoding="utf-8")
    assert "could not run" in documents
    assert "values must be less than or equal to" in documents  # what the library itself says


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_loads_nothing_beside_the_page(dirty: Report, tmp_path: Path) -> None:
    docs = tmp_path / "data_docs"
    dirty.write_data_docs(docs)
    browser = Browser(tmp_path / "profile")
    try:
        for name in sorted(path.name for path in docs.iterdir()):
            browser.requests.clear()
            address = (docs / name).as_uri()
            browser.open(address)
            browser.run("new Promise(done => setTimeout(done, 300))")
            assert browser.requests == [address]
            assert browser.run("document.body.innerText.length") > 100
        assert browser.troubles == []
    finally:
        browser.close()


def test_every_check_has_a_key_a_sentence_and_a_page(params: Params) -> None:
    assert len(DEFINITIONS) >= 40
    for level in ("document", "corpus", "tokens", "labels"):
        block = getattr(params.checks, level)
        assert set(type(block).model_fields) == {d.name for d in DEFINITIONS if d.level == level}
    for definition in DEFINITIONS:
        assert definition.why.endswith(".")
        assert definition.table in data_docs.TITLES


def test_the_figure_is_the_one_farthest_outside(params: Params) -> None:
    from textmill.checks.suites import Verdict

    table = pl.DataFrame({"id": ["a", "b", "c"], "characters": [5, 20, 4]})
    definition = next(d for d in DEFINITIONS if d.name == "characters")
    row = report._result(table, definition, Check(min=10, max=100, severity="fail"), Verdict(False, 2, None))
    assert (row["figure"], row["offenders"]) == (4, ["c", "a"])


def test_a_misspelt_check_is_met_with_the_nearest_name(tmp_path: Path) -> None:
    from textmill.params import load

    source = Path(__file__).parents[3] / "params.yaml"
    text = source.read_text(encoding="utf-8").replace("    mojibake: {", "    mojibakes: {")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="did you mean mojibake"):
        load(tmp_path / "params.yaml")


class _Writer:
    """A tokenizer of eight ids, as far as the checks look at one."""

    all_special_ids = (0, 1, 2)
    unk_token_id, eos_token_id = 1, 2

    def __len__(self) -> int:
        return 8

    def decode(self, ids: list[int]) -> str:
        return "".join("..." if i < 3 else "abcde?"[min(i - 3, 5)] for i in ids)

    def batch_decode(self, rows: list[Any], **_: Any) -> list[str]:
        return [self.decode(list(row)) for row in rows]


@pytest.mark.parametrize(
    ("defect", "column", "figure"),
    [
        (None, None, 0),
        ("range", "ids_in_range", 1),
        ("special", "special_tokens", 1),
        ("open", "document_ends", 1),
        ("short", "packed_length", 2),
        ("unknown", "unknown", 1 / 12),
        ("text", "round_trip", 1),
    ],
)
def test_packed_ids(
    defect: str | None, column: str | None, figure: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textmill.checks import tokens
    from textmill.records import write_json

    monkeypatch.setattr("textmill.tokenizer.load", lambda folder: _Writer())
    (tmp_path / "corpus").mkdir()
    for split in ("train", "validation", "test"):
        ids, names = [3, 4, 5, 2, 6, 7, 2], [f"{split}-a", f"{split}-b"]
        texts = ["abc", "de"]
        if split == "train":
            ids[1] = {"range": 9, "special": 0, "unknown": 1}.get(defect or "", ids[1])
            ids[3] = 5 if defect == "open" else ids[3]
            texts[0] = "abd" if defect == "text" else texts[0]
        pl.DataFrame({"id": names, "text": texts, "language": ["en", "zh"]}).write_parquet(
            tmp_path / "corpus" / f"{split}.parquet"
        )
        folder = tmp_path / "tokens"
        folder.mkdir(exist_ok=True)
        stored = ids[:-1] if defect == "short" and split == "train" else ids
        np.array(stored, np.uint16).tofile(folder / f"{split}.bin")
        np.array([0, 4, 7], np.uint64).tofile(folder / f"{split}.offsets.bin")
        write_json(folder / f"{split}.json", {"dtype": "uint16", "tokens": 7, "ids": names})
    tables = tokens.tables(tmp_path, tmp_path / "tokens", tmp_path / "corpus", {}, 100)
    splits = tables["token_splits"]
    worst = {
        name: splits[name].max()
        for name in ("ids_in_range", "special_tokens", "document_ends", "packed_length")
    }
    worst["unknown"] = tables["token_languages"]["unknown"].max()
    worst["round_trip"] = tables["token_documents"]["round_trip"].max()
    if column is None:
        assert worst == dict.fromkeys(worst, 0)
        assert tables["vocabulary"]["vocabulary_used"][0] == 1
        assert tables["vocabulary"]["drift_tokens"][0] == 0
        assert tables["token_languages"].filter(pl.col("id") == "en")["bytes_per_token"][0] == 0.75
    else:
        assert worst[column] == pytest.approx(figure)
