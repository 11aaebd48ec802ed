"""Random transactions beside each other: it is as if they had run one after another, in the order of their commits."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import anyio
import pytest
from anyio.abc import TaskGroup
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modd.ports import Conflict, Transaction
from modd.stores.sqlite import file_lock
from modd.stores.sqlite.store import SqliteStore
from tests.loops import BACKENDS
from tests.stores.sqlite.others import affected

pytestmark = pytest.mark.slow

EXAMPLES = 250 if os.environ.get("MODD_PROFILE") == "long" else 10
STEPS = 30
KEYS = ("a", "b", "c")

Rows: TypeAlias = dict[str, int]
Step: TypeAlias = tuple[str, int, str]
"""The kind of step, the number of its transaction, and a key."""

kinds = st.sampled_from(["read", "read", "sum", "count", "write", "write", "delete", "commit", "fail", "shell"])
steps = st.tuples(kinds, st.integers(0, 3), st.sampled_from(KEYS))
histories = st.lists(steps, min_size=STEPS, max_size=STEPS)

READS = {
    "read": "SELECT value FROM numbers WHERE name = ?",
    "sum": "SELECT sum(value) FROM numbers WHERE name >= ?",
    "count": "SELECT count(*) FROM numbers WHERE name <= ?",
}
WRITES = {"write": "INSERT OR REPLACE INTO numbers VALUES (?, ?)", "delete": "DELETE FROM numbers WHERE name = ?"}


def model_read(rows: Rows, kind: str, key: str) -> int | None:
    """What a read returns when the table has these rows."""
    if kind == "read":
        return rows.get(key)
    if kind == "count":
        return sum(name <= key for name in rows)
    chosen = [value for name, value in rows.items() if name >= key]
    return sum(chosen) if chosen else None


class Running:
    """A transaction in a task of its own, with what it has read and written.

    A value that it writes depends on everything that it has read.
    """

    def __init__(self, store: SqliteStore, number: int) -> None:
        self.reads: list[tuple[str, str, int | None]] = []
        self.writes: list[tuple[str, str, int]] = []
        self.is_committed = False
        self._store, self._number = store, number
        self._send, self._receive = anyio.create_memory_object_stream[Step](1)
        self._done = anyio.Event()

    async def run(self) -> None:
        try:
            await self._follow_steps()
        except (Conflict, ZeroDivisionError):
            pass
        else:
            self.is_committed = True
        self._done.set()

    async def step(self, step: Step) -> None:
        """Do a step to its end."""
        self._done = anyio.Event()
        await self._send.send(step)
        await self._done.wait()

    async def _follow_steps(self) -> None:
        with self._send, self._receive:
            async with self._store.transaction() as tx:
                while True:
                    kind, _, key = await self._receive.receive()
                    if kind == "commit":
                        return
                    if kind == "fail":
                        raise ZeroDivisionError
                    await self._do(tx, kind, key)
                    self._done.set()

    async def _do(self, tx: Transaction, kind: str, key: str) -> None:
        if kind in READS:
            rows = await tx.fetch(READS[kind], (key,))
            self.reads.append((kind, key, rows[0][0] if rows else None))
            return
        value = sum(read[2] or 0 for read in self.reads) % 1000 + self._number + 1
        await tx.execute(WRITES[kind], (key, value) if kind == "write" else (key,))
        self.writes.append((kind, key, value))


class History:
    """Transactions beside each other, and the table as their commits should leave it, one after another.

    stores: those that the transactions take turns with. path: the file, for a writer that is not of modd.
    """

    def __init__(self, stores: list[SqliteStore], path: Path, tasks: TaskGroup) -> None:
        self._stores, self._path, self._tasks = stores, path, tasks
        self._running: dict[int, Running] = {}
        self.states: list[Rows] = [{}]
        """The rows after each commit."""
        self._begun: dict[int, int] = {}
        self._count = self.conflicts = 0

    async def step(self, step: Step) -> None:
        kind, number, key = step
        if kind == "shell":
            return self._write_by_hand(number, key)
        if number not in self._running:
            self._begin(number)
        running = self._running[number]
        await running.step(step)
        if kind in ("commit", "fail"):
            self._end(number, self._running.pop(number))

    async def end(self) -> None:
        """Commit all that are left, and compare the table."""
        for number in [*self._running]:
            await self.step(("commit", number, "a"))
        async with self._stores[0].transaction() as tx:
            assert dict(await tx.fetch("SELECT name, value FROM numbers")) == self.states[-1]

    def _begin(self, number: int) -> None:
        self._count += 1
        self._running[number] = Running(self._stores[number % len(self._stores)], self._count)
        self._begun[number] = len(self.states) - 1
        self._tasks.start_soon(self._running[number].run)

    def _end(self, number: int, running: Running) -> None:
        if not running.is_committed:
            self.conflicts += 1
            return
        candidates = [self.states[-1]] if running.writes else self.states[self._begun[number] :]
        assert any(
            all(model_read(rows, kind, key) == value for kind, key, value in running.reads) for rows in candidates
        )
        if running.writes:
            self._apply(running.writes)

    def _write_by_hand(self, number: int, key: str) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=60)) as shell:
            shell.execute(WRITES["write"], (key, number))
        self._apply([("write", key, number)])

    def _apply(self, writes: list[tuple[str, str, int]]) -> None:
        rows = dict(self.states[-1])
        for kind, key, value in writes:
            if kind == "write":
                rows[key] = value
            else:
                rows.pop(key, None)
        self.states.append(rows)


@asynccontextmanager
async def one_store(path: Path) -> AsyncIterator[list[SqliteStore]]:
    """A store that has the file alone, in WAL mode."""
    async with SqliteStore(path) as store:
        yield [store]


@asynccontextmanager
async def two_stores(path: Path) -> AsyncIterator[list[SqliteStore]]:
    """Two stores of one file, that take turns."""
    async with affected(path) as first, affected(path) as second:
        yield [first, second]


@asynccontextmanager
async def without_wal(path: Path) -> AsyncIterator[list[SqliteStore]]:
    """A store in TRUNCATE mode, in which there are no snapshots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_lock, "fcntl", None)
        async with affected(path) as store:
            assert store.journal.mode == "truncate"
            yield [store]


async def run(mode: Any, history: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "store.db")
        async with mode(path) as stores:
            async with stores[0].transaction() as tx:
                await tx.execute("CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER)")
            async with anyio.create_task_group() as tasks:
                running = History(stores, path, tasks)
                for step in history:
                    await running.step(step)
                await running.end()


@pytest.mark.parametrize("mode", [one_store, two_stores, without_wal])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories)
def test_transactions_beside_each_other_are_as_if_one_after_another(mode: Any, history: Any) -> None:
    # DR-20
    for backend in BACKENDS:
        anyio.run(run, mode, history, backend=backend)
