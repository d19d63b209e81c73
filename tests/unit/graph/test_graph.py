"""The knowledge graph: pairs asked about, mentions merged, edges scored, files that others read, scores."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx
import polars
import pytest

from textmill.errors import UserError
from textmill.graph import Graph, argument_types, build, extract, gathered, graph_scores, joint_scores, write
from textmill.graph.build import key_of, normalised
from textmill.graph.construct import construct, told
from textmill.graph.write import read_edges
from textmill.records import read_jsonl, write_jsonl

TEXT = "Mara works for Norbi. Norbi's Mara is from Ulmen."
SPANS = [(0, 4, "person"), (15, 20, "company"), (22, 29, "company"), (30, 34, "person"), (43, 48, "place")]


def row(relations: list[tuple[int, str, int, float]]) -> dict[str, Any]:
    return {
        "id": "t1",
        "text": TEXT,
        "spans": [{"start": a, "end": b, "label": label} for a, b, label in SPANS],
        "relations": [
            {"head": head, "tail": tail, "label": label, "score": score}
            for head, label, tail, score in relations
        ],
    }


def example() -> Graph:
    return build([row([(0, "works_for", 1, 0.5), (3, "works_for", 2, 0.6), (3, "born_in", 4, 0.9)])])


def test_mentions_are_merged_by_name_and_type_and_edges_scored_as_independent() -> None:
    graph = example()
    assert {(n.name, n.label, n.mentions) for n in graph.nodes.values()} == {
        ("Mara", "person", 2), ("Norbi", "company", 2), ("Ulmen", "place", 1)
    }  # fmt: skip
    edge = graph.edges[("mara", "person"), "works_for", ("norbi", "company")]
    assert (edge.count, edge.score, edge.sources) == (2, pytest.approx(1 - 0.5 * 0.4), {"t1": None})
    assert len(build([row([(0, "works_for", 1, 0.5), (3, "born_in", 4, 0.9)])], min_score=0.6).edges) == 1


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Norbi’s", "norbi"),
        (" NORBI  Tools,", "norbi tools"),
        ("Ｎｏｒｂｉ", "norbi"),
        ("《诺比》", "诺比"),
        ("「诺比」、", "诺比"),
        ("Norbi‘s", "norbi"),
        ("«Norbi»…", "norbi"),
        ("C#", "c#"),
        ("O'Neil", "o'neil"),
        ("...", "..."),
        ("?!", "?!"),
    ],
)
def test_a_name_has_one_form(name: str, form: str) -> None:
    assert normalised(name) == form
    assert key_of(name, "a") != key_of(name, "b")


def test_examples_of_two_tasks_become_one_annotated_text() -> None:
    entities = {
        "id": "e",
        "text": TEXT,
        "spans": [dict(zip(("start", "end", "label"), s, strict=True)) for s in SPANS],
    }
    asked = {
        "head": {"start": 0, "end": 4, "label": "Peop"},
        "tail": {"start": 15, "end": 20, "label": "Org"},
    }
    pairs = [
        {"id": "r1", "text": TEXT, **asked, "label": "works_for"},
        {"id": "r2", "text": TEXT, "head": asked["tail"], "tail": asked["head"], "label": "none"},
        {"id": "r3", "text": "Ulm", "head": {"start": 0, "end": 3, "label": "a"},
         "tail": {"start": 0, "end": 2, "label": "b"}, "label": "in"},
    ]  # fmt: skip
    first, second = gathered([*pairs, entities], "none")
    assert first["relations"] == [{"head": 0, "tail": 1, "label": "works_for"}]
    assert [span["label"] for span in first["spans"]] == [label for *_, label in SPANS]  # not Peop and Org
    assert [span["label"] for span in second["spans"]] == ["a", "b"]
    assert argument_types([first, second]) == {("person", "company"): {"works_for"}, ("a", "b"): {"in"}}


class Entities:
    """Says what stands in TEXT."""

    name = "entities"

    class task:  # noqa: N801 - stands for an attribute
        family = "token_classification"
        labels = ("person", "company", "place")

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        spans = [{"start": a, "end": b, "label": label, "score": 0.9} for a, b, label in SPANS]
        return [{"prediction": spans if text == TEXT else []} for text in texts]


class Relations:
    """Takes every pair for born_in, and after it for works_for."""

    name = "relations"

    class task:  # noqa: N801
        family = "relation_classification"
        labels = ("none", "works_for", "born_in")

    class family:  # noqa: N801
        threshold = None

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        odds = {"none": 0.1, "works_for": 0.3, "born_in": 0.6}
        return [{"prediction": "born_in", "score": 0.6, "probabilities": odds} for _ in inputs]


def test_only_fitting_pairs_are_asked_and_only_fitting_relations_answered() -> None:
    entities: Any = Entities()
    relations: Any = Relations()
    arguments = {("person", "company"): {"works_for"}}
    nothing, found = extract(entities, relations, [{"text": "no"}, {"text": TEXT}], arguments, "none")
    assert nothing["relations"] == []
    assert {(r["head"], r["label"], r["tail"], r["score"]) for r in found["relations"]} == {
        (head, "works_for", tail, 0.3) for head in (0, 3) for tail in (1, 2)
    }
    with pytest.raises(UserError, match="has no label 'Other'"):
        list(extract(entities, relations, [], None, "Other"))
    with pytest.raises(UserError, match="expected a model of the family token_classification"):
        list(extract(relations, relations, [], None, "none"))


def test_a_pair_without_a_relation_has_none_where_that_is_out_of_scope() -> None:
    class Unsure(Relations):
        def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
            odds = {"works_for": 0.4, "born_in": 0.6}
            answers = ["born_in" if row["head"]["label"] == "person" else "none" for row in inputs]
            return [{"prediction": answer, "score": 0.6, "probabilities": odds} for answer in answers]

    models: Any = (Entities(), Unsure())
    (found,) = extract(*models, [{"text": TEXT}], None, "none")
    assert {relation["head"] for relation in found["relations"]} == {0, 3}


def test_out_of_scope_no_relation_below_the_threshold_stands_in_for_one_that_does_not_fit() -> None:
    class Sure(Relations):
        class family:  # noqa: N801
            threshold = 0.5

        def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
            odds = {"works_for": 0.003, "born_in": 0.997}
            return [{"prediction": "born_in", "score": 0.997, "probabilities": odds} for _ in inputs]

    models: Any = (Entities(), Sure())
    arguments = {("person", "company"): {"works_for"}, ("person", "place"): {"born_in"}}
    (found,) = extract(*models, [{"text": TEXT}], arguments, "none")
    assert {(r["head"], r["label"], r["tail"]) for r in found["relations"]} == {
        (head, "born_in", 4) for head in (0, 3)
    }
    (found,) = extract(*models, [{"text": TEXT}], {("person", "company"): {"unknown"}}, "none")
    assert found["relations"] == []


def test_arguments_that_the_entity_model_never_marks_are_told() -> None:
    models: Any = (Entities(), Relations())
    told = (
        "arguments of the training relations are e1, e2, and entities marks company, person, place: no pair"
    )
    with pytest.raises(UserError, match=told):
        list(extract(*models, [{"text": TEXT}], {("e1", "e2"): {"works_for"}}, "none"))


def run(folder: Path, *inputs: str, min_score: float = 0.2) -> dict[str, Any]:
    models: Any = (Entities(), Relations())
    return construct(
        *models, inputs, folder / "out", none="none", min_score=min_score, train=[], gold=None, seed=1
    )


def test_plain_texts_beside_known_ones_are_read_and_not_scored(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "known.jsonl", [row([(0, "born_in", 1, 1.0)])])
    (tmp_path / "plain.txt").write_text(TEXT.partition(". ")[0] + f".\n{TEXT}\n", encoding="utf-8")
    alone = run(tmp_path, str(tmp_path / "known.jsonl"))
    both = run(tmp_path, str(tmp_path / "plain.txt"), str(tmp_path / "known.jsonl"))
    assert both["texts"] > alone["texts"] == both["scored_texts"] == 1
    assert (both["joint"], both["graph"]) == (alone["joint"], alone["graph"])
    with pytest.raises(UserError, match=r"sample stands for texts of its own; found b\.jsonl beside it"):
        run(tmp_path, "sample", "b.jsonl")


def test_what_is_not_annotated_is_not_scored(tmp_path: Path) -> None:
    known = {key: value for key, value in row([]).items() if key != "relations"}
    write_jsonl(tmp_path / "entities.jsonl", [known])
    summary = run(tmp_path, str(tmp_path / "entities.jsonl"))
    assert set(summary["joint"]) == {"entity_f1", "entity_precision", "entity_recall"}
    assert set(summary["graph"]) == {"node_f1", "node_precision", "node_recall"}
    pair = {"text": TEXT, "head": PERSON, "tail": COMPANY, "label": "born_in"}
    write_jsonl(tmp_path / "relations.jsonl", [pair])
    summary = run(tmp_path, str(tmp_path / "relations.jsonl"))
    assert {name.partition("_")[0] for name in summary["joint"]} == {"relation"}


def test_ids_of_lines_count_lines_alone_and_have_no_spaces(tmp_path: Path) -> None:
    for name in ("a b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.txt").write_text(f"x\u2028y\x0cz\r\n{TEXT.partition('. ')[0]}.\n", newline="")
    graph = build([{**row([(0, "works_for", 1, 1.0)]), "id": name} for name in ("a b:1", "c:1")])
    write(graph, tmp_path)
    with (tmp_path / "edges.csv").open(newline="") as file:
        assert [line["sources"] for line in csv.DictReader(file)] == ["a%20b:1 c:1"]
    run(tmp_path, *(str(tmp_path / name / "t.txt") for name in ("a b", "c")))
    ids = [text["id"] for text in read_jsonl(tmp_path / "out" / "texts.jsonl")]
    assert sorted(set(ids)) == [f"{tmp_path}/{name}/t.txt:{i}" for name in ("a b", "c") for i in (1, 2)]


def test_an_edge_of_many_sources_is_read_back(tmp_path: Path) -> None:
    graph = build({**row([(0, "works_for", 1, 1.0)]), "id": f"{i:016d}"} for i in range(9000))
    write(graph, tmp_path)
    assert read_edges(tmp_path / "edges.csv")[1] == set(graph.edges)


def test_no_file_of_another_graph_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(example(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["textmill.graph.write"], "_draw", interrupted)
    other = build([row([(3, "born_in", 4, 0.9)])])
    with pytest.raises(KeyboardInterrupt):
        write(other, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "rdflib", None)
    write(other, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "nodes.csv",
        "edges.csv",
        "graph.graphml",
        "graph.svg",
    }


def test_rows_of_one_text_without_ids_stay_apart() -> None:
    rows: list[dict[str, Any]] = [
        {"text": TEXT, "spans": [PERSON], "relations": []},
        {"text": TEXT, "spans": [COMPANY], "relations": []},
    ]
    assert [text["spans"] for text in gathered(rows, "none")] == [[PERSON], [COMPANY]]


def test_a_text_that_several_rows_annotate_counts_each_time() -> None:
    rows = [{**row([(0, "works_for", 1, 1.0)]), "id": name} for name in ("a", "b", "c", "c")]
    pair = {
        "id": "d",
        "text": TEXT,
        "head": {"start": 30, "end": 34, "label": "person"},
        "tail": {"start": 43, "end": 48, "label": "place"},
        "label": "born_in",
    }
    for order in ([pair, *rows], [*rows, pair]):
        edges = build(gathered(order, "none")).edges
        assert {edge.label: edge.count for edge in edges.values()} == {"works_for": 3, "born_in": 1}


def test_joint_scores_by_hand() -> None:
    gold = row([(0, "works_for", 1, 1), (3, "born_in", 4, 1)])
    found = row([(0, "works_for", 1, 1), (3, "works_for", 2, 1), (4, "born_in", 3, 1)])
    found["spans"] = [*found["spans"]]
    found["spans"][1] = {**found["spans"][1], "label": "place"}  # right place, wrong type
    values = joint_scores([gold], [found]).values()
    assert values["entity_f1"] == pytest.approx(4 / 5)
    assert values["relation_f1"] == 0
    assert values["relation_boundaries_precision"] == pytest.approx(1 / 3)
    assert values["relation_boundaries_recall"] == pytest.approx(1 / 2)


def test_graph_scores_by_hand() -> None:
    graph = example()
    mara, norbi = ("mara", "person"), ("norbi", "company")
    values = graph_scores(graph, [mara, norbi], [(mara, "works_for", norbi), (mara, "founded", norbi)])
    assert values["node_precision"] == pytest.approx(2 / 3)
    assert values["node_recall"] == 1
    assert values["edge_f1"] == pytest.approx(2 * 1 / (2 + 2))


def test_the_files_are_read_back_by_others(tmp_path: Path) -> None:
    rdflib = pytest.importorskip("rdflib")
    graph = example()
    graph.nodes["韦 玛<&>", "person"] = next(iter(graph.nodes.values()))
    names = {path.name for path in write(graph, tmp_path)}
    assert names == {
        "nodes.csv", "edges.csv", "graph.graphml", "graph.svg", "graph.ttl", "graph.jsonld"
    }  # fmt: skip
    network = networkx.read_graphml(tmp_path / "graph.graphml", force_multigraph=True)
    assert sorted((a["label"], a["count"]) for *_, a in network.edges(data=True)) == [
        ("born_in", 1),
        ("works_for", 2),
    ]
    turtle = rdflib.Graph().parse(tmp_path / "graph.ttl")
    linked = rdflib.Graph().parse(tmp_path / "graph.jsonld", format="json-ld")
    assert len(turtle) == len(linked) > 20
    own = rdflib.Namespace("urn:textmill:")
    pairs = set(turtle.subject_objects(own["relation:works_for"]))
    assert pairs == {(own["entity:person:mara"], own["entity:company:norbi"])}
    nodes, edges = read_edges(tmp_path / "edges.csv")
    assert edges == set(graph.edges)
    assert len(nodes) == 3


def test_the_bytes_are_a_function_of_the_graph(tmp_path: Path) -> None:
    """Sets of text have another order in each process, as PYTHONHASHSEED says."""
    pytest.importorskip("rdflib")
    relations = [(0, label, tail, 0.5) for label in ("works_for", "工作于", "founded") for tail in (1, 4)]
    code = (
        "import json, sys; from pathlib import Path; from textmill.graph import build, write\n"
        "write(build([json.loads(sys.argv[1])]), Path(sys.argv[2]))"
    )
    written = []
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, json.dumps(row(relations)), tmp_path / seed],
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
        )  # fmt: skip
        written.append({path.name: path.read_bytes() for path in (tmp_path / seed).iterdir()})
    assert len(written[0]) == 6
    assert written[0] == written[1]


def test_edges_of_one_relation_have_ids_of_their_own(tmp_path: Path) -> None:
    write(build([row([(0, "工作 于", 1, 1.0), (3, "工作 于", 4, 1.0)])]), tmp_path)
    edges = ElementTree.parse(tmp_path / "graph.graphml").findall(".//{*}edge")
    assert [edge.get("id") for edge in edges] == ["e0", "e1"]
    assert ["工作 于" in [data.text for data in edge] for edge in edges] == [True, True]


def test_a_relation_of_any_name_is_an_iri_of_its_own(tmp_path: Path) -> None:
    rdflib = pytest.importorskip("rdflib")
    names = {
        "工作于": "工作于", "a/b": "a%2Fb", "→": "→", "<{|^`\\\"\x9f >": "%3C%7B%7C%5E%60%5C%22%C2%9F%20%3E",
        "%": "%25", "count": "count", "score": "score", "mentions": "mentions",
    }  # fmt: skip
    text = "Mara 韦玛"
    spans = [{"start": 0, "end": 4, "label": "人"}, {"start": 5, "end": 7, "label": "statement"}]
    relations = [{"head": 0, "tail": 1, "label": name} for name in names]
    write(build([{"text": text, "spans": spans, "relations": relations}]), tmp_path)
    own = rdflib.Namespace("urn:textmill:")
    written = (tmp_path / "graph.ttl").read_text(encoding="utf-8")
    assert not re.search("%(?![0-9A-F]{2})", written)  # rdflib reads it, stricter readers do not
    for name, form in (("graph.ttl", "turtle"), ("graph.jsonld", "json-ld")):
        triples = rdflib.Graph().parse(tmp_path / name, format=form)
        mara, other = own["entity:人:mara"], own["entity:statement:韦玛"]
        assert set(triples.predicates(mara, other)) == {own[f"relation:{name}"] for name in names.values()}
        assert triples.value(mara, rdflib.RDF.type) == own["type:人"]
        assert len(set(triples.subject_objects(own["schema:count"]))) == len(names)


def test_a_name_may_hold_any_character(tmp_path: Path) -> None:
    text = "A\x01B\x1b pays $5 and $6 Ltd\uffff"
    spans = [{"start": 0, "end": 4, "label": "a"}, {"start": 10, "end": len(text), "label": "b"}]
    relations = [{"head": 0, "tail": 1, "label": "pays"}]
    graph = build([{"id": "1", "text": text, "spans": spans, "relations": relations}])
    write(graph, tmp_path)
    network = networkx.read_graphml(tmp_path / "graph.graphml")
    names = {name for _, name in network.nodes(data="name")}
    assert names == {"A\ufffdB\ufffd", "$5 and $6 Ltd\ufffd"}
    drawn = ElementTree.parse(tmp_path / "graph.svg").getroot().itertext()
    assert names <= {part.strip() for part in drawn}


def test_relations_between_the_same_two_are_drawn_the_commonest_first(tmp_path: Path) -> None:
    write(build([row([(0, "创办", 1, 0.9), (0, "works_for", 1, 0.9), (3, "works_for", 2, 0.9)])]), tmp_path)
    drawn = ElementTree.parse(tmp_path / "graph.svg").getroot().itertext()
    assert "works for, 创办" in {part.strip() for part in drawn}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("no_id.parquet", {"text": ["a"]}, r"expected a column id and a column text .*found text \(String\)"),
        ("number.parquet", {"id": ["a"], "text": [1]}, r".*found id \(String\), text \(Int64\)"),
        ("broken.parquet", b"PAR1 no", "expected a Parquet file with columns id and text"),
        ("latin.txt", "Z\xfcrich".encode("latin-1"), "not UTF-8 at byte 1; expected UTF-8"),
    ],
)
def test_a_file_that_is_no_text_is_named(
    name: str, content: dict[str, list[Any]] | bytes, told: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        polars.DataFrame(content).write_parquet(path)
    models: Any = (Entities(), Relations())
    with pytest.raises(UserError, match=f"{re.escape(str(path))}: {told}"):
        construct(
            *models, [str(path)], tmp_path / "out", none="none", min_score=0, train=[], gold=None, seed=1
        )


def test_a_gold_file_of_another_form_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["head", "relation", "tail"], ["a", "b", "c"]])
    with pytest.raises(UserError, match=r"gold\.csv:1: no column 'head_type'"):
        read_edges(path)
    path.write_bytes(b"head,head_type,relation,tail,tail_type\nCaf\xe9,place,in,Ulmen,place\n")
    with pytest.raises(UserError, match=r"gold\.csv: not UTF-8"):
        read_edges(path)


def test_a_gold_graph_is_scored_whole_and_where_the_texts_can_tell(tmp_path: Path) -> None:
    """Of three gold edges one is found, one has both names in the text, one has a name that no text has."""
    write_jsonl(tmp_path / "texts.jsonl", [{"text": TEXT}])
    with (tmp_path / "gold.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["head", "head_type", "relation", "tail", "tail_type"],
                ["Mara", "person", "works_for", "Norbi", "company"],
                ["Mara", "person", "born_in", "Ulmen", "place"],
                ["Tavi", "person", "works_for", "Norbi", "company"],
            ]
        )
    models: Any = (Entities(), Relations())
    summary = construct(
        *models, [str(tmp_path / "texts.jsonl")], tmp_path / "out", none="none", min_score=0.2,
        train=[], gold=str(tmp_path / "gold.csv"), seed=1,
    )  # fmt: skip
    assert summary["gold"]["edge_recall"] == pytest.approx(1 / 3)
    assert summary["gold"]["edges_with_both_names_in_a_text"] == 2
    assert summary["gold"]["edge_recall_of_those"] == 1 / 2


def test_the_command_scores_texts_with_gold(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "texts.jsonl", [row([(0, "works_for", 1, 1.0)])])
    models: Any = (Entities(), Relations())
    summary = construct(
        *models, [str(tmp_path / "texts.jsonl")], tmp_path / "out", none="none", min_score=0.2,
        train=[tmp_path / "texts.jsonl"], gold=None, seed=1,
    )  # fmt: skip
    assert summary["joint"]["entity_f1"] == 1
    assert summary["joint"]["relation_recall"] == 1
    assert summary["graph"]["edge_f1"] == 1  # the mentions are one edge
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["nodes"] == 3
    assert "graph against the texts' gold" in told(summary, tmp_path)
    (tmp_path / "bad.jsonl").write_text('{"text": 3}\n')
    with pytest.raises(UserError, match=r"bad\.jsonl:1: expected an object with a text"):
        construct(
            *models,
            [str(tmp_path / "bad.jsonl")],
            tmp_path,
            none="none",
            min_score=0,
            train=[],
            gold=None,
            seed=1,
        )


def test_an_id_may_be_a_number_or_null(tmp_path: Path) -> None:
    known = row([(0, "works_for", 1, 1.0)])
    write_jsonl(tmp_path / "plain.jsonl", [{"id": 7, "text": TEXT}, {"id": None, "text": TEXT}])
    write_jsonl(tmp_path / "known.jsonl", [{**known, "id": 7}, {**known, "id": None}])
    polars.DataFrame({"id": [7, None], "text": [TEXT, TEXT]}).write_parquet(tmp_path / "plain.parquet")
    models: Any = (Entities(), Relations())
    for name in ("plain.jsonl", "known.jsonl", "plain.parquet"):
        construct(
            *models, [str(tmp_path / name)], tmp_path / "out", none="none", min_score=0, train=[], gold=None,
            seed=1,
        )  # fmt: skip
        assert {text.get("id") for text in read_jsonl(tmp_path / "out" / "texts.jsonl")} == {"7", None}


PERSON, COMPANY = ({"start": a, "end": b, "label": label} for a, b, label in SPANS[:2])
SPAN = "expected an object with the numbers start and end and a label, found"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": None}, 'expected an object with a text; found {"text": null}'),
        ({"text": "\ud83d"}, "text: half a character"),
        ({"id": [7]}, "id: expected text or a number, found [7]"),
        ({"head": "Mara Velt"}, f'head: {SPAN} "Mara Velt"'),
        ({"head": PERSON}, f"tail: {SPAN} nothing"),
        ({"head": PERSON, "tail": COMPANY}, "label: expected the relation of head and tail, found nothing"),
        ({"spans": None}, "spans: expected a list, found nothing"),
        ({"spans": [PERSON, [0, 9, "人"]]}, f'spans[1]: {SPAN} [0, 9, "人"]'),
        ({"spans": [{**PERSON, "end": 99}]}, "spans[0]: 0 to 99 is no part of the text of 49 characters"),
        ({"spans": [], "relations": {}}, "relations: expected a list, found {}"),
        ({"spans": [], "relations": ["in"]}, "relations[0]: expected an object with head, tail and label"),
        (
            {"spans": [PERSON, COMPANY], "relations": [{"head": 0, "tail": 5, "label": "works_for"}]},
            "relations[0]: tail: expected a place among 2 spans, from 0 on, found 5",
        ),
        (
            {"spans": [PERSON], "relations": [{"head": 0, "tail": 0, "label": "is", "score": 2}]},
            "relations[0]: score: expected a number from 0 to 1, found 2",
        ),
    ],
)
def test_a_wrong_row_is_named_before_a_model_is_asked(
    fields: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": TEXT}) + "\n\n" + json.dumps({"text": TEXT, **fields}) + "\n")
    models: Any = (None, None)
    with pytest.raises(UserError, match=re.escape(f"{path}:3: {problem}")):
        construct(*models, [str(path)], tmp_path, none="none", min_score=0, train=[], gold=None, seed=1)


@pytest.mark.parametrize(
    ("example", "problem"),
    [
        ({"question": "谁？", "context": "韦玛。"}, "expected an object with a text; found"),
        (
            {"text": "好", "label": "positive"},
            "expected spans, or head, tail and label, beside the text; found ",
        ),
    ],
)
def test_examples_of_another_family_are_named(example: dict[str, Any], problem: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_jsonl(path, [example])
    models: Any = (None, None)
    with pytest.raises(UserError, match=re.escape(f"{path}:1: {problem}")):
        construct(*models, [], tmp_path, none="none", min_score=0, train=[path], gold=None, seed=1)


def test_gold_output_and_examples_are_looked_at_before_a_model_is_asked(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "texts.jsonl", [{"text": TEXT}])
    models: Any = (None, None)

    def problem(gold: Path | None = None, output: Path = tmp_path, train: Path | None = None) -> str:
        with pytest.raises(UserError) as raised:
            construct(
                *models, [str(tmp_path / "texts.jsonl")], output, none="none", min_score=0,
                train=[train] if train else [], gold=str(gold) if gold else None, seed=1,
            )  # fmt: skip
        return str(raised.value)

    file = tmp_path / "texts.jsonl"
    assert problem(gold=tmp_path) == f"{tmp_path}: expected an edges.csv: Is a directory"
    assert problem(gold=tmp_path / "no.csv") == f"{tmp_path / 'no.csv'}: no such file"
    assert problem(output=file) == f"{file}: expected a folder to write to: File exists"
    assert problem(output=file / "a") == f"{file / 'a'}: expected a folder to write to: Not a directory"
    assert problem(train=tmp_path) == f"{tmp_path}: no such file"
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"empty\.txt: no text in it"):
        construct(
            *models, [str(tmp_path / "empty.txt")], tmp_path, none="none", min_score=0, train=[], gold=None,
            seed=1,
        )  # fmt: skip
    write_jsonl(tmp_path / "spans.jsonl", [{"text": TEXT, "spans": []}])
    expected = f"{tmp_path / 'spans.jsonl'}: no relation between two entities in 1 rows, "
    assert problem(train=tmp_path / "spans.jsonl").startswith(expected)


def test_the_sample_knows_its_facts_and_tells_them() -> None:
    from textmill.sample.knowledge import annotated, edges

    texts = list(annotated(1, 40))
    assert texts == list(annotated(1, 40))
    held = {
        (key_of(head, kind), relation, key_of(tail, other))
        for head, kind, relation, tail, other in edges(1, "held")
    }
    told_edges = set(build(texts).edges)
    assert len(told_edges) > 20
    full = {edge for edge in told_edges if edge in held}
    assert len(full) > 0.9 * len(told_edges)
