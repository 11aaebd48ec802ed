"""Connections that are watched: what is done on them is counted, held up, or made to fail."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event, Semaphore
from typing import Any

import anyio.to_thread

PATIENCE = 60
"""Seconds after which a test is taken to be wrong."""


class Watch:
    """Give it to a store as ``connect``."""

    def __init__(self) -> None:
        self.done = Counter[str]()
        """How often each statement was executed, by its text."""
        self.failures: list[tuple[str, Exception]] = []
        """What is raised, each once, by the next statement that begins so."""
        self._held = ""
        self._stopped, self._go = Semaphore(0), Event()

    def __call__(self, path: str) -> sqlite3.Connection:
        self.before("connect")
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=256, factory=_Watched)
        connection.watch = self
        return connection

    @asynccontextmanager
    async def holding(self, statement: str = "BEGIN IMMEDIATE") -> AsyncIterator[None]:
        """The next statement that begins so is not executed before the block ends."""
        self.hold(statement)
        try:
            yield
        finally:
            self.go()

    def hold(self, statement: str = "BEGIN IMMEDIATE") -> None:
        """The next statement that begins so is not executed before `go` is called."""
        self._go.clear()
        self._held = statement

    def go(self) -> None:
        """Let go on what is held up."""
        self._held = ""
        self._go.set()

    async def stopped(self) -> None:
        """Wait until one is held up."""
        if not await anyio.to_thread.run_sync(lambda: self._stopped.acquire(timeout=PATIENCE)):
            raise TimeoutError("nothing was held up")

    def before(self, statement: str) -> None:
        self.done[statement] += 1
        if self._held and statement.startswith(self._held):
            self._held = ""
            self._stopped.release()
            self._go.wait(PATIENCE)
        for failure in self.failures:
            if statement.startswith(failure[0]):
                self.failures.remove(failure)
                raise failure[1]


class _Watched(sqlite3.Connection):
    watch: Watch

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.watch.before(sql)
        return super().execute(sql, parameters)


def failed(code: int) -> sqlite3.Error:
    """An error as SQLite makes it with this code."""
    error = sqlite3.OperationalError("as the test wants it")
    error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_TEST"
    return error
