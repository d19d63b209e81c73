"""What texts have in common: near duplicates, n-grams of test sets in the corpus, growth of the vocabulary.

Near duplicates are found by an exact set-similarity join and not by the MinHash that curation uses: the
check on a method should not share its blind spots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from textmill.corpus.codes import Codes, Hashes, Ints, ngrams
from textmill.corpus.duplicates import word_hashes
from textmill.params import Decontamination, NearDuplicate
from textmill.records import Example, example_texts

BATCH_CHARACTERS = 4_000_000
PAIRS = {"id": pl.String, "split": pl.String, "other": pl.String, "other_split": pl.String}


def grams(texts: Sequence[str], size: int) -> tuple[Hashes, Ints]:
    """Hashes of each text's n-grams of words, without regard to case, and the text of each: (n,) and (n,).

    Words are characters in scripts without spaces; punctuation is left out. A text with fewer gives none.
    """
    found, owners = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for first, batch in _batches(texts):
        hashes, starts = ngrams(*word_hashes(Codes(batch)), size)
        found.append(hashes)
        owners.append(np.repeat(np.arange(first, first + len(batch)), np.diff(starts)))
    return np.concatenate(found), np.concatenate(owners)


def distinct(hashes: Hashes, owner: Ints) -> tuple[Hashes, Ints]:
    """The set of hashes of each text, sorted."""
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    fresh = np.ones(len(hashes), bool)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    return hashes[fresh], owner[fresh]


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of texts of bounded size, each with the index of its first."""
    batch: list[str] = []
    size = first = 0
    for index, text in enumerate(texts):
        if batch and size + len(text) > BATCH_CHARACTERS:
            yield first, batch
            batch, size, first = [], 0, index
        batch.append(text)
        size += len(text)
    if batch:
        yield first, batch


def near_duplicates(documents: pl.DataFrame, spec: NearDuplicate) -> pl.DataFrame:
    """Pairs of documents whose sets of shingles have at least ``spec.similarity`` (Jaccard).

    Columns id, split, other, other_split, each pair once. Exact, by prefix filtering (Chaudhuri et al. 2006;
    Bayardo et al. 2007): with shingles ordered from rare to common, two sets that are so similar share one
    of their first ``n - ceil(similarity n) + 1``. Documents with identical sets are pairs with the first.
    """
    texts = documents["text"].fill_null("").to_list()
    hashes, owner = distinct(*grams(texts, spec.shingle))
    sizes = np.bincount(owner, minlength=len(texts))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    leader = _leaders(hashes, owner, sizes)
    copies = np.flatnonzero((leader != np.arange(len(texts))) & (sizes > 0))
    pairs = [(int(leader[row]), int(row)) for row in copies]
    pairs += _similar(hashes, owner, sizes, starts, leader, spec.similarity)
    ids = documents["id"].cast(pl.String).to_list()
    splits = documents["split"].to_list()
    rows = [(ids[a], splits[a], ids[b], splits[b]) for a, b in sorted(pairs)]
    return pl.DataFrame(rows, schema=PAIRS, orient="row")


def _leaders(hashes: Hashes, owner: Ints, sizes: Ints) -> Ints:
    """Of each document the first one that has the very same set of shingles, often itself."""
    total = np.zeros(len(sizes), np.uint64)
    np.add.at(total, owner, hashes)
    frame = pl.DataFrame({"total": total, "size": sizes, "row": np.arange(len(sizes))})
    return frame.select(pl.col("row").first().over("total", "size")).to_series().to_numpy()


