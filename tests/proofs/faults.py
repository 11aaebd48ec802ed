"""A run of a store during which operations on its file fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path

import anyio

from modd.ports import StoreError
from modd.stores.sqlite.store import SqliteStore
from tests.proofs.apsw_connection import connector
from tests.proofs.faults_vfs import FailingVFS, Faults
from tests.proofs.faults_workload import EXPECTED, Clock, Work
from tests.proofs.found import TABLES, Rows, found, wanted

FAILING = "modd-failing"
PATIENCE = 60
"""Seconds after which something hangs."""
TRIES = 40


@contextmanager
def failing(path: Path, instead: Mapping[str, str], faults: Faults) -> Iterator[tuple[SqliteStore, Clock]]:
    """A store whose file can fail, and its clock. Its WAL and its cache have room for a few pages."""
    vfs, clock = FailingVFS(FAILING, faults), Clock()
    connect = connector(FAILING, instead, pages=6, cache=6, before=faults.before)
    try:
        yield SqliteStore(path, connect=connect, clock=clock, timeout=0.02), clock
    finally:
        vfs.unregister()


class Faulty:
    """A run. errors: what callers were told, each time a call failed."""

    def __init__(self, path: Path, instead: Mapping[str, str], faults: Faults) -> None:
        self.errors: list[StoreError] = []
        self._path, self._instead, self._faults = path, instead, faults

    async def run(self) -> None:
        """Make all calls, look at what is there with the same store, and then with another one."""
        with anyio.fail_after(PATIENCE), failing(self._path, self._instead, self._faults) as (store, clock):
            await self._work(store, clock)
        async with SqliteStore(self._path) as store:
            check(await _rows(store))
        with closing(sqlite3.connect(self._path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    async def _work(self, store: SqliteStore, clock: Clock) -> None:
        async with AsyncExitStack() as stack:
            await self._until_done(lambda: stack.enter_async_context(store))
            for group in Work(store, clock).groups():
                async with anyio.create_task_group() as tasks:
                    for call in group:
                        tasks.start_soon(self._until_done, call)
            await self._until_done(lambda: _check(store))

    async def _until_done(self, call: Callable[[], Awaitable[object]]) -> None:
        for _ in range(TRIES):
            try:
                await call()
            except StoreError as error:
                self.errors.append(error)
            else:
                return
        raise AssertionError(f"it does not go on: {self.errors}")


async def _check(store: SqliteStore) -> None:
    check(await _rows(store))


async def _rows(store: SqliteStore) -> dict[str, Rows]:
    async with store.transaction() as tx:
        return {sql: await tx.fetch(sql) for sql in wanted(await tx.fetch(TABLES))}


def check(rows: dict[str, Rows]) -> None:
    """Nothing is missing, nothing is there twice."""
    things, faults = found(rows)
    known = {thing: (value[0], 0, value[2]) if thing[0] == "item" else value for thing, value in things.items()}
    assert (known, faults) == (EXPECTED, [])
