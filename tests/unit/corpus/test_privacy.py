"""Personal data is found where it is, also right after a Chinese character, and not where it only looks so.

All items are invented: numbers with right check digits that belong to nobody, addresses of example domains.
"""

import pytest

from textmill.corpus.privacy import KINDS, chinese_id, find, iban, luhn, redact

ALL = tuple(KINDS)


def with_check_digit(seventeen: str) -> str:
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(seventeen))
    return seventeen + "10X98765432"[total % 11]


ID = with_check_digit("11010519491231002")
OTHER_ID = with_check_digit("44030619880229123")

FOUND = [
    ("email", "ann.lee+mill@mail.example.org"),
    ("email", "o'neil@example.co.uk"),
    ("email", "x@example.museum"),
    ("phone", "+86 138 0013 8000"),
    ("phone", "+8613800138000"),
    ("phone", "13800138000"),
    ("phone", "138-0013-8000"),
    ("phone", "139 1234 5678"),
    ("phone", "010-62345678"),
    ("phone", "0755-82345678"),
    ("phone", "400-820-1234"),
    ("phone", "+44 20 7946 0958"),
    ("phone", "+1 (415) 555-0132"),
    ("phone", "+49 (0)30 901820"),
    ("phone", "0049 30 901820"),
    ("phone", "(415) 555-0132"),
    ("phone", "415-555-0132"),
    ("phone", "415.555.0132"),
    ("phone", "1-800-555-0132"),
    ("phone", "01632 960 123"),
    ("id_number", ID),
    ("id_number", OTHER_ID),
    ("card", "4111 1111 1111 1111"),
    ("card", "5555555555554444"),
    ("card", "3782 822463 10005"),
    ("card", "6011-1111-1111-1117"),
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "DE89370400440532013000"),
    ("iban", "NO93 8601 1117 947"),
    ("ip", "192.0.2.146"),
    ("ip", "203.0.113.7"),
    ("ip", "2001:db8:85a3::8a2e:370:7334"),
    ("ip", "2001:0db8:0000:0000:0000:ff00:0042:8329"),
    ("mac", "00:1A:2B:3C:4D:5E"),
    ("mac", "00-1a-2b-3c-4d-5e"),
    ("ssn", "123-45-6789"),
    ("key", "AKIAIOSFODNN7EXAMPLE"),
    ("key", "ghp_" + "a1B2" * 9),
    ("key", "sk-proj-" + "Ab3dEf6h" * 4),
    ("key", "AIza" + "Sy0aB" * 7),
    ("key", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK"),
    ("key", "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"),
]
AROUND = [
    "{}",
    "Write to {} today.",
    "联系方式是{}，谢谢。",
    "请记下{}这个",
    "({})",
    "a: {}, b",
    "号码：{}。",
]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(("kind", "item"), FOUND)
def test_found_and_replaced(kind, item, around):
    text = around.format(item)
    ((replaced,), (count,)) = redact([text], ALL)
    assert dict(count) == {kind: 1}
    assert replaced == around.format(f"[{kind.upper()}]")


def test_marked_by_the_words_before():
    for text, kind in [
        ("Call me at 555-0132 tonight", "phone"),
        ("tel: 5550 1324", "phone"),
        ("电话82345678转3", "phone"),
        ("api_key = 'abcd1234efgh5678ijkl'", "key"),
        ("密码：Tr0ub4dor3xyzAbcd", "key"),
        ("https://ann:s3cret@example.org/x", "url_login"),
    ]:
        assert dict(find(text, ALL)) == {kind: 1}, text


@pytest.mark.parametrize(
    "text",
    [
        "user@localhost and @handle and a@b",
        "price 4111 1111 1111 1112",  # a card's form, a wrong check digit
        "order 5555555555554445 was sent",
        "DE89370400440532013001",  # an IBAN's form, wrong check digits
        "GB00 WEST 1234 5698 7654 32",
        ID[:-1] + ("1" if ID[-1] != "1" else "2"),
        "110105194913310021",  # no such month
        "number 112345678901234567890123",
        "12345678901",
        "在2024年13800138000123次",  # more digits than a number has
        "section 1.2.3.4 and version 2.0.1.0",
        "127.0.0.1 and 0.0.0.0",
        "256.300.1.2",
        "1.2.3.4.5.6",
        "at 12:30:45 and 2024-01-15 10:20:30",
        "ratio 3:2:1, std::vector, a::b",
        "2024-11-24, 24.11.2024, 11/24/2024",
        "1,234,567,890 people in 1990-2000",
        "pi 3.14159265358979",
        "ISBN 978-3-16-148410-0",
        "666-45-6789 and 123-00-6789",
        "the score was 415-555 and 0132",
        "a secret: everything is fine here today",
        "token = identification_of_the_user",
        "risk-free-and-without-any-sorrow-at-all",
        "第13章第4节第138页",
        "DNA-123-456, part 12-345-67",
        "0.13812345678",
    ],
)
def test_near_misses_stay(text):
    ((replaced,), (count,)) = redact([text], ALL)
    assert not count, count
    assert replaced == text


def test_only_wanted_kinds():
    text = f"a@example.org 13800138000 {ID}"
    ((replaced,), (count,)) = redact([text], ["phone"])
    assert replaced == f"a@example.org [PHONE] {ID}"
    assert dict(count) == {"phone": 1}


def test_several_in_one_text_and_none_in_another():
    texts, counts = redact(["a@example.org, b@example.org; 192.0.2.1", "nothing here", ""], ALL)
    assert texts == ["[EMAIL], [EMAIL]; [IP]", "nothing here", ""]
    assert [count.total() for count in counts] == [3, 0, 0]


def test_replacing_twice_changes_nothing():
    texts, _ = redact([around.format(item) for around in AROUND for _, item in FOUND], ALL)
    again, counts = redact(texts, ALL)
    assert again == texts
    assert not any(counts)


def test_check_digits():
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert chinese_id(ID)
    assert not chinese_id("0" + ID[1:])
    assert iban("FR1420041010050500013M02606")
    assert not iban("XX1420041010050500013M02606")
