"""What a connection may cost: bodies that are slow or many, and work for clients that have disconnected."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from textmill.serving import connections
from textmill.serving.connections import PENDING_BODIES, Connections

LIMIT = 1000
SCOPE = {"type": "http", "headers": []}


class Client:
    """Sends the ``parts`` of a body, the last of them as the end, and waits for the answer."""

    def __init__(self, *parts: bytes) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.answered: list[dict[str, Any]] = []
        for part in parts[:-1]:
            self.send(part, more=True)
        for part in parts[-1:]:
            self.send(part, more=False)

    def send(self, part: bytes, *, more: bool) -> None:
        self.messages.put_nowait({"type": "http.request", "body": part, "more_body": more})

    def disconnect(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def ask(self, app: Connections) -> None:
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
        self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.bodies.append((await receive())["body"])
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        await send({"type": "http.response.start", "status": 200})


def test_a_body_is_handed_on_whole_and_half_a_one_is_none() -> None:
    async def run() -> Server:
        server = Server()
        server.go.set()
        app = Connections(server, LIMIT)
        whole, half = Client(b"text=", b"whole"), Client()
        half.send(b"text=half", more=True)
        half.disconnect()
        await asyncio.gather(whole.ask(app), half.ask(app))
        assert (whole.status, half.status, app.pending) == (200, None, 0)
        return server

    assert asyncio.run(run()).bodies == [b"text=whole"]


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_TIMEOUT", 0.05)

    async def run() -> None:
        server = Server()
        app = Connections(server, LIMIT)
        slow = Client()
        slow.send(b"text=", more=True)
        await slow.ask(app)
        assert (slow.status, app.pending, server.bodies) == (408, 0, [])

    asyncio.run(run())


def test_only_so_many_bodies_are_kept_before_they_are_whole() -> None:
    async def run() -> None:
        server = Server()
        server.go.set()
        app = Connections(server, LIMIT)
        clients = [Client() for _ in range(PENDING_BODIES + 2)]
        asked = [asyncio.create_task(client.ask(app)) for client in clients]
        for client in clients:
            client.send(b"a" * LIMIT, more=True)
        await asyncio.sleep(0.01)
        assert [client.status for client in clients] == [None] * PENDING_BODIES + [503] * 2
        assert app.pending == PENDING_BODIES * LIMIT
        for client in clients:
            client.send(b"", more=False)
        await asyncio.gather(*asked)
        assert [client.status for client in clients] == [200] * PENDING_BODIES + [503] * 2
        assert app.pending == 0

    asyncio.run(run())


def test_work_for_a_client_that_has_disconnected_is_cancelled() -> None:
    async def run() -> None:
        server = Server()
        app = Connections(server, LIMIT)
        gone, patient = Client(b"gone"), Client(b"patient")
        asked = [asyncio.create_task(client.ask(app)) for client in (gone, patient)]
        await asyncio.sleep(0.01)
        gone.disconnect()
        await asked[0]
        assert server.cancelled == 1
        server.go.set()
        await asked[1]
        assert (gone.status, patient.status, server.cancelled) == (None, 200, 1)

    asyncio.run(run())


def test_what_goes_wrong_inside_is_told_to_the_server() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(Client(b"").ask(Connections(broken, LIMIT)))
