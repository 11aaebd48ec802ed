"""An open transaction of the database, on which operations of the store run, and the names of the tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol, TypeAlias, TypeVar
from zlib import crc32

from psycopg import AsyncConnection, AsyncPipeline, sql
from psycopg.rows import tuple_row

T = TypeVar("T")


Parameters: TypeAlias = Sequence[Any]
"""The values for the placeholders ``%s`` of a statement of modd."""


class Schema:
    """The names of the tables and locks of one store.

    name: the schema of the database that has its tables. Statements of modd call it ``modd``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.quoted: str = sql.Identifier(name).as_string(None)
        self.number = crc32(name.encode()) - 2**31
        """The first number of the locks of the store: those of another schema have another one, most likely."""
        self._statements: dict[str, bytes] = {}

    def statement(self, text: str) -> bytes:
        """Return a statement of modd with the name of the schema."""
        statement = self._statements.get(text)
        if statement is None:
            statement = self._statements[text] = text.replace("modd.", f"{self.quoted}.").encode()
        return statement


class Session(Protocol):
    """An open transaction of the database, for operations."""

    schema: Schema

    async def rows(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """Execute a statement of modd, and return its rows."""
        ...

    async def count(self, sql: str, parameters: Parameters = ()) -> int:
        """Execute a statement of modd, and return the number of rows that it has changed."""
        ...

    def tell(self, channel: str) -> None:
        """Have those woken who wait for this channel, here and in other processes, when the transaction commits."""
        ...

    def note(self, *ids: str) -> None:
        """Note ids that the transaction puts, for the error of a commit without an answer."""
        ...


Operation: TypeAlias = Callable[..., Awaitable[Any]]
"""Writes of a call, in an open transaction: an async function of a `Session` and the arguments of the call.

It may be run again, in another transaction, if the database could not go through with the first one.
"""


class ConnectionSession:
    """A `Session` on a connection of psycopg.

    pipeline: that of the connection, in which statements are sent before the results of earlier ones are there.
    """

    def __init__(self, connection: AsyncConnection[Any], schema: Schema, pipeline: AsyncPipeline | None = None) -> None:
        self.connection, self.schema, self.pipeline = connection, schema, pipeline
        self.channels: set[str] = set()
        self.ids: list[str] = []

    async def rows(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """Execute a statement of modd, and return its rows."""
        async with self.connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(self.schema.statement(sql), parameters)
            return await cursor.fetchall()

    async def count(self, sql: str, parameters: Parameters = ()) -> int:
        """Execute a statement of modd, and return the number of rows that it has changed."""
        async with self.connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(self.schema.statement(sql), parameters)
            if self.pipeline is not None:
                await self.pipeline.sync()
            return cursor.rowcount

    async def run(self, sql: str, parameters: Parameters | None = None) -> None:
        """Execute a statement whose result nobody reads; in a pipeline, without waiting for it."""
        await self.connection.execute(self.schema.statement(sql), parameters)

    def tell(self, channel: str) -> None:
        """Have those woken who wait for this channel, when the transaction commits."""
        self.channels.add(channel)

    def note(self, *ids: str) -> None:
        """Note ids that the transaction puts."""
        self.ids += ids


def pipeline_of(connection: AsyncConnection[Any]) -> AbstractAsyncContextManager[AsyncPipeline | None]:
    """Return a pipeline for ``async with``; nothing where libpq is too old for one."""
    return connection.pipeline() if AsyncPipeline.is_supported() else nullcontext()


def in_order(operation: Callable[..., T]) -> Callable[..., T]:
    """Mark an operation whose rows are numbered in the order of commits: one at a time runs, until its commit."""
    operation.__dict__["is_in_order"] = True
    return operation


def is_in_order(operation: Operation) -> bool:
    """Return True if an operation numbers rows in the order of commits."""
    return bool(getattr(operation, "is_in_order", False))


def of_user(operation: Callable[..., T]) -> Callable[..., T]:
    """Mark an operation that executes a statement of the user's."""
    operation.__dict__["is_of_user"] = True
    return operation


def is_of_user(operation: Operation) -> bool:
    """Return True if an operation executes a statement of the user's."""
    return bool(getattr(operation, "is_of_user", False))
