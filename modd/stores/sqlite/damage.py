"""Damage that SQLite does not name: texts that are no UTF-8, values of a wrong type, a schema that has changed.

SQLite has a result code for pages that make no sense; `modd.stores.sqlite.errors` knows it. A damaged byte may as well
leave pages that make sense and that modd has never written: the name of a table with another letter, a number in the
column of a body. Then modd's own statements fail, or return other rows than they can.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from types import UnionType
from typing import Any, get_args

SCHEMA_CODES = frozenset(
    [
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_INTERNAL,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
    ]
)
"""Result codes of a statement that does not suit the tables; modd's own statements suit those that modd has made."""


UNDECODABLE = "Could not decode to UTF-8"
"""The first words of the error that `sqlite3` raises, without a result code, for a text that is no UTF-8."""


class Damage(Exception):
    """The file has content that modd has not written; `translate_error` makes a `StoreCorrupt` of it."""


class Columns:
    """The columns of modd's statements, with the types that the values of each may have.

    Example: ``Columns(id=str, headers=bytes | None)``.
    """

    def __init__(self, **types: type | UnionType) -> None:
        self._types = {name: frozenset(get_args(type_) or (type_,)) for name, type_ in types.items()}

    def check(self, rows: list[Any]) -> list[Any]:
        """Return the rows. Raises `Damage` if a value has another type."""
        # column by column takes half of the time that it takes row by row; no rows have no columns
        for types, values in zip(self._types.values(), zip(*rows, strict=True), strict=False):
            if not types.issuperset(map(type, values)):
                raise Damage(f"a row of which {next(filter(None, map(self._explain, rows)))}")
        return rows

    def _explain(self, row: Iterable[Any]) -> str:
        """Return the words for the values of a row that have a wrong type."""
        columns = zip(self._types.items(), row, strict=True)
        # the type alone, because the value may be sensitive
        return ", ".join(
            f"{name} is {type(value).__name__}" for (name, types), value in columns if type(value) not in types
        )


def as_damage(error: Exception) -> Exception:
    """Return `Damage` for the error of a statement of modd that only a changed schema causes; else the error itself."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    if code < 0 or code & 0xFF not in SCHEMA_CODES:
        return error
    damage = Damage(f"{getattr(error, 'sqlite_errorname', 'SQLite')}: {error}")
    damage.__cause__ = error
    return damage


def raise_damage(error: Exception) -> None:
    """Raise `Damage` if the error of a statement of modd can only come from a changed schema."""
    damage = as_damage(error)
    if damage is not error:
        raise damage


def is_undecodable(error: BaseException) -> bool:
    """True if a text in the file is no UTF-8: in a row, or in the schema, which the text of SQLite's error quotes."""
    if isinstance(error, UnicodeDecodeError):
        return True
    return type(error).__name__ == "OperationalError" and str(error).startswith(UNDECODABLE)


def undecodable_text(error: BaseException) -> str:
    """Return the words for a text that is no UTF-8, without the text, which may be sensitive."""
    if isinstance(error, UnicodeDecodeError):
        return "a name in the schema is no UTF-8"
    return str(error).partition(" with text")[0]
