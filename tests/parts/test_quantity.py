"""QuantityStore counts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from modd import Bus, InvalidOption, Message, TurnFailed
from modd.parts import Filter, QuantityStore
from tests.parts.components import Listener

pytestmark = pytest.mark.anyio


class Moved(Message):
    sku: str
    count: int


class Returned(Moved):
    pass


class Changed(Message):
    sku: str
    count: int


class Spent(Message):
    who: str
    amount: Decimal
    time: timedelta


def store_of(changed: Any) -> QuantityStore[str, int]:
    return QuantityStore(Moved, key=lambda moved: moved.sku, quantity=lambda moved: moved.count, changed=changed)


async def test_each_message_adds_and_the_new_quantity_is_told() -> None:
    # MO-22
    heard = Listener()
    store = store_of(Changed)
    bus = Bus([Filter(store), Filter(heard, allow=Changed)])
    for message in (Moved("a", 2), Moved("b", 1), Returned("a", 3), Moved("a", -1), Moved("b", -4)):
        await bus(message)
    assert heard.messages == [Changed("a", 2), Changed("b", 1), Changed("a", 5), Changed("a", 4), Changed("b", -3)]
    assert store.quantities == {"a": 4, "b": -3}
    assert store.name == "QuantityStore(Moved)"


async def test_a_quantity_that_comes_to_0_is_told_and_dropped() -> None:
    # MO-22
    heard = Listener()
    store = store_of(Changed)
    bus = Bus([store, Filter(heard, allow=Changed)])
    for count in (2, -2, 1):
        await bus(Moved("a", count))
        assert store.quantities == ({} if count == -2 else {"a": count})
    assert heard.messages == [Changed("a", 2), Changed("a", 0), Changed("a", 1)]


async def test_to_add_0_changes_nothing_and_tells_nothing() -> None:
    # MO-22
    heard = Listener()
    store = store_of(Changed)
    await Bus([store, Filter(heard, allow=Changed)])(Moved("a", 0))
    assert (heard.messages, store.quantities) == ([], {})


async def test_quantities_may_be_anything_that_adds_up() -> None:
    # MO-22
    money = QuantityStore(Spent, key=lambda spent: spent.who, quantity=lambda spent: spent.amount)
    time = QuantityStore(Spent, key=lambda spent: spent.who, quantity=lambda spent: spent.time)
    bus = Bus([money, time])
    await bus(Spent("ann", Decimal("0.1"), timedelta(hours=1)))
    await bus(Spent("ann", Decimal("0.2"), timedelta(hours=-1)))
    assert money.quantities == {"ann": Decimal("0.3")}
    assert time.quantities == {}


async def test_quantities_are_for_reading() -> None:
    # MO-22
    with pytest.raises(TypeError):
        store_of(None).quantities["a"] = 1  # type: ignore[index]  # pyright: ignore


async def test_a_quantity_is_not_kept_when_its_message_could_not_be_made() -> None:
    # MO-22
    def changed(sku: str, count: int) -> Changed:
        if count > 2:
            raise ValueError("too many")
        return Changed(sku, count)

    store = store_of(changed)
    bus = Bus([store])
    await bus(Moved("a", 2))
    with pytest.raises(TurnFailed) as info:
        await bus(Moved("a", 1))
    assert info.value.exceptions[0].__notes__ == ["modd: raised by QuantityStore(Moved) when given Moved in bus"]
    assert store.quantities == {"a": 2}


async def changed_later(key: str, count: int) -> Changed:
    return Changed(key, count)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"changed": changed_later}, "changed=.*not async"),
        ({"changed": lambda count: count}, "a function of 2 arguments"),
        ({"key": "sku"}, "key='sku': give a function"),
        ({"quantity": None}, "quantity=None: give a function"),
    ],
)
async def test_options_that_cannot_work_fail_when_it_is_made(options: Any, text: str) -> None:
    # MO-22 MO-13
    good: Any = {"key": lambda moved: moved.sku, "quantity": lambda moved: moved.count}
    with pytest.raises(InvalidOption, match=text):
        QuantityStore(Moved, **(good | options))
