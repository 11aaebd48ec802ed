"""The floor: the least Python that does the work of a bus, so that a ratio to it tells what the bus adds.

It has no routes, no turns, no limits and no care for errors or cancellation, so it is no library. Its components get
every message and check its type themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

Component = Callable[[Any], Awaitable[Any]]


class Floor:
    """A queue and a loop that awaits every component for every message and queues the returned messages."""

    def __init__(self, components: Iterable[Component]) -> None:
        self.components = list(components)
        self.queue: deque[Any] = deque()

    async def send(self, message: Any) -> None:
        """Send a message, and wait until every message that it caused is handled."""
        components, queue = self.components, self.queue
        queue.append(message)
        while queue:
            message = queue.popleft()
            for component in components:
                returned = await component(message)
                if returned is None:
                    continue
                if type(returned) is list:
                    queue.extend(returned)
                else:
                    queue.append(returned)


class Number(msgspec.Struct, frozen=True, gc=False):
    """A message with a number."""

    n: int


class Wide(msgspec.Struct, frozen=True, gc=False):
    """A request for a number of messages."""

    n: int


class Failed(msgspec.Struct, frozen=True, gc=False):
    """An error as a message."""

    error: Exception


class Added(msgspec.Struct, frozen=True, gc=False):
    """An addition to the cart."""

    sku: str
    price: float
    quantity: int


class Totals(msgspec.Struct, frozen=True, gc=False):
    """The content of the cart."""

    items: int
    total: float


class Paid(msgspec.Struct, frozen=True, gc=False):
    """A message that is never sent."""


class Count:
    """The number of messages that were handled."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0


def number_types(types: int) -> list[type[Any]]:
    """Return a number of message types with the same fields."""
    return [msgspec.defstruct(f"Number{i}", [("n", int)], frozen=True, gc=False) for i in range(types)]


def counter(kind: type, count: Count) -> Component:
    """Return a component that counts the messages of a type."""

    async def handle(message: Any) -> None:
        if type(message) is kind:
            count.n += 1

    return handle


def down(count: Count) -> Component:
    """Return a component that counts a number and causes the next lower number, down to zero."""

    async def handle(message: Any) -> Any:
        if isinstance(message, Number):
            count.n += 1
            if message.n > 0:
                return Number(message.n - 1)
        return None

    return handle


def spread(count: Count) -> Component:
    """Return a component that causes the requested number of messages, and counts them."""

    async def handle(message: Any) -> Any:
        if isinstance(message, Wide):
            return [Number(i) for i in range(message.n)]
        if isinstance(message, Number):
            count.n += 1
        return None

    return handle


def reply() -> Component:
    """Return a component that answers each request with a number."""

    async def handle(message: Any) -> Any:
        return Number(message.n) if isinstance(message, Wide) else None

    return handle


def broken() -> Component:
    """Return a component that raises an error for each number, and catches it itself."""

    async def handle(message: Any) -> Any:
        try:
            if isinstance(message, Number):
                raise ValueError
        except ValueError as error:
            return Failed(error)
        return None

    return handle


def rescue(count: Count) -> Component:
    """Return a component that counts errors."""

    async def handle(message: Any) -> None:
        if isinstance(message, Failed):
            count.n += 1

    return handle


def cart() -> Component:
    """Return a component that answers each addition with the totals so far."""
    lines: list[tuple[int, str, float]] = []
    items, total = 0, 0.0

    async def handle(message: Any) -> Any:
        nonlocal items, total
        if isinstance(message, Added):
            lines.append((message.quantity, message.sku, message.price))
            items += message.quantity
            total += message.quantity * message.price
            return Totals(items, total)
        return None

    return handle


def checkout(seen: list[Any]) -> Component:
    """Return a component that keeps the latest totals for the payment."""

    async def handle(message: Any) -> None:
        if isinstance(message, Totals):
            seen[0] = message
        elif isinstance(message, Paid):
            pass

    return handle


def idle() -> Component:
    """Return a component that ignores every message."""

    async def handle(message: Any) -> None:
        return None

    return handle
