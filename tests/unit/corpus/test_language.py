import sys
from types import SimpleNamespace

import pytest

from textmill.corpus.language import identify
from textmill.errors import UserError

# Four sentences each.
TEXTS = {
    "en": [
        "The old mill stands beside the river, and nobody remembers who built it.",
        "She closed the window because the rain was coming in.",
        "Every morning the children walk to school along the canal.",
        "Bread was cheap that year, and the harvest was good.",
    ],
    "de": [
        "Die alte Mühle steht am Fluss, und niemand weiß mehr, wer sie gebaut hat.",
        "Sie schloss das Fenster, weil es hereinregnete.",
        "Jeden Morgen gehen die Kinder am Kanal entlang zur Schule.",
        "Das Brot war in jenem Jahr billig und die Ernte gut.",
    ],
    "fr": [
        "Le vieux moulin se trouve au bord de la rivière et personne ne sait qui l'a construit.",
        "Elle a fermé la fenêtre parce que la pluie entrait.",
        "Chaque matin, les enfants vont à l'école le long du canal.",
        "Le pain était bon marché cette année-là et la récolte était bonne.",
    ],
    "es": [
        "El viejo molino está junto al río y nadie recuerda quién lo construyó.",
        "Cerró la ventana porque entraba la lluvia.",
        "Cada mañana los niños van a la escuela por la orilla del canal.",
        "El pan era barato aquel año y la cosecha fue buena.",
    ],
    "ru": [
        "Старая мельница стоит у реки, и никто не помнит, кто её построил.",
        "Она закрыла окно, потому что шёл дождь.",
        "Каждое утро дети идут в школу вдоль канала.",
        "Хлеб в том году был дешёвым, а урожай хорошим.",
    ],
    "zh": [
        "老磨坊立在河边，没有人记得是谁盖的。",
        "她关上窗户，因为雨下进来了。",
        "每天早上孩子们沿着运河走去上学。",
        "那一年面包很便宜，收成也很好。",
    ],
    "ja": [
        "古い水車小屋は川のそばにあり、誰が建てたのか覚えている人はいない。",
        "雨が入ってきたので、彼女は窓を閉めた。",
        "毎朝、子どもたちは運河に沿って学校へ歩いて行きます。",
        "その年はパンが安く、収穫も良かった。",
    ],
    "ko": [
        "오래된 방앗간은 강가에 서 있고 누가 지었는지 아무도 기억하지 못한다.",
        "비가 들이쳐서 그녀는 창문을 닫았다.",
        "매일 아침 아이들은 운하를 따라 학교에 걸어간다.",
        "그해에는 빵이 쌌고 수확도 좋았다.",
    ],
    "ar": [
        "تقع الطاحونة القديمة بجانب النهر ولا أحد يتذكر من بناها.",
        "أغلقت النافذة لأن المطر كان يدخل.",
        "يمشي الأطفال إلى المدرسة كل صباح على طول القناة.",
        "كان الخبز رخيصا في تلك السنة وكان الحصاد جيدا.",
    ],
    "hi": [
        "पुरानी चक्की नदी के किनारे खड़ी है और किसी को याद नहीं कि उसे किसने बनाया था।",
        "उसने खिड़की बंद कर दी क्योंकि बारिश अंदर आ रही थी।",
        "हर सुबह बच्चे नहर के किनारे चलकर स्कूल जाते हैं।",
        "उस साल रोटी सस्ती थी और फसल अच्छी हुई थी।",
    ],
    "sw": [
        "Kinu cha zamani kiko kando ya mto na hakuna mtu anayekumbuka ni nani alikijenga.",
        "Alifunga dirisha kwa sababu mvua ilikuwa inaingia ndani.",
        "Kila asubuhi watoto wanatembea kwenda shuleni kando ya mfereji.",
        "Mwaka huo mkate ulikuwa wa bei nafuu na mavuno yalikuwa mazuri.",
    ],
    "yo": [
        "Ilé ọlọ àtijọ́ wà lẹ́gbẹ̀ẹ́ odò, kò sì sí ẹni tó rántí ẹni tó kọ́ ọ.",
        "Ó ti fèrèsé nítorí pé òjò ń wọlé.",
        "Ní gbogbo òwúrọ̀ àwọn ọmọdé máa ń rìn lọ sí ilé ẹ̀kọ́.",
        "Oúnjẹ kò wọ́n ní ọdún náà, ìkórè sì dára.",
    ],
    "ha": [
        "Tsohon injin niƙa yana bakin kogi, kuma babu wanda ya tuna wanda ya gina shi.",
        "Ta rufe taga saboda ruwan sama yana shiga cikin gida.",
        "Kowace safiya yara suna tafiya makaranta a gefen kogi.",
        "A wannan shekara abinci ya yi arha, kuma girbi ya yi kyau.",
    ],
    "am": [
        "አሮጌው ወፍጮ ቤት በወንዙ አጠገብ ይገኛል፤ ማን እንደሠራውም የሚያስታውስ የለም።",
        "ዝናብ እየገባ ስለነበር መስኮቱን ዘጋችው።",
        "ልጆቹ በየቀኑ ጠዋት ወደ ትምህርት ቤት በእግራቸው ይሄዳሉ።",
        "በዚያ ዓመት ዳቦ ርካሽ ነበር፤ ምርቱም ጥሩ ነበር።",
    ],
    "so": [
        "Mashiinka shiidka ee hore wuxuu ku yaallaa wabiga agtiisa, qofna ma xusuusto cidda dhistay.",
        "Way xirtay daaqadda sababtoo ah roobka ayaa soo galayay.",
        "Subax kasta carruurtu waxay u lugeeyaan dugsiga.",
        "Sannadkaas rootigu wuu jabnaa, dalaggana wuu fiicnaa.",
    ],
    "mt": [
        "Il-mitħna l-qadima tinsab ħdejn ix-xmara u ħadd ma jiftakar min bniha.",
        "Hija għalqet it-tieqa għax ix-xita kienet dieħla ġewwa.",
        "Kull filgħodu t-tfal jimxu lejn l-iskola.",
        "Dik is-sena l-ħobż kien irħis u l-ħsad kien tajjeb.",
    ],
    "rw": [
        "Urusyo rwa kera ruri ku nkombe y'umugezi, kandi nta muntu wibuka uwarwubatse.",
        "Yafunze idirishya kuko imvura yinjiraga mu nzu.",
        "Buri gitondo abana bagenda n'amaguru bajya ku ishuri.",
        "Muri uwo mwaka umugati wari uhendutse kandi umusaruro wari mwiza.",
    ],
    "ig": [
        "Ụlọ igwe nri ochie ahụ dị n'akụkụ osimiri, ọ dịghịkwa onye na-echeta onye wuru ya.",
        "O mechiri windo ahụ n'ihi na mmiri ozuzo na-abata n'ime ụlọ.",
        "Kwa ụtụtụ ụmụaka na-eji ụkwụ aga ụlọ akwụkwọ.",
        "N'afọ ahụ nri dị ọnụ ala, owuwe ihe ubi dịkwa mma.",
    ],
}
LOW_RESOURCE = ("sw", "yo", "ha", "am", "so", "mt", "rw", "ig")


