"""From sources to splits: each reason, each figure; the same bytes again; and after a kill."""

import hashlib
import json
import random
from pathlib import Path

import polars as pl
import pytest

from textmill.corpus import curate, curation, diff, ingest, ingestion, why
from textmill.errors import UserError
from textmill.records import DOCUMENT, write_jsonl

ENGLISH = """the river mill grinds corn and wheat for every village in the valley while children watch how
water turns old wooden wheels slowly under a grey sky after rain people carry heavy sacks along narrow roads
because nobody owns horses anymore except farmer Brown who lends his cart on market days when prices rise
again and merchants shout louder than bells during winter feasts with bread apples and cider"""
CHINESE = (
    "清晨的阳光照在河边的磨坊上老人把麦子倒进石磨慢慢推动水轮孩子们围在旁边听他讲过去"
    "的故事后来村里修了新路商人带来布匹和盐大家在集市上交换东西热闹得像过年一样"
)


def english(draw: random.Random, words: int = 80) -> str:
    chosen = draw.choices(ENGLISH.split(), k=words)
    return " ".join(chosen).capitalize() + " and that of the mill."


def chinese(draw: random.Random, size: int = 120) -> str:
    pieces = [CHINESE[place : place + 6] for place in range(0, len(CHINESE), 6)]
    return "".join(draw.choices(pieces, k=size // 6)) + "。"


@pytest.fixture
def world(tmp_path, corpus_params):
    """A corpus with one of each defect, ingested and curated."""
    draw = random.Random(11)
    texts = [english(draw) for _ in range(150)] + [chinese(draw) for _ in range(60)]
    question = "Which of the seven old mills beside the river was the very first to grind corn again?"
    planted = {
        "exact_duplicate": texts[3],
        "near_duplicate": texts[4].rstrip(".") + " indeed.",
        "contamination": f"{english(draw)} {question} {english(draw, 20)}",
        "language": "Der Müller steht am frühen Morgen auf und geht mit seinem Hund zur Mühle hinunter.",
        "gopher_stop_words": " ".join("".join(draw.choices("bcdfghjklmnpqrstvwxz", k=6)) for _ in range(60)),
        "unspaced_common_characters": "".join(chr(draw.randint(0x4E00, 0x9FA5)) for _ in range(80)),
    }
    texts += planted.values()
    private = english(draw) + " Write to ann@example.org or call 13800138000."
    texts.append(private)
    folder = tmp_path / "task"
    write_jsonl(folder / "train.jsonl", [])
    write_jsonl(folder / "dev.jsonl", [])
    write_jsonl(folder / "test.jsonl", [{"id": "1", "question": question, "context": "short", "answers": []}])
    write_jsonl(tmp_path / "a.jsonl", ({"t": text} for text in texts))
    params = corpus_params(
        {"one": {"format": "jsonl", "path": str(tmp_path / "a.jsonl"), "text_field": "t"}},
        language={"wanted": ["en", "zh"], "min_confidence": 0.2},
        quality={"gopher_stop_words": {"min": 2}, "unspaced_common_characters": {"min": 0.1}},
        privacy=["email", "phone"],
        split={"validation": 0.1, "test": 0.1},
    )
    return params, tmp_path, {"questions": folder}, planted


def run(params, folder: Path, tasks) -> tuple[dict, dict]:
    return (
        ingest(params, folder / "documents"),
        curate(params, folder / "documents", tasks, folder / "corpus"),
    )


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def kept(corpus: Path) -> pl.DataFrame:
    frames = [pl.read_parquet(corpus / f"{split}.parquet") for split in ("train", "validation", "test")]
    return pl.concat(frames)


def test_each_defect_is_dropped_for_its_reason(world):
    params, folder, tasks, planted = world
    ingested, metrics = run(params, folder, tasks)
    dropped = pl.read_parquet(folder / "corpus" / "dropped.parquet")
    reasons = dict(zip(dropped["text"], dropped["rule"], strict=True))
    for reason, text in planted.items():
        if reason == "near_duplicate":  # it is longer than its original, so that goes
            assert text in kept(folder / "corpus")["text"].to_list()
            assert list(reasons.values()).count("near_duplicate") == 1
        elif reason == "language":
            assert reasons[text] == "language"
            assert dropped.filter(pl.col("rule") == "language")["detail"].to_list() == ["de"]
        else:
            assert reasons[text] == reason
    assert metrics["dropped"] == 6 == len(dropped)
    assert ingested["documents"] == metrics["documents"] + metrics["dropped"]
    assert metrics["contaminated_questions"] == 1
    assert (metrics["personal_email"], metrics["personal_phone"]) == (1, 1)
    row = dropped.filter(pl.col("rule") == "gopher_stop_words").row(0, named=True)
    assert (row["figure"], row["threshold"]) == (0.0, 2.0)
    assert dropped.select("figure", "threshold").null_count().row(0) == (0, 0)


def test_outputs_have_the_columns_that_later_stages_read(world):
    params, folder, tasks, _ = world
    run(params, folder, tasks)
    table = kept(folder / "corpus")
    assert set(DOCUMENT) <= set(table.columns)
    assert {"language", "confidence", "cluster", "personal_data", "boilerplate_lines"} <= set(table.columns)
    assert table["id"].is_unique().all()
    private = table.filter(pl.col("personal_data") > 0)
    assert private["text"][0].endswith("Write to [EMAIL] or call [PHONE].")
    dropped = pl.read_parquet(folder / "corpus" / "dropped.parquet")
    assert dropped.columns[:7] == ["id", "source", "rule", "figure", "threshold", "detail", "text"]


def test_same_bytes_again_and_in_small_shards_the_same_decisions(world, monkeypatch):
    params, folder, tasks, _ = world
    run(params, folder / "one", tasks)
    run(params, folder / "two", tasks)
    assert digest(folder / "one") == digest(folder / "two")
    assert not list(folder.rglob("work"))
    monkeypatch.setattr(ingestion, "SHARD", 9000)
    ingested, _ = run(params, folder / "three", tasks)
    assert ingested["shards"] > 3
    for name in ("train", "validation", "test", "dropped"):
        one, three = (pl.read_parquet(folder / f / "corpus" / f"{name}.parquet") for f in ("one", "three"))
        assert one.equals(three)


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (ingestion, "table"),
        (ingestion, "describe"),
        (curation, "judge"),
        (curation, "apply"),
        (curation, "_metrics"),
    ],
)
def test_stopped_run_continues_with_the_same_bytes(world, monkeypatch, module, name):
    params, folder, tasks, _ = world
    monkeypatch.setattr(ingestion, "SHARD", 5000)
    run(params, folder / "whole", tasks)
    calls = []
    original = getattr(module, name)

    def stops(*args, **kwargs):
        calls.append(1)
        if name == "_metrics" or len(calls) > 4:
            raise KilledError("stopped here")
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, stops)
    with pytest.raises(Exception, match="stopped here"):
        run(params, folder / "again", tasks)
    calls.clear()
    monkeypatch.setattr(module, name, lambda *args: calls.append(1) or original(*args))
    if module is ingestion:
        ingest(params, folder / "again" / "documents")
    curate(params, folder / "again" / "documents", tasks, folder / "again" / "corpus")
    assert digest(folder / "whole") == digest(folder / "again")
    if name != "_metrics":
        shards = len(list((folder / "whole" / "documents").glob("documents-*.parquet")))
        # Four were made before; those whose answer was still on its way are made again.
        assert shards - 4 <= len(calls) < shards


