"""What the command line reads: a text or a JSON object a line, and the place of what is none."""

from pathlib import Path

import pytest

from textmill import inputs
from textmill.errors import UserError


def test_inputs_are_texts_or_json_lines_and_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text('one\n\n{"text": "two"}\n', encoding="utf-8")
    checked = []
    found = list(inputs.read([], path, lambda *item: checked.append(item)))
    assert found == ["one", {"text": "two"}]
    assert checked == [("one", f"{path}:1"), ({"text": "two"}, f"{path}:3")]
    for line, message in (
        ('{"text": ', "not JSON"),
        ('{"text": ' + "[" * 100_000, "cannot be read: .*recursion"),
        ('{"text": ' + "1" * 5_000 + "}", "cannot be read: .*digits"),
    ):
        path.write_text(f"one\n{line}\n", encoding="utf-8")
        with pytest.raises(UserError, match=rf"in\.txt:2: {message}"):
            list(inputs.read([], path, lambda *_: None))
