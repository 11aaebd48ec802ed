"""The task that writes to the file: it commits the writes of concurrent callers together."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from modd.concurrency.blocks import async_block
from modd.concurrency.cancellation import native_requests, put_off
from modd.concurrency.signals import set_signal, signals
from modd.core import Gate, hold
from modd.stores.errors import StoreClosed
from modd.stores.sqlite.connection import ConnectionThread
from modd.stores.sqlite.group_commit import Batch, Write
from modd.stores.sqlite.sql import Operation

BATCH_SIZE = 500
"""Most writes in one commit, so that no commit is long and callers go on while the next one is prepared."""


class Reservation:
    """A period in which one task has the connection, in place of the writer."""

    def __init__(self) -> None:
        self.begun, self.ended = anyio.Event(), anyio.Event()
        self.error: Exception | None = None

    def refuse(self, error: Exception) -> None:
        """Wake the task with this error; the period never begins."""
        self.error = error
        self.begun.set()


class Writer:
    """Commits submitted writes, batch after batch, on the connection that it owns.

    on_commit: called in the loop after each commit.
    """

    def __init__(self, store: str, thread: ConnectionThread, on_commit: Callable[[], None]) -> None:
        self._store, self._thread, self._on_commit = store, thread, on_commit
        self._pending: deque[Batch | Reservation] = deque()
        self._create_signal = signals()
        self._submitted = self._create_signal()
        self._closed = False
        self.gate = Gate(f"the writer of {store}")

    async def submit(self, operation: Operation, *arguments: Any) -> Any:
        """Have one call of an operation committed, and return its result.

        A caller that is cancelled withdraws its call, unless its batch is being committed: then it waits for that.
        Raises the error of the call, and `modd.ports.StoreError`.
        """
        if self._closed or self.gate.holder is not None:
            await self._wait_for_reservations()
        write = Write(operation, arguments, self._create_signal())
        batch = self._enqueue(write)
        try:
            await write.done
        except anyio.get_cancelled_exc_class() as cancelled:
            if self._withdraw(write, batch):
                raise
            requests = native_requests()
            await self._outlast(write, batch)
            put_off(cancelled, requests)
        if write.error is not None:
            raise write.error
        return write.result

    async def run(self) -> None:
        """Commit submitted writes until `close` was called and none is left.

        It is shielded: when a scope around the store is cancelled, the callers in it may still have to write, as a
        worker that releases its claims.
        """
        with anyio.CancelScope(shield=True):
            try:
                await self._serve_all()
            finally:
                self._closed = True
                for pending in self._pending:
                    pending.refuse(StoreClosed(self._store))

    def close(self) -> None:
        """Accept no more writes, and let `run` end when the submitted ones are committed."""
        self._closed = True
        set_signal(self._submitted)

    @async_block
    async def reserve(self) -> AsyncIterator[ConnectionThread]:
        """Lend the connection that writes for the block; the writer and other callers wait meanwhile.

        Raises `Deadlock`, and `StoreClosed`.
        """
        async with hold(self.gate):
            if self._closed:  # perhaps while this waited
                raise StoreClosed(self._store)
            reservation = Reservation()
            self._pending.append(reservation)
            set_signal(self._submitted)
            try:
                await reservation.begun.wait()
                if reservation.error is not None:
                    raise reservation.error
                yield self._thread
            finally:
                reservation.ended.set()

    async def _wait_for_reservations(self) -> None:
        """Wait until no task has the connection. Raises `Deadlock`, and `StoreClosed`."""
        async with hold(self.gate):
            pass
        if self._closed:
            raise StoreClosed(self._store)

    def _enqueue(self, write: Write) -> Batch:
        batch = self._pending[-1] if self._pending else None
        if not isinstance(batch, Batch) or len(batch.writes) >= BATCH_SIZE:
            batch = Batch()
            self._pending.append(batch)
            set_signal(self._submitted)
        batch.writes.append(write)
        return batch

    def _withdraw(self, write: Write, batch: Batch) -> bool:
        is_pending = batch in self._pending
        if is_pending:
            batch.writes.remove(write)
        return is_pending

    async def _outlast(self, write: Write, batch: Batch) -> None:
        """Wait for a write that is being committed, however often that is cancelled."""
        with anyio.CancelScope(shield=True):
            while not batch.is_finished:
                write.done = self._create_signal()
                with suppress(anyio.get_cancelled_exc_class()):
                    await write.done

    async def _serve_all(self) -> None:
        while self._pending or not self._closed:
            while self._pending:
                await self._let_grow(self._pending[0])
                await self._serve(self._pending.popleft())
            if not self._closed:
                self._submitted = self._create_signal()
                await self._submitted

    async def _let_grow(self, next: Batch | Reservation) -> None:
        """Let other tasks run for as long as they add writes to a batch of several kinds.

        Handlers that end wake the producers who wait for them: one commit has both, where it took two. Writes of one
        kind, such as those of many producers, come at once, so that to look for more would be in vain.
        """
        size = 1
        while isinstance(next, Batch) and size < len(next.writes) < BATCH_SIZE and next.is_mixed:
            size = len(next.writes)
            await checkpoint()

    async def _serve(self, next: Batch | Reservation) -> None:
        if isinstance(next, Reservation):
            next.begun.set()
            await next.ended.wait()
            self._on_commit()
        elif next.writes:
            await self._commit(next)
            self._on_commit()
            next.finish()

    async def _commit(self, batch: Batch) -> None:
        try:
            await self._thread.run(partial(batch.commit, self._store), shield=False)
        except Exception as error:  # the thread could not even start the work; the next batch may succeed
            batch.fail(self._store, error)
        except BaseException:
            batch.refuse(StoreClosed(self._store))
            raise
