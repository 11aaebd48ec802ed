"""Keys that users make of envelopes, told apart by the names of their buses (MI-60)."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from weakref import WeakSet

from modd.cqrs.envelope import Envelope
from modd.cqrs.ids import qualify
from modd.errors import InvalidOption

Key: TypeAlias = Callable[[Envelope[Any]], str | Awaitable[str]]
"""What makes a key of an envelope; sync or async."""


KeyOrNone: TypeAlias = Callable[[Envelope[Any]], str | Awaitable[str | None] | None]
"""The same, but there need not be a key."""


class Buses:
    """The buses that one middleware is in, which it tells apart by their names; those that are gone do not count.

    middleware: its name, for errors.
    """

    def __init__(self, middleware: str) -> None:
        self._middleware = middleware
        self._known: WeakSet[Any] = WeakSet()

    def add(self, bus: Any) -> None:
        """Note a bus. Raises `InvalidOption` when another one of its name is there: they would have keys in common."""
        if self._has_namesake(bus):
            gc.collect()  # a bus that nobody uses any more is there until then: it is in circles with its handlers
            if self._has_namesake(bus):
                wanted = f"this {self._middleware} is in another bus of that name; give the buses names of their own"
                raise InvalidOption("name", bus.name, wanted)
        self._known.add(bus)

    def _has_namesake(self, bus: Any) -> bool:
        return any(each.name == bus.name and each is not bus for each in self._known)


def checked_key(given: Any) -> None:
    """Raise `InvalidOption` for what cannot be called."""
    if not callable(given):
        raise InvalidOption("key", given, "give a function of the envelope that returns a text")


async def key_of(key: Key, envelope: Envelope[Any]) -> str:
    """The key of an envelope, behind the name of its bus: ``commands:user-1``.

    Buses of different names never come to the same key. Raises `InvalidOption` if the key is not a text.
    """
    given = await key_or_none(key, envelope)
    if given is None:
        raise InvalidOption("key", type(None), "its function is to return a text")
    return given


async def key_or_none(key: KeyOrNone, envelope: Envelope[Any]) -> str | None:
    """The same, for a function that may return None."""
    given = key(envelope)
    if inspect.isawaitable(given):
        given = await given
    if given is None:
        return None
    if not isinstance(given, str):
        raise InvalidOption("key", type(given), "its function is to return a text")
    return qualify(envelope.bus.name, given)
