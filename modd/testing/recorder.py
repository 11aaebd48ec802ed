"""A component that keeps what it receives."""

from __future__ import annotations

from typing import Any

from modd.core import Accepts, Message, Part
from modd.errors import InvalidOption


class Recorder(Part):
    """Put it into a bus and look at ``.messages`` afterwards: what came by, in the order in which it came.

    types: the message types to accept, subclasses included; without any it sees everything, failures too.
        A recorder that is given ``Failure`` handles failures, as any component does that names it.
    name: what journeys and graphs call it.

    Raises `InvalidOption` for anything but message types.
    """

    def __init__(self, *types: type[Message], name: str = "Recorder") -> None:
        super().__init__()
        if not all(isinstance(kind, type) and issubclass(kind, Message) for kind in types):
            raise InvalidOption("types", types, "give message types: Recorder(Placed, Cancelled)")
        self.name = name
        self.messages: list[Message] = []
        self._accepts = Accepts(types, everything=not types)

    def __call__(self, message: Any, /) -> None:
        """Keep the message."""
        self.messages.append(message)

    @property
    def accepts(self) -> Accepts:
        """The types that were given, or everything."""
        return self._accepts

    def clear(self) -> None:
        """Forget what came by so far."""
        self.messages.clear()
