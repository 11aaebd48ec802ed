"""Writes that are committed together or not at all."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, ClassVar, TypeVar

import anyio

from modd.errors import InvalidOption
from modd.ports.transaction import Parameters, open_transaction
from modd.stores.sqlite.batch import begin, done_inside, roll_back, undo
from modd.stores.sqlite.connection import Link, current_task
from modd.stores.sqlite.errors import (
    AnswerNeeded,
    StoreReadOnly,
    TransactionInUse,
    TransactionTimeout,
    is_refused_write,
    translating,
)
from modd.stores.sqlite.readers import Readers, rows_of
from modd.stores.sqlite.sql import Call, Connection, Operation, executed, transacted
from modd.stores.sqlite.writer import Writer

ENDS = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"})
"""What the store says itself, and nobody else: others are in the same commit."""


FILES = frozenset({"ATTACH", "DETACH"})
"""What would stay for all who come later on the same connection."""


SETTINGS = frozenset(
    [
        "busy_timeout",
        "checkpoint_fullfsync",
        "fullfsync",
        "ignore_check_constraints",
        "journal_mode",
        "journal_size_limit",
        "locking_mode",
        "query_only",
        "synchronous",
        "wal_autocheckpoint",
        "writable_schema",
    ]
)
"""Of the connection, on which what is promised depends."""


_FIRST = re.compile(r"(?:[\s;\ufeff]|--[^\n]*+|/\*(?>.*?(?:\*/|\Z)))*+(\w*)", re.DOTALL)


_SETS, _WORDS = re.compile("[=(]"), re.compile(r"\w+")


def checked_sql(sql: Any) -> str:
    """A statement that leaves transactions and connections to the store. Raises `InvalidOption`."""
    if not isinstance(sql, str):
        raise InvalidOption("sql", sql, "give one statement, as a text")
    first = _FIRST.match(sql)
    word = first[1].upper() if first else ""
    if word in ENDS:
        raise InvalidOption("sql", sql, "begin and end transactions with `async with store.transaction():`")
    if word in FILES:
        raise InvalidOption("sql", sql, "a transaction is one of this file alone; copy between files outside of it")
    if word == "PRAGMA" and _SETS.search(sql) and not SETTINGS.isdisjoint(_WORDS.findall(sql.lower())):
        raise InvalidOption("sql", sql, "what is promised depends on this; see `store.journal` for the mode")
    return sql


T = TypeVar("T")


class SqliteTransaction(ABC):
    """A transaction as the task sees it that began it; see `modd.ports.Transaction`."""

    collects: ClassVar[bool] = True

    def __init__(self, store: Any) -> None:
        self.store, self.open = store, True
        self.outer: Any = open_transaction.get()
        """The transaction around it: of another store, or over."""
        self._task = current_task()
        self._after: list[Callable[[], Awaitable[None]]] = []

    @property
    def is_mine(self) -> bool:
        """Whether it is open, and the task that asks is the one that began it."""
        return bool(self.open and current_task() == self._task)

    def check(self, what: str) -> None:
        """Raise `TransactionInUse` in another task than the one that began it, and when it has ended."""
        if not self.is_mine:
            raise TransactionInUse(what, self.open)

    def on_commit(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done after the commit, and not at all if there is none; its errors are logged."""
        self.check("on_commit")
        self._after.append(work)

    async def tell(self) -> None:
        """It is committed."""
        for work in self._after:
            try:
                await work()
            except Exception:
                logging.getLogger("modd.stores").exception("what was to be done after a commit failed")

    async def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Have a statement executed that writes, beside what the store writes.

        Raises `modd.errors.InvalidOption` for one that begins or ends transactions, and for one that changes how the
        store writes.
        """
        self.check("execute")
        text = checked_sql(sql)
        given = dict(parameters) if isinstance(parameters, Mapping) else tuple(parameters)  # theirs may change
        await self.note(executed, text, given)

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement reads."""
        self.check("fetch")
        return await self.read(rows_of(checked_sql(sql), parameters))

    @abstractmethod
    async def note(self, operation: Operation, *call: Any) -> Any:
        """Have something written with the rest."""

    @abstractmethod
    async def answer(self, what: str, operation: Operation, *call: Any) -> Any:
        """Have something written, and get the result now."""

    @abstractmethod
    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read something."""

    @abstractmethod
    def part(self) -> AbstractAsyncContextManager[SqliteTransaction]:
        """A block within the block, whose writes are dropped when it alone fails."""


class Collecting(SqliteTransaction):
    """Writes are collected, and applied at the end in one go, so that nobody has to wait for a slow block.

    What is read is what was committed when the block read for the first time, without its own writes.
    """

    def __init__(self, store: Any, writer: Writer, readers: Readers) -> None:
        super().__init__(store)
        self._writer, self._readers = writer, readers
        self._collected: list[tuple[Operation, Call]] = []
        self._stack: AsyncExitStack | None = None
        self._snapshot: Link | None = None

    async def note(self, operation: Operation, *call: Any) -> Any:
        """Collect a write."""
        self._collected.append((operation, call))

    async def answer(self, what: str, operation: Operation, *call: Any) -> Any:
        """Raise `AnswerNeeded`: nothing is written before the end."""
        raise AnswerNeeded(what)

    async def fetch(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement reads; one that writes has none before the end."""
        try:
            return await super().fetch(sql, parameters)
        except StoreReadOnly as error:
            if not is_refused_write(error.__cause__):
                raise
            raise AnswerNeeded("a statement that writes and has rows") from error

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read from the snapshot."""
        if self._snapshot is None:
            self._stack = AsyncExitStack()
            self._snapshot = await self._stack.enter_async_context(self._readers.snapshot())
        return await self._readers.run(self._snapshot, work)

    @asynccontextmanager
    async def part(self) -> AsyncIterator[SqliteTransaction]:
        """A block within the block, whose writes are dropped when it fails."""
        collected, after = len(self._collected), len(self._after)
        try:
            yield self
        except BaseException:
            del self._collected[collected:], self._after[after:]
            raise

    async def __aenter__(self) -> SqliteTransaction:  # by hand: generators for it cost as much as the block of a worker
        self._token = open_transaction.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what was collected, unless the block failed."""
        open_transaction.reset(self._token)
        self.open = False
        if self._stack is not None:
            await self._stack.aclose()
        if error is None:
            await self._commit()
            await self.tell()

    async def _commit(self) -> None:
        if len(self._collected) == 1:  # so that it is done with others of its kind
            [(operation, call)] = self._collected
            await self._writer.submit(operation, *call)
        elif self._collected:
            await self._writer.submit(transacted, self._collected)


