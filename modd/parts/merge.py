"""Merge: one message from several (MO-19)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modd.core import Accepts, Message, Part
from modd.errors import InvalidOption
from modd.parts.base import NamedPart, Types, checked_function, checked_types


class Merge(NamedPart):
    """Keeps the latest of each type and makes a message of them once all have been seen (MO-19).

    Use it where something follows from several messages together: ``Merge(Rate, Amount, into=Converted.of)``.

    types: the message types to wait for; subclasses count, and a message that is of two of them counts for both.
    into: ``(latest of the first type, of the second, ...)`` gives what a component may give back, async too; called
        once all types have been seen, and on every further one.
    reset: a message type or several on which all that was seen is forgotten; a message that is also an input resets.

    Its own output does not come back to it. What was seen is kept when ``into`` raises: the next input tries again.
    Raises `InvalidOption`.
    """

    def __init__(self, *types: type[Message], into: Callable[..., Any], reset: Types = ()) -> None:
        self._types = checked_types("types", types)
        self._into = checked_function("into", into, len(types), sync=False)
        self._reset = checked_types("reset", () if reset is None else reset, least=0)
        self._latest: dict[type[Message], Message] = {}
        never = next((kind for kind in self._types if issubclass(kind, self._reset)), None)
        if never is not None:
            raise InvalidOption("reset", reset, f"it covers {never.__name__}, which could then never be merged")
        super().__init__(of=self._types)

    def __call__(self, message: Any, /) -> Any:
        """Note the message; gives back what is made of the latest ones if there is one of each type."""
        if isinstance(message, self._reset):
            self._latest.clear()
            return None
        for kind in self._types:
            if isinstance(message, kind):
                self._latest[kind] = message
        if len(self._latest) < len(self._types):
            return None
        return self._into(*[self._latest[kind] for kind in self._types])

    @property
    def accepts(self) -> Accepts:
        """The input types and those that reset."""
        return Accepts((*self._types, *self._reset))

    @property
    def boundary(self) -> Part | None:
        """The part itself: what came from it is not given back to it."""
        return self
