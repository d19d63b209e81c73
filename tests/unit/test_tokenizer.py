"""Tokenizers: exact, deterministic, with the tokens that all objectives need; packing loses nothing."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill import params
from textmill.errors import UserError
from textmill.tokenizer import SPECIAL_TOKENS, existing, load, pack, read_packed, train

SENTENCE = "the mill grinds text all day and the miller reads what the mill has ground"
WORDS = SENTENCE.split()
TEXTS = [" ".join(WORDS[i % 7 :] + WORDS[: i % 5]) + f". Number {i}!" for i in range(60)]
TEXTS += ["磨坊整天研磨文字。磨坊主读磨坊研磨出来的文字。", "日本語のテキスト", "naïve café"] * 3
SIZES = {"bpe": 330, "wordpiece": 620, "unigram": 310, "character": None}
EXAMPLES = ["", " ", "  a \n\n\tb", "a##b ## #", "</s> <mask>", "<0x41>", "🤦🏽‍♀️ é ﬁ", "x" * 200,
            "\ufeff\x00", "Ġ▁Ċ", "中文 and English"]  # fmt: skip


def spec(kind, size=None):
    size = size if size is not None else SIZES[kind]
    return params.Tokenizer(kind=kind, vocabulary_size=size, path=None)


@pytest.fixture(scope="module")
def tokenizers():
    return {kind: train(TEXTS, spec(kind)) for kind in SIZES}


@pytest.mark.parametrize("kind", SIZES)
@settings(max_examples=150, deadline=None)
@given(text=st.text())
def test_round_trip_is_exact(tokenizers, kind, text):
    encode = tokenizers[kind]
    assert encode.decode(encode(text, add_special_tokens=False)["input_ids"]) == text


@pytest.mark.parametrize("kind", SIZES)
def test_round_trip_of_hard_cases(tokenizers, kind):
    encode = tokenizers[kind]
    for text in EXAMPLES:
        ids = encode(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert encode.decode(ids) == text
        assert not set(ids) & set(range(len(SPECIAL_TOKENS)))


@pytest.mark.parametrize("kind", SIZES)
def test_same_texts_give_the_same_bytes(tokenizers, kind):
    again = train(TEXTS, spec(kind))
    assert again.backend_tokenizer.to_str() == tokenizers[kind].backend_tokenizer.to_str()


@pytest.mark.parametrize("kind", SIZES)
def test_special_tokens_and_frames(tokenizers, kind, tmp_path):
    tokenizers[kind].save_pretrained(tmp_path)
    encode = load(tmp_path)
    assert encode.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))
    assert (encode.pad_token, encode.unk_token, encode.mask_token) == ("<pad>", "<unk>", "<mask>")
    assert (encode.cls_token, encode.sep_token) == (encode.bos_token, encode.eos_token) == ("<s>", "</s>")
    one = encode("a")["input_ids"]
    assert (one[0], one[-1]) == (2, 3)
    pair = encode("a", "b")["input_ids"]
    assert pair.count(3) == 2
    assert encode.decode(pair, skip_special_tokens=True) == "ab"
    for head in ("<user>", "<span_31>"):
        assert len(encode(head, add_special_tokens=False)["input_ids"]) == 1


@pytest.mark.parametrize("kind", SIZES)
def test_offsets_are_those_of_the_words(tokenizers, kind):
    text = "the mill 研磨文字"
    found = tokenizers[kind](text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    covered = "".join(text[i] for i in sorted({i for a, b in found for i in range(a, b)}))
    assert covered.replace(" ", "") == text.replace(" ", "")
    assert all(not text[a:b].startswith(" ") or a + 1 == b for a, b in found)


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "character"])
def test_vocabulary_that_the_corpus_cannot_give(kind):
    with pytest.raises(UserError, match=r"tokenizer\.vocabulary_size: asked for 9000 .* at most \d+"):
        train(TEXTS, spec(kind, 9000))


def test_characters_need_room():
    with pytest.raises(UserError, match="leaves no room"):
        train(TEXTS, spec("character", 100))


def test_existing_learns_what_it_lacks(tokenizers, tmp_path):
    tokenizers["bpe"].save_pretrained(tmp_path)
    assert len(existing(str(tmp_path))) == len(tokenizers["bpe"])
    with pytest.raises(UserError, match=r"tokenizer\.path"):
        existing(str(tmp_path / "nothing"))


@pytest.fixture
def corpus(tmp_path):
    for split, texts in (("train", [*TEXTS, "a </s> b", ""]), ("validation", TEXTS[:5]), ("test", [])):
        table = {"id": [f"{split}-{i}" for i in range(len(texts))], "text": texts}
        frame = pl.DataFrame(table, schema={"id": pl.String, "text": pl.String})
        frame.with_columns(language=pl.lit("en")).write_parquet(tmp_path / f"{split}.parquet")
    return tmp_path


@pytest.mark.parametrize("kind", SIZES)
def test_packed_documents_come_back(tokenizers, kind, corpus, tmp_path):
    tokenizers[kind].save_pretrained(tmp_path / "tokenizer")
    metrics = pack(corpus, tmp_path / "tokenizer", tmp_path / "tokens")
    ids, about = read_packed(tmp_path / "tokens", "train")
    offsets = np.fromfile(tmp_path / "tokens" / about["offsets"], np.uint64).astype(int)
    texts = pl.read_parquet(corpus / "train.parquet")["text"].to_list()
    assert len(offsets) == len(texts) + 1
    assert offsets[-1] == len(ids) == about["tokens"] == metrics["train_tokens"]
    for text, start, end in zip(texts, offsets, offsets[1:], strict=False):
        assert ids[end - 1] == tokenizers[kind].eos_token_id
        assert tokenizers[kind].decode(ids[start : end - 1].tolist()) == text
        assert not set(ids[start : end - 1].tolist()) & set(range(len(SPECIAL_TOKENS)))
    assert about["bytes"] == sum(len(text.encode()) for text in texts)
    assert about["ids"][0] == "train-0"
    assert about["languages"]["en"]["documents"] == len(texts)
    assert metrics["test_tokens"] == 0


def test_a_cut_file_is_named(tokenizers, corpus, tmp_path):
    tokenizers["bpe"].save_pretrained(tmp_path / "tokenizer")
    pack(corpus, tmp_path / "tokenizer", tmp_path / "tokens")
    path = tmp_path / "tokens" / "train.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(UserError, match=r"train\.bin: \d+ bytes, expected"):
        read_packed(tmp_path / "tokens", "train")
    assert json.loads((tmp_path / "tokens" / "train.json").read_text())["dtype"] == "uint16"
