"""The server: documented JSON, validated and limited, the same predictions as everywhere; and its page."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from textmill.prediction import Predictor
from textmill.serving import Limits, batching
from textmill.serving.app import create_app
from textmill.serving.batching import WAITING, Batcher, BusyError, Room
from textmill.serving.inputs import TURNS, largest_body
from textmill.serving.page import MOST_FIELDS

LIMITS = Limits(inputs=8, characters=500)
Predictors = dict[str, Predictor]


@pytest.fixture(scope="module")
def client(predictors: Predictors) -> Iterator[TestClient]:
    """A client of the application with all tasks."""
    app = create_app(predictors, LIMITS)
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def test_every_task_answers_as_its_predictor_does(client: TestClient, predictors: Predictors) -> None:
    for name, predictor in predictors.items():
        item = predictor.input_example()[0]
        found = client.post(f"/predict/{name}", json={"inputs": [item, item]})
        assert found.status_code == 200, found.text
        (expected,) = predictor.predict([item])
        assert found.json() == {"task": name, "predictions": json.loads(json.dumps([expected] * 2))}


def test_a_prediction_is_explained_as_data_and_as_html(client: TestClient, predictors: Predictors) -> None:
    for name, predictor in predictors.items():
        item = predictor.input_example()[0]
        found = client.post(f"/explain/{name}", json=item)
        assert found.status_code == 200, found.text
        told = found.json()
        assert told["prediction"] == json.loads(json.dumps(predictor.predict([item])[0]))
        assert told["explanation"]["tokens"]
        assert told["html"].startswith("<section")
    assert client.post("/explain/sentiment", json={"text": ""}).status_code == 422


def test_a_pretrained_model_answers_and_is_explained(pretrained: Path) -> None:
    client = TestClient(create_app({"decoder": Predictor(pretrained)}, LIMITS), "http://127.0.0.1")
    assert client.post("/predict/decoder", json={"inputs": [{"text": "好 day"}]}).status_code == 200
    found = client.post("/explain/decoder", json={"text": "好 day"})
    assert found.status_code == 200
    assert found.json()["prediction"]["prediction"].startswith("好 day")


def test_a_long_text_is_explained_as_it_is_gone_on_with(pretrained: Path) -> None:
    predictor = Predictor(pretrained)
    app = create_app({"decoder": predictor}, Limits(inputs=8, characters=5000))
    text = "".join(f"好 day {i}. " for i in range(100))
    with TestClient(app, "http://127.0.0.1") as client:
        found = client.post("/explain/decoder", json={"text": text}).json()
    assert found["prediction"] == predictor.predict([text])[0]
    tokens = [token["text"] for token in found["explanation"]["tokens"]]
    written = "".join(token["text"] for token in found["explanation"]["written"]).strip()
    assert "".join(tokens[1:20]) in text
    assert written in found["prediction"]["prediction"]
    assert found["explanation"]["left_out"] > 0


def test_what_is_served_is_described(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    about = {row["name"]: row for row in client.get("/tasks").json()}
    assert about["relations"]["inputs"] == ["text", "head", "tail"]
    assert about["sentiment"]["labels"] == ["negative", "positive"]
    described = client.get("/openapi.json").json()
    body = described["paths"]["/predict/dialogue"]["post"]["requestBody"]["content"]["application/json"]
    name = body["schema"]["$ref"].split("/")[-1]
    inputs = described["components"]["schemas"][name]["properties"]["inputs"]
    assert inputs["maxItems"] == LIMITS.inputs


@pytest.mark.parametrize(
    ("task", "body", "told"),
    [
        ("sentiment", {"inputs": []}, "inputs: List should have at least 1 item"),
        ("sentiment", {"inputs": [{"text": "a"}] * 9}, "inputs: List should have at most 8 items"),
        ("sentiment", {"inputs": [{"text": 3}]}, "inputs.0.text: Input should be a valid string"),
        ("sentiment", {"inputs": [{"text": "  "}]}, "inputs.0.text: has only white space"),
        ("sentiment", {"inputs": [{"text": "a" * 501}]}, "inputs.0.text: String should have at most 500"),
        ("sentiment", {"inputs": [{"txt": "a"}]}, "inputs.0.text: Field required"),
        ("sentiment", {"texts": []}, "inputs: Field required"),
        ("relations", {"inputs": [{"text": "ab", "head": {"start": 0, "end": 1}}]}, "inputs.0.tail"),
        (
            "relations",
            {"inputs": [{"text": "ab", "head": {"start": 0, "end": 1}, "tail": {"start": 1, "end": 9}}]},
            "input 1: tail: 1 to 9 is outside the text of 2 characters",
        ),
        ("dialogue", {"inputs": [{"turns": [{"role": "system", "text": "a"}]}]}, "inputs.0.turns.0.role"),
        ("dialogue", {"inputs": [{"turns": [{"role": "assistant", "text": "a"}]}]}, "a turn of the user"),
        (
            "sentiment",
            {"inputs": [{"text": "a", **{"k" * 200 + str(i): 1 for i in range(50)}}]},
            "and 40 more",
        ),
        (
            "dialogue",
            {"inputs": [{"turns": [{"role": "user", "text": "好" * 300}] * 2}]},
            "600 characters, at most 500 together",
        ),
    ],
)
def test_bad_input_is_told_and_not_repeated(client: TestClient, task: str, body: Any, told: str) -> None:
    found = client.post(f"/predict/{task}", json=body)
    assert found.status_code == 422
    assert told in found.json()["detail"]
    assert set(found.json()) == {"detail"}
    assert len(found.text) < 3000
    assert "Value error" not in found.text


def test_a_body_that_is_no_json_is_told(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    found = client.post("/predict/sentiment", content=b'{"inputs": [}', headers=headers)
    assert (found.status_code, found.json()["detail"]) == (400, "not JSON at character 12: Expecting value")


def test_a_form_that_a_page_of_another_site_sends_is_refused(client: TestClient) -> None:
    for site, status in (("cross-site", 403), ("same-origin", 200)):
        found = client.post("/try/sentiment", data={"text": "good"}, headers={"sec-fetch-site": site})
        assert found.status_code == status
        assert "default-src 'none'" in found.headers["content-security-policy"]


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    for path in ("/predict/nothing", "/static/app.py", "/static/..%2f..%2fpyproject.toml", "/docs"):
        assert client.get(path).status_code in (404, 405), path
    assert client.post("/predict/nothing", json={"inputs": ["a"]}).status_code == 404
    assert client.post("/predict/sentiment", content=b"{broken").status_code == 422
    page = client.get("/try/<script>alert(1)</script>")
    assert page.status_code == 404
    assert "<script>alert" not in page.text


def test_a_large_body_is_refused_whether_or_not_it_says_how_large(client: TestClient) -> None:
    large = b'{"inputs": ["' + b"a" * largest_body(LIMITS) + b'"]}'

    def parts() -> Iterator[bytes]:
        yield from (large[i : i + 9999] for i in range(0, len(large), 9999))

    for content in (large, parts()):
        found = client.post(
            "/predict/sentiment", content=content, headers={"content-type": "application/json"}
        )
        assert found.status_code == 413
        assert "larger than" in found.json()["detail"]


WIDE = "😀" * 500  # 6,000 bytes, where every character is escaped
WIDEST: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "sentiment": ({"text": WIDE, "pair": WIDE}, {"text": WIDE, "pair": WIDE}),
    "entities": ({"text": WIDE}, {"text": WIDE}),
    "relations": (
        {"text": WIDE, "head": {"start": 0, "end": 250}, "tail": {"start": 250, "end": 500}},
        {"text": WIDE, "head": WIDE[:250], "tail": WIDE[250:]},
    ),
    "questions": ({"question": WIDE, "context": WIDE}, {"question": WIDE, "context": WIDE}),
    "headlines": ({"source": WIDE}, {"source": WIDE}),
    "dialogue": (
        {"turns": [{"role": "user", "text": WIDE[:5]}] * TURNS},
        {**{f"turn-{i}": WIDE[:5] for i in range(TURNS - 1)}, "text": WIDE[:5]},
    ),
}


@pytest.mark.parametrize("task", WIDEST)
def test_what_the_limits_allow_is_not_too_large(predictors: Predictors, task: str) -> None:
    item, form = WIDEST[task]
    app = create_app({task: predictors[task]}, Limits(inputs=1, characters=500))
    client = TestClient(app, "http://127.0.0.1")
    body = json.dumps({"inputs": [item]})  # escaped, as by default
    headers = {"content-type": "application/json"}
    assert client.post(f"/predict/{task}", content=body, headers=headers).status_code == 200
    assert client.post(f"/try/{task}", data=form).status_code == 200


def test_the_keys_of_many_short_turns_are_not_too_large() -> None:
    body = json.dumps({"inputs": [{"turns": [{"role": "assistant", "text": "好"}] * TURNS}]}, indent=4)
    assert len(body) < largest_body(Limits(inputs=1, characters=100))


def test_other_hosts_are_refused_on_loopback_only(predictors: Predictors) -> None:
    headers = {"host": "evil.example"}
    few = {"sentiment": predictors["sentiment"]}
    assert TestClient(create_app(few, LIMITS)).get("/health", headers=headers).status_code == 400
    own = {"host": "[::1]:8000"}
    assert TestClient(create_app(few, LIMITS)).get("/health", headers=own).status_code == 200
    assert TestClient(create_app(few, LIMITS, "0.0.0.0")).get("/health", headers=headers).status_code == 200


def test_requests_that_come_together_run_together() -> None:
    batches: list[list[int]] = []

    def run(items: list[int]) -> list[int]:
        batches.append(items)
        if -1 in items:
            raise ValueError("broken")
        return [10 * item for item in items]

    async def ask() -> list[Any]:
        batcher = Batcher(run, ThreadPoolExecutor(1), Room())
        asked = [batcher.submit([i, i + 100]) for i in range(20)]
        found = await asyncio.gather(*asked)
        failed = await asyncio.gather(batcher.submit([-1]), return_exceptions=True)
        return [*found, *failed, await batcher.submit([7])]

    found = asyncio.run(ask())
    assert found[:20] == [[10 * i, 10 * i + 1000] for i in range(20)]
    assert isinstance(found[20], ValueError)
    assert found[21] == [70]
    assert len(batches) == 3


def test_what_nobody_waits_for_any_more_is_not_run() -> None:
    batches: list[list[int]] = []
    begun, go = threading.Event(), threading.Event()

    def run(items: list[int]) -> list[int]:
        batches.append(items)
        begun.set()
        go.wait(10)
        return items

    async def ask() -> list[int]:
        batcher = Batcher(run, ThreadPoolExecutor(1), Room())
        asked = [asyncio.create_task(batcher.submit([0]))]
        await asyncio.to_thread(begun.wait, 10)
        asked += [asyncio.create_task(batcher.submit([i])) for i in (1, 2, 3)]
        await asyncio.sleep(0)
        asked[1].cancel()
        asked[3].cancel()
        go.set()
        return [await asked[0], await asked[2]]

    assert asyncio.run(ask()) == [[0], [2]]
    assert batches == [[0], [2]]


def test_too_many_waiting_requests_are_sent_away() -> None:
    async def ask() -> list[Any]:
        room = Room()
        first, second = (Batcher(lambda items: items, ThreadPoolExecutor(1), room) for _ in range(2))
        asked = [(first if i % 2 else second).submit([i]) for i in range(WAITING + 3)]
        found = list(await asyncio.gather(*asked, return_exceptions=True))
        return [*found, await first.submit([0])]  # when they have their answers, there is room again

    found = asyncio.run(ask())
    assert sum(isinstance(answer, BusyError) for answer in found) == 3
    assert found[-1] == [0]


@pytest.mark.parametrize("path", ["/predict/sentiment", "/explain/sentiment", "/try/sentiment"])
def test_every_address_that_runs_a_model_has_a_limit(
    client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask() -> int:
        text = {"text": "Not bad."}
        if path.startswith("/try"):
            return client.post(path, data=text).status_code
        return client.post(path, json={"inputs": [text]} if "predict" in path else text).status_code

    assert ask() == 200
    monkeypatch.setattr(batching, "WAITING", 0)
    assert ask() == 503


FORMS: dict[str, dict[str, str]] = {
    "sentiment": {"text": "Not <b>bad</b> & all"},
    "entities": {"text": "Mara 在 <i>Ulmen</i>"},
    "relations": {"text": "Mara <i>met</i> Mara 😀", "head": "Mara", "tail": "Mara"},
    "questions": {"context": "<i>Mara</i> is here.", "question": "Who?"},
    "headlines": {"source": "<i>Mara</i> is here."},
    "dialogue": {"turn-0": "Good <i>day</i>.", "turn-1": "Hello.", "text": "<i>Who?</i>"},
}


@pytest.mark.parametrize("task", FORMS)
def test_the_page_shows_a_form_and_a_prediction_with_every_text_escaped(
    client: TestClient, task: str
) -> None:
    empty = client.get(f"/try/{task}")
    assert empty.status_code == 200
    assert "default-src 'none'" in empty.headers["content-security-policy"]
    assert not re.search(r"(src|href)=.https?:", empty.text)
    page = client.post(f"/try/{task}", data=FORMS[task])
    assert page.status_code == 200, page.text
    assert "<h2>Prediction</h2>" in page.text
    assert "What the model looked at" in page.text
    assert "<i>" not in page.text
    assert "<b>bad" not in page.text


def test_the_page_tells_what_is_wrong_and_keeps_what_was_written(client: TestClient) -> None:
    page = client.post("/try/relations", data={"text": "Mara <here>", "head": "Mara", "tail": "Velt"})
    assert page.status_code == 422
    assert "&#39;Velt&#39; does not stand in the text" in page.text
    assert "Mara &lt;here&gt;" in page.text
    assert client.post("/try/sentiment", data={"text": ""}).status_code == 422
    assert client.post("/try/sentiment", data={"text": "a" * 501}).status_code == 422


def test_a_conversation_goes_on_for_as_many_turns_as_are_allowed(client: TestClient) -> None:
    def ask(turns: int) -> Any:
        said = {f"turn-{i}": "Hi." for i in range(turns - 1)}
        return client.post("/try/dialogue", data={**said, "text": "Who?"})

    assert ask(21).status_code == 200
    assert ask(TURNS - 1).status_code == 200
    assert ask(TURNS + 1).status_code == 422
    assert f"at most {TURNS} items" in ask(TURNS + 1).text


def test_a_mistake_loses_no_conversation(client: TestClient) -> None:
    said = {"turn-0": "Good day.", "turn-1": "Hello."}
    for text in ("   ", "a" * 501):
        page = client.post("/try/dialogue", data={**said, "text": text})
        assert page.status_code == 422
        assert re.findall(r'name="turn-\d" value="([^"]+)"', page.text) == list(said.values())
        assert text in page.text


def test_a_form_of_too_many_fields_is_told(client: TestClient) -> None:
    page = client.post("/try/sentiment", data={f"field-{i}": "a" for i in range(MOST_FIELDS + 1)})
    assert page.status_code == 422
    assert f"more than {MOST_FIELDS} fields" in page.text
