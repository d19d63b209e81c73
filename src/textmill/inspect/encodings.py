"""The encoding of bytes that are not UTF-8, guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from charset_normalizer import from_bytes

SAMPLE = 1_000_000  # bytes by which an encoding is told
# What text is written in where it is not Unicode; relatives of them (cp949 beside euc_kr) only confuse.
ENCODINGS = ["gb18030", "big5", "cp1252", "cp1250", "cp1251", "koi8_r", "shift_jis", "euc_jp", "euc_kr"]
KANA = "".join(map(chr, range(0x3041, 0x30FF)))
# Characters that most texts have: of few bytes that make sense in several of these, they come out in one.
COMMON = {
    "gb18030": (
        "的一是不了在人有我他这中大来上个国们到说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种"
        "事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日者意无力它与长把机十"
        "公此已工情明性知全点正外将两高间由问很最重新什太差坏错吃买店喜欢负"
    ),
    "big5": (
        "的一是不了在人有我他這中大來上個國們到說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種"
        "事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心本前開但因只從想實日者意無力它與長把機十"
        "公此已工情明性知全點正外將兩高間由問很最重新什太差壞錯吃買店喜歡負"
    ),
    "euc_kr": "이다는에의을가하고한지로기은서도사를나자아리대시그인어해일정수보부스있었습니요과전만게라것",
    "shift_jis": KANA,
    "euc_jp": KANA,
}
# A common character of GB 18030, or a sign.
PAIR = re.compile(rb"[\xb0-\xd7\xa1-\xa3][\xa1-\xfe]")


def guess(content: bytes) -> tuple[str | None, str]:
    """The likeliest encoding, and what is to be told of it; None where most lines beyond ASCII are UTF-8."""
    lines = [line for line in content.split(b"\n") if not line.isascii()]
    broken = sum(not fits(line, "utf-8") for line in lines)
    if not broken:
        return None, "mend the line"
    if 2 * broken < len(lines):
        counted = f"{len(lines) - broken:,} lines are UTF-8 and {broken:,} are not"
        return None, f"{counted}: the encodings are mixed, mend the file"
    name = _likeliest(lines)
    # A few lines may be broken, and the reader tells these.
    if sum(fits(line, name) for line in lines) < 0.9 * len(lines):
        name = "cp1252" if fits(content, "cp1252") else "latin-1"
    return name, f"read as {name}, a guess: where texts look wrong, name another in data.options.encoding"


def _likeliest(lines: Sequence[bytes]) -> str:
    # Lines of ASCII, or one again and again, would outweigh what tells.
    content = b""
    for line in dict.fromkeys(lines):
        content += line + b"\n"
        if len(content) > SAMPLE:
            break
    matches = from_bytes(content, cp_isolation=ENCODINGS)
    best = matches.best()
    if best and best.encoding in ("cp1251", "koi8_r"):
        return best.encoding
    shares = {name: _share(content, name) for name in COMMON}
    name = max(shares, key=lambda name: shares[name])
    if shares[name] > 0.1:
        return name
    if (not best or best.encoding in ("gb18030", "euc_kr", "cp1250", "cp1252")) and _is_paired(content):
        return "gb18030"
    if best and not any("cp1252" in m.could_be_from_charset for m in matches if m.chaos <= best.chaos):
        return best.encoding
    return "cp1252"


def _share(content: bytes, encoding: str) -> float:
    """The share of common characters of the encoding in what is not ASCII; 0 where it does not fit."""
    text = content.decode(encoding, "replace")
    beyond = [c for c in text if not c.isascii()]
    if text.count("\ufffd") > 0.1 * len(beyond):
        return 0.0
    return sum(c in COMMON[encoding] for c in beyond) / len(beyond)


def _is_paired(content: bytes) -> bool:
    """Whether high bytes stand in pairs, as in GB 18030, and most of these are its common characters."""
    high = re.findall(rb"[\x80-\xff]+", content)
    pairs = [run[i : i + 2] for run in high if len(run) % 2 == 0 for i in range(0, len(run), 2)]
    common = sum(bool(PAIR.fullmatch(pair)) for pair in pairs)
    return 2 * common > 0.8 * sum(map(len, high))


def fits(content: bytes, encoding: str) -> bool:
    """Whether all bytes are of the encoding."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
