"""The floor: the least Python that does what a bus does, so that a ratio to it says what the bus adds.

It has no routes, no turns, no limits and no care for errors or cancellation: nobody could ship it. Its components get
every message and look for themselves whether it is theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

Component = Callable[[Any], Awaitable[Any]]


class Floor:
    """Awaits every component for every message and queues what they return, until nothing is queued."""

    def __init__(self, components: Iterable[Component]) -> None:
        self.components = list(components)
        self.queue: deque[Any] = deque()

    async def send(self, message: Any) -> None:
        """Send a message and wait until all that it caused is handled."""
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
    """Stands for any message."""

    n: int


class Wide(msgspec.Struct, frozen=True, gc=False):
    """Asks for so many messages."""

    n: int


class Failed(msgspec.Struct, frozen=True, gc=False):
    """An error as a message."""

    error: Exception


class Added(msgspec.Struct, frozen=True, gc=False):
    """Something was put into the cart."""

    sku: str
    price: float
    quantity: int


class Totals(msgspec.Struct, frozen=True, gc=False):
    """What is in the cart by now."""

    items: int
    total: float


class Paid(msgspec.Struct, frozen=True, gc=False):
    """Never sent."""


class Count:
    """How many messages were handled."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0


def number_types(types: int) -> list[type[Any]]:
    """So many message types of one shape."""
    return [msgspec.defstruct(f"Number{i}", [("n", int)], frozen=True, gc=False) for i in range(types)]


def counter(kind: type, count: Count) -> Component:
    """Counts the messages of a type."""

    async def handle(message: Any) -> None:
        if type(message) is kind:
            count.n += 1

    return handle


def down(count: Count) -> Component:
    """Counts a number and causes the next one below it, to zero."""

    async def handle(message: Any) -> Any:
        if isinstance(message, Number):
            count.n += 1
            if message.n > 0:
                return Number(message.n - 1)
        return None

    return handle


def spread(count: Count) -> Component:
    """Causes as many numbers as it is asked for, and counts them."""

    async def handle(message: Any) -> Any:
        if isinstance(message, Wide):
            return [Number(i) for i in range(message.n)]
        if isinstance(message, Number):
            count.n += 1
        return None

    return handle


def reply() -> Component:
    """Answers each request with a number."""

    async def handle(message: Any) -> Any:
        return Number(message.n) if isinstance(message, Wide) else None

    return handle


def broken() -> Component:
    """Raises an error for each number, and catches it itself."""

    async def handle(message: Any) -> Any:
        try:
            if isinstance(message, Number):
                raise ValueError
        except ValueError as error:
            return Failed(error)
        return None

    return handle


def rescue(count: Count) -> Component:
    """Counts errors."""

    async def handle(message: Any) -> None:
        if isinstance(message, Failed):
            count.n += 1

    return handle


def cart() -> Component:
    """Answers each addition with the totals so far."""
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
    """Keeps the latest totals for the time of payment."""

    async def handle(message: Any) -> None:
        if isinstance(message, Totals):
            seen[0] = message
        elif isinstance(message, Paid):
            pass

    return handle


def idle() -> Component:
    """Has nothing to do with any message."""

    async def handle(message: Any) -> None:
        return None

    return handle
