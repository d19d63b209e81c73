"""What a connection may cost: how large a body is, how long it takes, and what is done for a client that has
disconnected."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textmill.serving.batching import BusyError

BODY_TIMEOUT = 60  # seconds for a body to come
PENDING_BODIES = 8  # of the largest size may be on their way at once


class TooLargeError(Exception):
    """A body is larger than any request may be."""


class Connections:
    """ASGI middleware: runs ``app`` when a body has come, and cancels it when the client disconnects.

    Answered here are requests whose body is larger than ``limit`` bytes (413, before it is read whole), takes
    longer than ``BODY_TIMEOUT`` (408), or is on its way with so many others that together they exceed
    ``PENDING_BODIES`` of the largest (503).
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit
        self.pending = 0  # bytes of bodies that are not whole yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await self._read(scope, receive)
        except TimeoutError:
            told = f"the body did not come within {BODY_TIMEOUT} seconds"
            await JSONResponse({"detail": told}, HTTPStatus.REQUEST_TIMEOUT)(scope, receive, send)
        except TooLargeError:
            told = f"the body is larger than {self.limit:,} bytes"
            await JSONResponse({"detail": told}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)(scope, receive, send)
        except BusyError as busy:
            await busy_response(busy)(scope, receive, send)
        else:
            if body is not None:
                await self._run(body, scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None where the client disconnects before, since half a body is none.

        Raises TooLargeError and BusyError.
        """
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self.limit:
            raise TooLargeError
        body = bytearray()
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                body += part
                self.pending += len(part)
                if len(body) > self.limit:
                    raise TooLargeError
                if not message.get("more_body", False):
                    return bytes(body)
                if self.pending > PENDING_BODIES * self.limit:
                    raise BusyError("too many requests come in")
        finally:
            self.pending -= len(body)

    async def _run(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Have ``app`` answer, unless the client disconnects before; raises what ``app`` does."""
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        disconnected = asyncio.create_task(_disconnect(receive))

        async def replay() -> Message:
            """The body as one message; afterwards that the client has disconnected, when it has."""
            if whole:
                return whole.pop()
            await asyncio.wait([disconnected])
            return {"type": "http.disconnect"}

        work = asyncio.ensure_future(self.app(scope, replay, send))
        try:
            await asyncio.wait([work, disconnected], return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()  # changes nothing where it is done
            disconnected.cancel()
        await asyncio.wait([work])
        if not work.cancelled():
            work.result()


async def _disconnect(receive: Receive) -> None:
    """Return when the client has disconnected, or has had its answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


def busy_response(error: BusyError) -> JSONResponse:
    """503, with the time after which to try again."""
    return JSONResponse({"detail": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"})
