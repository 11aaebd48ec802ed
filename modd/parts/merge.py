"""Merge: a part that combines the latest messages of several types into one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modd.core import Accepts, Message, Part
from modd.errors import InvalidOption
from modd.parts.base import NamedPart, Types, checked_function, checked_message_types


class Merge(NamedPart):
    """Combines the latest message of each type into a new message (Rx: combineLatest).

    Use it where a message follows from several others: ``Merge(Rate, Amount, into=Converted.of)``. The first result
    comes when a message of each type has arrived; every further input gives a new result.

    types: the input types; subclasses count, and a message of two of these types counts for both.
    into: ``(latest of the first type, of the second, ...)`` returns anything that a component may return; may be async.
    reset: a message type or several that clear the stored inputs, by default none; a message that is also an input only
        resets.

    A merge does not receive its own output. If ``into`` raises, the inputs stay stored, and the next input calls it
    again.

    Raises:
        InvalidOption: an option has a value of a wrong type, or ``reset`` covers an input type.
    """

    def __init__(self, *types: type[Message], into: Callable[..., Any], reset: Types = ()) -> None:
        self._types = checked_message_types("types", types)
        self._into = checked_function("into", into, len(types), sync=False)
        self._reset = checked_message_types("reset", () if reset is None else reset, least=0)
        self._latest: dict[type[Message], Message] = {}
        never = next((kind for kind in self._types if issubclass(kind, self._reset)), None)
        if never is not None:
            raise InvalidOption(
                "reset",
                reset,
                f"it covers the input {never.__name__}, so that Merge could never have a result; leave it out",
            )
        super().__init__(of=self._types)

    def __call__(self, message: Any, /) -> Any:
        """Store the message; return the result if there is a message of each type."""
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
        """The input types and the reset types."""
        return Accepts((*self._types, *self._reset))

    @property
    def boundary(self) -> Part | None:
        """The part itself, so that it does not receive its own messages."""
        return self
