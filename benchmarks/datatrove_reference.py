"""datatrove's decisions and times over JSON lines of documents, in an environment of its own.

Run by ``benchmarks.curation`` with the Python of that environment: ``INPUT OUTPUT LANGUAGE``, where LANGUAGE
is datatrove's code (eng, cmn_Hani). Each input line is ``{"text": ..., "words": [...]}``. Writes one JSON
object: ``decisions`` (for each rule which documents it drops, given our words) and ``seconds`` of processor
time (with datatrove's own words) of the rules, of MinHash signatures, and of the whole.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datatrove.pipeline.filters.c4_filters as c4_module
import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
import datatrove.pipeline.filters.gopher_quality_filter as gopher_quality
import datatrove.pipeline.filters.gopher_repetition_filter as gopher_repetition
import jieba
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

QUALITY_OFF: dict[str, Any] = dict.fromkeys(
    (
        "min_doc_words",
        "max_doc_words",
        "min_avg_word_length",
        "max_avg_word_length",
        "max_symbol_word_ratio",
        "max_bullet_lines_ratio",
        "max_ellipsis_lines_ratio",
        "max_non_alpha_words_ratio",
        "min_stop_words",
    )
)
REPETITION_OFF: dict[str, Any] = {
    **dict.fromkeys(("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac")),
    "top_n_grams": (),
    "dup_n_grams": (),
}
FINEWEB_OFF: dict[str, Any] = {
    "line_punct_thr": -1.0,
    "short_line_thr": 2.0,
    "char_duplicates_ratio": 2.0,
    "new_line_ratio": 1e9,
}
C4_OFF: dict[str, Any] = {
    "min_num_sentences": -1,
    "filter_curly_bracket": False,
    "filter_lorem_ipsum": False,
}


def filters() -> dict[str, Any]:
    """A filter for each of our rules, with all its other rules switched off."""

    def quality(**on: Any) -> Any:
        return GopherQualityFilter(**{**QUALITY_OFF, **on})

    def repetition(**on: Any) -> Any:
        return GopherRepetitionFilter(**{**REPETITION_OFF, **on})

    def web(**on: Any) -> Any:
        return FineWebQualityFilter(**{**FINEWEB_OFF, **on})

    def c4(**on: Any) -> Any:
        return C4QualityFilter(**{**C4_OFF, **on})

    found = {
        "gopher_words": quality(min_doc_words=50, max_doc_words=100000),
        "gopher_word_length": quality(min_avg_word_length=3, max_avg_word_length=10),
        "gopher_hashes+gopher_ellipses": quality(max_symbol_word_ratio=0.1),
        "gopher_bullet_lines": quality(max_bullet_lines_ratio=0.9),
        "gopher_ellipsis_lines": quality(max_ellipsis_lines_ratio=0.3),
        "gopher_alphabetic_words": quality(max_non_alpha_words_ratio=0.8),
        "gopher_stop_words": quality(min_stop_words=2),
        "gopher_duplicate_lines": repetition(dup_line_frac=0.3),
        "gopher_duplicate_paragraphs": repetition(dup_para_frac=0.3),
        "gopher_duplicate_line_characters": repetition(dup_line_char_frac=0.2),
        "gopher_duplicate_paragraph_characters": repetition(dup_para_char_frac=0.2),
        "c4_sentences": c4(min_num_sentences=5),
        "c4_curly_brackets": c4(filter_curly_bracket=True),
        "c4_lorem_ipsum": c4(filter_lorem_ipsum=True),
        "fineweb_line_punctuation": web(line_punct_thr=0.12),
        "fineweb_short_lines": web(short_line_thr=0.67),
        "fineweb_duplicate_line_characters": web(char_duplicates_ratio=0.01),
        "fineweb_newlines": web(new_line_ratio=0.3),
    }
    for size, bound in ((2, 0.2), (3, 0.18), (4, 0.16)):
        found[f"gopher_top_{size}gram"] = repetition(top_n_grams=((size, bound),))
    for size, bound in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1)):
        found[f"gopher_duplicate_{size}grams"] = repetition(dup_n_grams=((size, bound),))
    return found


def decisions(rows: list[dict[str, Any]]) -> dict[str, list[bool]]:
    """For each rule which documents it drops, given our words and our ends of sentences."""
    ends = re.compile(r"[.!?]+(?=[\s\"'”’)\]」』]|$)|[。！？]+")
    c4_module.split_into_sentences = lambda text, *_: ends.findall(text) or [text]
    modules: tuple[Any, ...] = (fineweb, gopher_quality, gopher_repetition)
    own = [module.split_into_words for module in modules]
    words: list[str] = []
    for module in modules:
        module.split_into_words = lambda *_: words
    result: dict[str, list[bool]] = {}
    for name, rule in filters().items():
        dropped = []
        for number, row in enumerate(rows):
            words = row["words"]
            kept = rule.filter(Document(text=row["text"], id=str(number)))
            dropped.append(not (kept if isinstance(kept, bool) else kept[0]))
        result[name] = dropped
    for module, function in zip(modules, own, strict=True):
        module.split_into_words = function
    return result


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def quality(language: str) -> list[Any]:
    """The filters as FineWeb has them; for Chinese with FineWeb-2's bounds, as the English ones keep nothing.

    Without FineWeb-2's stop words, and with C4's rules, which it leaves out.
    """
    repetition: dict[str, Any] = {}
    gopher: dict[str, Any] = {}
    web: dict[str, Any] = {}
    c4: dict[str, Any] = {"filter_no_terminal_punct": False}
    if language == "cmn_Hani":
        repetition = {
            "dup_line_frac": 0.287,
            "dup_para_frac": 0,
            "dup_line_char_frac": 0,
            "dup_para_char_frac": 0,
            "top_n_grams": ((2, 0.256), (3, 0.201), (4, 0.171)),
            "dup_n_grams": ((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127)),
        }
        gopher = {
            "min_avg_word_length": 1,
            "max_avg_word_length": 5,
            "max_non_alpha_words_ratio": 0.735,
            "min_stop_words": None,
        }
        web = {
            "line_punct_thr": 0.106,
            "short_line_thr": 999,
            "char_duplicates_ratio": 0.1,
            "new_line_ratio": 0.178,
        }
        c4 |= {"min_num_sentences": -1, "min_words_per_line": -1}
    return [
        GopherRepetitionFilter(language=language, **repetition),
        GopherQualityFilter(language=language, **gopher),
        C4QualityFilter(language=language, **c4),
        FineWebQualityFilter(language=language, **web),
    ]


def whole(source: Path, language: str) -> int:
    """From JSON lines to JSON lines: near duplicates, filters, encodings mended, personal data.

    The steps and their order are those of FineWeb-2, but for the languages, whose model is a download.
    Returns how many documents are left.
    """
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    with tempfile.TemporaryDirectory() as folder:

        def read() -> Any:
            return JsonlReader(str(source.parent), glob_pattern=source.name)

        steps = [
            [read(), MinhashDedupSignature(f"{folder}/signatures", config, language=language)],
            [MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)],
            [MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config)],
            [
                read(),
                MinhashDedupFilter(f"{folder}/remove"),
                *quality(language),
                FTFYFormatter(),
                PIIFormatter(),
                JsonlWriter(f"{folder}/out", compression=None),
            ],
        ]
        for number, pipeline in enumerate(steps):
            tasks = config.num_buckets if number == 1 else 1
            logs = f"{folder}/logs{number}"
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=logs).run()
        return sum(len(path.read_text("utf-8").splitlines()) for path in Path(folder, "out").iterdir())


def main(source: Path, target: Path, language: str) -> None:
    rows = [json.loads(line) for line in source.open(encoding="utf-8")]
    documents = [Document(text=row["text"], id=str(number)) for number, row in enumerate(rows)]
    every = [
        GopherRepetitionFilter(language=language),
        GopherQualityFilter(language=language),
        C4QualityFilter(language=language, filter_no_terminal_punct=False),
        FineWebQualityFilter(language=language),
    ]

    def rules() -> None:
        for document in documents:
            for rule in every:
                rule.filter(Document(text=document.text, id=document.id))

    minhash = MinhashDedupSignature(
        tempfile.mkdtemp(),
        MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8),
        language=language,
    )

    def signatures() -> None:
        for document in documents:
            shingles = minhash.get_shingles(document.text)
            if len(shingles):
                minhash.get_signature(shingles)

    if language == "cmn_Hani":
        jieba.initialize()
    left: list[int] = []
    plain = source.with_name("plain.jsonl")
    with plain.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": row["text"], "id": str(i)}) + "\n" for i, row in enumerate(rows))
    # First of all: a step whose tokenizer is loaded cannot be copied, and the executor copies its steps.
    times = {"whole": seconds(lambda: left.append(whole(plain, language)))}
    every[0].filter(documents[0])  # loads the tokenizer
    times |= {"rules": seconds(rules), "minhash": seconds(signatures)}
    found = decisions(rows) if language == "eng" else {}
    target.write_text(json.dumps({"decisions": found, "seconds": times, "kept": left[0]}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
