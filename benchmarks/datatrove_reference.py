"""datatrove's decisions and times over JSON lines of documents, in an environment of its own.

Run by ``benchmarks.curation`` with the Python of that environment: ``INPUT OUTPUT LANGUAGE``, where LANGUAGE
is datatrove's code (eng, zho). Each input line is ``{"text": ..., "words": [...]}``. Writes one JSON object:
``decisions`` (for each rule which documents it drops, given our words) and ``seconds`` of processor time
(with datatrove's own words).
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
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

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

    every[0].filter(documents[0])  # loads the tokenizer
    times = {"rules": seconds(rules), "minhash": seconds(signatures)}
    found = decisions(rows) if language == "eng" else {}
    target.write_text(json.dumps({"decisions": found, "seconds": times}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
