"""A graph as files: GraphML, JSON-LD, Turtle, CSV, and a drawing."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from textmill.drawing import METADATA, drawing
from textmill.errors import UserError
from textmill.graph.build import Graph, Key

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from networkx import MultiDiGraph

BASE = "urn:textmill:"
# No XML can hold these, not even escaped (XML 1.0, 2.2).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# All but what an IRI may hold as it is and what parts it (RFC 3987, 2.2: iunreserved).
_PLANES = "".join(f"{chr(plane << 16)}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 14))
_NO_IRI = re.compile(f"[^A-Za-z0-9._~\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef{_PLANES}-]")
LINKED = ("graph.jsonld", "graph.ttl")  # with rdflib
DRAWN = 40  # edges of the drawing: those found most often


def write(graph: Graph, folder: Path) -> list[Path]:
    """Write nodes.csv, edges.csv, graph.graphml, graph.svg and, with rdflib, graph.jsonld and graph.ttl.

    Returns what was written. The bytes are a function of the graph. The files move into place when all are
    made; those that need rdflib and were of another graph go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    import networkx

    with TemporaryDirectory(prefix=".partial-", dir=folder) as made:
        partial = Path(made)
        _csv(graph, partial)
        networkx.write_graphml(to_networkx(graph), partial / "graph.graphml")
        _draw(graph, partial / "graph.svg")
        written = ["nodes.csv", "edges.csv", "graph.graphml", "graph.svg"]
        try:
            _rdf(graph, partial)
        except ModuleNotFoundError:  # an extra: what else there is to say the command says
            for name in LINKED:
                (folder / name).unlink(missing_ok=True)
        else:
            written += LINKED
        for name in written:
            (partial / name).replace(folder / name)
    return [folder / name for name in written]


def to_networkx(graph: Graph) -> MultiDiGraph:
    """The graph for networkx: nodes n0, n1 ... with name, label and mentions; edges keyed e0, e1 ..."""
    import networkx

    network: Any = networkx.MultiDiGraph()
    ids = _ids(graph)
    for key, node in graph.nodes.items():
        network.add_node(ids[key], name=_xml(node.name), label=_xml(node.label), mentions=node.mentions)
    for number, edge in enumerate(graph.edges.values()):
        network.add_edge(
            # GraphML writes the key as the edge's id, an NMTOKEN; Gephi keeps one edge of each id.
            ids[edge.head], ids[edge.tail], key=f"e{number}", label=_xml(edge.label), count=edge.count,
            score=round(edge.score, 6), sources=_xml(_joined(edge.sources)),
        )  # fmt: skip
    return network


