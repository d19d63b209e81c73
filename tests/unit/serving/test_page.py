"""The page in a browser: every task tried, narrow and wide, light and dark, without a complaint."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tests.unit.browser import CHROMIUM, Browser
from textmill.prediction import Predictor
from textmill.serving import Limits
from textmill.serving.app import create_app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def address(predictors: dict[str, Predictor]) -> Iterator[str]:
    """A server with all tasks, for as long as the tests here run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(predictors, Limits(8, 2000))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser that the tests share."""
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


TASKS = ("sentiment", "entities", "relations", "questions", "headlines", "dialogue")
ASK = "document.querySelector('form button').click()"
ANSWERED = (
    "!!document.querySelector('#result h2, #result .problem') && !document.querySelector('button:disabled')"
)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_tried_in_the_browser(address: str, browser: Any, task: str) -> None:
    browser.look(1280, 900)
    browser.open(f"{address}/try/{task}")
    browser.run("window.stayed = true")  # gone if the page were loaded anew
    browser.run(ASK)
    browser.wait(ANSWERED)
    assert browser.run("window.stayed") is True
    headings = browser.run("[...document.querySelectorAll('#result > h2')].map(h => h.textContent)")
    assert headings == ["Prediction", "What the model looked at"]
    assert browser.run("document.querySelectorAll('#result .explanation').length") > 0
    assert browser.troubles == []


def test_a_conversation_goes_on(address: str, browser: Any) -> None:
    browser.open(f"{address}/try/dialogue")
    for turn in range(2):
        browser.run(f"document.getElementById('text').value = 'Good day {turn} <i>'")
        browser.run(ASK)
        browser.wait(f"document.querySelectorAll('.turns p').length === {2 * turn + 2}")
    assert browser.run("document.querySelectorAll('.turns i').length") == 0
    assert browser.troubles == []


def test_what_is_written_while_the_server_thinks_stays(address: str, browser: Any) -> None:
    browser.open(f"{address}/try/sentiment")
    browser.run(
        "const ask = window.fetch; window.fetch = (...sent) => "
        "new Promise(after => setTimeout(after, 500)).then(() => ask(...sent))"
    )
    browser.run(ASK)
    browser.run(
        "const field = document.getElementById('text'); field.focus(); field.value = 'and more 好';"
        "field.setSelectionRange(3, 3)"
    )
    browser.wait(ANSWERED)
    assert browser.run("document.getElementById('text').value") == "and more 好"
    assert browser.run("document.activeElement.id + document.activeElement.selectionStart") == "text3"
    assert browser.troubles == []


def test_a_mistake_is_told_in_its_place(address: str, browser: Any) -> None:
    browser.open(f"{address}/try/relations")
    browser.run("document.getElementById('tail').value = 'nowhere'")
    browser.run(ASK)
    browser.wait("!!document.querySelector('#result [role=alert]')")
    assert "does not stand in the text" in browser.run("document.querySelector('#result').textContent")
    assert browser.run("document.getElementById('tail').value") == "nowhere"
    browser.troubles.clear()  # the browser reports the status 422 itself


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (360, False), (360, True)])
def test_nothing_is_cut_off_and_everything_has_a_name(
    address: str, browser: Any, width: int, dark: bool
) -> None:
    browser.look(width, 780, dark=dark)
    browser.open(f"{address}/try/relations")
    browser.run(ASK)
    browser.wait(ANSWERED)
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    unnamed = (
        "[...document.querySelectorAll('input:not([type=hidden]), textarea')].filter(e => !e.labels.length)"
    )
    assert browser.run(f"{unnamed}.length") == 0
    small = (
        "[...document.querySelectorAll('nav a, button')].filter(e => e.getBoundingClientRect().height < 24)"
    )
    assert browser.run(f"{small}.length") == 0
    assert browser.run(CONTRAST) >= 4.5


# The lowest contrast of the page's own text with its ground (WCAG 2.2, criterion 1.4.3).
CONTRAST = """(() => {
  const light = (c) => { const v = c.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255)
    .map((x) => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (c !== "rgba(0, 0, 0, 0)") return c; } return "rgb(255, 255, 255)"; };
  const texts = document.querySelectorAll("h1, h2, label, nav a, button, #result p, #result mark, footer");
  return Math.min(...[...texts].filter((e) => !e.closest(".explanation")).map((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return (a + .05) / (b + .05); }));
})()"""
