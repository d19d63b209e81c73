"""Words, sentences and pieces, in English and Chinese."""

from hypothesis import given
from hypothesis import strategies as st

from textmill.words import answer_tokens, has_han, join_tokens, pieces, sentences, trim, word_offsets, words


def test_words_are_runs_of_letters_or_single_chinese_characters() -> None:
    assert words("She isn't in Köln, 3 times") == ["she", "isn", "t", "in", "köln", "3", "times"]
    assert words("她在Ulmen工作了3年。") == ["她", "在", "ulmen", "工", "作", "了", "3", "年"]
    text = "她在Ulmen工作"
    assert [text[a:b] for a, b in word_offsets(text)] == ["她", "在", "Ulmen", "工", "作"]


def test_vowels_and_tones_written_as_marks_belong_to_their_word() -> None:
    assert words("हिन्दी दिन") == ["हिन्दी", "दिन"]
    assert words("ọ̀rọ̀") == ["ọ̀rọ̀"]
    assert words("nai\u0308ve") == ["nai\u0308ve"]
    assert words("葛\U000e0100城") == ["葛\U000e0100", "城"]
    assert list(pieces("葛\U000e0100城")) == [(0, 2), (2, 3)]


def test_no_space_stands_beside_chinese_punctuation_nor_in_a_text_of_single_characters() -> None:
    text = "我说：“你好。”（2019）NLP"
    joined, places = join_tokens(list(text))
    assert joined == text
    assert places[:2] == [(0, 1), (1, 2)]
    assert (
        join_tokens(["在", "（", "2019", "）", "，", "Norbi", "Tools", "工作"])[0]
        == "在（2019），Norbi Tools工作"
    )
    assert join_tokens(["a", "b"])[0] == "a b"


def test_sentences_end_at_full_stops_of_both_languages_and_not_inside_numbers() -> None:
    text = 'It cost 3.50 euros. "Too much!" she said. 太贵了！她说。'
    assert [text[a:b] for a, b in sentences(text)] == [
        "It cost 3.50 euros.",
        '"Too much!"',
        "she said.",
        "太贵了！",
        "她说。",
    ]
    assert sentences("no end") == [(0, 6)]
    assert sentences("  ") == []


def test_answers_compare_without_case_punctuation_and_articles() -> None:
    assert answer_tokens("The  Norbi-Tools, Inc.", chinese=False) == ["norbitools", "inc"]
    assert answer_tokens("$5 million, about 50+", chinese=False) == ["5", "million", "about", "50"]


def test_chinese_answers_lose_only_the_signs_of_cmrc_2018() -> None:
    assert answer_tokens("《诺比》公司 2005年", chinese=True) == ["诺", "比", "公", "司", "2005", "年"]
    assert answer_tokens("A股", chinese=True) == ["a", "股"]
    assert answer_tokens("3.5米", chinese=True) == ["3.5", "米"]
    assert answer_tokens("10%的人", chinese=True) == ["10%", "的", "人"]


def test_has_han_knows_kana_and_the_rare_planes_but_not_latin() -> None:
    assert has_han("の")
    assert has_han("𠀀")
    assert not has_han("naïve — Ωμέγα 한국")


@given(st.text(alphabet=st.sampled_from("ab 中文\n,é👩\u200d\u0301.")))
def test_pieces_cover_a_text_without_two_chinese_characters_in_one(text: str) -> None:
    found = list(pieces(text))
    assert "".join(text[a:b] for a, b in found) == text
    assert all(sum(has_han(c) for c in text[a:b]) <= 1 for a, b in found)
    for a, b in found:
        assert " " not in text[slice(*trim(text, a, b))]
