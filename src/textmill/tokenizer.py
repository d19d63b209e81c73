"""Text to token ids and back: train a tokenizer, and pack a corpus into flat files of ids.

All kinds trained here work on bytes in the end, so that ``decode(encode(text)) == text`` for any Unicode
text in any language, seen in training or not:

- ``bpe``: byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019, section 2.2).
- ``wordpiece``: longest match first (Schuster and Nakajima 2012; Devlin et al. 2019), over bytes.
- ``unigram``: the most probable pieces (Kudo 2018), over bytes.
- ``character``: one token a character, and the bytes of a character that the corpus does not have.

Packed ids: ``<split>.bin`` holds the documents one after another, each ended by ``</s>``, as uint16 or
uint32; ``<split>.offsets.bin`` (uint64) the place of each document's first token, and the total at the
end; ``<split>.json`` says what is in them.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill import byte_pairs, params
from textmill.errors import UserError
from textmill.records import read_json, write_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

SENTINELS = tuple(f"<span_{i}>" for i in range(32))
ROLES = ("<user>", "<assistant>")
MARKERS = ("<head>", "</head>", "<tail>", "</tail>")
SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>", "<mask>", *ROLES, *MARKERS, *SENTINELS)
SPLITS = ("train", "validation", "test")

BATCH = 1024  # documents encoded at a time: what bounds the memory of packing
LONGEST_WORD = 64  # bytes of a word that WordPiece matches at once; its time grows with the square
SHOWN = 10  # longest tokens in a report


def train(texts: Iterable[str], spec: params.Tokenizer) -> PreTrainedTokenizerFast:
    """A tokenizer of ``spec.kind`` trained on ``texts``; the same texts give the same bytes.

    Raises UserError where the corpus cannot give ``spec.vocabulary_size`` tokens.
    """
    trainers = {"bpe": _bpe, "wordpiece": _wordpiece, "unigram": _unigram, "character": _character}
    tokenizer = trainers[spec.kind](texts, spec.vocabulary_size or 0)
    found, wanted = tokenizer.get_vocab_size(), spec.vocabulary_size
    if wanted and found < wanted:
        raise UserError(
            f"params.yaml: tokenizer.vocabulary_size: asked for {wanted} tokens, and this corpus gives a "
            f"{spec.kind} tokenizer of at most {found}; set it to {found} or less, or add text"
        )
    return _finish(tokenizer)


def build(params: params.Params, corpus: Path, output: Path) -> dict[str, float]:
    """Train on the corpus's train split, or take an existing tokenizer, and save it to ``output``."""
    spec = params.tokenizer
    tokenizer = existing(spec.path or "") if spec.kind == "existing" else train(read_texts(corpus), spec)
    tokenizer.save_pretrained(output)
    return {"vocabulary": len(tokenizer)}


