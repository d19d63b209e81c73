"""Reading and writing what travels between stages."""

import pytest

from textmill.errors import UserError
from textmill.records import document_id, example_texts, read_json, read_jsonl, write_json, write_jsonl


def test_jsonl_round_trip_keeps_any_text(tmp_path):
    rows = [{"text": "naïve 你好 😀\u2028 line\nbreak"}, {"text": ""}]
    assert write_jsonl(tmp_path / "a" / "x.jsonl", rows) == 2
    assert list(read_jsonl(tmp_path / "a" / "x.jsonl")) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', r"x\.jsonl:2: not JSON at column"),
        (b'{"a": 1}\n{"a": "\xff"}\n', r"x\.jsonl:2: not UTF-8 at byte 7"),
    ],
)
def test_a_broken_line_is_named(tmp_path, content, message):
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_jsonl(tmp_path / "x.jsonl"))


def test_a_byte_order_mark_is_no_error(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    assert list(read_jsonl(tmp_path / "x.jsonl")) == [{"a": 1}]


def test_json_is_sorted_so_that_the_same_value_is_the_same_bytes(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    write_json(tmp_path / "b.json", {"a": 2, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"a": 2, "b": 1}


def test_missing_and_broken_json_are_told(tmp_path):
    with pytest.raises(UserError, match="no such file; the stage that makes it"):
        read_json(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{\n]")
    with pytest.raises(UserError, match=r"broken\.json:2: not JSON"):
        read_json(tmp_path / "broken.json")


def test_an_id_depends_on_source_and_content_alone():
    assert document_id("a", "text") == document_id("a", "text")
    assert len({document_id("a", "text"), document_id("b", "text"), document_id("a", "texts")}) == 3


def test_the_texts_of_an_example_of_each_shape():
    assert example_texts({"text": "a", "pair": None, "label": "x"}) == ["a"]
    assert example_texts({"question": "q", "context": "c", "answers": []}) == ["q", "c"]
    assert example_texts(
        {"turns": [{"role": "user", "text": "hi"}, {"role": "assistant", "text": "yes"}]}
    ) == ["hi", "yes"]
