"""The command line: answers on standard output, a user's mistake in one line with exit code 1."""

import json
import subprocess
import sys
from pathlib import Path

import polars
import pytest

from textmill import cli
from textmill.errors import UserError

ROOT = Path(__file__).parents[2]


def _run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["textmill", *arguments])
    cli.main()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "sentiment", "text"], "no model 'sentiment'; none under "),
        (["trace", "sentiment"], "no stage has made a model 'sentiment'"),
        (["results"], "params.yaml: no such file"),
        (["inspect", "nowhere.csv"], "nowhere.csv"),
        (["corpus", "diff", "before"], "before/train.parquet: no such file"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        _run(monkeypatch, *arguments)
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told


@pytest.mark.parametrize("command", [("why", "a"), ("corpus", "diff", "data/corpus")])
@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no table", "expected a Parquet file that curate wrote"), (None, "expected a column id; found text")],
)
def test_a_broken_corpus_is_told(tmp_path, monkeypatch, capsys, command, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    path = tmp_path / "data" / "corpus" / "train.parquet"
    path.parent.mkdir(parents=True)
    for name in ("train", "validation", "test", "dropped"):
        polars.DataFrame({"text": ["a"]}).write_parquet(path.with_stem(name))
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit):
        _run(monkeypatch, *command)
    assert capsys.readouterr().err.startswith(f"textmill: data/corpus/train.parquet: {message}")


def test_results_of_another_version_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    folder = tmp_path / "metrics" / "pretrain"
    folder.mkdir(parents=True)
    for content, message in (("{}", "bits_per_byte is missing"), ("[]", "expected a JSON object, found []")):
        (folder / "encoder.json").write_text(content)
        with pytest.raises(SystemExit):
            _run(monkeypatch, "results")
        assert f"metrics/pretrain/encoder.json: {message}" in capsys.readouterr().err


def test_make_clean_leaves_what_git_tracks(tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("reports/curves/.gitignore", "reports/curves/a.json", "reports/index.html", "models/a/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["Makefile", "reports/curves/.gitignore"]


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["predict", "x", "good", "--batch-size", "0"], "--batch-size"),
        (["predict", "x", "good", "--batch-size", "-1"], "--batch-size"),
        (["predict", "x", "good", "--batch-size", "many"], "--batch-size"),
        (["annotate", "x", "out.json", "--count", "0"], "--count"),
        (["curve", "x", "--sizes", "100", "0"], "--sizes"),
        (["serve", "x", "--port", "65536"], "--port"),
        (["serve", "x", "--max-inputs", "0"], "--max-inputs"),
        (["serve", "x", "--max-characters", "-5"], "--max-characters"),
        (["generate", "x", "good", "--seed", "-1"], "--seed"),
        (["generate", "x", "good", "--seed", "9" * 23], "--seed"),
        (["generate", "x", "good", "--seed", "9" * 5000], "--seed"),
    ],
)
def test_a_number_out_of_range_is_told_with_its_option(monkeypatch, capsys, arguments, option):
    with pytest.raises(SystemExit):
        _run(monkeypatch, *arguments)
    assert f"argument {option}: expected a whole number from " in capsys.readouterr().err


def test_debug_lets_the_traceback_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        _run(monkeypatch, "--debug", "results")


def test_inspect_prints_a_block_to_paste(tmp_path, monkeypatch, capsys):
    rows = [{"text": f"text {i}", "label": "good" if i % 2 else "bad"} for i in range(20)]
    path = tmp_path / "reviews.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    _run(monkeypatch, "inspect", str(path))
    told = capsys.readouterr().out
    assert "sequence_classification" in told
    assert "bad" in told
