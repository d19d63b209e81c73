"""What those who ask may cost: bodies that are large, slow or many, and work for those who have gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from textmill.serving import visitors
from textmill.serving.visitors import BODIES, Visitors

LIMIT = 1000
SCOPE = {"type": "http", "headers": []}


class Visitor:
    """One who sends the ``parts`` of a body, the last of them as the end, and waits for the answer."""

    def __init__(self, *parts: bytes) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.answered: list[dict[str, Any]] = []
        for part in parts[:-1]:
            self.send(part, more=True)
        for part in parts[-1:]:
            self.send(part, more=False)

    def send(self, part: bytes, *, more: bool) -> None:
        self.messages.put_nowait({"type": "http.request", "body": part, "more_body": more})

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def visit(self, app: Visitors) -> None:
        async def answer(message: Any) -> None:
            self.answered.append(message)

        await app(SCOPE, self.messages.get, answer)

    @property
    def status(self) -> int | None:
        return self.answered[0]["status"] if self.answered else None


class Server:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.withdrawn = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.bodies.append((await receive())["body"])
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        await send({"type": "http.response.start", "status": 200})


def test_a_body_is_handed_on_whole_and_half_a_one_is_none() -> None:
    async def ask() -> Server:
        server = Server()
        server.go.set()
        app = Visitors(server, LIMIT)
        whole, half = Visitor(b"text=", b"whole"), Visitor()
        half.send(b"text=half", more=True)
        half.leave()
        await asyncio.gather(whole.visit(app), half.visit(app))
        assert (whole.status, half.status, app.coming) == (200, None, 0)
        return server

    assert asyncio.run(ask()).bodies == [b"text=whole"]


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "SECONDS", 0.05)

    async def ask() -> None:
        server = Server()
        app = Visitors(server, LIMIT)
        slow = Visitor()
        slow.send(b"text=", more=True)
        await slow.visit(app)
        assert (slow.status, app.coming, server.bodies) == (408, 0, [])

    asyncio.run(ask())


def test_only_so_many_bodies_are_kept_before_they_are_whole() -> None:
    async def ask() -> None:
        server = Server()
        server.go.set()
        app = Visitors(server, LIMIT)
        guests = [Visitor() for _ in range(BODIES + 2)]
        asked = [asyncio.create_task(guest.visit(app)) for guest in guests]
        for guest in guests:
            guest.send(b"a" * LIMIT, more=True)
        await asyncio.sleep(0.01)
        assert [guest.status for guest in guests] == [None] * BODIES + [503] * 2
        assert app.coming == BODIES * LIMIT
        for guest in guests:
            guest.send(b"", more=False)
        await asyncio.gather(*asked)
        assert [guest.status for guest in guests] == [200] * BODIES + [503] * 2
        assert app.coming == 0

    asyncio.run(ask())


def test_work_for_one_who_has_gone_is_withdrawn() -> None:
    async def ask() -> None:
        server = Server()
        app = Visitors(server, LIMIT)
        gone, patient = Visitor(b"gone"), Visitor(b"patient")
        asked = [asyncio.create_task(visitor.visit(app)) for visitor in (gone, patient)]
        await asyncio.sleep(0.01)
        gone.leave()
        await asked[0]
        assert server.withdrawn == 1
        server.go.set()
        await asked[1]
        assert (gone.status, patient.status, server.withdrawn) == (None, 200, 1)

    asyncio.run(ask())


def test_what_goes_wrong_inside_is_told_to_the_server() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(Visitor(b"").visit(Visitors(broken, LIMIT)))
