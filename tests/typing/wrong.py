# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers must refuse; it does not run.

Each ``type: ignore`` is needed by mypy and by pyright, and each of them reports it when it is not: an error that
vanishes is an error. With ``pyright: ignore`` it is pyright alone that refuses the line.
"""

from __future__ import annotations

from decimal import Decimal
from typing import assert_type

import msgspec

from modd import Bus, Delivery, Failure, Intent, Journey, Message, Observer
from modd.parts import Filter, Log, Merge, QuantityStore
from modd.testing import Recorder, given
from tests.typing.messages import Added, Changed, Named, Nothing, Once, Placed, PriceOf, plain, result_of

added = Added("yoyo", Decimal(2))

# Messages are frozen.
added.sku = "rope"  # type: ignore[misc]
added.quantity += 1  # type: ignore[misc]
del added.sku  # pyright: ignore[reportAttributeAccessIssue]
Placed(1).order = 2  # type: ignore[misc]
Failure(added, plain, ValueError()).message = added  # type: ignore[misc]

# Fields have types, and those without a default are needed.
Added("yoyo")  # type: ignore[call-arg]
Added(price=Decimal(2))  # type: ignore[call-arg]
Added(1, Decimal(2))  # type: ignore[arg-type]
Added("yoyo", 2.5)  # type: ignore[arg-type]
Added("yoyo", Decimal(2), "3")  # type: ignore[arg-type]
Added("yoyo", Decimal(2), color="red")  # type: ignore[call-arg]
Added("yoyo", Decimal(2), sku="rope")  # type: ignore[misc]
Nothing(1)  # pyright: ignore[reportCallIssue]
Named("John", "Doe")  # type: ignore[call-arg]
Changed[int]("a", "b")  # type: ignore[arg-type]
assert_type(Changed(1, 2), Changed[str])  # type: ignore[assert-type]
print(added.weight)  # type: ignore[attr-defined]
len(added)  # type: ignore[arg-type]
print(added < added)  # type: ignore[operator]


class Unordered(Message):
    """A field without a default after one that has one."""

    quantity: int = 1
    sku: str  # type: ignore[misc]


class WrongDefault(Message):
    """Defaults that are not of the type of the field."""

    quantity: int = "1"  # type: ignore[assignment]
    names: list[str] = msgspec.field(default_factory=dict[str, int])  # type: ignore[arg-type]


class Mutable(Message, frozen=False):  # type: ignore[misc]
    """A message that could be changed."""


class TwoResults(Intent[int, str]):  # type: ignore[type-arg]
    """An intent has one result."""


assert_type(result_of(PriceOf("yoyo")), str)  # type: ignore[assert-type]
result_of(added)  # type: ignore[arg-type]


# Components take one message; a bus is made of a list of them.
def no_message() -> None: ...


def two_messages(one: Added, two: Added) -> None: ...


Bus(plain)  # type: ignore[arg-type]
Bus([3])  # type: ignore[list-item]
Bus([no_message])  # type: ignore[list-item]
Bus([two_messages])  # type: ignore[list-item]
Bus([added])  # type: ignore[list-item]
Bus([plain], "name")  # type: ignore[call-arg]
Bus(inbound=Added)  # type: ignore[arg-type]
Bus(outbound=[added])  # type: ignore[list-item]
Bus(outbound=[int])  # type: ignore[list-item]
Bus(limit="many")  # type: ignore[arg-type]
Bus(exclusive=lambda: 1)  # type: ignore[arg-type, misc]
assert_type(Bus().find("cart", Journey), Bus)  # type: ignore[assert-type]
Bus().find("cart", "Bus")  # type: ignore[call-overload]
Bus().add(None)  # type: ignore[arg-type]
Bus().observe(plain)  # type: ignore[arg-type]
print(Bus().name.cart)  # type: ignore[attr-defined]
Once(plain, added)  # type: ignore[arg-type]


async def send() -> None:
    bus = Bus()
    await bus("added")  # type: ignore[arg-type]
    await bus(Added)  # type: ignore[arg-type]
    await bus([added])  # type: ignore[arg-type]
    await bus()  # type: ignore[call-arg]
    await bus(message=added)  # type: ignore[call-arg]
    print((await bus(added)).sku)  # type: ignore[attr-defined]
    assert_type(await bus(added), Message)  # type: ignore[assert-type]
    print(bus(added).sku)  # type: ignore[attr-defined]
    with bus:  # type: ignore[attr-defined]
        pass


# Journeys, observers, parts, testing.
Journey(plain)  # type: ignore[arg-type]
print(Journey(Bus()).deliveries[0].message.sku)  # type: ignore[attr-defined]
Journey(Bus()).history("added")  # type: ignore[arg-type]


class WrongObserver(Observer):
    """A method that takes something else than it is given."""

    def ended(self, delivery: Message) -> None: ...  # type: ignore[override]


def watch(delivery: Delivery) -> None:
    print(delivery.seconds + 1)  # type: ignore[operator]


Filter(plain, allow=int)  # type: ignore[arg-type]
Filter(plain, where=lambda message, more: True)  # type: ignore[arg-type, misc]
Log(plain, level="info")  # type: ignore[arg-type]
Merge(Added, Placed)  # type: ignore[call-arg]
Merge("Added", into=plain)  # type: ignore[arg-type]
QuantityStore(Added, key=lambda m: m.nothing, quantity=lambda m: m.price)  # type: ignore[attr-defined]
QuantityStore(Added, key=lambda m: m.tags, quantity=lambda m: m.price)  # type: ignore[type-var]
Recorder(added)  # type: ignore[arg-type]
given(plain)  # type: ignore[call-overload]
given(Bus(), "added")  # type: ignore[call-overload]