def _xml(text: str) -> str:
    """The text with the replacement character for what XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)


def _joined(sources: Iterable[str]) -> str:
    """Ids of texts with a space between; one within an id is written %20, as in a URL."""
    return " ".join(re.sub(r"\s", lambda found: quote(found[0]), name) for name in sources)


def _ids(graph: Graph) -> dict[Key, str]:
    return {key: f"n{i}" for i, key in enumerate(graph.nodes)}


def _csv(graph: Graph, folder: Path) -> None:
    ids = _ids(graph)
    nodes = [(ids[key], node.name, node.label, node.mentions) for key, node in graph.nodes.items()]
    edges = [
        (
            graph.nodes[e.head].name, e.head[1], e.label, graph.nodes[e.tail].name, e.tail[1], e.count,
            f"{e.score:.4f}", _joined(e.sources),
        )
        for e in graph.edges.values()
    ]  # fmt: skip
    tables: dict[str, tuple[tuple[str, ...], list[Any]]] = {
        "nodes.csv": (("id", "name", "type", "mentions"), nodes),
        "edges.csv": (
            ("head", "head_type", "relation", "tail", "tail_type", "count", "score", "sources"),
            edges,
        ),
    }
    for name, (header, rows) in tables.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)


def read_edges(path: Path) -> tuple[set[Key], set[tuple[Key, str, Key]]]:
    """Nodes and edges of an edges.csv, as a gold graph; raises UserError for a file of another form."""
    from textmill.graph.build import key_of

    wanted = ("head", "head_type", "relation", "tail", "tail_type")
    csv.field_size_limit(2**31 - 1)  # an edge may have many sources
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in wanted if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}:1: no column {missing[0]!r}; expected {', '.join(wanted)}")
            edges = set()
            for row in reader:
                if any(not row[name] for name in wanted):
                    raise UserError(f"{path}:{reader.line_num}: a row needs {', '.join(wanted)}")
                head, tail = key_of(row["head"], row["head_type"]), key_of(row["tail"], row["tail_type"])
                edges.add((head, row["relation"], tail))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: expected an edges.csv: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error.reason}") from None
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not a row of CSV: {error}") from None
    return {key for head, _, tail in edges for key in (head, tail)}, edges


def _iri(kind: str, *names: str) -> str:
    """An IRI of ours: each kind is a namespace, and no name leaves it."""
    return BASE + ":".join([kind, *(_NO_IRI.sub(lambda found: quote(found[0], safe=""), n) for n in names)])


def _rdf(graph: Graph, folder: Path) -> None:
    """Triples, and beside each the count and score of its statement (RDF reification)."""
    from rdflib import RDF, RDFS, Literal, Namespace, URIRef
    from rdflib import Graph as Triples
    from rdflib.namespace import XSD, NamespaceManager

    class Bound(NamespaceManager):
        """Only the prefixes that are bound: those that rdflib makes may end within a %2F, which is no IRI."""

        def compute_qname(self, uri: str, generate: bool = True) -> tuple[str, URIRef, str]:
            return super().compute_qname(uri, generate=False)

    own = Namespace(_iri("schema", ""))
    triples = Triples()
    triples.namespace_manager = Bound(triples)
    triples.bind("tm", own)
    ids = {key: URIRef(_iri("entity", key[1], key[0])) for key in graph.nodes}
    for key, node in graph.nodes.items():
        triples.add((ids[key], RDF.type, URIRef(_iri("type", node.label))))
        triples.add((ids[key], RDFS.label, Literal(node.name)))
        triples.add((ids[key], own.mentions, Literal(node.mentions)))
    for number, edge in enumerate(graph.edges.values()):
        relation = URIRef(_iri("relation", edge.label))
        triples.add((ids[edge.head], relation, ids[edge.tail]))
        statement = URIRef(_iri("statement", str(number)))
        triples.add((statement, RDF.type, RDF.Statement))
        triples.add((statement, RDF.subject, ids[edge.head]))
        triples.add((statement, RDF.predicate, relation))
        triples.add((statement, RDF.object, ids[edge.tail]))
        triples.add((statement, own["count"], Literal(edge.count)))
        triples.add((statement, own.score, Literal(f"{edge.score:.4f}", datatype=XSD.decimal)))
    turtle = triples.serialize(format="turtle")
    (folder / "graph.ttl").write_text(turtle.rstrip() + "\n", encoding="utf-8")
    (folder / "graph.jsonld").write_text(_sorted(triples.serialize(format="json-ld")), encoding="utf-8")


def _sorted(linked: str) -> str:
    """JSON-LD in one order: rdflib writes objects and their values as its sets bring them."""
    objects = [
        {key: sorted(value, key=json.dumps) if isinstance(value, list) else value for key, value in o.items()}
        for o in json.loads(linked)
    ]
    objects.sort(key=lambda o: o["@id"])
    return json.dumps(objects, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _places(network: Any) -> dict[Key, tuple[float, float]]:
    """Where each node is drawn: the connected parts one by one, in rows from the largest on."""
    import networkx

    parts = sorted(networkx.weakly_connected_components(network), key=lambda part: (-len(part), min(part)))
    row = max(2 * len(network) ** 0.5, 2 * len(parts[0]) ** 0.5)
    places: dict[Key, tuple[float, float]] = {}
    left = top = height = 0.0
    for part in parts:
        side = 2 * len(part) ** 0.5
        if left + side > row:
            left, top, height = 0.0, top - height, 0.0
        found = networkx.kamada_kawai_layout(network.subgraph(sorted(part)).to_undirected())
        for key, (x, y) in found.items():
            places[key] = (left + side * (0.5 + 0.32 * x), top - side * (0.5 + 0.32 * y))
        left, height = left + side, max(height, side)
    return places


def _draw(graph: Graph, path: Path) -> None:
    """The edges that were found most often, with their nodes, as an SVG."""
    with drawing():
        _figure(graph).savefig(path, format="svg", metadata=METADATA, bbox_inches="tight")


def _figure(graph: Graph) -> Figure:
    import matplotlib
    import networkx
    from matplotlib.figure import Figure

    most = sorted(graph.edges.values(), key=lambda edge: (-edge.count, -edge.score, edge.head, edge.tail))
    edges = most[:DRAWN]
    network: Any = networkx.DiGraph()
    for edge in edges:
        told = network.get_edge_data(edge.head, edge.tail, {"label": ""})["label"]
        label = _xml(edge.label.replace("_", " "))
        network.add_edge(edge.head, edge.tail, label=f"{told}, {label}" if told else label)
    labels = sorted({key[1] for key in network})
    tones = matplotlib.colormaps["Set2" if len(labels) <= 8 else "tab20"]
    tone = {label: tones(i % tones.N) for i, label in enumerate(labels)}
    figure = Figure(figsize=(13, 10))
    axes = figure.add_subplot()
    axes.axis("off")
    if edges:
        places = _places(network)
        colours = [tone[key[1]] for key in network]
        names = {key: _xml(graph.nodes[key].name) for key in network}
        networkx.draw_networkx_nodes(network, places, node_color=colours, node_size=260, ax=axes)
        networkx.draw_networkx_edges(
            network, places, ax=axes, edge_color="#8b949b", arrowsize=11, node_size=260, width=1
        )
        networkx.draw_networkx_labels(network, places, names, font_size=8, ax=axes)
        networkx.draw_networkx_edge_labels(
            network, places, networkx.get_edge_attributes(network, "label"), font_size=6, ax=axes,
            font_color="#5c6770", rotate=False, bbox={"alpha": 0}, label_pos=0.4,
        )  # fmt: skip
        for label in labels:
            # matplotlib leaves out of a legend what begins with _.
            axes.scatter([], [], color=tone[label], label=re.sub("^(?=_)", "\u200b", _xml(label)))
        axes.legend(frameon=False, loc="lower right")
    return figure
