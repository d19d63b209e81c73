"""The graph command: texts and two models in, a graph and its scores out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError
from textmill.graph.build import Key, build, key_of
from textmill.graph.extraction import Annotated, argument_types, extract, gathered
from textmill.graph.rows import read_rows
from textmill.graph.scores import graph_scores, joint_scores
from textmill.graph.write import read_edges, write
from textmill.records import write_json, write_jsonl

if TYPE_CHECKING:
    from textmill.prediction import Predictor

SAMPLE = "sample"  # in place of a file: texts, or facts, of the sample's world
SAMPLE_TEXTS = 400
ENTITY_SCORES, RELATION_SCORES = ("entity_", "node_"), ("relation_", "edge_")  # how their names begin


def construct(
    entities: Predictor,
    relations: Predictor,
    inputs: Sequence[str],
    output: Path,
    *,
    none: str,
    min_score: float,
    train: Sequence[Path],
    gold: str | None,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Read ``inputs``, write the graph and what was found in each text to ``output``; returns the summary.

    ``inputs``: .jsonl with "text" (and entities, relations where they are known), .parquet with documents,
    .txt with a text a line, or "sample" alone. ``train``: examples whose relations say which types of
    entities are asked about; without any, all pairs are. ``gold``: an edges.csv, or "sample", the facts of
    its world. Texts whose entities or relations are known are scored by these, and make a graph to score
    against.
    Raises UserError, before a model is asked, for what cannot be read or written.
    """
    known = [example for path in train for example in read_rows(path, known=True)]
    arguments = argument_types(gathered(known, none)) if train else None
    if train and not arguments:
        files = ", ".join(map(str, train))
        raise UserError(
            f"{files}: no relation between two entities in {len(known):,} rows, so that no pair would be "
            "asked about; expected examples with relations, or --train without a file to ask about all pairs"
        )
    texts, truth, parts = _texts(inputs, none, seed)
    if not texts:
        raise UserError(f"{', '.join(inputs)}: no text in it")
    facts = None if gold is None else _gold(gold, seed)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: expected a folder to write to: {error.strerror}") from None
    found = list(extract(entities, relations, texts, arguments, none, on_progress))
    graph = build(found, min_score)
    write_jsonl(output / "texts.jsonl", found)
    written = [path.name for path in write(graph, output)]
    summary: dict[str, Any] = {
        "texts": len(found),
        "mentions": sum(len(row["spans"]) for row in found),
        "relations": sum(len(row["relations"]) for row in found),
        "nodes": len(graph.nodes),
        "edges": len(graph.edges),
        "arguments": sorted([*types, *sorted(labels)] for types, labels in (arguments or {}).items()),
    }
    if truth:
        whole, known_texts = build(truth), found[: len(truth)]
        part = build(known_texts, min_score)
        summary["scored_texts"] = len(truth)
        summary["joint"] = _of(parts, joint_scores(truth, known_texts).values())
        summary["graph"] = _of(parts, graph_scores(part, whole.nodes, whole.edges))
    if facts is not None:
        nodes, edges = facts
        summary["gold"] = graph_scores(graph, nodes, edges)
        # What the texts can have said: both names in one text.
        together = {
            pair
            for row in found
            for keys in [{key_of(row["text"][s["start"] : s["end"]], s["label"]) for s in row["spans"]}]
            for pair in ((a, b) for a in keys for b in keys)
        }
        told = {edge for edge in edges if (edge[0], edge[2]) in together}
        summary["gold"]["edges_with_both_names_in_a_text"] = len(told)
        summary["gold"]["edge_recall_of_those"] = len(told & set(graph.edges)) / len(told) if told else 0.0
    write_json(output / "summary.json", summary)
    return {**summary, "written": [*written, "texts.jsonl", "summary.json"]}


