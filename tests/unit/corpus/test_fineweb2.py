import io
import sys
import urllib.error
import urllib.request

import pytest

from textmill import cli
from textmill.corpus.fineweb2 import thresholds
from textmill.errors import UserError
from textmill.params import QUALITY_RULES

FILE = """
dup_line_frac: 0.25
dup_n_grams:
- - 5
  - 0.2
- - 10
  - 0.1
language_score: 0.7
line_punct_thr: 0.1
max_avg_word_length: 12
max_non_alpha_words_ratio: 0.7
min_avg_word_length: 2
new_line_ratio: 0.2
stopwords:
- na
top_n_grams:
- - 2
  - 0.15
"""


def test_thresholds_are_bounds_of_our_rules(tmp_path):
    (tmp_path / "swh_Latn.yml").write_text(FILE)
    found = thresholds("swh_Latn", tmp_path)
    assert found == {
        "gopher_word_length": {"min": 2, "max": 12},
        "gopher_alphabetic_words": {"min": 0.7},
        "gopher_duplicate_lines": {"max": 0.25},
        "fineweb_line_punctuation": {"min": 0.1},
        "fineweb_newlines": {"max": 0.2},
        "gopher_top_2gram": {"max": 0.15},
        "gopher_duplicate_5grams": {"max": 0.2},
        "gopher_duplicate_10grams": {"max": 0.1},
    }
    assert set(found) <= set(QUALITY_RULES)


def test_a_code_without_a_file_and_a_wrong_number_are_told(tmp_path):
    (tmp_path / "swh_Latn.yml").write_text("dup_line_frac: much")
    with pytest.raises(UserError, match="near it: swh_Latn"):
        thresholds("swa_Latn", tmp_path)
    with pytest.raises(UserError, match="dup_line_frac: expected a number"):
        thresholds("swh_Latn", tmp_path)


def test_published_ones_are_fetched_by_code(monkeypatch, capsys, tmp_path):
    asked = []

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(FILE.encode())

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    (tmp_path / "swh_Latn.yml").write_text(FILE)
    assert thresholds("swh_Latn") == thresholds("swh_Latn", tmp_path)
    (address,) = asked
    assert address.startswith("https://")
    assert address.endswith("huggingface/fineweb-2/main/configs/swh_Latn.yml")
    monkeypatch.setattr(sys, "argv", ["textmill", "corpus", "thresholds", "swh_Latn"])
    cli.main()
    printed = capsys.readouterr().out
    assert printed.startswith("quality:\n  gopher_word_length: {min: 2, max: 12}\n")


def test_without_a_network_both_ways_out_are_told(monkeypatch):
    def no_network(address, timeout):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(UserError, match="Name or service not known") as told:
        thresholds("swh_Latn")
    assert "run where there is a network" in str(told.value)
    assert "textmill corpus thresholds swh_Latn FOLDER" in str(told.value)


@pytest.mark.parametrize(("status", "words"), [(404, "publishes no thresholds"), (503, "HTTP 503")])
def test_what_the_server_refuses_is_told(monkeypatch, status, words):
    def refuse(address, timeout):
        raise urllib.error.HTTPError(address, status, "no", {}, None)

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(UserError, match=words):
        thresholds("xx_Latn")
