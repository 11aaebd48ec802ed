"""Recorder: a component that stores the messages that it receives."""

from __future__ import annotations

from typing import Any

from modd.checks import checked_name
from modd.core import Accepts, Message, Part
from modd.errors import InvalidOption


class Recorder(Part):
    """A component that stores the messages that it receives, in order, in ``.messages``.

    Put it into a bus and compare ``.messages`` after the test.

    types: the message types to accept, subclasses included; none, the default, accepts all messages and sees failures.
        A recorder with the type ``Failure`` handles failures, like any component that names it.
    name: its name in journeys and graphs; by default "Recorder".

    Raises:
        InvalidOption: a type is no message type.
    """

    def __init__(self, *types: type[Message], name: str = "Recorder") -> None:
        super().__init__()
        if not all(isinstance(kind, type) and issubclass(kind, Message) for kind in types):
            raise InvalidOption("types", types, "give message types: Recorder(Placed, Cancelled)")
        self.name = checked_name(name)
        self.messages: list[Message] = []
        self._accepts = Accepts(types, everything=not types)

    def __call__(self, message: Any, /) -> None:
        """Store the message."""
        self.messages.append(message)

    @property
    def accepts(self) -> Accepts:
        """The types of the recorder, or all types."""
        return self._accepts

    def clear(self) -> None:
        """Remove all stored messages."""
        self.messages.clear()
