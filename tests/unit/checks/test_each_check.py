"""Each check by its name: good data passes, and a planted defect fails the check that watches it.

A check without a defect here fails the suite.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from textmill.checks import corpus, documents, labels, overlap, profile, tokens
from textmill.checks.definitions import DEFINITIONS, Level
from textmill.params import Check, Params
from textmill.records import write_json

Key = tuple[Level, str]
SPLITS = ("train", "validation", "test")
ROW = 4  # the English document that is spoilt; the one behind it is Chinese
# Ids of the tokens of each language behind the marks <pad>, <unk> and the end.
WORDS = {"en": ("mill ", "river ", "corn "), "zh": ("磨坊", "河边", "麦子")}


@dataclass
class Packed:
    """Packed ids as the stage tokenize writes them, a document a list."""

    words: list[str]
    ids: dict[str, list[list[int]]]
    texts: dict[str, list[str]]
    languages: dict[str, list[str]]
    cut: int = 0  # ids that the file of the training split lacks

    all_special_ids = (0, 1, 2)
    unk_token_id, eos_token_id = 1, 2

    def __len__(self) -> int:
        return len(self.words)

    def decode(self, ids: list[int]) -> str:
        return "".join(self.words[number] for number in ids if number < len(self.words))

    def batch_decode(self, rows: list[Any], **_: Any) -> list[str]:
        return [self.decode(list(row)) for row in rows]

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[str]]]:
        return {"input_ids": [text.split(" ") for text in texts]}

    def put(self, split: str, place: int, ids: list[int]) -> None:
        """Replace a document, and its text with it."""
        self.ids[split][place] = ids
        self.texts[split][place] = self.decode(ids[:-1])

    def write(self, folder: Path) -> None:
        for split in SPLITS:
            names = [f"{split}-{number}" for number in range(len(self.ids[split]))]
            table = {"id": names, "text": self.texts[split], "language": self.languages[split]}
            (folder / "corpus").mkdir(exist_ok=True)
            pl.DataFrame(table).write_parquet(folder / "corpus" / f"{split}.parquet")
            flat = [number for ids in self.ids[split] for number in ids]
            offsets = np.cumsum([0, *map(len, self.ids[split])])
            stored = flat[: len(flat) - self.cut] if split == "train" else flat
            np.array(stored, np.uint16).tofile(folder / f"{split}.bin")
            np.array(offsets, np.uint64).tofile(folder / f"{split}.offsets.bin")
            write_json(folder / f"{split}.json", {"dtype": "uint16", "tokens": len(flat), "ids": names})


def packed() -> Packed:
    draw = random.Random(3)
    made = Packed(["<pad>", "<unk>", "<end>", *WORDS["en"], *WORDS["zh"]], {}, {}, {})
    for split in SPLITS:
        made.languages[split] = ["en", "zh"] * 20
        made.ids[split] = [
            [*draw.choices(range(3, 6) if language == "en" else range(6, 9), k=40), 2]
            for language in made.languages[split]
        ]
        made.texts[split] = [made.decode(ids[:-1]) for ids in made.ids[split]]
    return made


@dataclass
class World:
    """All that checks look at."""

    frame: pl.DataFrame
    tasks: dict[str, dict[str, list[dict[str, Any]]]]
    packed: Packed = field(default_factory=packed)
    dropped: list[str] = field(default_factory=lambda: ["language"] * 24)  # rules of dropped documents
    in_corpus: dict[str, set[str]] = field(default_factory=dict)  # ids of examples found there
    skipped: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def replace(self, row: int, **columns: Any) -> None:
        self.set(
            **{
                name: pl.when(this(row)).then(pl.lit(new)).otherwise(pl.col(name))
                for name, new in columns.items()
            }
        )

    def rewrite(self, text: pl.Expr | pl.Series, where: pl.Expr | None = None) -> None:
        here = pl.lit(True) if where is None else where
        self.set(text=pl.when(here).then(text).otherwise("text"))

    def set(self, **columns: pl.Expr) -> None:
        self.frame = self.frame.with_columns(**columns)

    def example(self, task: str, split: str = "test", place: int = 5) -> dict[str, Any]:
        return self.tasks[task][split][place]


Plant = Callable[[World], object]


def text(*texts: str, row: int = ROW) -> tuple[Plant, ...]:
    """A document that says this instead, each time; {} is what it said."""

    def plant(new: str) -> Plant:
        return lambda world: world.replace(row, text=new.replace("{}", world.frame["text"][row]))

    return tuple(map(plant, texts))


def chinese(*texts: str) -> tuple[Plant, ...]:
    return text(*texts, row=ROW + 1)


def this(row: int) -> pl.Expr:
    return pl.int_range(pl.len()) == row


def column(**columns: Any) -> Plant:
    return lambda world: world.replace(ROW, **columns)


def spoilt(task: str, **fields: Any) -> Plant:
    """An example with other fields."""
    return lambda world: world.example(task).update(fields)


def span(start: int, end: int, label: str = "place") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def first(world: World, split: str, language: str = "en") -> int:
    rows = world.frame.with_row_index().filter((pl.col("split") == split) & (pl.col("language") == language))
    return int(rows["index"][0])


def copied(world: World, split: str, tail: str, language: str = "en") -> None:
    """A document of the split is one of training, with other words at its end."""
    original = world.frame["text"][first(world, "train", language)]
    world.replace(first(world, split, language), text=original[:-1] + tail)


def shorter(size: int) -> Plant:
    return lambda world: world.rewrite(pl.col("text").str.head(size))


def every(task: str, split: str, **fields: Any) -> Plant:
    return lambda world: [example.update(fields) for example in world.tasks[task][split]]


def without(world: World, mask: pl.Expr) -> None:
    world.frame = world.frame.filter(~mask)


def rare(world: World) -> None:
    """A class with one example in a hundred."""
    rows = [copy.deepcopy(row) for row in world.tasks["sentiment"]["train"] * 4]
    for number, row in enumerate(rows):
        row |= {"id": f"more-{number}", "text": f"{row['text']} {number}", "label": "positive"}
    world.tasks["sentiment"]["train"] = rows
    rows[0]["label"] = "negative"


def giants(world: World) -> None:
    for row in (0, 2):
        world.replace(row, text=" ".join(world.frame["text"][20 * row + 2 : 20 * row + 22 : 2].to_list() * 6))


def dull(world: World) -> None:
    """Texts that differ, of the same few words and characters."""
    draw = random.Random(5)
    few = {"en": ("the ", "river ", "town ", "old ", "near "), "zh": "我们在城市"}
    texts = ["".join(draw.choices(few[language], k=60)) for language in world.frame["language"]]
    world.rewrite(pl.Series(texts))


def put(split: str, ids: list[int], place: int = 0) -> Plant:
    return lambda world: world.packed.put(split, place, ids)


def lengthen(world: World, task: str, field: str, count: int) -> None:
    """Make ``count`` of a task's thirty test examples longer than what the model reads."""
    for example in world.tasks[task]["test"][:count]:
        example[field] += " mill" * 150


