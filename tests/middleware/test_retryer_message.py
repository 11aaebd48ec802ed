"""Retries start from the message as it came."""

from __future__ import annotations

import dataclasses
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from modd.cqrs import Command, CommandBus, Envelope, Failed
from modd.middleware import Retryer
from modd.middleware.deep_copy import copy_values

pytestmark = pytest.mark.anyio


class Pack(Command[int]):
    content: Any


class Box(msgspec.Struct):
    items: list[str]


class Sealed(msgspec.Struct, frozen=True):
    box: Any


class Checked(msgspec.Struct):
    items: list[str]

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError("empty")


@dataclasses.dataclass
class Crate:
    items: list[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Shelf:
    crate: Crate


class Pair(NamedTuple):
    left: list[str]
    right: int


class Connection:
    """Something in a message that is no value."""


CHANGES: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (lambda: ["rope", "yoyo"], lambda content: content.pop()),
    (lambda: {"rope": 1}, lambda content: content.clear()),
    (lambda: {"rope"}, lambda content: content.clear()),
    (lambda: deque(["rope"], maxlen=3), lambda content: content.pop()),
    (lambda: defaultdict(list, rope=[1]), lambda content: content["rope"].pop()),
    (lambda: OrderedDict(rope=[1], yoyo=[2]), lambda content: content.move_to_end("rope")),
    (lambda: bytearray(b"rope"), lambda content: content.pop()),
    (lambda: array("i", [1]), lambda content: content.pop()),
    (lambda: {"a": [{"b": ("c", ["rope"])}]}, lambda content: content["a"][0]["b"][1].pop()),
    (lambda: Pair(["rope"], 1), lambda content: content.left.pop()),
    (lambda: Box(["rope"]), lambda content: setattr(content, "items", [])),
    (lambda: Sealed(Box(["rope"])), lambda content: content.box.items.pop()),
    (lambda: Checked(["rope"]), lambda content: content.items.pop()),
    (lambda: Crate(["rope"]), lambda content: setattr(content, "items", [])),
    (lambda: Shelf(Crate(["rope"])), lambda content: content.crate.items.pop()),
    (lambda: Pack(["rope"]), lambda content: content.content.pop()),
]


# DF-17
@pytest.mark.parametrize(("make", "change"), CHANGES)
@pytest.mark.parametrize("raises", [True, False])
async def test_each_attempt_gets_the_message_as_it_came(
    make: Callable[[], Any], change: Callable[[Any], Any], raises: bool
) -> None:
    seen = list[bool]()

    def pack(envelope: Envelope[Pack]) -> int:
        content = envelope.message.content
        seen.append(content == make())
        change(content)
        if len(seen) < 4 and raises:
            raise ConnectionError
        if len(seen) < 4:
            envelope.add(Failed("later"))
        return len(seen)

    bus = CommandBus([pack], middleware=[Retryer(attempts=4, backoff="none")])
    assert await bus.ask(Pack(make())) == 4
    assert seen == [True] * 4


# DF-17
@pytest.mark.parametrize("content", [1, "rope", None, (1, ("a", b"b")), frozenset({1}), Sealed(1), Connection(), Box])
async def test_a_message_that_cannot_be_changed_is_the_same_object_in_each_attempt(content: Any) -> None:
    seen = list[Pack]()

    def pack(command: Pack) -> int:
        seen.append(command)
        if len(seen) < 2:
            raise ConnectionError
        return 1

    message = Pack(content)
    await CommandBus([pack], middleware=[Retryer(backoff="none")]).ask(message)
    assert [each is message for each in seen] == [True, True]


# DF-17
async def test_the_first_attempt_gets_the_message_itself() -> None:
    seen, message = list[Pack](), Pack(["rope"])
    await CommandBus({Pack: seen.append}, middleware=[Retryer()]).dispatch(message)
    assert seen[0] is message


def test_a_value_that_occurs_twice_is_copied_once_and_one_within_itself_too() -> None:
    shared, endless, connection = ["rope"], list[Any](), Connection()
    endless.append(endless)
    copied = copy_values([shared, shared, endless, connection])
    assert copied[0] is copied[1] is not shared
    assert copied[2][0] is copied[2] is not endless
    assert copied[3] is connection


def test_a_field_that_was_deleted_stays_so() -> None:
    crate = Crate([])
    del crate.items
    assert not hasattr(copy_values(crate), "items")
