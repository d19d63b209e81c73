import pytest

from textmill.corpus.language import identify

TEXTS = {
    "en": "The old mill stands beside the river, and nobody remembers who built it.",
    "de": "Die alte Mühle steht am Fluss, und niemand weiß mehr, wer sie gebaut hat.",
    "fr": "Le vieux moulin se trouve au bord de la rivière et personne ne sait qui l'a construit.",
    "es": "El viejo molino está junto al río y nadie recuerda quién lo construyó.",
    "ru": "Старая мельница стоит у реки, и никто не помнит, кто её построил.",
    "zh": "老磨坊立在河边，没有人记得是谁盖的。",
    "ja": "古い水車小屋は川のそばにあり、誰が建てたのか覚えている人はいない。",
    "ko": "오래된 방앗간은 강가에 서 있고 누가 지었는지 아무도 기억하지 못한다.",
    "sw": "Kinu cha zamani kiko kando ya mto na hakuna mtu anayekumbuka ni nani alikijenga.",
    "ar": "تقع الطاحونة القديمة بجانب النهر ولا أحد يتذكر من بناها.",
}


@pytest.mark.parametrize("code", TEXTS)
def test_language(code):
    row = identify([TEXTS[code]]).row(0, named=True)
    assert row["language"] == code
    assert row["confidence"] > 0.5


def test_classical_chinese_is_no_japanese():
    assert identify(["养生者不足以当大事，惟送死可以当大事。"])["language"].to_list() == ["zh"]


def test_what_is_no_language():
    found = identify(["", "12345 67890", "?!... ---", "\U000e0fff\ufdd0", "https://example.org/a"])
    assert found["confidence"].to_list() == [0.0] * 5
    assert set(found["language"]) == {"und"}


def test_addresses_and_numbers_do_not_weigh():
    text = TEXTS["en"] + " https://example.org/ein/sehr/langer/pfad?und=noch&mehr=davon 0000000 " * 5
    assert identify([text]).row(0)[0] == "en"