def test_macro_accuracy_over_languages_of_many_and_of_few_resources():
    found = {code: identify(texts) for code, texts in TEXTS.items()}
    accuracy = {code: (table["language"] == code).mean() for code, table in found.items()}
    assert sum(accuracy.values()) / len(accuracy) >= 0.95
    assert sum(accuracy[code] for code in LOW_RESOURCE) / len(LOW_RESOURCE) >= 0.95
    assert min(accuracy.values()) > 0.5


@pytest.mark.parametrize("code", TEXTS)
def test_right_answers_are_sure(code):
    table = identify(TEXTS[code])
    assert table["confidence"].filter(table["language"] == code).min() > 0.5


def test_classical_chinese_is_no_japanese():
    assert identify(["养生者不足以当大事，惟送死可以当大事。"])["language"].to_list() == ["zh"]


def test_what_is_no_language():
    found = identify(["", "12345 67890", "?!... ---", "\U000e0fff\ufdd0", "https://example.org/a"])
    assert found["confidence"].to_list() == [0.0] * 5
    assert set(found["language"]) == {"und"}


def test_addresses_and_numbers_do_not_weigh():
    text = TEXTS["en"][0] + " https://example.org/ein/sehr/langer/pfad?und=noch&mehr=davon 0000000 " * 5
    assert identify([text]).row(0)[0] == "en"


def test_a_model_of_the_users_names_the_languages(tmp_path, monkeypatch):
    """With a stand-in for the library, whose wheel is an optional extra."""
    seen = []

    class Model:
        def predict(self, lines, k):
            seen.extend(lines)
            labels = [["__label__swh_Latn"] if line else [] for line in lines]
            return labels, [[1.00002] if line else [] for line in lines]

    monkeypatch.setitem(sys.modules, "fasttext", SimpleNamespace(load_model=lambda _: Model()))
    path = tmp_path / "lid.bin"
    with pytest.raises(UserError, match=r"corpus\.language\.model: .*lid\.bin: no such file"):
        identify(["Habari"], str(path))
    path.touch()
    table = identify(["Habari ya\nasubuhi", ""], str(path))
    assert seen == ["Habari ya asubuhi", ""]
    assert table.rows() == [("swh_Latn", 1.0), ("und", 0.0)]


def test_a_trained_model_tells_two_languages_apart(tmp_path):
    fasttext = pytest.importorskip("fasttext", reason="an optional extra: pip install 'textmill[fasttext]'")
    lines = [f"__label__{code} {text}" for code in ("en", "sw") for text in TEXTS[code]]
    (tmp_path / "train.txt").write_text("\n".join(lines * 5), encoding="utf-8")
    model = fasttext.train_supervised(
        str(tmp_path / "train.txt"), epoch=50, lr=0.5, minn=2, maxn=4, bucket=5000, thread=1, verbose=0
    )
    model.save_model(str(tmp_path / "two.bin"))
    table = identify([" ".join(TEXTS["en"]), " ".join(TEXTS["sw"])], str(tmp_path / "two.bin"))
    assert table["language"].to_list() == ["en", "sw"]
    assert table["confidence"].min() > 0.6


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "fasttext", None)
    with pytest.raises(UserError, match=r"pip install 'textmill\[fasttext\]'"):
        identify(["text"], "other.bin")