class OwnWrites(SqliteTransaction):
    """Writes are done at once and can be read in the block. Nobody else can write meanwhile, so its time is limited."""

    collects: ClassVar[bool] = False

    def __init__(self, store: Any, writer: Writer, limit: float) -> None:
        super().__init__(store)
        self._writer, self._limit = writer, limit
        self._link: Link | None = None

    async def note(self, operation: Operation, *call: Any) -> Any:
        """Write something now."""
        [result] = await self.read(lambda connection: done_inside(connection, operation, call))
        return result

    async def answer(self, what: str, operation: Operation, *call: Any) -> Any:
        """Write something now, and get the result."""
        return await self.note(operation, *call)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read something, with what was written here."""
        assert self._link is not None  # only reached inside of `run`
        with translating(self.store.name):
            return await self._link.run(work)

    @asynccontextmanager
    async def part(self) -> AsyncIterator[SqliteTransaction]:
        """A block within the block, whose writes are undone when it fails."""
        after = len(self._after)
        await self.read(lambda connection: connection.execute("SAVEPOINT modd_part"))
        try:
            yield self
        except BaseException:
            del self._after[after:]
            await self.read(lambda connection: undo(connection, "modd_part"))
            raise
        await self.read(lambda connection: connection.execute("RELEASE modd_part"))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[SqliteTransaction]:
        """The block, with the connection that writes. Raises `TransactionTimeout` when it takes too long."""
        async with self._writer.turn() as self._link:
            token = open_transaction.set(self)
            try:
                await self.read(begin)
                with anyio.move_on_after(self._limit) as scope:
                    yield self
                    await self.read(lambda connection: connection.execute("COMMIT"))
                if scope.cancelled_caught:
                    raise TransactionTimeout(self.store.name, self._limit)
            finally:
                self.open = False
                open_transaction.reset(token)
                await self.read(roll_back)
        await self.tell()
