"""What those who ask may cost: how large their bodies are, how long they take, and what is done once they
have gone."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textmill.serving.batching import BusyError

SECONDS = 60  # for a body to come
BODIES = 8  # of the largest size may be on their way at once


class TooLargeError(Exception):
    """A body is larger than any request may be."""


class Visitors:
    """Hands a request to ``app`` when its body has come, and withdraws it when who asked has gone.

    Answered here are those whose body is larger than ``limit`` bytes (413, before it is read whole), takes
    longer than ``SECONDS`` (408), or comes with so many others that together they are more than ``BODIES`` of
    the largest (503).
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit
        self.coming = 0  # bytes of bodies that are not whole yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(SECONDS):
                body = await self._body(scope, receive)
        except TimeoutError:
            told = f"the body did not come within {SECONDS} seconds"
            await JSONResponse({"detail": told}, HTTPStatus.REQUEST_TIMEOUT)(scope, receive, send)
        except TooLargeError:
            told = f"the body is larger than {self.limit:,} bytes"
            await JSONResponse({"detail": told}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)(scope, receive, send)
        except BusyError as busy:
            await busy_answer(busy)(scope, receive, send)
        else:
            if body is not None:
                await self._hand_on(body, scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None where who sends it leaves before, since half a body is none.

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
                self.coming += len(part)
                if len(body) > self.limit:
                    raise TooLargeError
                if not message.get("more_body", False):
                    return bytes(body)
                if self.coming > BODIES * self.limit:
                    raise BusyError("too many requests come in")
        finally:
            self.coming -= len(body)

    async def _hand_on(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Have ``app`` answer; what it waits for is given up where the connection ends before."""
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        left = asyncio.create_task(_leaving(receive))

        async def replay() -> Message:
            """The body as one message; afterwards that the connection has ended, when it has."""
            if whole:
                return whole.pop()
            await asyncio.wait([left])
            return {"type": "http.disconnect"}

        work = asyncio.ensure_future(self.app(scope, replay, send))
        try:
            await asyncio.wait([work, left], return_when=asyncio.FIRST_COMPLETED)
        finally:
            withdrawn = work.cancel()  # which it cannot be when it is done
            left.cancel()
        with contextlib.suppress(*[asyncio.CancelledError] if withdrawn else []):
            await work


async def _leaving(receive: Receive) -> None:
    """Return when the connection has ended."""
    while (await receive())["type"] != "http.disconnect":
        pass


def busy_answer(error: BusyError) -> JSONResponse:
    """The answer to who may try again in a second."""
    return JSONResponse({"detail": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"})
