"""Commands, queries and events, and the types of their results."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Generic, TypeVar

import pytest

from modd import Intent, Message
from modd.cqrs import Command, Event, Query
from modd.cqrs.intents import result_type
from tests.cqrs.shop import Create, Created, Find, Get, Rename

R = TypeVar("R")
T = TypeVar("T")
K = TypeVar("K")


class Untyped(Query):  # type: ignore[type-arg]
    pass


class Paged(Query[list[T]], Generic[T]):
    page: int = 0


class Users(Paged[str]):
    pass


class Keyed(Query[R], Generic[K, R]):
    pass


class ByNumber(Keyed[int, Decimal]):
    pass


class Base(Command[R]):
    pass


class Derived(Base[dict[str, int]]):
    pass


class Further(Derived):
    pass


class Quoted(Query["list[int]"]):
    pass


class Maybe(Query[T | None], Generic[T]):
    pass


class MaybeName(Maybe[str]):
    pass


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Create, int),
        (Rename, type(None)),
        (Get, str),
        (Find, list[str]),
        (Derived, dict[str, int]),
        (Further, dict[str, int]),
        (Untyped, Any),
        (Base, Any),
        (Created, Any),
        (Message, Any),
        (Users, list[str]),
        (ByNumber, Decimal),
        (Quoted, list[int]),
        (MaybeName, str | None),
    ],
    ids=lambda given: getattr(given, "__name__", str(given)),
)
def test_the_type_of_a_result_is_known(kind: type, expected: Any) -> None:
    # MI-1
    assert result_type(kind) == expected


def test_commands_and_queries_are_intents_and_events_are_messages() -> None:
    # MI-1
    assert issubclass(Command, Intent) and issubclass(Query, Intent)
    assert issubclass(Event, Message) and not issubclass(Event, Intent)
    with pytest.raises(NotImplementedError):
        Create._meta()
    with pytest.raises(NotImplementedError):
        Create()._result()
