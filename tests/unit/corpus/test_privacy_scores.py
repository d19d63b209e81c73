"""Recall and precision over texts in which personal data stands beside what only looks like it.

All items are invented: numbers with right check digits that belong to nobody, addresses of example domains.
"""

import re

import pytest

from textmill.corpus.privacy import KINDS, redact


def with_check_digit(seventeen: str) -> str:
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(seventeen))
    return seventeen + "10X98765432"[total % 11]


IDS = {
    "@ID1": with_check_digit("11010519900307801"),
    "@ID2": with_check_digit("31011520011231042"),
    "@ID3": with_check_digit("44030619650215226"),
    "@BAD1": "110105199003078010",  # a wrong check digit
    "@BAD2": "310115200113310427",  # no such month
}
assert IDS["@BAD1"] != IDS["@ID1"]

# ⟦kind:item⟧ is personal data, and all else must stay.
MARK = re.compile("⟦([a-z_]+):(.+?)⟧")
TEXTS = {
    "en": """
Please send the invoice to ⟦email:m.okafor@accounts.example.com⟧ before Friday.
Reach Lena (⟦email:lena_moss99@example.org⟧) or her desk, ⟦phone:+44 20 7946 0321⟧, extension 4.
Reply-To: <⟦email:no-reply+ticket-5521@support.example.net⟧>
Contact: ⟦email:PRESS.OFFICE@EXAMPLE.COM⟧; fax ⟦phone:+49 30 5550 1234⟧.
My number is ⟦phone:(202) 555-0147⟧, but after six try ⟦phone:202-555-0199⟧.
Call ⟦phone:+1-202-555-0123⟧ or ⟦phone:1-888-555-0100⟧ to cancel order 4471-2290.
Tel. ⟦phone:020 7946 0018⟧, open 9-17, platform 9, version 3.2.1.
The office in Leeds answers on ⟦phone:01632 960987⟧ from 08:30 to 16:45.
Ring ⟦phone:+33 1 99 00 12 34⟧ and ask for room 214.
Her mobile: ⟦phone:+81 90 1234 5678⟧ (Tokyo time, UTC+9).
The server at ⟦ip:198.51.100.23⟧ rejected build 10.0.19045.
Blocked ⟦ip:203.0.113.250⟧ and ⟦ip:2001:db8::dead:beef⟧ at 03:14:15 on 2024-02-29.
ping ⟦ip:192.0.2.44⟧: 64 bytes, time=0.031 ms
Device ⟦mac:a4:5e:60:c2:19:0f⟧ joined channel 11 at 12:30:45.
Printer ⟦mac:00-1B-44-11-3A-B7⟧, firmware 1.2.3.4, paper 80 g.
She paid with ⟦card:4012 8888 8888 1881⟧, valid thru 12/27, order 1234-5678.
Card number ⟦card:5105105105105100⟧ was declined; reference 5105105105105101.
Amex ⟦card:3714 496353 98431⟧ and Discover ⟦card:6011 0009 9013 9424⟧ are accepted.
Transfer it to ⟦iban:FR76 3000 6000 0112 3456 7890 189⟧ by the 30th.
IBAN: ⟦iban:ES9121000418450200051332⟧, BIC ABCDESMMXXX.
Pay ⟦iban:NL91 ABNA 0417 1643 00⟧, quoting RF18 5390 0754 7034.
His social security number, ⟦ssn:219-09-9999⟧, was on page 219 of file 09.
SSN ⟦ssn:457-55-5462⟧; case 457-5-5462.
export AWS_KEY=⟦key:AKIAI44QH8DHBEXAMPLE⟧ # not in git
password = "⟦key:correct9Horse8battery7⟧" in the old config
Authorization: token ⟦key:ghp_0123456789abcdefghijABCDEFGHIJ012345⟧
git clone https://⟦url_login:deploy:hunter2pass⟧@git.example.com/mill.git
Order number 2024053100012 shipped in 3 parcels, 12 kg each.
Tracking code 1Z999AA10123456784 was scanned at 10:15.
Upgrade from version 1.2.3.4 to 1.2.4.0, then to 2.0.0.1.
See section 3.1.2.4 and appendix 1.1.1.1 of the manual.
The card 4111 1111 1111 1113 and the card 5555 5555 5555 4445 have wrong check digits.
GB82 WEST 1234 5698 7654 33 is no account, nor is DE00 3704 0044 0532 0130 00.
ISBN 978-0-306-40615-7, ISSN 2049-3630, DOI 10.1000/182.
The meeting is on 2024-05-31 from 10:00-11:30 in room 415-2.
In 1989-1990 some 1,250,000 people (12.5%) moved, in 2001-2002 another 980,000.
Temperatures of 36.6, 37.2 and 38.9 degrees; pressure 1013.25 hPa.
Invoice 2024-000123-45, item 555-0, lot 0042, page 7 of 12.
Coordinates 52.5200, 13.4050 and 40.7128, -74.0060.
Serial 12-34-56-78, part 123-456-7, model 800-12.
The score was 101-99, then 98:97, and 3-2 in sets.
Population: 1 402 112 000; area 9 596 961 square kilometres.
2 + 2 = 4, 10 / 4 = 2.5, 3.14159265358979 and 2.718281828459045.
std::vector<int> v; a::b::c; namespace x::y.
It ran from 08:00 to 17:30:15 and took 00:01:02.003.
000-12-3456, 666-12-3456 and 912-34-5678 were never issued.
commit 3f2a9c1d4b5e6f708192a3b4c5d6e7f801234567 fixes it.
UUID 123e4567-e89b-12d3-a456-426614174000 and hash d41d8cd98f00b204e9800998ecf8427e.
The token economy grew; a secret ingredient: identification_documents.
Email me @ the usual address, or mention @lena and @mill-press.
user@localhost, root@server and git@host are no addresses on the web.
Twelve of 127 monkeys, 0.0.0.0 and 127.0.0.1, 999.999.999.999.
Flight BA2490, seat 14C, gate 22, boarding 18:05, 31.05.2024.
Chapter 13, verses 1380-0138; psalm 119:105; Acts 2:38.
The bill came to $1,234.56 plus €99.00, or ¥123,456 in all.
RFC 2822, ISO 8601-1:2019, IEEE 802.11ax, H.264/AVC, 5G NR.
Unix time 1717113600 and 1717113600123 in milliseconds.
Barcode 4006381333931 and article 04210000526.
GPU driver 535.104.05, kernel 5.15.0-107, glibc 2.35.
Vote: 123-45, 678-90; ratio 16:9:4; scale 1:25000.
Postcodes 10115, 90210-1234, SW1A 1AA and 100871.
""",
    "zh": """
联系人：王芳，邮箱⟦email:wangfang@example.cn⟧，手机⟦phone:13912345678⟧。
有事请打⟦phone:0571-88123456⟧或⟦phone:400-123-4567⟧转2号分机。
客服热线⟦phone:400-8123-456⟧每天8:00-20:00开通。
他的手机号是⟦phone:186 1234 5678⟧，房间号1861。
请拨⟦phone:（010）62345678⟧，或发邮件到⟦email:service@example.com⟧咨询。
海外请拨⟦phone:+86 10 6234 5678⟧，国内请拨⟦phone:010-62345679⟧。
微信同号⟦phone:15812345678⟧，价格158元。
身份证⟦id_number:@ID1⟧已登记，流水号20240531000123456。
证件号码：⟦id_number:@ID2⟧，姓名：李明。
旅客⟦id_number:@ID3⟧乘坐G1234次列车，3车12A座。
卡号⟦card:6222 0200 0000 0000 000⟧的账户余额为1,234.56元。
请转账到⟦card:4111111111111111⟧，金额5000元，订单号4111111111111112。
服务器⟦ip:198.51.100.77⟧在12:30:45断开，版本号为2.4.1.0。
登录密码：⟦key:Abc123456xyz7890Q⟧，请尽快修改。
网卡地址⟦mac:3C:22:FB:9A:10:7E⟧，第3机房第12排。
汇款账户⟦iban:DE75512108001245126199⟧，备注合同编号DE2024-0531。
订单号20240531000123已发货，共3件，每件12公斤。
流水号138001380001234，金额1,234,567.89元。
身份证号码@BAD1和@BAD2的校验码不对。
卡号4111 1111 1111 1113和6222020000000000003都不存在。
版本1.2.3.4升级到1.2.4.0，详见第3.1.2.4节。
会议时间：2024年5月31日10:00-11:30，地点：415会议室。
人口1402112000人，面积9596961平方公里。
第138章第0013节第8000页，邮编100871。
气温36.6度，海拔1380米，北纬39.9042度，东经116.4074度。
比分101:99，比例16:9，车牌京A12345，航班CA1234。
股票代码600519，今日收盘1700.50元，涨幅1.23%。
书号978-7-02-000220-7，定价39.80元，印数10000册。
圆周率3.14159265358979，自然常数2.718281828459045。
一九八九年至1990年，2001-2002年度，共12345678901234567890次。
合同编号HT-2024-0531-0012，批号20240531，箱号12-34-56。
微博@小明和@磨坊出版社都转发了这条消息。
密码学与令牌环网络：第一章介绍密钥管理的历史。
考试准考证号2024010112345，座位号07，考场015。
""",
}


@pytest.mark.parametrize("language", TEXTS)
def test_recall_and_precision(language):
    texts = TEXTS[language].strip()
    for name, number in IDS.items():
        texts = texts.replace(name, number)
    true = right = found = 0
    for line in texts.split("\n"):
        ((replaced,), (counts,)) = redact([MARK.sub(r"\2", line)], tuple(KINDS))
        found += counts.total()
        for kind, item in MARK.findall(line):
            true += 1
            right += item not in replaced and f"[{kind.upper()}]" in replaced
    assert true >= 20
    assert right / true >= 0.99
    assert right / found >= 0.98


def test_every_kind_stands_in_the_texts():
    assert {kind for texts in TEXTS.values() for kind, _ in MARK.findall(texts)} == set(KINDS)