def test_changed_parameters_do_not_continue_a_killed_run(world, monkeypatch):
    params, folder, tasks, _ = world
    monkeypatch.setattr(ingestion, "SHARD", 9000)
    run(params, folder / "a", tasks)
    other = params.model_copy(
        update={
            "corpus": params.corpus.model_copy(
                update={"split": params.corpus.split.model_copy(update={"test": 0.5})}
            )
        }
    )
    with monkeypatch.context() as patch:
        patch.setattr(curation, "_metrics", lambda *args: (_ for _ in ()).throw(KilledError()))
        with pytest.raises(KilledError):
            curate(params, folder / "a" / "documents", tasks, folder / "b")
    curate(other, folder / "a" / "documents", tasks, folder / "b")
    curate(other, folder / "a" / "documents", tasks, folder / "c")
    assert digest(folder / "b") == digest(folder / "c")


def test_adding_a_source_moves_no_document(world, corpus_params):
    params, folder, tasks, _ = world
    run(params, folder / "before", tasks)
    draw = random.Random(12)
    old = [json.loads(line)["t"] for line in (folder / "a.jsonl").open()]
    # Some of the new documents are longer near duplicates of old ones, and take their places.
    new = [english(draw) for _ in range(80)] + [f"{text} And yet." for text in old[5:45]]
    write_jsonl(folder / "b.jsonl", ({"t": text} for text in new))
    sources = {name: source.model_dump(mode="json") for name, source in params.corpus.sources.items()}
    sources["two"] = {"format": "jsonl", "path": str(folder / "b.jsonl"), "text_field": "t"}
    corpus = params.corpus.model_dump(mode="json", exclude={"sources"})
    run(corpus_params(sources, **corpus), folder / "after", tasks)
    answer = diff(folder / "before" / "corpus", folder / "after" / "corpus")
    assert answer.data["moved"] == 0
    assert answer.data["out"] == {"near_duplicate": 40}
    assert answer.data["in"] == {"new in a source": 120}
    before, after = (kept(folder / name / "corpus") for name in ("before", "after"))
    splits = {
        name: dict(
            pl.concat(
                [
                    pl.read_parquet(folder / name / "corpus" / f"{s}.parquet").select(
                        "cluster", split=pl.lit(s)
                    )
                    for s in ("train", "validation", "test")
                ]
            ).iter_rows()
        )
        for name in ("before", "after")
    }
    # What replaces an old document stands in that document's split.
    assert all(splits["after"][cluster] == split for cluster, split in splits["before"].items())
    assert len(before) + 80 == len(after)