def shrunk(world: World) -> None:
    for rows in (world.packed.ids, world.packed.texts, world.packed.languages):
        del rows["test"][4:]


def lettered(world: World) -> None:
    """English that is written letter by letter."""
    world.packed.words[3:6] = "abc"
    for split in SPLITS:
        for place, ids in enumerate(world.packed.ids[split]):
            world.packed.put(split, place, ids)


def one_word(world: World) -> None:
    for place, language in enumerate(world.packed.languages["validation"]):
        world.packed.put("validation", place, [3 if language == "en" else 6] * 40 + [2])


def open_ended(world: World) -> None:
    world.packed.ids["train"][0][-1] = 3


def long_word(world: World) -> None:
    world.packed.words.append("m" * 60)
    world.packed.put("train", 0, [9, 3, 2])


def another_id(world: World) -> None:
    world.example("sentiment")["id"] = world.example("sentiment", "train", 1)["id"]


def same_text(task: str, key: str, *places: tuple[str, int]) -> Plant:
    def plant(world: World) -> None:
        for split, place in places:
            world.example(task, split, place)[key] = world.example(task, "train", 9)[key]

    return plant


def one_off(world: World) -> None:
    for example in world.tasks["entities"]["dev"]:
        example["spans"][0]["end"] += 1


def aside(*problems: str) -> Plant:
    rows = [{"place": f"a.txt:{number}", "problem": problem} for number, problem in enumerate(problems)]
    return lambda world: world.skipped.update(entities=rows)


