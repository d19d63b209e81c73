"""Requests that come at the same time, run through the model together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WAIT = 0.005  # seconds that a first request waits for company: little beside what a model takes
LARGEST = 64  # inputs that are run together
WAITING = 256  # requests that may wait; more are sent away


class BusyError(Exception):
    """More is asked at once than there is room for."""


class Room:
    """Counts the requests that wait for the models, whatever they ask for."""

    def __init__(self) -> None:
        self._waiting = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those that wait; raises BusyError where too many do."""
        if self._waiting >= WAITING:
            raise BusyError("too many requests wait")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


@dataclass
class _Job:
    items: Sequence[Any]
    answer: asyncio.Future[list[Any]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batcher:
    """Collects the inputs of several requests for one model, and gives each its own answers.

    ``run`` maps a list of inputs to a list of answers; it is called in ``executor``, never twice at a time.
    Inputs have to be checked before: one that fails would take the others of its batch with it.
    """

    def __init__(self, run: Callable[[list[Any]], list[Any]], executor: Executor, room: Room) -> None:
        self._run = run
        self._executor = executor
        self._room = room
        self._waiting: asyncio.Queue[_Job] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, items: Sequence[Any]) -> list[Any]:
        """The answers to ``items``; raises BusyError where too many requests wait."""
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        with self._room.place():
            job = _Job(items)
            self._waiting.put_nowait(job)
            return await job.answer

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            jobs = [job for job in await self._collect() if not job.answer.done()]  # who asked may have gone
            if not jobs:
                continue
            items = [item for job in jobs for item in job.items]
            try:
                answers = await loop.run_in_executor(self._executor, self._run, items)
            except Exception as error:
                for job in jobs:
                    if not job.answer.done():
                        job.answer.set_exception(error)
                continue
            place = 0
            for job in jobs:
                if not job.answer.done():
                    job.answer.set_result(answers[place : place + len(job.items)])
                place += len(job.items)

    async def _collect(self) -> list[_Job]:
        """The first request, and those that come within WAIT, up to LARGEST inputs."""
        jobs = [await self._waiting.get()]
        end = asyncio.get_running_loop().time() + WAIT
        while sum(len(job.items) for job in jobs) < LARGEST:
            left = end - asyncio.get_running_loop().time()
            try:
                jobs.append(await asyncio.wait_for(self._waiting.get(), max(left, 0)))
            except TimeoutError:
                break
        return jobs
