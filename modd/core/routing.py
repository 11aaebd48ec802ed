"""Routing: the components of a bus that receive a message, worked out once for each message type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd.core.component import Accepts, Component, Receiver
from modd.core.message import Failure, Message, wire_name
from modd.errors import DuplicateName

Calls = tuple[Component, ...]


class Routing:
    """The routing table of a bus. The cost of a message grows with its receivers, not with the components
    of the bus.

    bus: the name of the bus, for errors. inside: the receivers of the bus, which change as components come and go;
    call `renew` then. inbound, outbound: the message types that are let in and out. Raises `DuplicateName`.
    """

    def __init__(
        self,
        bus: str,
        inside: Sequence[Receiver],
        inbound: tuple[type[Message], ...],
        outbound: tuple[type[Message], ...],
    ) -> None:
        self.calls: dict[type, Calls] = {}
        """The calls by message type, for types that the loop of `Bus` delivers by itself."""
        self.stays: set[type] = set()
        """The types among them that do not leave the bus, so that the loop queues their messages by itself."""
        self._bus, self._inside, self._outbound = bus, inside, outbound
        self._receivers: dict[type, tuple[Receiver, ...]] = {}
        self._names: dict[str, type] = {}
        for kind in (Failure, *inbound, *outbound):
            self.know(kind)

    def receivers(self, kind: type) -> tuple[Receiver, ...]:
        """Return the components that accept a message type, in their order. Raises `DuplicateName`."""
        receivers = self._receivers.get(kind)
        if receivers is None:
            self.know(kind)
            receivers = tuple(receiver for receiver in self._inside if receiver.accepts.takes(kind))
            self._receivers[kind] = receivers
        return receivers

    def direct_calls(self, kind: type) -> Calls | None:
        """Return the calls that the loop makes for a type by itself from now on; None if a part with a boundary is
        called.

        Such a part may return a single message, which must not go back to it; a bus returns a tuple, which the loop
        hands on.
        """
        receivers = self.receivers(kind)
        if not all(receiver.boundary is None or receiver.is_bus for receiver in receivers):
            return None
        self.calls[kind] = tuple(receiver.call for receiver in receivers)
        if not issubclass(kind, self._outbound):
            self.stays.add(kind)
        return self.calls[kind]

    def receiver_of(self, kind: type, call: Any) -> Receiver:
        """Return the receiver that is called this way; a component may have removed itself meanwhile."""
        for receiver in self._receivers.get(kind, ()):
            if receiver.call is call:
                return receiver
        for receiver in self._inside:
            if receiver.call is call:
                return receiver
        return Receiver(getattr(call, "__self__", call), call, Accepts())

    def know(self, kind: Any) -> None:
        """Hold message types to one name each. Raises `DuplicateName`."""
        if kind in self._receivers:
            return
        name = wire_name(kind)
        known = self._names.setdefault(name, kind)
        if known is not kind:
            raise DuplicateName(name, known, kind, self._bus)

    def renew(self) -> None:
        """Work everything out anew; a running turn sees it at its next message."""
        self.calls.clear()
        self.stays.clear()
        self._receivers.clear()
