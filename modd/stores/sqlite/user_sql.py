"""Statements of the user inside a transaction: which are allowed, and how they are executed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from modd.checks import checked_text
from modd.errors import InvalidOption
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import USER_OPERATIONS, CallArgs, Connection

TRANSACTION_WORDS = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"})
"""Statements that only the store executes, because writes of other callers are in the same commit."""


FILE_WORDS = frozenset({"ATTACH", "DETACH"})
"""Statements whose effect would last for later users of the connection."""


PRAGMAS = frozenset(
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
"""Settings of the connection on which the promises of the store depend."""


# the first word after white space, semicolons, byte order marks and comments; possessive, so that it is linear in time
_FIRST_WORD = re.compile(r"(?:[\s;\ufeff]|--[^\n]*+|/\*(?>.*?(?:\*/|\Z)))*+(\w*)", re.DOTALL)


_ASSIGNMENT, _WORDS = re.compile("[=(]"), re.compile(r"\w+")


def checked_sql(sql: Any) -> str:
    """Return a statement that leaves transactions and connections alone. Raises `InvalidOption` for any other."""
    if not isinstance(sql, str):
        raise InvalidOption("sql", sql, "give one statement, as a text")
    checked_text("sql", sql)
    match = _FIRST_WORD.match(sql)
    word = match[1].upper() if match else ""
    if word in TRANSACTION_WORDS:
        raise InvalidOption("sql", sql, "begin and end transactions with `async with store.transaction():`")
    if word in FILE_WORDS:
        raise InvalidOption("sql", sql, "a transaction covers one file; copy between files outside of it")
    if word == "PRAGMA" and _ASSIGNMENT.search(sql) and not PRAGMAS.isdisjoint(_WORDS.findall(sql.lower())):
        raise InvalidOption("sql", sql, "the promises of the store depend on this setting; see `store.journal`")
    return sql


def execute_statements(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[int]:
    """Execute statements in order, and return the number of rows that each changed.

    Each call has the SQL and its parameters.
    """
    return [connection.execute(sql, parameters).rowcount for sql, parameters in calls]


def repeat_statements(connection: Connection, calls: Sequence[CallArgs]) -> Sequence[int]:
    """Execute statements in order, each for many rows, and return the number of rows that each changed.

    Each call has the SQL and a list of parameters.
    """
    return [connection.executemany(sql, rows).rowcount for sql, rows in calls]


USER_OPERATIONS.update((execute_statements, repeat_statements))


class UserSelect(Select):
    """A statement of the user that reads: its errors are told as they are."""

    __slots__ = ()

    def __call__(self, connection: Connection) -> list[Any]:
        """Return the rows."""
        return self.execute(connection)