def load(folder: Path | str) -> PreTrainedTokenizerFast:
    """The tokenizer in ``folder``, with fast access to it under ``.backend_tokenizer``."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), use_fast=True, trust_remote_code=False)
    return tokenizer


def existing(path: str) -> PreTrainedTokenizerFast:
    """A published tokenizer by folder or hub id, taught the special tokens that it lacks."""
    try:
        tokenizer = load(path)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"params.yaml: tokenizer.path: {path!r} gives no tokenizer: {reason} Expected a folder with "
            "tokenizer.json, or a hub id and a network"
        ) from None
    if not tokenizer.is_fast:
        raise UserError(f"params.yaml: tokenizer.path: {path!r} has no tokenizer.json (a fast tokenizer)")
    eos = tokenizer.eos_token or tokenizer.sep_token or "</s>"
    wanted = {
        "pad_token": "<pad>",
        "bos_token": tokenizer.cls_token or eos,
        "eos_token": eos,
        "mask_token": "<mask>",
    }
    tokenizer.add_special_tokens(
        {key: token for key, token in wanted.items() if getattr(tokenizer, key) is None}
    )
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [*ROLES, *MARKERS, *SENTINELS]}, replace_extra_special_tokens=False
    )
    return tokenizer


def _finish(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Register the special tokens and the frames ``<s> A </s>`` and ``<s> A </s> B </s>``."""
    from tokenizers import AddedToken, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    frame = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[(token, SPECIAL_TOKENS.index(token)) for token in ("<s>", "</s>")],
    )
    # An offset covers the word, and not the space that its first token holds.
    trim = processors.ByteLevel(trim_offsets=True)
    tokenizer.post_processor = processors.Sequence([trim, frame]) if tokenizer.pre_tokenizer else frame
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
        additional_special_tokens=[*ROLES, *MARKERS, *SENTINELS],
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def _bpe(texts: Iterable[str], size: int) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # A pair seen once is no regularity: it is not merged.
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=_bytes(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _wordpiece(texts: Iterable[str], size: int) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    # "#" stands alone and words are cut, so that a word never begins with the mark of a continuation and
    # the matching stays fast; every byte is known as a beginning and as a continuation.
    continuations = [f"##{byte}" for byte in _bytes()]
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"#|\p{Han}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
            pre_tokenizers.Split(Regex(f".{{1,{LONGEST_WORD}}}"), "isolated"),
        ]
    )
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = split
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[*SPECIAL_TOKENS, *continuations],
        initial_alphabet=_bytes(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    trained = Tokenizer(models.WordPiece(vocab=tokenizer.get_vocab(), unk_token="<unk>"))
    trained.pre_tokenizer = split
    trained.decoder = decoders.Sequence([decoders.Replace(Regex("^##"), ""), decoders.ByteLevel()])
    return trained


def _unigram(texts: Iterable[str], size: int) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL_TOKENS),
        unk_token="<unk>",
        initial_alphabet=_bytes(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    trained = Tokenizer(models.Unigram(_settle(tokenizer), unk_id=SPECIAL_TOKENS.index("<unk>")))
    trained.pre_tokenizer = tokenizer.pre_tokenizer
    trained.decoder = decoders.ByteLevel()
    return trained


def _settle(tokenizer: Tokenizer) -> list[tuple[str, float]]:
    """The pieces of a trained Unigram model and their log probabilities, the same for the same texts.

    The trainer walks hash maps: the order of pieces, the last digits of a score and the scores of bytes
    that the pruning dropped differ from run to run. Here they are rounded, equal and sorted.
    """
    import json

    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    learnt = [(piece, round(score, 6)) for piece, score in pieces if piece not in SPECIAL_TOKENS]
    floor = min((score for piece, score in learnt if len(piece) > 1), default=-10.0)
    # A byte below every longer piece is one that the trainer put back with an invented score.
    settled = [
        (piece, floor - 1.0 if len(piece) == 1 and score < floor else score) for piece, score in learnt
    ]
    settled.sort(key=lambda item: (-item[1], item[0]))
    return [*((token, 0.0) for token in SPECIAL_TOKENS), *settled]


def _character(texts: Iterable[str], size: int) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models

    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = [*SPECIAL_TOKENS, *fallback, *sorted(counts, key=lambda c: (-counts[c], c))]
    chosen = tokens[:size] if size else tokens
    if size and size < len(SPECIAL_TOKENS) + len(fallback):
        raise UserError(
            f"params.yaml: tokenizer.vocabulary_size: {size} leaves no room for a character beside the "
            f"{len(SPECIAL_TOKENS)} special tokens and the 256 bytes; {len(tokens)} holds all characters"
        )
    model = models.BPE(
        vocab={token: i for i, token in enumerate(chosen)}, merges=[], unk_token="<unk>", byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def _bytes() -> list[str]:
    """The 256 printable characters that stand for the bytes, in a fixed order."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


# Packing.


def read_texts(corpus: Path, split: str = "train") -> Iterator[str]:
    """The texts of a split, a row group at a time."""
    for columns in _batches(corpus, split, ["text"]):
        yield from columns["text"]


def _batches(corpus: Path, split: str, columns: list[str]) -> Iterator[dict[str, list[str]]]:
    import pyarrow.parquet as pq

    path = corpus / f"{split}.parquet"
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the stage curate makes it") from None
    present = [column for column in columns if column in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=BATCH, columns=present):
        yield batch.to_pydict()


def pack(corpus: Path, tokenizer: Path, output: Path) -> dict[str, float]:
    """Encode the corpus's splits into ``output`` (see the module's docstring), in bounded memory.

    Special tokens written out in a text are text: no document can end itself or mask a word.
    Returns for each split its documents, tokens, bytes of UTF-8 text and bytes per token.
    """
    encoder = load(tokenizer)
    encoder.backend_tokenizer.encode_special_tokens = True
    output.mkdir(parents=True, exist_ok=True)
    metrics: dict[str, float] = {}
    for split in SPLITS:
        entry = _pack_split(corpus, split, encoder, output)
        metrics |= {
            f"{split}_documents": entry["documents"],
            f"{split}_tokens": entry["tokens"],
            f"{split}_bytes": entry["bytes"],
            f"{split}_bytes_per_token": round(entry["bytes"] / max(entry["tokens"], 1), 4),
        }
        if split == "train":
            metrics["vocabulary_used"] = entry["vocabulary_used"]
            for language, seen in entry["languages"].items():
                metrics[f"bytes_per_token_{language}"] = seen["bytes_per_token"]
    return metrics


def _pack_split(corpus: Path, split: str, encoder: PreTrainedTokenizerFast, output: Path) -> dict[str, Any]:
    vocabulary = len(encoder)
    dtype = np.dtype(np.uint16 if vocabulary <= 2**16 else np.uint32)
    digest = hashlib.blake2b(digest_size=16)
    lengths: list[np.ndarray] = []
    ids: list[str] = []
    used = np.zeros(vocabulary, dtype=np.int64)
    sizes: Counter[str] = Counter()
    languages: dict[str, Counter[str]] = {}
    encode = encoder_of(encoder)
    with (output / f"{split}.bin").open("wb") as file:
        for columns in _batches(corpus, split, ["id", "text", "language"]):
            texts = columns["text"]
            tokens, counts = encode(texts)
            block = tokens.astype(dtype)
            file.write(block.data)
            digest.update(block.data)
            used += np.bincount(tokens, minlength=vocabulary)
            lengths.append(counts)
            ids += columns.get("id") or [str(len(ids) + i) for i in range(len(texts))]
            of = columns.get("language") or ["und"] * len(texts)
            for text, language, count in zip(texts, of, counts.tolist(), strict=True):
                seen = {
                    "documents": 1, "tokens": count, "characters": len(text),
                    "bytes": len(text.encode()),
                }  # fmt: skip
                sizes.update(seen)
                languages.setdefault(language or "und", Counter()).update(seen)
    offsets = np.concatenate([np.zeros(1, np.uint64), *lengths]).astype(np.uint64).cumsum(dtype=np.uint64)
    (output / f"{split}.offsets.bin").write_bytes(offsets.tobytes())
    entry = {
        "dtype": dtype.name,
        "offsets": f"{split}.offsets.bin",
        "vocabulary": vocabulary,
        "end_of_document": encoder.eos_token_id,
        **{key: sizes[key] for key in ("documents", "tokens", "characters", "bytes")},
        "digest": digest.hexdigest(),
        "vocabulary_used": round(float((used > 0).mean()), 4),
        "unknown": int(used[encoder.unk_token_id]) if encoder.unk_token_id is not None else 0,
        "languages": {
            language: {**seen, "bytes_per_token": round(seen["bytes"] / max(seen["tokens"], 1), 4)}
            for language, seen in sorted(languages.items())
        },
        "longest_tokens": longest_tokens(encoder, used),
        "ids": ids,
    }
    write_json(output / f"{split}.json", entry)
    return entry


def encoder_of(tokenizer: PreTrainedTokenizerFast) -> byte_pairs.Encode:
    """A function from a list of texts to (ids of all, each text ended by </s>; tokens of each text)."""
    end = tokenizer.eos_token_id
    backend = tokenizer.backend_tokenizer
    fast = byte_pairs.encoder(backend, end)
    if fast is not None:
        return fast

    def encode(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all texts, (tokens,), and how many each text has with its end, (texts,)."""
        rows = [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        counts = np.fromiter((len(row) + 1 for row in rows), np.int64, len(rows))
        flat = np.fromiter((i for row in rows for i in (*row, end)), np.int64, int(counts.sum()))
        return flat, counts

    return encode


def longest_tokens(tokenizer: PreTrainedTokenizerFast, used: np.ndarray) -> list[str]:
    """The longest tokens in use, as text: what a tokenizer spent its vocabulary on."""
    special = set(tokenizer.all_special_ids)
    texts = [str(tokenizer.decode([i])) for i in np.flatnonzero(used).tolist() if i not in special]
    return sorted(set(texts), key=lambda text: (-len(text), text))[:SHOWN]


def read_packed(folder: Path, split: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The ids of a split mapped from disk, (tokens,), and what its description says.

    Raises UserError where a file is missing or has not the length that it should have.
    """
    entry = read_json(folder / f"{split}.json")
    path = folder / f"{split}.bin"
    dtype = np.dtype(entry["dtype"])
    size = os.path.getsize(path) if path.exists() else -1
    if size != entry["tokens"] * dtype.itemsize:
        raise UserError(
            f"{path}: {size} bytes, expected {entry['tokens']} ids of {dtype.itemsize} bytes as {split}.json "
            "says; run the stage tokenize again"
        )
    empty = np.zeros(0, dtype)
    return (np.memmap(path, dtype=dtype, mode="r") if entry["tokens"] else empty), entry
