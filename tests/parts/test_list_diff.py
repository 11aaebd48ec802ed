"""ListDiff returns messages for added and removed items."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Bus, InvalidOption, Message, TurnFailed
from modd.parts import Filter, ListDiff
from tests.parts.components import Listener

pytestmark = pytest.mark.anyio


class Members(Message):
    names: list[str]


class MembersNow(Members):
    pass


class Basket(Message):
    lines: list[dict[str, Any]]


class Joined(Message):
    who: Any


class Left(Message):
    who: Any


def names(message: Members) -> list[str]:
    return message.names


async def test_it_tells_what_went_then_what_came_each_in_order() -> None:
    # MO-22
    heard = Listener()
    bus = Bus([ListDiff(Members, names, added=Joined, removed=Left), Filter(heard, deny=Members)])
    await bus(Members(["ann", "bob", "cid"]))
    assert heard.messages == [Joined("ann"), Joined("bob"), Joined("cid")]
    heard.messages.clear()
    await bus(MembersNow(["dan", "bob", "eve"]))
    assert heard.messages == [Left("ann"), Left("cid"), Joined("dan"), Joined("eve")]
    heard.messages.clear()
    await bus(Members(["eve", "bob", "dan"]))
    assert heard.messages == [], "another order is no change"


async def test_equal_items_count_as_often_as_they_are_there() -> None:
    # MO-22
    heard = Listener()
    bus = Bus([ListDiff(Members, names, added=Joined, removed=Left), Filter(heard, deny=Members)])
    for members in (["a", "a"], ["a", "a", "a"], ["b", "a"]):
        await bus(Members(members))
    assert heard.messages == [Joined("a")] * 3 + [Left("a")] * 2 + [Joined("b")]


async def test_either_of_added_and_removed_may_be_left_out() -> None:
    # MO-22
    heard = Listener()
    only_added, only_removed = ListDiff(Members, names, added=Joined), ListDiff(Members, names, removed=Left)
    bus = Bus([only_added, only_removed, Filter(heard, deny=Members)])
    await bus(Members(["a"]))
    await bus(Members([]))
    assert heard.messages == [Joined("a"), Left("a")]


async def test_a_key_says_what_is_the_same_and_the_item_is_the_one_told_last() -> None:
    # MO-22
    heard = Listener()
    diff = ListDiff(
        Basket,
        lambda basket: (line for line in basket.lines),
        added=Joined,
        removed=lambda line: [Left(line["sku"]), Left(line["n"])],
        key=lambda line: line["sku"],
    )
    bus = Bus([diff, Filter(heard, deny=Basket)])
    await bus(Basket([{"sku": "a", "n": 1}]))
    await bus(Basket([{"sku": "a", "n": 2}]))
    await bus(Basket([]))
    assert heard.messages == [Joined({"sku": "a", "n": 1}), Left("a"), Left(2)]


async def test_items_that_cannot_be_hashed_need_a_key() -> None:
    # MO-22
    bus = Bus([ListDiff(Basket, lambda basket: basket.lines, added=Joined)])
    with pytest.raises(TurnFailed) as info:
        await bus(Basket([{"sku": "a"}]))
    (error,) = info.value.exceptions
    assert isinstance(error, InvalidOption)
    assert str(error) == "key=None: give a function from an item to a value that can be hashed, which dict cannot"
    assert error.__notes__ == ["modd: raised by ListDiff(Basket) when given Basket in bus"]


async def test_the_list_is_not_remembered_when_a_message_could_not_be_made() -> None:
    # MO-22
    heard = Listener()

    def join(name: str) -> Joined:
        if name == "bad":
            raise ValueError("bad")
        return Joined(name)

    bus = Bus([ListDiff(Members, names, added=join, removed=Left), Filter(heard, allow=[Joined, Left])])
    await bus(Members(["a"]))
    with pytest.raises(TurnFailed):
        await bus(Members(["b", "bad"]))
    await bus(Members(["b"]))
    assert heard.messages == [Joined("a"), Left("a"), Joined("b")]


async def later(item: Any) -> Joined:
    return Joined(item)


@pytest.mark.parametrize(
    ("on", "items", "options", "text"),
    [
        (Members, names, {}, "give added, removed or both"),
        ("Members", names, {"added": Joined}, "on='Members': give a message type"),
        (Members, "names", {"added": Joined}, "items='names': give a function"),
        (Members, names, {"added": later}, "added=.*not async"),
        (Members, names, {"removed": later}, "removed=.*not async"),
        (Members, names, {"added": Joined, "key": later}, "key=.*not async"),
    ],
)
async def test_options_that_cannot_work_fail_when_it_is_made(on: Any, items: Any, options: Any, text: str) -> None:
    # MO-22 MO-13
    with pytest.raises(InvalidOption, match=text):
        ListDiff(on, items, **options)
