"""What users give to a store, checked before anything is done with it."""

from __future__ import annotations

import os
import re
from typing import Any

from modd.errors import InvalidOption

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


def checked_path(given: Any) -> str:
    """The path of a file from the root, without links: the same for all who mean this file, from wherever they are.

    Raises `InvalidOption`.
    """
    wanted = "give the path of a file, as a text or a pathlib.Path"
    if not isinstance(given, (str, bytes, os.PathLike)):
        raise InvalidOption("path", given, wanted)
    path = os.fsdecode(given)
    if path in ("", ":memory:"):
        raise InvalidOption("path", given, "give the path of a file; in memory there are MemoryQueue and others")
    try:
        return os.path.realpath(path)
    except ValueError as error:  # a zero, or what no file system can have in a name
        raise InvalidOption("path", given, wanted) from error


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
