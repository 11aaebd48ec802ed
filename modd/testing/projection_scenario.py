"""Given, then for a projection: events, and the states or the rows that they make."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from difflib import ndiff
from typing import Any, Generic, TypeVar

from modd.core import Message, mask_secrets, name_of, wire_name
from modd.errors import InvalidOption
from modd.projection import Projection
from modd.projection.states import StateContent
from modd.projection.tables import TableContent, view_of
from modd.testing.aggregate_scenario import ALIKE

S = TypeVar("S")


class GivenProjection(Generic[S]):
    """A projection and the events that it has seen, to be compared with expectations, without await.

    projection: the projection. events: the events, in order; those that it has no function for are passed over.

    The methods raise `AssertionError` with the difference, and the errors of the projection's functions and statements,
    with a note that names function, event and statement.
    """

    def __init__(self, projection: Projection[S], events: Sequence[Message]) -> None:
        self._projection = projection
        self._events = [each for each in map(_checked_message, events) if type(each) in projection.events]

    def then_state(self, key: str | int, state: S | None) -> None:
        """Expect that this is the state of a key; None for a key without a state."""
        content = self._projection.content
        if not isinstance(content, StateContent):
            raise InvalidOption(
                "then_state", self._projection.name, "it has tables; compare rows: then_rows(sql, rows)"
            )
        states = self._fold(content)
        actual = states.get(str(key))
        if actual == state:
            return
        if actual is None:
            names = ", ".join(states) or "none"
            raise AssertionError(f"{key!r} has no state, and {state!r} was expected; the keys with one: {names}")
        alike = f"\n{ALIKE}" if repr(state) == repr(actual) else ""
        raise AssertionError(f"the state of {key!r} differs (- expected, + actual):\n- {state!r}\n+ {actual!r}{alike}")

    def then_rows(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Expect that a statement returns exactly these rows, in this order.

        sql: names tables by their plain names: ``then_rows("SELECT pieces FROM sales", [(1,)])``.
        """
        content = self._projection.content
        if not isinstance(content, TableContent):
            raise InvalidOption("then_rows", self._projection.name, "it has states; use then_state(key, state)")
        expected, actual = [tuple(row) for row in rows], self._select(content, sql)
        if actual != expected:
            lines = [line.rstrip("\n") for line in ndiff([*map(repr, expected)], [*map(repr, actual)])]
            raise AssertionError("\n".join(["the rows differ (- expected, + actual):", *lines]))

    def _fold(self, content: StateContent[Any]) -> dict[str, Any]:
        """Return the states by key; each goes through its encoding, as in a store."""
        states = dict[str, Any]()
        for event in self._events:
            key = content.key_of(event)
            if key is None:
                continue
            with self._noted(event):
                state = content.fold(states.pop(key, None), event)
                if state is not None:
                    states[key] = content.decode(content.encode(state), key)
        return states

    def _select(self, content: TableContent, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, in tables in memory that have seen the events."""
        with closing(sqlite3.connect(":memory:")) as connection:
            for statement in (*content.creation(1), *(view_of(table, 1) for table in content.tables)):
                connection.execute(statement)
            for event in self._events:
                self._execute(content, event, connection)
            return connection.execute(sql).fetchall()

    def _execute(self, content: TableContent, event: Message, connection: sqlite3.Connection) -> None:
        """Execute the statements for an event."""
        changes = content.collect(1, [(1, event)])
        if changes.failed is not None:
            with self._noted(event):
                raise changes.failed.error
        for statement, parameters in changes.statements:
            with self._noted(event, statement):
                connection.execute(statement, parameters)

    @contextmanager
    def _noted(self, event: Message, statement: str = "") -> Iterator[None]:
        """Note at an error of the block which function it comes from, without sensitive values of the event."""
        try:
            yield
        except Exception as error:
            subject = f"a statement of {self._name_of(event)}" if statement else self._name_of(event)
            text = f": {mask_secrets(statement, event)}" if statement else ""
            error.add_note(f"raised by {subject} when given {wire_name(type(event))}{text}")
            raise

    def _name_of(self, event: Message) -> str:
        return f"{name_of(self._projection.events[type(event)])} of the projection {self._projection.name}"


def _checked_message(event: Any) -> Message:
    if not isinstance(event, Message):
        raise InvalidOption("events", event, "give events: given(projection, OrderPlaced(...))")
    return event
