"""Tags of tokens and the spans they stand for: IOB1, IOB2, BIOES, and BMES, which is the same with M; or a
label for each token, such as its part of speech.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PLACES = frozenset("BIMESLU")  # what a tag may begin with


def named_scheme(options: Mapping[str, Any]) -> str | None:
    """The scheme of ``data.options`` as ``tag_spans`` calls it; None where they name none."""
    scheme = options.get("scheme")
    return "bioes" if scheme == "bmes" else scheme


def spelled(tags: Sequence[str], scheme: str, labels: Sequence[str] | None) -> list[str]:
    """The tags as ``tag_spans`` takes them: B_PER with a hyphen, and B alone with the task's only label."""
    if scheme == "tags":
        return list(tags)
    only = labels[0] if labels and len(labels) == 1 else ""
    pairs = [f"{tag[0]}-{tag[2:]}" if tag[1:2] == "_" and tag[0] in PLACES else tag for tag in tags]
    return [f"{tag}-{only}" if only and tag in PLACES else tag for tag in pairs]


def find_scheme(sentences: Sequence[Sequence[str]]) -> str:
    """Which of iob1, iob2 and bioes the tags follow."""
    places = {tag[:1] for tags in sentences for tag in tags}
    if places & set("MSELU"):
        return "bioes"
    pairs = [pair for tags in sentences for pair in zip(["O", *tags], tags, strict=False)]
    # In IOB1 an entity starts with I, and with B only where it touches another of its kind.
    starts = {tag[:1] for before, tag in pairs if tag != "O" and before[2:] != tag[2:]}
    return "iob1" if starts == {"I"} else "iob2"


def tag_spans(tags: Sequence[str], scheme: str) -> list[tuple[int, int, str]]:
    """Start, end and label of each entity, in tokens; raises ValueError at a tag that cannot stand there.

    The schemes: IOB1 begins an entity with I unless it touches another of its label; IOB2 always with B;
    BIOES (also BILOU, and BMES with M for I) marks the last token (E, L) and single ones (S, U) too. In
    ``tags`` each token is a span, and its tag the label.
    """
    if scheme == "tags":
        return [(i, i + 1, tag) for i, tag in enumerate(tags)]
    spans: list[tuple[int, int, str]] = []
    start: int | None = None
    label = ""

    def close(end: int) -> None:
        """End the span that is open, if any, before token ``end``."""
        nonlocal start
        if start is not None:
            spans.append((start, end, label))
        start = None

    for i, tag in enumerate(tags):
        place, _, name = tag.partition("-")
        if tag == "O":
            if scheme == "bioes" and start is not None:
                raise ValueError(f"{label!r} is not closed before O (token {i + 1})")
            close(i)
            continue
        if not name or place not in PLACES:
            raise ValueError(f"{tag!r} (token {i + 1}) is not O or a place and a label such as B-PER")
        if place == "B" or place in "SU":
            if scheme == "bioes" and start is not None:
                raise ValueError(f"{label!r} is not closed before {tag} (token {i + 1})")
            close(i)
            start, label = i, name
        elif start is None or name != label:
            if scheme != "iob1":
                raise ValueError(f"{tag!r} (token {i + 1}) does not continue an entity {name!r}")
            close(i)
            start, label = i, name
        if place in "ELSU":
            close(i + 1)
    if scheme == "bioes" and start is not None:
        raise ValueError(f"{label!r} is not closed at the end")
    close(len(tags))
    return spans


def spans_to_tags(length: int, spans: Sequence[dict[str, Any]]) -> list[str]:
    """IOB2 tags of ``length`` positions for spans of positions; for export and for scoring by seqeval."""
    tags = ["O"] * length
    for span in spans:
        for i in range(span["start"], span["end"]):
            tags[i] = ("B-" if i == span["start"] else "I-") + span["label"]
    return tags