def _texts(
    inputs: Sequence[str], none: str, seed: int
) -> tuple[list[Annotated], list[Annotated], Sequence[str]]:
    """The texts to read, the gold of the first of them, and which parts of it are known.

    Where only entities or only relations are annotated, nothing says whether the others are right.
    """
    if SAMPLE in inputs:
        from textmill.sample.knowledge import annotated

        if len(inputs) > 1:
            others = ", ".join(name for name in inputs if name != SAMPLE)
            raise UserError(f"sample stands for texts of its own; found {others} beside it")
        rows = list(annotated(seed, SAMPLE_TEXTS))
        return rows, rows, (*ENTITY_SCORES, *RELATION_SCORES)
    examples = [row for name in inputs for row in _rows(Path(name))]
    known = [row for row in examples if "spans" in row or "head" in row]
    truth = gathered(known, none)
    parts: list[str] = []
    if any("spans" in row for row in known):
        parts += ENTITY_SCORES
    if any("relations" in row or "head" in row for row in known):
        parts += RELATION_SCORES
    return [*truth, *(row for row in examples if "spans" not in row and "head" not in row)], truth, parts


def _of(parts: Sequence[str], scores: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if name.startswith(tuple(parts))}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The texts of a file; a document's sentences one by one, since relations stand within a sentence."""
    from textmill.words import sentences

    if path.suffix == ".jsonl":
        yield from read_rows(path)
        return
    if path.suffix not in (".parquet", ".txt"):
        raise UserError(f"{path}: expected .jsonl, .parquet or .txt")
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".parquet":
        documents = _documents(path)
    else:
        try:
            lines = path.read_text(encoding="utf-8-sig").split("\n")  # no other sign ends a line here
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 at byte {error.start}; expected UTF-8") from None
        documents = [(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]
    for name, text in documents:
        for start, end in sentences(text):
            yield {"id": name, "text": text[start:end]}


def _documents(path: Path) -> list[tuple[Any, ...]]:
    """Id and text of the documents of a Parquet file."""
    import polars

    texts = (polars.String, polars.Categorical, polars.Enum)
    try:
        columns = polars.read_parquet_schema(path)
        if "id" not in columns or columns.get("text") not in texts:
            raise UserError(
                f"{path}: expected a column id and a column text that holds text; "
                f"found {', '.join(f'{name} ({kind})' for name, kind in columns.items())}"
            )
        return polars.read_parquet(path, columns=["id", "text"]).drop_nulls("text").rows()
    except polars.exceptions.PolarsError as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{path}: expected a Parquet file with columns id and text ({why})") from None


def _gold(gold: str, seed: int) -> tuple[set[Key], set[tuple[Key, str, Key]]]:
    if gold != SAMPLE:
        return read_edges(Path(gold))
    from textmill.sample.knowledge import edges

    found = {
        (key_of(head, head_type), relation, key_of(tail, tail_type))
        for part in ("open", "held")
        for head, head_type, relation, tail, tail_type in edges(seed, part)
    }
    return {key for head, _, tail in found for key in (head, tail)}, found


def told(summary: dict[str, Any], output: Path) -> str:
    """The summary for a terminal."""
    lines = [
        f"{summary['texts']:,} texts, {summary['mentions']:,} mentions, {summary['relations']:,} relations: "
        f"{summary['nodes']:,} nodes, {summary['edges']:,} edges"
    ]
    for name, title in (
        ("joint", "each text against its gold"), ("graph", "graph against the texts' gold"),
        ("gold", "graph against the gold graph"),
    ):  # fmt: skip
        if name in summary:
            figures = ", ".join(
                f"{key.replace('_', ' ')} {value:.3f}"
                if isinstance(value, float)
                else f"{key.replace('_', ' ')} {value}"
                for key, value in summary[name].items()
            )
            lines.append(f"{title}: {figures}")
    lines.append(f"{output}: {', '.join(summary['written'])}")
    if "graph.ttl" not in summary["written"]:
        lines.append("JSON-LD and Turtle need rdflib: pip install 'textmill[graph]'")
    return "\n".join(lines)
