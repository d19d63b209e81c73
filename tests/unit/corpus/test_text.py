import pytest

from textmill.corpus.text import clean, mend

GOOD = [
    "Ünïcödé “quotes” – fine…",
    "价格：１２３元，“全角”不变。",
    "Ærøskøbing, naïve café, £5 ± 3°",
    "Ещё один текст",
    "ÃO PAULO",
    "Â",
]


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252"])
@pytest.mark.parametrize(
    "text",
    [
        "the café’s naïve résumé",
        "我们今天去公园散步。",
        "Zürich – “schön”",
        "これは日本語です",
        "Привет, мир",
    ],
)
def test_mojibake_is_mended(text, encoding):
    broken = "".join(
        bytes([byte]).decode(encoding, errors="ignore") or chr(byte) for byte in text.encode("utf-8")
    )
    assert broken != text
    # ftfy leaves curly quotes; fix_encoding gives them back as they were.
    assert mend(f"A good line.\n{broken}") == f"A good line.\n{text}"


def test_utf8_read_as_gbk_is_mended():
    text = "我们今天去公园散步，天气很好"
    broken = text.encode("utf-8").decode("gb18030")
    assert broken != text
    assert mend(f"一行好的文字。\n{broken}") == f"一行好的文字。\n{text}"


@pytest.mark.parametrize("text", GOOD)
def test_good_text_stays(text):
    assert clean(text, mend_mojibake=True) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e\u0301", "é"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\x00b\x07c\ufeffd\u200be", "abcde"),
        ("a \t  b\u00a0c", "a b c"),
        ("a  \n\n\n\n b ", "a\n\n b"),
        ("家\u3000庭", "家\u3000庭"),
        ("نمی\u200cخواهم", "نمی\u200cخواهم"),  # the non-joiner is spelling
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_clean(text, expected):
    assert clean(text, mend_mojibake=True) == expected
    assert clean(expected, mend_mojibake=True) == expected


def test_screen_agrees_with_ftfy():
    from ftfy import fix_encoding

    samples = [
        word.encode("utf-8").decode(code, errors="ignore")
        for code in ("latin-1", "cp1252", "mac_roman", "cp1251", "cp1250")
        for word in GOOD
    ]
    same = [mend(text) == "\n".join(fix_encoding(line) for line in text.split("\n")) for text in samples]
    assert all(same)


def test_ascii_is_cleaned_as_other_text_is():
    import random

    draw = random.Random(4)
    for _ in range(500):
        text = "".join(draw.choices("ab \t\n\r\x0b\x0c\x1c\x1f\x00\x7f .", k=40))
        assert clean(text + "é", mend_mojibake=True) == clean(text + "e", mend_mojibake=True)[:-1] + "é"