def test_group_stays_together(tmp_path, corpus_params):
    draw = random.Random(13)
    rows = [{"t": english(draw), "g": f"book {number % 12}"} for number in range(120)]
    write_jsonl(tmp_path / "a.jsonl", rows)
    source = {"format": "jsonl", "path": str(tmp_path / "a.jsonl"), "text_field": "t", "group_field": "g"}
    params = corpus_params({"one": source}, split={"validation": 0.3, "test": 0.3})
    run(params, tmp_path, {})
    groups = [
        set(pl.read_parquet(tmp_path / "corpus" / f"{split}.parquet")["group"])
        for split in ("train", "validation", "test")
    ]
    assert all(groups)
    assert sum(map(len, groups)) == 12


def splits(corpus: Path) -> dict[str, str]:
    """The split of each kept text."""
    return {
        text: split
        for split in ("train", "validation", "test")
        for text in pl.read_parquet(corpus / f"{split}.parquet")["text"]
    }


@pytest.mark.parametrize("make", [english, chinese])
def test_dated_documents_are_split_by_time(tmp_path, corpus_params, make):
    draw = random.Random(17)
    days = [f"202{year}-{month:02d}-15" for year in (2, 3, 4) for month in range(1, 13)]
    dated = {make(draw): day for day in days for _ in range(3)}
    early = next(text for text, day in dated.items() if day == "2022-05-15")
    late = next(text for text, day in dated.items() if day == "2024-12-15")
    copies = {early + " Again." if make is english else early + "又来了。": "2024-12-15"}
    write_jsonl(tmp_path / "a.jsonl", ({"t": text, "d": day} for text, day in (dated | copies).items()))
    write_jsonl(tmp_path / "b.jsonl", ({"t": make(draw)} for _ in range(100)))
    # Added later: other documents, and an early copy of a document that stands in test.
    write_jsonl(tmp_path / "c.jsonl", [{"t": make(draw), "d": "2023-12-31"}, {"t": late, "d": "2020"}])

    def corpus(names: str) -> dict[str, str]:
        common = {"format": "jsonl", "text_field": "t"}
        made = {name: {**common, "path": str(tmp_path / f"{name}.jsonl")} for name in names}
        for name in set(names) - {"b"}:
            made[name]["time_field"] = "d"
        dates = {"validation": "2023-12-31", "test": "2024-06-15"}
        split = {"validation": 0.3, "test": 0.3, "dates": dates}
        run(corpus_params(made, split=split, language={"min_confidence": 0.0}), tmp_path / names, {})
        return splits(tmp_path / names / "corpus")

    found = corpus("ab")
    for text, day in dated.items():
        if text != early:
            assert found[text] == (
                "train" if day < "2023-12-31" else "validation" if day < "2024-06-15" else "test"
            )
    # A later copy of an early document is no news: it takes the place of the early one, in training.
    assert early not in found
    assert found[next(iter(copies))] == "train"
    # Documents without a date go by hash beside them.
    undated = [split for text, split in found.items() if text not in dated | copies]
    assert {split: undated.count(split) > 15 for split in ("train", "validation", "test")} == {
        "train": True, "validation": True, "test": True,
    }  # fmt: skip
    more = corpus("abc")
    assert found.items() <= more.items()
    assert sorted(more.values()).count("validation") == list(found.values()).count("validation") + 1


