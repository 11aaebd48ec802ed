"""Content in tables of the file: functions of an event and `Rows`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from modd.core import Message
from modd.errors import InvalidOption
from modd.ports.storage import Storage
from modd.ports.transaction import Parameters, Transaction
from modd.projection.content import FailedEvent, Functions, Memory, Positioned
from modd.projection.errors import UnknownTable

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The names that a table may have."""


IN_BRACES = re.compile(r"\{(\w+)\}")


MOST_TEXTS = 1_000
"""Most statements whose names are remembered; a function that writes values into its SQL makes one for each event."""


Statement: TypeAlias = tuple[str, Parameters]
"""SQL with the values for its placeholders."""


class Rows:
    """Collects the statements of a projection's functions, which are executed in one transaction with the position.

    A function of a projection gets it as its second argument. Name tables in braces: each build of a projection has
    tables of its own.

    projection: the name of the projection.
    tables: the tables of the build, by the names that statements have in braces.
    """

    def __init__(self, projection: str, tables: Mapping[str, str]) -> None:
        self.statements: list[Statement] = []
        """The statements so far."""
        self._projection, self._tables = projection, tables
        self._texts: dict[str, str] = {}

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Add a statement: ``rows.execute("DELETE FROM {sales} WHERE sku = ?", (event.sku,))``.

        parameters: the values for the placeholders ``?`` or ``:name``.

        Raises `UnknownTable` for a name in braces that is no table, and `InvalidOption` for SQL that is no text.
        """
        text = self._texts.get(sql) or self._named(sql)
        self.statements.append((text, parameters if type(parameters) is tuple else _copied(parameters)))

    def _named(self, sql: Any) -> str:
        """Return a statement with the names of the build."""
        if not isinstance(sql, str):
            raise InvalidOption("sql", sql, "give one statement, as a text")
        if len(self._texts) == MOST_TEXTS:
            self._texts.clear()
        text = self._texts[sql] = IN_BRACES.sub(self._name_of, sql)
        return text

    def _name_of(self, match: re.Match[str]) -> str:
        table = self._tables.get(match[1])
        if table is None:
            raise UnknownTable(match[1], self._projection, self._tables)
        return table


class TableChanges:
    """Statements for the tables of a build.

    statements: the statements. failed: the event behind them that failed, or None.
    """

    def __init__(self, statements: Sequence[Statement], failed: FailedEvent | None) -> None:
        self.statements, self.failed = statements, failed

    @property
    def is_empty(self) -> bool:
        """True if there is no statement."""
        return not self.statements

    async def write(self, transaction: Transaction) -> None:
        """Execute the statements, equal ones that follow each other together."""
        for sql, run in groupby(self.statements, key=itemgetter(0)):
            rows = [parameters for _, parameters in run]
            if len(rows) == 1:
                await transaction.execute(sql, rows[0])
            else:
                await transaction.execute_many(sql, rows)

    def done(self, memory: Memory) -> None:
        """Do nothing: statements need nothing in memory."""


class TableContent:
    """Tables that functions of an event fill.

    projection: the name of the projection. definitions: the columns of each table, as SQL. functions: those of the
    projection, by type of event.
    """

    def __init__(self, projection: str, definitions: Mapping[str, str], functions: Functions) -> None:
        self._projection, self._definitions, self._functions = projection, definitions, functions
        self.tables = tuple(definitions)

    async def decide(self, store: Storage, build: int, events: Iterable[Positioned], memory: Memory) -> TableChanges:
        """Return the statements for events, up to the first whose function fails."""
        return self.collect(build, events)

    def collect(self, build: int, events: Iterable[Positioned]) -> TableChanges:
        """Return the statements for events, up to the first whose function fails."""
        rows, functions = self._rows(build), self._functions
        for position, event in events:
            first = len(rows.statements)
            try:
                functions[type(event)](event, rows)
            except Exception as error:
                del rows.statements[first:]
                return TableChanges(rows.statements, FailedEvent(position, error))
        return TableChanges(rows.statements, None)

    async def apply(self, store: Storage, transaction: Transaction, build: int, events: Sequence[Message]) -> None:
        """Execute in the open transaction the statements for events."""
        rows = self._rows(build)
        for event in events:
            self._functions[type(event)](event, rows)
        await TableChanges(rows.statements, None).write(transaction)

    async def create(self, transaction: Transaction, build: int) -> None:
        """Make the tables of a build."""
        for sql in self.creation(build):
            await transaction.execute(sql)

    def creation(self, build: int) -> list[str]:
        """Return the statements that make the tables of a build."""
        return [f"CREATE TABLE {quoted(name, build)} ({columns})" for name, columns in self._definitions.items()]

    def _rows(self, build: int) -> Rows:
        return Rows(self._projection, {name: quoted(name, build) for name in self.tables})


def quoted(table: str, build: int) -> str:
    """Return the name of a table in a build, as it is in a statement."""
    return f'"{stored_name(table, build)}"'


def stored_name(table: str, build: int) -> str:
    """Return the name of a table in a build."""
    return f"{table}__{build}"


def view_of(table: str, build: int) -> str:
    """Return the statement for the view under the plain name of a table."""
    return f'CREATE VIEW "{table}" AS SELECT * FROM {quoted(table, build)}'


def checked_tables(tables: Any) -> dict[str, str]:
    """Return columns by name of the table. Raises `InvalidOption`."""
    cure = 'give the columns of each table: tables={"sales": "sku TEXT PRIMARY KEY, pieces INTEGER NOT NULL"}'
    if not isinstance(tables, Mapping) or not tables:
        raise InvalidOption("tables", tables, cure)
    for name, columns in tables.items():
        if not isinstance(columns, str) or not columns.strip():
            raise InvalidOption("tables", tables, cure)
        if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower().startswith(("modd_", "sqlite_")):
            raise InvalidOption(
                "tables", name, "name a table with letters, digits and _, and not with modd_ or sqlite_ at the start"
            )
    if len({name.lower() for name in tables}) < len(tables):
        raise InvalidOption("tables", [*tables], "SQLite does not tell capitals from small letters; rename one")
    return dict(tables)


def _copied(parameters: Any) -> Parameters:
    """Return parameters that the function cannot change afterwards. Raises `InvalidOption`."""
    if isinstance(parameters, Mapping):
        return dict(parameters)
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Iterable):
        raise InvalidOption("parameters", type(parameters), "give a tuple of values, or a dict")
    return tuple(parameters)
