"""Reaction: a part that passes a message to a component only if it is a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from modd.core import Component, Failure
from modd.parts.base import NamedPart, checked_function, require_sync

_NONE = object()


class Reaction(NamedPart):
    """Passes a message only if it differs from the previous message of its type (Rx: distinctUntilChanged).

    Use it for work that is needed after a change only: ``Reaction(render, key=lambda cart: cart.total)``.

    component: any component; the boundary of a bus is passed on.
    key: ``(message) -> value``, not async, the value that has to differ (``!=``); None, the default, compares messages.

    A message is remembered when the component gets it, so an equal message that is sent meanwhile does not pass. If the
    component fails or is cancelled, the message is forgotten, and the next message of its type passes. Failures always
    pass, because to drop a failure would be to handle it.

    Raises:
        InvalidOption: ``key`` is no function of one argument.
        NotAComponent: ``component`` cannot take a message.
        UnresolvedAnnotation: the annotation of its parameter cannot be resolved.
    """

    def __init__(self, component: Component, key: Callable[[Any], Any] | None = None) -> None:
        super().__init__(component, of=[component])
        self._key = key and checked_function("key", key)
        self._last: dict[type, Any] = {}

    def __call__(self, message: Any, /) -> Any:
        """Pass the message to the component if it is a change. An error of ``key`` is raised."""
        if isinstance(message, Failure):
            return self._inside[0].call(message)
        value = message if self._key is None else require_sync("key", self._key, self._key(message))
        last = self._last.get(type(message), _NONE)
        return self._react(message, value) if last is _NONE or value != last else None

    def _react(self, message: Any, value: Any) -> Iterator[Any]:
        """Yield the result: the bus closes this generator if it cannot use the result, and the message is forgotten."""
        self._last[type(message)] = value
        try:
            yield self._inside[0].call(message)
        except BaseException:
            if self._last.get(type(message)) is value:  # unless another message has passed meanwhile
                del self._last[type(message)]
            raise