@pytest.mark.parametrize(
    ("source", "split", "message"),
    [
        ({"time_field": "d"}, {}, "sources.one.time_field needs split.dates"),
        ({"time_field": "d", "group_field": "g"}, {}, "by group_field or by time_field, not by both"),
        (
            {"format": "text", "unit": "line", "time_field": "d"},
            {},
            "format text has no fields for time_field",
        ),
        ({}, {"validation": "2024-05-31", "test": "2024-05-31"}, "not before test on 2024-05-31"),
        ({}, {"validation": "31.05.2024", "test": "2024-06-30"}, 'a day as "2024-05-31"'),
    ],
)
def test_slips_in_a_split_by_time_are_told(corpus_params, source, split, message):
    source = {"format": "jsonl", "path": "a.jsonl", "text_field": "t", **source}
    with pytest.raises(ValueError, match=message):
        corpus_params({"one": source}, split={"dates": split or None})


def test_sampling_weights_and_shares(tmp_path, corpus_params):
    draw = random.Random(14)
    for name, make in (("a", english), ("b", english), ("c", chinese)):
        write_jsonl(tmp_path / f"{name}.jsonl", ({"t": make(draw)} for _ in range(100)))

    def corpus(sources: dict, **over) -> tuple[pl.DataFrame, pl.DataFrame]:
        made = {
            name: {"format": "jsonl", "path": str(tmp_path / f"{name}.jsonl"), "text_field": "t", **more}
            for name, more in sources.items()
        }
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        run(corpus_params(made, split={"validation": 0.0, "test": 0.0}, **over), folder, {})
        return kept(folder / "corpus"), pl.read_parquet(folder / "corpus" / "dropped.parquet")

    table, dropped = corpus({"a": {"sampling": 2.5}, "b": {"sampling": 0.25}})
    counts = dict(table["source"].value_counts().iter_rows())
    assert 230 <= counts["a"] <= 270
    assert 12 <= counts["b"] <= 40
    assert set(dropped["rule"]) == {"sampling"}
    assert table["id"].is_unique().all()
    assert table.filter(pl.col("source") == "a")["text"].n_unique() == 100

    table, dropped = corpus({"a": {"weight": 3.0}, "b": {"weight": 1.0}})
    sizes = dict(table.group_by("source").agg(pl.col("characters").sum()).iter_rows())
    assert sizes["a"] / sizes["b"] == pytest.approx(3, rel=0.1)
    assert set(dropped["rule"]) == {"weight"}

    table, dropped = corpus({"a": {}, "c": {}}, language={"shares": {"en": 0.5, "zh": 0.5}})
    sizes = dict(table.group_by("language").agg(pl.col("characters").sum()).iter_rows())
    assert sizes["en"] / sizes["zh"] == pytest.approx(1, rel=0.1)
    assert set(dropped["rule"]) == {"share"}


