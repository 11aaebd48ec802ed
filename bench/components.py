"""Messages and components that modd is measured with."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.floors import Count
from modd import Component, Failure, Message


class Number(Message):
    """A message with a number."""

    n: int


class Wide(Message):
    """A request for a number of messages."""

    n: int


class Added(Message):
    """An addition to the cart."""

    sku: str
    price: float
    quantity: int


class Totals(Message):
    """The content of the cart."""

    items: int
    total: float


class Paid(Message):
    """A message that is never sent."""


def number_types(types: int) -> list[type[Any]]:
    """Return a number of message types with the same fields."""
    return [msgspec.defstruct(f"Number{i}", [("n", int)], bases=(Message,), frozen=True) for i in range(types)]


def counter(kind: type, count: Count, *, sync: bool = False) -> Component:
    """Return a component that counts the messages of a type."""

    async def handle(message: Any) -> None:
        count.n += 1

    def handle_now(message: Any) -> None:
        count.n += 1

    component: Component = handle_now if sync else handle
    component.__annotations__ = {"message": kind}
    return component


def down(count: Count) -> Component:
    """Return a component that counts a number and causes the next lower number, down to zero."""

    async def handle(message: Number) -> Number | None:
        count.n += 1
        return Number(message.n - 1) if message.n > 0 else None

    return handle


def spread(count: Count) -> Component:
    """Return a component that causes the requested number of messages, and counts them."""

    async def handle(message: Wide | Number) -> list[Number] | None:
        if type(message) is Wide:
            return [Number(i) for i in range(message.n)]
        count.n += 1
        return None

    return handle


def reply() -> Component:
    """Return a component that answers each request with a number."""

    async def handle(message: Wide) -> Number:
        return Number(message.n)

    return handle


def broken() -> Component:
    """Return a component that raises an error for each number."""

    async def handle(message: Number) -> None:
        raise ValueError

    return handle


def rescue(count: Count) -> Component:
    """Return a component that counts failures and thereby handles them."""

    async def handle(failure: Failure) -> None:
        count.n += 1

    return handle


def cart() -> Component:
    """Return a component that answers each addition with the totals so far."""
    lines: list[tuple[int, str, float]] = []
    items, total = 0, 0.0

    async def handle(message: Added) -> Totals:
        nonlocal items, total
        lines.append((message.quantity, message.sku, message.price))
        items += message.quantity
        total += message.quantity * message.price
        return Totals(items, total)

    return handle


def checkout(seen: list[Any]) -> Component:
    """Return a component that keeps the latest totals for the payment."""

    async def handle(message: Totals | Paid) -> None:
        if type(message) is Totals:
            seen[0] = message

    return handle


def idle() -> Component:
    """Return a component for a message that is never sent."""

    async def handle(message: Paid) -> None:
        return None

    return handle