def _similar(
    hashes: Hashes, owner: Ints, sizes: Ints, starts: Ints, leader: Ints, similarity: float
) -> list[tuple[int, int]]:
    """Pairs of documents with different sets that are similar enough."""
    # Only what a pair could share, rarest first; of documents with the same set, the first stands for all.
    prefix = sizes - np.ceil(similarity * sizes - 1e-9).astype(np.int64) + 1
    candidates = (
        pl.DataFrame({"hash": hashes, "row": owner, "prefix": prefix[owner]})
        .filter(pl.Series(leader[owner] == owner, dtype=pl.Boolean))
        .with_columns(pl.len().over("hash").alias("documents"))
        .sort("row", "documents", "hash")
        .with_columns(pl.int_range(pl.len()).over("row").alias("place"))
        .filter((pl.col("place") < pl.col("prefix")) & (pl.col("documents") > 1))
        .select("hash", "row")
    )
    candidates = (
        candidates.join(candidates, on="hash", suffix="_other")
        .filter(pl.col("row") < pl.col("row_other"))
        .select("row", "row_other")
        .unique()
    )
    found = []
    for first, second in candidates.sort("row", "row_other").iter_rows():
        small, large = sorted((int(sizes[first]), int(sizes[second])))
        if small < similarity * large:
            continue
        shared = len(
            np.intersect1d(
                hashes[starts[first] : starts[first + 1]],
                hashes[starts[second] : starts[second + 1]],
                assume_unique=True,
            )
        )
        if shared >= similarity * (small + large - shared):
            found.append((first, second))
    return found


class HeldOut:
    """The n-grams of every task's dev and test texts, and where the corpus has them.

    A text with fewer words than ``spec.ngram`` is looked for whole, if it has ``spec.shortest`` at least.
    """

    def __init__(self, tasks: Mapping[str, Mapping[str, list[Example]]], spec: Decontamination) -> None:
        self.tasks = list(tasks)
        self.owners: list[tuple[str, str]] = []  # task and example of each text
        texts: list[str] = []
        for task, splits in tasks.items():
            for split in ("dev", "test"):
                for example in splits.get(split, []):
                    for text in example_texts(example):
                        texts.append(text)
                        self.owners.append((task, str(example.get("id"))))
        lengths = np.bincount(grams(texts, 1)[1], minlength=len(texts))
        lengths = np.minimum(lengths, spec.ngram)
        self.grams: dict[int, tuple[Hashes, Ints]] = {}
        for size in range(min(spec.shortest, spec.ngram), spec.ngram + 1):
            chosen = np.flatnonzero(lengths == size)
            if len(chosen):
                hashes, owner = distinct(*grams([texts[row] for row in chosen], size))
                self.grams[size] = hashes, chosen[owner]

    def match(self, documents: pl.DataFrame) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
        """For each task, the ids of documents with one of its n-grams; the ids of examples that they hold."""
        texts = documents["text"].fill_null("").to_list()
        ids = documents["id"].cast(pl.String).to_list()
        in_documents: dict[str, set[str]] = {task: set() for task in self.tasks}
        in_examples: dict[str, set[str]] = {task: set() for task in self.tasks}
        for size, (wanted, text) in self.grams.items():
            hashes, owner = grams(texts, size)
            known = np.isin(hashes, wanted)
            corpus = pl.DataFrame({"hash": hashes[known], "row": owner[known]}).unique()
            tests = pl.DataFrame({"hash": wanted, "text": text})
            for row, place in tests.join(corpus, on="hash").select("row", "text").unique().iter_rows():
                task, example = self.owners[place]
                in_documents[task].add(ids[row])
                in_examples[task].add(example)
        return {task: sorted(found) for task, found in in_documents.items()}, in_examples


def vocabulary_growth(documents: pl.DataFrame) -> float:
    """New pairs of neighbouring words that the second half of the corpus brings, in a hundred of its pairs.

    Documents go in the order of their ids, so that no source comes last.
    """
    texts = documents.sort("id")["text"].fill_null("").to_list()
    middle = len(texts) // 2
    first, second = (grams(half, 2)[0] for half in (texts[:middle], texts[middle:]))
    fresh: NDArray[np.uint64] = np.setdiff1d(second, first)
    return 100 * len(fresh) / max(len(second), 1)