def test_boilerplate_lines_are_cut(tmp_path, corpus_params):
    draw = random.Random(15)
    footer = "Subscribe to our newsletter today"
    texts = [f"{english(draw)}\n{footer}\n{english(draw)}" for _ in range(25)]
    texts += [english(draw) + "\nOnly here"] * 30  # copies of one document make no boilerplate
    write_jsonl(tmp_path / "a.jsonl", ({"t": text} for text in texts))
    write_jsonl(tmp_path / "b.jsonl", ({"t": f"{english(draw)}\n{footer}"} for _ in range(5)))
    sources = {
        name: {"format": "jsonl", "path": str(tmp_path / f"{name}.jsonl"), "text_field": "t"} for name in "ab"
    }
    ingested, _ = run(corpus_params(sources, text={"boilerplate_documents": 20}), tmp_path, {})
    table = kept(tmp_path / "corpus")
    assert ingested["boilerplate_lines"] == 25
    assert not table.filter(pl.col("source") == "a")["text"].str.contains(footer).any()
    assert table.filter(pl.col("source") == "b")["text"].str.contains(footer).all()
    assert table["text"].str.contains("Only here").any()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_contaminated_span_can_be_cut(tmp_path, corpus_params, language):
    draw = random.Random(16)
    if language == "en":
        secret = (
            "nobody would ever have guessed that such a small lantern could light the whole market square"
        )
        texts = [english(draw), f"{english(draw)} {secret.upper()}! {english(draw)}"]
    else:
        secret = "谁也没想到这么小的灯笼竟能照亮整个集市广场"
        texts = [chinese(draw), f"{chinese(draw)}{secret}{chinese(draw)}"]
    write_jsonl(tmp_path / "a.jsonl", ({"t": text} for text in texts))
    folder = tmp_path / "task"
    write_jsonl(folder / "dev.jsonl", [{"text": secret, "label": "x"}])
    write_jsonl(folder / "test.jsonl", [])
    source = {"one": {"format": "jsonl", "path": str(tmp_path / "a.jsonl"), "text_field": "t"}}
    run(corpus_params(source), tmp_path / "drop", {"sentiment": folder})
    dropped = pl.read_parquet(tmp_path / "drop" / "corpus" / "dropped.parquet")
    assert dropped.select("rule", "detail", "text").rows() == [("contamination", "sentiment", texts[1])]
    run(corpus_params(source, decontamination={"action": "cut"}), tmp_path / "cut", {"sentiment": folder})
    left = kept(tmp_path / "cut" / "corpus")["text"].to_list()
    assert len(left) == 2
    assert not any(secret.lower() in text.lower() for text in left)
    assert sum(map(len, left)) == sum(map(len, texts)) - len(secret)


def test_why_shows_the_whole_way(world):
    params, folder, tasks, planted = world
    run(params, folder, tasks)
    dropped = pl.read_parquet(folder / "corpus" / "dropped.parquet")
    for reason, text in planted.items():
        if reason == "near_duplicate":
            continue
        document = dropped.filter(pl.col("text") == text)["id"][0]
        answer = why(document, params, folder / "documents", folder / "corpus")
        data = next(copy for copy in answer.data["copies"] if copy["decision"] == "dropped")
        assert data["rule"] == reason
        assert f"dropped by {reason}" in answer.text
        broken = [rule["rule"] for rule in data["rules"] if rule["verdict"] == "broken"]
        assert broken == ([reason] if reason in params.corpus.quality else [])
    near = dropped.filter(pl.col("rule") == "near_duplicate").row(0, named=True)
    answer = why(near["id"][:10], params, folder / "documents", folder / "corpus")
    assert near["detail"] in [row["id"] for row in answer.data["copies"][0]["neighbours"]]
    private = kept(folder / "corpus").filter(pl.col("personal_data") > 0)["id"][0]
    answer = why(private, params, folder / "documents", folder / "corpus")
    assert "2 items of personal data" in answer.text
    assert "example.org" not in answer.text
    with pytest.raises(UserError, match="no document has the id 'xyz'"):
        why("xyz", params, folder / "documents", folder / "corpus")


def test_curate_before_ingest(tmp_path, corpus_params):
    params = corpus_params({"one": {"format": "docstrings", "path": "."}})
    with pytest.raises(UserError, match="run the stage ingest first"):
        curate(params, tmp_path, {}, tmp_path / "out")
    with pytest.raises(UserError, match="run the stage curate first"):
        why("a", params, tmp_path, tmp_path)
