"""Keys that a function makes of envelopes, with the name of the bus in front: ``commands:user-1``."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from weakref import WeakSet

from modd.checks import checked_callable
from modd.core import Message
from modd.cqrs.envelope import Envelope
from modd.cqrs.ids import qualify
from modd.errors import InvalidOption
from modd.middleware.options import MiddlewareWithOptions

Key: TypeAlias = Callable[[Envelope[Any]], str | Awaitable[str]]
"""Returns the key of an envelope; sync or async."""


KeyOrNone: TypeAlias = Callable[[Envelope[Any]], str | Awaitable[str | None] | None]
"""Returns the key of an envelope, or None for no key; sync or async."""


class Buses:
    """The buses that use one middleware; their names must differ, because they are part of the keys.

    Buses that were garbage-collected do not count.

    middleware: its name, for errors.
    """

    def __init__(self, middleware: str) -> None:
        self._middleware = middleware
        self._buses: WeakSet[Any] = WeakSet()

    def bind(self, bus: Any) -> None:
        """Add a bus whose name is its own; that of any other bus is known when its place is, in `check`."""
        if bus.is_named:
            self.check(bus)

    def check(self, bus: Any) -> None:
        """Add a bus. Raises `InvalidOption` if another bus has the same name: the two would share keys."""
        if self._has_namesake(bus):
            gc.collect()  # an unused bus stays until then, because it and its handlers refer to each other
            if self._has_namesake(bus):
                cure = f"this {self._middleware} is in another bus of that name; give the buses names of their own"
                raise InvalidOption("name", bus.name, cure)
        self._buses.add(bus)

    def _has_namesake(self, bus: Any) -> bool:
        return any(each.name == bus.name and each is not bus for each in self._buses)


class MiddlewareWithKeys(MiddlewareWithOptions):
    """Base of middleware with state by key; the keys of two buses differ, also in one instance."""

    def __init__(
        self,
        shape: type[Any],
        defaults: Mapping[str, Any],
        intents: Mapping[type[Message], Mapping[str, Any]] | None,
        check: Callable[[Any], None],
    ) -> None:
        super().__init__(shape, defaults, intents, check)
        self._buses = Buses(type(self).__name__)

    def bind(self, bus: Any) -> None:
        """Raise `InvalidOption` for a second bus that was given the same name."""
        self._buses.bind(bus)

    def check(self, bus: Any) -> None:
        """Raise `InvalidOption` for a second bus of the same name, `NoHandler` for options of a type not handled."""
        super().check(bus)
        self._buses.check(bus)


def check_key(key: Any) -> None:
    """Raise `InvalidOption` unless the option ``key`` can be called."""
    checked_callable("key", key, "give a function of the envelope that returns a text")


async def key_of(key: Key, envelope: Envelope[Any]) -> str:
    """Return the key of an envelope, with the name of its bus in front: ``commands:user-1``.

    Buses of different names never share a key. Raises `InvalidOption` if the function returns no text.
    """
    text = await key_or_none(key, envelope)
    if text is None:
        raise InvalidOption("key", type(None), "its function is to return a text")
    return text


async def key_or_none(key: KeyOrNone, envelope: Envelope[Any]) -> str | None:
    """Return the key of an envelope with the name of its bus in front, or None if the function returns None."""
    text = key(envelope)
    if inspect.isawaitable(text):
        text = await text
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidOption("key", type(text), "its function is to return a text")
    return qualify(envelope.bus.name, text)
