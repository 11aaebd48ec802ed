"""Statements of the user inside a transaction: which are allowed, and how they are executed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from psycopg.rows import tuple_row

from modd.errors import InvalidOption
from modd.ports.transaction import Parameters
from modd.stores.postgres.select import digest_of
from modd.stores.postgres.session import ConnectionSession, of_user, pipeline_of

TRANSACTION_WORDS = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "PREPARE"}
)
"""Statements that only the store executes."""


SESSION_WORDS = frozenset({"SET", "RESET", "DISCARD", "LISTEN", "UNLISTEN", "COPY"})
"""Statements that change the connection, which others get after the transaction, or take it over."""


# what ends with the transaction; but a commit always waits for the disk
_OF_TRANSACTION = re.compile(r"\W*SET\s+(?:LOCAL\s+(?!synchronous_commit\b)|CONSTRAINTS\b)", re.IGNORECASE)


# the first word after white space, semicolons and comments; possessive, so that it is linear in time
_FIRST_WORD = re.compile(r"(?:[\s;]|--[^\n]*+|/\*(?>.*?(?:\*/|\Z)))*+(\w*)", re.DOTALL)


def checked_sql(sql: Any) -> str:
    """Return a statement that leaves transactions alone. Raises `InvalidOption` for any other."""
    if not isinstance(sql, str):
        raise InvalidOption("sql", sql, "give one statement, as a text")
    word = _first_word(sql)
    if word in TRANSACTION_WORDS:
        raise InvalidOption("sql", sql, f"the store begins and ends transactions itself; leave {word} out")
    if word in SESSION_WORDS and not _OF_TRANSACTION.match(sql):
        cure = (
            f"{word} changes the connection, which others get later; use SET LOCAL, or set it for the user of the store"
        )
        raise InvalidOption("sql", sql, cure)
    return sql


def checked_parameters(parameters: Parameters) -> dict[str, Any] | tuple[Any, ...]:
    """Return a copy of the parameters of a statement, which the caller may change."""
    return dict(parameters) if isinstance(parameters, Mapping) else tuple(parameters)


def checked_rows(rows: Iterable[Parameters]) -> list[dict[str, Any] | tuple[Any, ...]]:
    """Return a copy of the parameters of a statement that is executed for each."""
    return [checked_parameters(row) for row in rows]


class UserSelect:
    """A statement of the user that reads."""

    def __init__(self, sql: str, parameters: Parameters) -> None:
        self.title = sql
        self._sql, self._parameters = sql.encode(), checked_parameters(parameters)

    async def rows(self, session: ConnectionSession) -> list[Any]:
        """Return its rows."""
        async with session.connection.cursor(row_factory=tuple_row) as cursor, one_statement(session):
            await cursor.execute(self._sql, self._parameters or None)
            return await cursor.fetchall()

    async def digest(self, session: ConnectionSession, rows: list[Any] | None = None) -> bytes:
        """Return what differs whenever its rows do."""
        return digest_of(await self.rows(session) if rows is None else rows)


@of_user
async def execute_one(session: ConnectionSession, sql: str, parameters: Parameters) -> int:
    """Execute a statement, and return the number of rows that it has changed."""
    async with session.connection.cursor() as cursor:
        async with one_statement(session):
            await cursor.execute(sql.encode(), parameters or None)
        return cursor.rowcount


@of_user
async def execute_many(session: ConnectionSession, sql: str, rows: list[Any]) -> int:
    """Execute a statement once for each set of parameters, and return the number of rows that were changed."""
    async with session.connection.cursor() as cursor:
        await cursor.executemany(sql.encode(), rows)
        return max(cursor.rowcount, 0)


def one_statement(session: ConnectionSession) -> AbstractAsyncContextManager[object]:
    """Have a text with several statements refused in the block: one of them might end the transaction."""
    return pipeline_of(session.connection)


def _first_word(sql: str) -> str:
    match = _FIRST_WORD.match(sql)
    return match[1].upper() if match else ""