# The defects that each check watches for, by its level and name.
CASES: dict[Key, tuple[Plant, ...]] = {
    ("document", "missing_fields"): (column(licence=None), column(source=" ")),
    ("document", "duplicate_id"): (lambda world: world.replace(ROW, id=world.frame["id"][8]),),
    ("document", "duplicate_text"): (lambda world: world.replace(ROW, text=world.frame["text"][8]),),
    ("document", "characters"): text("The town.", "{} " * 500),
    ("document", "replacement_characters"): (*text("{}\ufffd"), *chinese("{}\ufffd")),
    ("document", "mojibake"): (
        *text("{} The cafÃ© was near the river.", "{} æˆ‘ä»¬ åœ¨"), *chinese("{}锟斤拷锟斤拷"),
    ),
    ("document", "control_characters"): (*text("{}\x07"), *chinese("{}\x1b")),
    ("document", "not_normalised"): text("{} cafe\u0301"),
    ("document", "language_unwanted"): (column(language="fr"),),
    ("document", "language_confidence"): (
        lambda world: [world.replace(row, confidence=0.2) for row in range(5)],  # of 240, two may be unsure
    ),
    ("document", "letters"): (*text("{} " + "+-/ " * 60), *chinese("{}" + "+-/ " * 30)),
    ("document", "digits"): (*text("{} " + "20 19 87 " * 20), *chinese("{}" + "2024 1987" * 5)),
    ("document", "punctuation"): (
        lambda world: world.rewrite(pl.col("text").str.replace_all(" ", "---"), this(ROW)),
    ),
    ("document", "whitespace"): (*text("{}" + " " * 120), *chinese("{}" + "　" * 60)),
    ("document", "repeated_lines"): (
        *text("\n".join(["{}", *["the old town"] * 4])), *chinese("\n".join(["{}", *["老街在城市里"] * 4])),
    ),
    ("document", "repeated_ngrams"): (*text("the old town " * 30), *chinese("老街在城市里。" * 30)),
    ("document", "boilerplate_lines"): (
        lambda world: world.rewrite(pl.col("text") + "\nthe old town", pl.int_range(pl.len()) < 40),
    ),
    ("document", "urls"): text("{} https://example.org/a/very/long/address/of/a/page"),
    ("document", "markup"): (*text("{}<br/>", "{}&nbsp;"), *chinese("{}<p>")),
    ("document", "longest_word"): text("{} " + "street" * 8),
    ("document", "surprise"): (
        *text("xqz kfj vwpq zzxk jqv hgfd wxyz qkjh vbnm plok " * 2),
        *chinese("鼂龘靐齾龖麤籱纞虋讟钃鸜麷鞻韽韾頀頁頖頫顟顬"),
    ),
    ("document", "personal_data"): (*text("{} lena.moss@example.org"), *chinese("{}13800138000")),
    ("corpus", "documents"): (
        lambda world: without(world, (pl.col("split") == "test") & (pl.int_range(pl.len()) > 40)),
    ),
    ("corpus", "characters"): (
        lambda world: world.rewrite(pl.col("text").str.head(30), pl.col("split") == "test"),
    ),
    ("corpus", "kept"): (lambda world: world.dropped.extend(f"rule {n % 10}" for n in range(1000)),),
    ("corpus", "dropped_by_rule"): (lambda world: world.dropped.extend(["language"] * 80),),
    ("corpus", "source_share"): (lambda world: world.set(source=pl.lit("new")),),
    ("corpus", "language_share"): (lambda world: without(world, pl.col("language") == "zh"),),
    ("corpus", "split_share_error"): (
        lambda world: world.set(
            split=pl.when(pl.int_range(pl.len()) < 60).then(pl.lit("test")).otherwise("split")
        ),
    ),
    ("corpus", "exact_leakage"): (
        lambda world: copied(world, "test", "."),
        lambda world: copied(world, "test", "。", "zh"),
    ),
    ("corpus", "near_duplicates"): (
        lambda world: [
            world.replace(row, text=world.frame["text"][2][:-1] + f" {row}.") for row in range(4, 20, 4)
        ],
    ),
    ("corpus", "near_leakage"): (
        lambda world: copied(world, "validation", " again and again."),
        lambda world: copied(world, "validation", "又一次。", "zh"),
    ),
    ("corpus", "contamination"): (
        lambda world: world.replace(ROW, text=f"He wrote: {world.example('sentiment')['text']} And so on."),
    ),
    ("corpus", "median_characters"): (shorter(20),),
    ("corpus", "long_tail"): (giants,),
    ("corpus", "vocabulary_growth"): (dull,),
    ("corpus", "drift_characters"): (
        lambda world: world.rewrite(pl.col("text").str.to_uppercase()),
        lambda world: world.rewrite(pl.col("text").str.replace_all("[在很老和的小门]", "於")),
    ),
    ("corpus", "drift_lengths"): (
        lambda world: world.rewrite(pl.col("text") + pl.col("text").shift(2, fill_value="")),
    ),
    ("corpus", "drift_mix"): (
        lambda world: without(world, (pl.col("language") == "en") & (pl.int_range(pl.len()) // 40 > 0)),
    ),
    ("tokens", "tokens"): (shrunk,),
    ("tokens", "document_tokens"): (put("train", [2]),),
    ("tokens", "unknown"): (put("train", [1] * 40 + [2]), put("train", [1] * 40 + [2], place=1)),
    ("tokens", "bytes_per_token"): (lettered,),
    ("tokens", "vocabulary_used"): (lambda world: world.packed.words.extend(["unused"] * 5),),
    ("tokens", "longest_token"): (long_word,),
    ("tokens", "special_tokens"): (put("train", [3, 0, 4, 2]),),
    ("tokens", "document_ends"): (open_ended,),
    ("tokens", "packed_length"): (lambda world: setattr(world.packed, "cut", 1),),
    ("tokens", "ids_in_range"): (put("train", [3, 99, 4, 2]),),
    ("tokens", "round_trip"): (lambda world: world.packed.texts["train"].__setitem__(1, "磨坊在河边"),),
    ("tokens", "drift_tokens"): (one_word,),
    ("tokens", "example_tokens"): (
        lambda world: lengthen(world, "sentiment", "text", 2),
        lambda world: lengthen(world, "headlines", "target", 2),
    ),
    ("labels", "examples"): (lambda world: world.tasks["dialogue"]["dev"].__delitem__(slice(5, None)),),
    ("labels", "missing_fields"): (spoilt("sentiment", label=None), spoilt("headlines", target=None)),
    ("labels", "empty_text"): (spoilt("sentiment", text=" "), spoilt("questions", question="")),
    ("labels", "duplicate_id"): (another_id,),
    ("labels", "label_unknown"): (
        spoilt("sentiment", label="neutral"),
        spoilt("entities", spans=[span(0, 3, "planet")]),
    ),
    ("labels", "label_unused"): (every("sentiment", "dev", label="positive"),),
    ("labels", "label_unseen"): (every("sentiment", "train", label="positive"),),
    ("labels", "class_share"): (rare,),
    ("labels", "duplicates"): (same_text("headlines", "source", *(("train", place) for place in range(4))),),
    ("labels", "leakage"): (same_text("sentiment", "text", ("test", 9)),),
    ("labels", "conflicting_labels"): (same_text("sentiment", "text", ("train", 0)),),
    ("labels", "spans_outside"): (
        spoilt("entities", spans=[span(2, 9000)]),
        spoilt("entities", spans=[span(5, 5)]),
        spoilt("relations", head=span(-1, 4, "person")),
    ),
    ("labels", "spans_overlap"): (
        spoilt("entities", spans=[span(0, 6), span(4, 9, "person")]),
        spoilt("relations", tail=span(2, 6)),
    ),
    ("labels", "spans_cut_words"): (one_off,),
    ("labels", "answers_missing"): (
        spoilt("questions", answers=[{"text": "elsewhere", "start": 0}]),
        spoilt("questions", answers=[{"text": "", "start": 0}]),
    ),
    ("labels", "source_is_target"): (
        lambda world: world.example("headlines").update(target=world.example("headlines")["source"]),
    ),
    ("labels", "length_ratio"): (
        lambda world: [row.update(target="word " * 800) for row in world.tasks["headlines"]["test"][:2]],
    ),
    ("labels", "turns_out_of_order"): (
        spoilt("dialogue", turns=[{"role": "assistant", "text": "Hello there."}]),
        spoilt("dialogue", turns=[{"role": "user", "text": "Good day."}] * 2),
    ),
    ("labels", "corpus_overlap"): (lambda world: world.in_corpus.update(questions={"questions-test-1"}),),
    ("labels", "label_drift"): (
        lambda world: [row.update(label="positive") for row in world.tasks["sentiment"]["test"][2:]],
    ),
    ("labels", "skipped_rows"): (aside("text: empty"),),
    ("labels", "tags_malformed"): (aside("tag: 'I-LOC' (token 1) does not continue"),),
    ("labels", "relations_dangling"): (aside("relation: makes points at '0'"),),
}  # fmt: skip
# What fails with it, as it should: two checks that see one defect from two sides.
BESIDE: dict[Key, set[str]] = {
    ("document", "characters"): {"repeated_ngrams"},
    ("document", "letters"): {"punctuation", "surprise"},
    ("document", "digits"): {"surprise"},
    ("document", "punctuation"): {"surprise"},
    ("document", "whitespace"): {"surprise"},
    ("corpus", "documents"): {"characters", "split_share_error"},
    ("corpus", "source_share"): {"drift_mix"},
    ("corpus", "language_share"): {"drift_characters", "drift_lengths", "drift_mix"},
    ("corpus", "exact_leakage"): {"near_leakage"},  # a copy is a near copy too
    ("corpus", "median_characters"): {"characters", "drift_lengths", "drift_mix"},
    ("corpus", "long_tail"): {"drift_mix"},
    ("corpus", "vocabulary_growth"): {"drift_characters", "drift_lengths"},
    ("corpus", "drift_mix"): {"drift_lengths"},  # Chinese documents are shorter
    ("tokens", "unknown"): {"special_tokens"},  # <unk> is a mark
    ("labels", "label_unused"): {"class_share", "label_drift"},
    ("labels", "label_unseen"): {"class_share", "label_drift", "label_unused"},
    ("labels", "class_share"): {"label_drift"},
    ("labels", "conflicting_labels"): {"duplicates"},
    ("labels", "tags_malformed"): {"skipped_rows"},
    ("labels", "relations_dangling"): {"skipped_rows"},
}


@pytest.fixture
def world(clean: pl.DataFrame, tasks: dict[str, Any]) -> World:
    return World(clean, tasks)


@pytest.fixture
def failed(
    clean: pl.DataFrame, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Level, World], set[str]]:
    """The checks of a level that a world fails, with the bounds of params.yaml."""
    # A corpus of 240 documents is smaller than one to train on.
    sizes = {"documents": Check(min=5, severity="fail"), "characters": Check(min=500, severity="fail")}
    bounds = params.checks.model_copy(update={"corpus": params.checks.corpus.model_copy(update=sizes)})

    def tables(level: Level, world: World) -> dict[str, pl.DataFrame]:
        if level == "tokens":
            monkeypatch.setattr("textmill.tokenizer.load", lambda folder: world.packed)
            world.packed.write(tmp_path)
            return tokens.tables(tmp_path, tmp_path, tmp_path / "corpus", world.tasks, 1000)
        if level == "labels":
            known = {name: world.in_corpus.get(name, set()) for name in world.tasks}
            return labels.tables(world.tasks, params.tasks, known, world.skipped)
        statistics = documents.table(world.frame, params.corpus)
        if level == "document":
            return {"documents": statistics}
        gone = pl.DataFrame({"id": [f"gone{n}" for n in range(len(world.dropped))], "rule": world.dropped})
        contaminated, _ = overlap.HeldOut(world.tasks, params.corpus.decontamination).match(world.frame)
        mine, reference = profile.profile(world.frame), profile.profile(clean)
        return corpus.tables(world.frame, statistics, gone, contaminated, params, mine, reference)

    def failed(level: Level, world: World) -> set[str]:
        found = set()
        made = tables(level, world)
        for definition in DEFINITIONS:
            if definition.level == level:
                check = getattr(getattr(bounds, level), definition.name)
                figures = made[definition.table][definition.name].cast(pl.Float64).drop_nulls()
                low = -np.inf if check.min is None else check.min
                high = np.inf if check.max is None else check.max
                if len(figures) and figures.is_between(low, high).mean() < check.mostly:
                    found.add(definition.name)
        return found

    return failed


@pytest.mark.parametrize("level", ["document", "corpus", "tokens", "labels"])
def test_good_data_passes(level: Level, world: World, failed: Callable[[Level, World], set[str]]) -> None:
    assert failed(level, world) == set()


def test_every_check_has_a_defect() -> None:
    assert set(CASES) == {(definition.level, definition.name) for definition in DEFINITIONS}


@pytest.mark.parametrize(
    ("key", "plant"),
    [
        pytest.param(key, plant, id=f"{key[0]}-{key[1]}-{number}")
        for key, plants in CASES.items()
        for number, plant in enumerate(plants)
    ],
)
def test_a_planted_defect_fails_the_check_that_watches_it(
    key: Key, plant: Plant, world: World, failed: Callable[[Level, World], set[str]]
) -> None:
    plant(world)
    level, name = key
    found = failed(level, world)
    assert name in found
    assert found - {name} <= BESIDE.get(key, set())
