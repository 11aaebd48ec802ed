"""Reaction: a component that is only told of changes (MO-20)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from modd.core import Component, Failure
from modd.parts.base import NamedPart, at_once, checked_function

_NONE = object()


class Reaction(NamedPart):
    """Passes a message on only if it differs from the one of its type before (MO-20).

    Use it where work is only worth doing on a change: ``Reaction(render, key=lambda cart: cart.total)``.

    component: any component; the boundary of a bus is passed on.
    key: ``(message) -> value``, not async: what has to differ (``!=``); None for the message itself, by value.

    A message counts as passed on from when it is given to the component, so that its equal, sent meanwhile, does not
    pass; if the component fails or is cancelled it counts no longer, and the next one of its type passes in any case.
    Failures always pass: to hold one back would be to handle it. Raises `InvalidOption`, `NotAComponent`,
    `UnresolvedAnnotation`; when given a message, whatever ``key`` raises.
    """

    def __init__(self, component: Component, key: Callable[[Any], Any] | None = None) -> None:
        super().__init__(component, of=[component])
        self._key = key and checked_function("key", key)
        self._last: dict[type, Any] = {}

    def __call__(self, message: Any, /) -> Any:
        """Give the message to the component if it is a change."""
        if isinstance(message, Failure):
            return self._inside[0].call(message)
        value = message if self._key is None else at_once("key", self._key, self._key(message))
        last = self._last.get(type(message), _NONE)
        return self._react(message, value) if last is _NONE or value != last else None

    def _react(self, message: Any, value: Any) -> Iterator[Any]:
        """A generator, because the bus closes it when anything goes wrong with what the component gave back."""
        self._last[type(message)] = value
        try:
            yield self._inside[0].call(message)
        except BaseException:
            if self._last.get(type(message)) is value:  # unless another one has passed meanwhile
                del self._last[type(message)]
            raise
