"""The one who writes: what concurrent callers want written is committed together."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio

from modd.concurrency.cancellation import put_off
from modd.concurrency.signals import signals
from modd.core import Gate, hold
from modd.stores.sqlite.batch import Batch, Job
from modd.stores.sqlite.connection import Link
from modd.stores.sqlite.errors import StoreClosed
from modd.stores.sqlite.sql import Operation

MOST = 500
"""Jobs in one commit, so that none is long, and those who have an answer can go on while the next is committed."""


class Turn:
    """A time in which somebody else than the writer has the connection."""

    def __init__(self) -> None:
        self.begun, self.ended = anyio.Event(), anyio.Event()
        self.error: Exception | None = None

    def refuse(self, error: Exception) -> None:
        """It never begins."""
        self.error = error
        self.begun.set()


class Writer:
    """Commits what was submitted, batch after batch, on the connection that it owns.

    committed: called in the loop after each commit.
    """

    def __init__(self, store: str, link: Link, committed: Callable[[], None]) -> None:
        self._store, self._link, self._committed = store, link, committed
        self._waiting: deque[Batch | Turn] = deque()
        self._wanted = anyio.Event()
        self._signal = signals()
        self._closed = False
        self.gate = Gate(f"the writer of {store}")

    async def submit(self, operation: Operation, *call: Any) -> Any:
        """Have a call committed, and return its result. Raises what it raises, and `modd.ports.StoreError`.

        Who is cancelled before the writer has taken the call withdraws it; after that, it is waited for.
        """
        if self._closed or self.gate.holder is not None:
            await self._let_in()
        job = Job(operation, call, self._signal())
        batch = self._enlist(job)
        try:
            await job.done
        except anyio.get_cancelled_exc_class() as cancelled:
            if self._withdraw(job, batch):
                raise
            await self._outlast(job, batch)
            put_off(cancelled)
        if job.error is not None:
            raise job.error
        return job.result

    async def run(self) -> None:
        """Commit what is submitted, until it is closed and nothing is left.

        A scope that is cancelled around the store ends those who write, and they may have something to write then: a
        worker gives back what it has claimed. So only `close` ends this.
        """
        with anyio.CancelScope(shield=True):
            try:
                await self._serve_all()
            finally:
                self._closed = True
                for each in self._waiting:
                    each.refuse(StoreClosed(self._store))

    def close(self) -> None:
        """Take nothing more, and end when all that was submitted is committed."""
        self._closed = True
        self._wanted.set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Link]:
        """Have the connection for oneself for as long as the block lasts."""
        async with hold(self.gate):
            if self._closed:  # perhaps while it waited
                raise StoreClosed(self._store)
            turn = Turn()
            self._waiting.append(turn)
            self._wanted.set()
            try:
                await turn.begun.wait()
                if turn.error is not None:
                    raise turn.error
                yield self._link
            finally:
                turn.ended.set()

    async def _let_in(self) -> None:
        """Wait until nobody else has the connection. Raises `Deadlock`, and `StoreClosed`."""
        async with hold(self.gate):
            pass
        if self._closed:
            raise StoreClosed(self._store)

    def _enlist(self, job: Job) -> Batch:
        last = self._waiting[-1] if self._waiting else None
        if not isinstance(last, Batch) or len(last.jobs) >= MOST:
            last = Batch()
            self._waiting.append(last)
            self._wanted.set()
        last.jobs.append(job)
        return last

    async def _outlast(self, job: Job, batch: Batch) -> None:
        """Wait for what was taken, however often that is cancelled."""
        with anyio.CancelScope(shield=True):
            while not batch.told:
                job.done = self._signal()
                with suppress(anyio.get_cancelled_exc_class()):
                    await job.done

    def _withdraw(self, job: Job, batch: Batch) -> bool:
        waits = batch in self._waiting
        if waits:
            batch.jobs.remove(job)
        return waits

    async def _serve_all(self) -> None:
        while self._waiting or not self._closed:
            while self._waiting:
                await self._serve(self._waiting.popleft())
            if not self._closed:
                self._wanted = anyio.Event()
                await self._wanted.wait()

    async def _serve(self, next: Batch | Turn) -> None:
        if isinstance(next, Turn):
            next.begun.set()
            await next.ended.wait()
            self._committed()
        elif next.jobs:
            await self._commit(next)
            self._committed()
            next.tell()

    async def _commit(self, batch: Batch) -> None:
        try:
            await self._link.run(partial(batch.commit, self._store))
        except Exception as error:  # not even the connection could be asked: the next batch may have more luck
            batch.fail(self._store, error)
        except BaseException:
            batch.refuse(StoreClosed(self._store))
            raise
