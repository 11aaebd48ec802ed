"""Checks of options name the option, the value and the cure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modd import InvalidOption, Message
from modd.checks import checked_subclasses
from modd.middleware import Cacher, Enqueue, Idempotency, Lock
from modd.stores import SqliteStore


class First(Message):
    pass


class Second(Message):
    pass


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (lambda store: Idempotency(store=store), r"store=<SqliteStore.*: this is a store; give store\.cache"),
        (lambda store: Cacher(store), r"store=<SqliteStore.*: this is a store; give store\.cache"),
        (lambda store: Lock(lambda envelope: "all", locks=store), r"locks=.*: this is a store; give store\.locks"),
        (lambda store: Enqueue(store), r'queue=.*MemoryQueue\(\) or store\.queue\("commands"\)'),
        (lambda store: Lock(lambda envelope: "all", locks=store.cache), "give a modd.ports.Locks"),
    ],
)
def test_a_store_in_place_of_its_part_is_refused_with_the_part_to_give(make: Callable[[Any], Any], cure: str) -> None:
    with pytest.raises(InvalidOption, match=cure):
        make(SqliteStore("modd.db"))


def test_types_are_given_as_a_list_or_as_one_type_where_that_is_allowed() -> None:
    assert checked_subclasses("types", [First, Second], Message) == (First, Second)
    assert checked_subclasses("types", First, Message, single=True) == (First,)
    for wrong in (First, "First", [First, int], [First()], None):
        with pytest.raises(InvalidOption, match="give a list of message types"):
            checked_subclasses("types", wrong, Message)
    with pytest.raises(InvalidOption, match="give a message type, or a list of them"):
        checked_subclasses("types", [int], Message, single=True)


def test_too_few_types_and_a_type_twice_are_refused_where_that_matters() -> None:
    assert checked_subclasses("types", [], Message) == ()
    assert checked_subclasses("types", [First, First], Message) == (First, First)
    with pytest.raises(InvalidOption, match="name at least 2 message types"):
        checked_subclasses("types", [First], Message, least=2)
    with pytest.raises(InvalidOption, match="name each message type once"):
        checked_subclasses("types", [First, First], Message, unique=True)
