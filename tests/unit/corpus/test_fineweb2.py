import pytest

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
    found = thresholds(tmp_path, "swh_Latn")
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
        thresholds(tmp_path, "swa_Latn")
    with pytest.raises(UserError, match="dup_line_frac: expected a number"):
        thresholds(tmp_path, "swh_Latn")
