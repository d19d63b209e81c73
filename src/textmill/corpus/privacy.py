"""Personal data: found by pattern and check digit, replaced by typed placeholders, counted, never logged.

Guards are against neighbouring digits and ASCII letters and not word boundaries: to a regular expression a
Chinese character is a letter, and ``电话13800138000`` has no boundary before the number.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Kind:
    """A kind of personal data: its pattern, what a find must pass, and the group that is replaced."""

    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = lambda found: True
    group: int = 0


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def chinese_id(number: str) -> bool:
    """The date of birth and the check digit of a Chinese resident identity number (GB 11643-1999)."""
    if number[0] == "0":
        return False
    try:
        born = datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    if not 1900 <= born.year <= 2099:
        return False
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17].upper()


def iban(text: str) -> bool:
    """The length for the country and the check digits of an IBAN (ISO 13616)."""
    number = text.replace(" ", "")
    if len(number) != _IBAN_LENGTHS.get(number[:2]):
        return False
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1


# Characters of an IBAN by country (ISO 13616, registry).
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "PT",
        26: "IS TR",
        27: "FR GR IT MC MR SM",
        28: "AL AZ BY CY DO EG GT HU LB PL",
        29: "BR PS QA UA",
        30: "JO KW MU",
        31: "MT",
        32: "LC",
    }.items()
    for country in countries.split()
}


def _card(text: str) -> bool:
    digits = _digits(text)
    return 13 <= len(digits) <= 19 and digits[0] in "3456" + "2" and len(set(digits)) > 1 and luhn(digits)


def _ip(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return False
    # 1.2.3.4 is the number of a section or a version more often than an address.
    return address.version == 6 or any(int(part) >= 10 for part in text.split("."))


def _phone(text: str) -> bool:
    digits = _digits(text)
    return 7 <= len(digits) <= 15 and len(set(digits)) > 1


def _ssn(text: str) -> bool:
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def _secret(text: str) -> bool:
    """Whether letters and digits are mixed as in a key and not as in a word."""
    return any(c.isdigit() for c in text) and any(c.isalpha() for c in text) and len(set(text)) >= 8


_START = r"(?<![0-9A-Za-z])"
_NOT_IN_NUMBER = r"(?<![0-9])(?<![0-9][.,/:-])"
_NUMBER_ENDS = r"(?![0-9])(?![.,/:-][0-9])"

# In the order in which they are looked for: what is more surely one thing comes first.
KINDS: dict[str, tuple[Kind, ...]] = {
    "key": (
        Kind(
            re.compile(
                r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]{1,8000}?-----END [A-Z ]*PRIVATE KEY-----"
                rf"|{_START}(?:AKIA|ASIA)[0-9A-Z]{{16}}(?![0-9A-Za-z])"
                rf"|{_START}(?:gh[pousr]_[0-9A-Za-z]{{36,}}|github_pat_[0-9A-Za-z_]{{22,}}|glpat-[0-9A-Za-z_-]{{20,}}"
                r"|hf_[0-9A-Za-z]{30,}|npm_[0-9A-Za-z]{36}|xox[abprs]-[0-9A-Za-z-]{10,}|AIza[0-9A-Za-z_-]{35}"
                r"|sk-(?:[a-z]+-)?[0-9A-Za-z_-]{20,}|[rs]k_live_[0-9A-Za-z]{16,}"
                r"|eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,})"
            )
        ),
        Kind(
            re.compile(
                r"(?i:api[_ -]?key|secret|token|passw(?:or)?d|密钥|密码|令牌)"
                r"[\"']?\s{0,2}(?:[:=：]|is\s|是)\s{0,2}[\"']?([0-9A-Za-z_+/=-]{16,})"
            ),
            _secret,
            group=1,
        ),
    ),
    "url_login": (Kind(re.compile(r"(?<=://)[^\s/@:]{1,64}:[^\s/@]{1,128}(?=@[0-9A-Za-z])")),),
    "email": (
        Kind(
            re.compile(
                r"(?<![0-9A-Za-z._%+-])[0-9A-Za-z](?:[0-9A-Za-z._%+'-]{0,62}[0-9A-Za-z_%+-])?@"
                r"(?:[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?\.){1,8}[A-Za-z]{2,24}(?![0-9A-Za-z])"
            )
        ),
    ),
    "iban": (
        Kind(
            re.compile(
                r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?(?![0-9A-Za-z])"
            ),
            iban,
        ),
    ),
    "id_number": (Kind(re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9A-Za-z])"), chinese_id),),
    "card": (
        Kind(
            re.compile(
                rf"{_NOT_IN_NUMBER}(?:[0-9]{{13,19}}|[0-9]{{4}}(?:[ -][0-9]{{4}}){{3}}(?:[ -][0-9]{{1,3}})?"
                rf"|3[0-9]{{3}}[ -][0-9]{{6}}[ -][0-9]{{4,5}}){_NUMBER_ENDS}"
            ),
            _card,
        ),
    ),
    "ip": (
        Kind(re.compile(r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z])(?!\.[0-9])"), _ip),
        Kind(
            re.compile(
                r"(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f:]*[0-9])[0-9A-Fa-f]{1,4}(?::{1,2}[0-9A-Fa-f]{1,4}){2,7}(?:::)?(?![0-9A-Za-z:])"
            ),
            _ip,
        ),
    ),
    "mac": (
        Kind(
            re.compile(
                r"(?<![0-9A-Za-z:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Za-z:-])"
            )
        ),
    ),
    "ssn": (Kind(re.compile(r"(?<![0-9-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])"), _ssn),),
    "phone": (
        # +86 138 0013 8000 and the like, with 8 to 15 digits
        Kind(
            re.compile(
                r"(?<![0-9A-Za-z+])(?:\+|(?<![0-9][ .-])00(?=[1-9]))[1-9][0-9]{0,2}"
                r"(?:[ .-]?\([0-9]{1,4}\))?(?:[ .-]?[0-9]{1,5}){2,6}(?![0-9])"
            ),
            lambda found: 8 <= len(_digits(found).removeprefix("00")) <= 15,
        ),
        # Chinese mobile and land line
        Kind(
            re.compile(
                rf"{_NOT_IN_NUMBER}1[3-9][0-9](?:[0-9]{{8}}|([ -])[0-9]{{4}}\1[0-9]{{4}}){_NUMBER_ENDS}"
            ),
            _phone,
        ),
        Kind(
            re.compile(
                rf"{_NOT_IN_NUMBER}(?:\(0[0-9]{{2,3}}\) ?|（0[0-9]{{2,3}}）|0[0-9]{{2,3}}[ -])"
                rf"[2-9][0-9]{{6,7}}(?:-[0-9]{{1,5}})?{_NUMBER_ENDS}"
            ),
            _phone,
        ),
        Kind(re.compile(rf"{_NOT_IN_NUMBER}[48]00-[0-9]{{3,4}}-?[0-9]{{3,4}}{_NUMBER_ENDS}"), _phone),
        # North American, British and generally grouped numbers
        Kind(
            re.compile(
                rf"{_NOT_IN_NUMBER}(?:1[ .-])?(?:\([2-9][0-9]{{2}}\) ?-?|[2-9][0-9]{{2}}([-. ]|/))"
                rf"[2-9][0-9]{{2}}[-. ][0-9]{{4}}{_NUMBER_ENDS}"
            ),
            _phone,
        ),
        Kind(
            re.compile(rf"{_NOT_IN_NUMBER}0[1-9][0-9]{{2,3}} [0-9]{{3}} ?[0-9]{{3,4}}{_NUMBER_ENDS}"), _phone
        ),
        # A number that the text itself calls a telephone's
        Kind(
            re.compile(
                r"(?i:\b(?:tele)?phone|\btel|\bfax|\bcell|\bmobile|\bcall|\bpager|\bdial|电话|手机|传真|致电)"
                r"(?i: number| no)?\.?(?:[:：#]|\s+(?:is|at|me at|us at)|号码?[是为：:]?|)\s{0,2}"
                r"((?:[0-9]{3,4}[-. ])?[0-9]{3,4}[-. ]?[0-9]{4})(?![0-9])(?![.,/:-][0-9])"
            ),
            _phone,
            group=1,
        ),
    ),
}
PLACEHOLDERS = {name: f"[{name.upper()}]" for name in KINDS}

# What a text must hold for a kind to be worth looking for: a fast scan spares most texts the slow one.
_SCREENS = {
    "key": r"PRIVATE KEY|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|hf_|npm_|xox[abprs]-|AIza|sk-|k_live_|eyJ"
    r"|(?i:key|secret|token|passw)[^\n]{0,12}[0-9A-Za-z_+/=-]{16}|密钥|密码|令牌",
    "url_login": r"://[^\s/@:]+:[^\s/@]+@",
    "email": r"@[0-9A-Za-z]",
    "iban": r"[A-Z]{2}[0-9]{2} ?[0-9A-Z]{4}",
    "id_number": r"[0-9]{17}[0-9Xx]",
    "card": r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}|[0-9]{4}[ -][0-9]{6}",
    "ip": r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9A-Fa-f]:[0-9A-Fa-f:]+:[0-9A-Fa-f]",
    "mac": r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]",
    "ssn": r"[0-9]{3}-[0-9]{2}-[0-9]{4}",
    "phone": r"[0-9][0-9 ().+/-]{5,}[0-9]|0[0-9]{2,3}）[0-9]",
}


def redact(texts: Sequence[str], kinds: Sequence[str]) -> tuple[list[str], list[Counter[str]]]:
    """The texts with personal data of these kinds replaced, and how many of each kind each text had."""
    counts: list[Counter[str]] = [Counter() for _ in texts]
    result = list(texts)
    column = pl.Series(result, dtype=pl.String)
    for name in KINDS:
        if name in kinds:
            for place in column.str.contains(_SCREENS[name]).arg_true().to_list():
                result[place] = _redact(result[place], name, counts[place])
    return result, counts


def _redact(text: str, name: str, count: Counter[str]) -> str:
    for kind in KINDS[name]:

        def replaced(match: re.Match[str], kind: Kind = kind) -> str:
            """The match with its personal data replaced and counted; as it is where they are none."""
            found = match[kind.group]
            if not kind.valid(found):
                return match[0]
            count[name] += 1
            begin = match.start()
            start, end = match.span(kind.group)
            return match[0][: start - begin] + PLACEHOLDERS[name] + match[0][end - begin :]

        text = kind.pattern.sub(replaced, text)
    return text


def find(text: str, kinds: Sequence[str]) -> Counter[str]:
    """How many of each kind a text holds, for checks of what is left."""
    return redact([text], kinds)[1][0]
