"""One table of readers, and the rows of a task through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textmill.errors import UserError
from textmill.params import Task
from textmill.tasks.readers import annotation, conll, documents, options, tables
from textmill.tasks.readers.files import File, open_files
from textmill.tasks.readers.row import Row

if TYPE_CHECKING:
    from textmill.params import Params

SPLITS = ("train", "dev", "test")

# A reader takes the files of a split, the task and the split's name.
Reader = Callable[[Sequence[File], Task, str], Iterator[Row]]

READERS: dict[str, Reader] = {
    "jsonl": tables.read_json,
    "csv": tables.read_csv,
    "tsv": tables.read_csv,
    "parquet": tables.read_parquet,
    "text": tables.read_text,
    "pairs": tables.read_pairs,
    "conll": conll.read_conll,
    "brat": annotation.read_brat,
    "label_studio": annotation.read_label_studio,
    "doccano": annotation.read_doccano,
    "squad": documents.read_squad,
    "spert": documents.read_spert,
    "semeval": documents.read_semeval,
}


def read_task(name: str, task: Task, params: Params) -> dict[str, list[Row]]:
    """The rows of each split that the task's data name; splits that are not named are left out.

    Raises UserError where a file is missing, empty or not of its format, or where an option or field is
    unknown.
    """
    data = task.data
    options.check(name, task)
    if data.format == "sample":
        from textmill.sample import examples

        found = examples(params.seed, params.sample, name)
        return {
            split: [Row(f"sample:{split}:{number}", example) for number, example in enumerate(rows, 1)]
            for split, rows in found.items()
        }
    if data.format == "hub":
        return {split: list(tables.read_hub(task, split)) for split in SPLITS if getattr(data, split)}
    rows = {}
    for split in SPLITS:
        names = getattr(data, split)
        if names:
            rows[split] = list(READERS[data.format](open_files(Path(data.path), names), task, split))
            if not rows[split]:
                raise UserError(f"tasks.{name}.data.{split}: no rows in {names}")
    return rows
