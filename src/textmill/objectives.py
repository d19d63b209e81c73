"""What pretraining predicts: the next token, the masked ones, or the text before it was damaged.

An objective turns windows of packed ids, (batch, length), into the batch of a model. Every draw is a
function of the seed, the epoch and the place of the sequence in the epoch (``Draws``), so that masks are new
in every epoch and the same whatever the number of workers, of processes, or of sequences in a batch.
"""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textmill import byte_pairs, params
from textmill.errors import UserError
from textmill.tokenizer import SENTINELS

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

    Batch = dict[str, torch.Tensor]

IGNORED = -100  # a label that the loss leaves out
MASKED, RANDOM = 0.8, 0.9  # of the chosen: 80% masked, 10% replaced, 10% as they were (Devlin et al. 2019)
# Scripts that write no spaces: of two neighbouring single characters, one in three pairs is taken for parts
# of one word, which gives the mean length of a Chinese word in running text, 1.5 characters.
JOIN = 1 / 3
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # Han radicals
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True)
class Draws:
    """Uniform numbers for the sequences ``rows`` of one epoch.

    A hash of (seed, epoch, purpose, row, column) by SplitMix64 (Steele, Lea and Flood 2014, figure 14):
    no state, so any sequence's numbers can be had alone, and vectorised.
    """

    seed: int
    epoch: int
    rows: np.ndarray  # (batch,) places of the sequences in the epoch

    def uniform(self, purpose: int, width: int) -> np.ndarray:
        """Numbers in [0, 1), (batch, width)."""
        key = _mix(_mix(np.uint64(self.seed) ^ _mix(np.uint64(self.epoch))) ^ np.uint64(purpose))
        rows = _mix(key ^ self.rows.astype(np.uint64))
        cells = rows[:, None] + np.arange(1, width + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return (_mix(cells) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: np.ndarray | np.uint64) -> np.ndarray:
    """SplitMix64's finaliser."""
    x = np.asarray(x, np.uint64)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


class Objective(ABC):
    """Base: how many tokens of text a window of ``max_length`` model positions takes, and what to do with it.

    ``overlap`` tokens of a window are the last of the window before it.
    """

    overlap = 0

    def __init__(self, spec: params.Objective, tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
        self.spec = spec
        self.max_length = max_length
        self.end = tokenizer.eos_token_id
        self.length = max_length

    @abstractmethod
    def __call__(self, windows: np.ndarray, draws: Draws) -> Batch:
        """The model's batch for ``windows``, (batch, self.length)."""

    def segments(self, ids: np.ndarray) -> np.ndarray:
        """The number of the document within its window that each token belongs to, (batch, length)."""
        ended = np.zeros_like(ids)
        ended[:, 1:] = ids[:, :-1] == self.end
        return ended.cumsum(axis=1)


class Causal(Objective):
    """Predict each token from those before it; windows share one token, so each is predicted once."""

    overlap = 1

    def __call__(self, windows: np.ndarray, draws: Draws) -> Batch:
        batch = {"input_ids": windows, "labels": windows}
        if self.spec.separate_documents:
            segments = self.segments(windows)
            first = np.diff(segments, axis=1, prepend=segments[:, :1]) > 0
            # Nothing before a document's first token says what it will be.
            batch = {
                "input_ids": windows,
                "labels": np.where(first, IGNORED, windows),
                "segment_ids": segments,
            }
        return _tensors(batch)


class Masked(Objective):
    """Predict the masked tokens (Devlin et al. 2019, section 3.1), words as a whole if so told.

    A window is framed as ``<s> ... </s>``, as a text is in fine-tuning.
    """

    def __init__(self, spec: params.Objective, tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
        super().__init__(spec, tokenizer, max_length)
        self.start = _begin(tokenizer)
        self.mask = _known(tokenizer, "<mask>", tokenizer.mask_token_id)
        self.length = max_length - 2
        self.words = Words(tokenizer) if spec.whole_word else None
        special = np.zeros(len(tokenizer), bool)
        special[tokenizer.all_special_ids] = True
        self.special = special
        self.ordinary = np.flatnonzero(~special)

    def __call__(self, windows: np.ndarray, draws: Draws) -> Batch:
        assert self.spec.probability is not None
        width = windows.shape[1]
        choice = draws.uniform(1, width)
        if self.words is not None:
            starts = self.words.starts(windows, draws.uniform(0, width))
            choice = np.take_along_axis(choice, starts.cumsum(axis=1) - 1, axis=1)
        chosen = (choice < self.spec.probability) & ~self.special[windows]
        how = draws.uniform(2, width)
        other = self.ordinary[(draws.uniform(3, width) * len(self.ordinary)).astype(np.int64)]
        damaged = np.where(chosen & (how < MASKED), self.mask, windows)
        damaged = np.where(chosen & (how >= MASKED) & (how < RANDOM), other, damaged)
        batch = {
            "input_ids": _frame(damaged, self.start, self.end),
            "labels": _frame(np.where(chosen, windows, IGNORED), IGNORED, IGNORED),
        }
        if self.spec.separate_documents:
            batch["segment_ids"] = self.segments(_frame(windows, self.start, self.end))
        return _tensors(batch)


class SpanCorruption(Objective):
    """Spans become sentinels, and the decoder says what each stood for (Raffel et al. 2020, section 3.1.4).

    The number of corrupted tokens and of spans is fixed by the window's length, so that all batches have the
    same shape; where the spans begin and end is uniform over all ways to do so.
    """

    def __init__(self, spec: params.Objective, tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
        super().__init__(spec, tokenizer, max_length)
        assert spec.probability is not None
        assert spec.mean_span is not None
        self.start = _begin(tokenizer)
        self.length = max_length - 2
        self.noise = min(max(round(self.length * spec.probability), 1), self.length - 1)
        self.spans = min(max(round(self.noise / spec.mean_span), 1), self.noise, self.length - self.noise)
        if self.spans > len(SENTINELS):
            raise UserError(
                f"params.yaml: objective: windows of {max_length} tokens with probability {spec.probability} "
                f"and mean_span {spec.mean_span} have {self.spans} spans, and there are {len(SENTINELS)} "
                f"sentinels; mean_span must be {self.noise / len(SENTINELS):.1f} or more"
                " or max_length smaller"
            )
        self.sentinels = np.array(
            [_known(tokenizer, token, tokenizer.get_vocab().get(token)) for token in SENTINELS[: self.spans]]
        )

    def __call__(self, windows: np.ndarray, draws: Draws) -> Batch:
        kept = _partition(self.length - self.noise, self.spans, draws, 0)
        lost = _partition(self.noise, self.spans, draws, 1)
        # kept 0, lost 0, kept 1, lost 1, ...: where each run ends, and so the run of each position
        ends = np.stack([kept, lost], axis=2).reshape(len(windows), -1).cumsum(axis=1)
        run = (np.arange(windows.shape[1])[None, :, None] >= ends[:, None, :]).sum(axis=2)
        corrupt = run % 2 == 1
        source = self._shrink(windows, run, ~corrupt, first=1)
        target = self._shrink(windows, run, corrupt, first=0)
        closing = np.full((len(windows), 1), self.end)
        return _tensors(
            {
                "input_ids": _frame(source, self.start, self.end),
                "labels": np.concatenate([target, closing], axis=1),
            }
        )

    def _shrink(self, windows: np.ndarray, run: np.ndarray, stay: np.ndarray, *, first: int) -> np.ndarray:
        """The tokens that ``stay``, with each other run, the even or odd from ``first``, as one sentinel."""
        begins = np.diff(run, axis=1, prepend=-1) > 0
        marks = begins & (run % 2 == first)
        sentinel = self.sentinels[np.minimum(run // 2, self.spans - 1)]
        out = np.where(marks, sentinel, windows)
        return out[stay | marks].reshape(len(windows), -1)


class TextInfilling(Objective):
    """Spans become one <mask> each, and the decoder says the whole text again (Lewis et al. 2020, 2.2).

    Span lengths are Poisson with mean ``mean_span``, and a span of length 0 inserts a <mask>. They are drawn
    given that they add up to ``probability`` of the window, where independent Poisson counts are multinomial:
    so all batches have the same shape.
    """

    def __init__(self, spec: params.Objective, tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
        super().__init__(spec, tokenizer, max_length)
        assert spec.probability is not None
        assert spec.mean_span is not None
        self.start = _begin(tokenizer)
        self.mask = _known(tokenizer, "<mask>", tokenizer.mask_token_id)
        self.length = max_length - 2
        self.noise = min(round(self.length * spec.probability), self.length - 1)
        self.spans = min(max(round(self.noise / spec.mean_span), 1), self.length - self.noise)

    def __call__(self, windows: np.ndarray, draws: Draws) -> Batch:
        rows, width = windows.shape
        kept = width - self.noise
        each = np.arange(rows)[:, None]
        # The length of each span, and the gap before a kept token (or after the last) that it stands in.
        member = (draws.uniform(0, max(self.noise, 1))[:, : self.noise] * self.spans).astype(np.int64)
        lengths = np.zeros((rows, self.spans), np.int64)
        np.add.at(lengths, (each, member), 1)
        gaps = np.sort(np.argsort(draws.uniform(1, kept + 1), axis=1)[:, : self.spans], axis=1)
        lost = np.zeros((rows, kept + 1), np.int64)
        lost[each, gaps] = lengths
        masks = np.zeros((rows, kept + 1), np.int64)
        masks[each, gaps] = 1
        place = np.arange(kept)[None, :]
        source = np.full((rows, kept + self.spans), self.mask)
        source[each, place + masks.cumsum(axis=1)[:, :kept]] = windows[
            each, place + lost.cumsum(axis=1)[:, :kept]
        ]
        closing = np.full((rows, 1), self.end)
        return _tensors(
            {
                "input_ids": _frame(source, self.start, self.end),
                "labels": np.concatenate([windows, closing], axis=1),
            }
        )


def objective(spec: params.Objective, tokenizer: PreTrainedTokenizerFast, max_length: int) -> Objective:
    """The objective that ``spec`` names, for windows that fill ``max_length`` positions of the model."""
    if max_length < 8:
        raise UserError(
            f"params.yaml: training.max_length: {max_length}, expected at least 8 for pretraining"
        )
    if spec.name == "causal":
        return Causal(spec, tokenizer, max_length)
    if spec.name == "masked":
        return Masked(spec, tokenizer, max_length)
    if spec.separate_documents:
        raise UserError(
            "params.yaml: objective.separate_documents: denoising does not know it; set it to false"
        )
    kind = SpanCorruption if spec.noise == "span_corruption" else TextInfilling
    return kind(spec, tokenizer, max_length)


class Words:
    """Where words begin in a row of tokens.

    In a script with spaces a word is a run of letters and digits. Where words run together (Chinese,
    Japanese, Thai ...) a token of several characters is a word, and single characters stand alone or are
    drawn together into a short run. The bytes of one character always stay together.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        size = len(tokenizer)
        self.first_letter = np.zeros(size, bool)  # begins with a letter or digit of a spaced script
        self.last_letter = np.zeros(size, bool)
        self.single = np.zeros(size, bool)  # one character of an unspaced script
        self.inside = np.zeros(size, bool)  # begins in the middle of a character
        special = set(tokenizer.all_special_ids)
        tokens = tokenizer.convert_ids_to_tokens(list(range(size)))
        for i, token in enumerate(tokens):
            if i in special or token is None:
                continue
            raw = token_bytes(token)
            text = raw.decode("utf-8", "ignore")
            self.inside[i] = bool(raw) and 0x80 <= raw[0] < 0xC0
            if text:
                self.first_letter[i] = _is_letter(text[0]) and not self.inside[i]
                self.last_letter[i] = _is_letter(text[-1]) and raw.endswith(text[-1].encode())
                self.single[i] = len(text) == 1 and _is_unspaced(text)

    def starts(self, ids: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Which tokens begin a word, (batch, length); ``uniform`` decides on runs of single characters."""
        before, after = ids[:, :-1], ids[:, 1:]
        goes_on = self.inside[after] | (self.last_letter[before] & self.first_letter[after])
        goes_on |= self.single[before] & self.single[after] & (uniform[:, 1:] < JOIN)
        starts = np.ones(ids.shape, bool)
        starts[:, 1:] = ~goes_on
        return starts


def token_bytes(token: str) -> bytes:
    """The bytes that a token of any common tokenizer stands for: byte-level, byte fallback, or text."""
    if len(token) == 6 and token.startswith("<0x"):
        return bytes([int(token[3:5], 16)])
    token = token.removeprefix("##")
    table = byte_pairs.alphabet()
    if all(character in table for character in token):
        return bytes(table[character] for character in token)
    return token.replace("▁", " ").encode()


def _is_unspaced(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in UNSPACED)


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM" and not _is_unspaced(character)


def _partition(total: int, parts: int, draws: Draws, purpose: int) -> np.ndarray:
    """``total`` split into ``parts`` positive lengths, uniformly over all ways to do so, (batch, parts)."""
    cuts = np.argsort(draws.uniform(purpose, max(total - 1, 1)), axis=1)[:, : parts - 1] + 1
    bounds = np.sort(np.pad(cuts, ((0, 0), (1, 1)), constant_values=((0, 0), (0, total))), axis=1)
    return np.diff(bounds, axis=1)


def _frame(ids: np.ndarray, start: int, end: int) -> np.ndarray:
    return np.pad(ids, ((0, 0), (1, 1)), constant_values=((0, 0), (start, end)))


def _begin(tokenizer: PreTrainedTokenizerFast) -> int:
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    return _known(tokenizer, "<s>", first)


def _known(tokenizer: PreTrainedTokenizerFast, name: str, token: int | None) -> int:
    if token is None or (token == tokenizer.unk_token_id and name != "<unk>"):
        raise UserError(
            f"the tokenizer has no token for {name}, which this objective needs; run the stage tokenize"
        )
    return token


def _tensors(arrays: dict[str, np.ndarray]) -> Batch:
    import torch

    return {key: torch.from_numpy(np.ascontiguousarray(value, np.int64)) for key, value in arrays.items()}
