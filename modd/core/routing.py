"""Routing: the components of a bus that receive a message, worked out once for each message type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from modd.core.component import Accepts, Component, Part, Receiver
from modd.core.message import Failure, Intent, Message, wire_name
from modd.errors import DuplicateName

Calls = tuple[Component, ...]


def takes_by_name(receivers: Iterable[Receiver], kind: type) -> bool:
    """Return True if a component takes messages of a type by name: a catch-all sees them and does not take them.

    A bus takes a type if it lets it in, and a component inside takes it.
    """
    for receiver in receivers:
        accepts, component = receiver.accepts, receiver.component
        if isinstance(component, Part) and component.is_bus:
            if accepts.takes(kind) and takes_by_name(component.inside, kind):
                return True
        elif issubclass(kind, accepts.types):
            return True
    return False


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
        self.untaken: set[type[Message]] = set()
        """The types of intents that no component takes by name: to send one is an error."""
        self._bus, self._inside, self._outbound = bus, inside, outbound
        self._receivers: dict[type, tuple[Receiver, ...]] = {}
        self._boundary: tuple[type[Message], ...] = (Failure, *inbound, *outbound)
        self._names: dict[str, type] = {}
        self._stale = False
        self._growth: dict[int, int] = {}
        for kind in self._boundary:
            self.know(kind)

    def receivers(self, kind: type) -> tuple[Receiver, ...]:
        """Return the components that accept a message type, in their order. Raises `DuplicateName`."""
        receivers = self._receivers.get(kind)
        if receivers is None:
            self.know(kind)
            receivers = tuple(receiver for receiver in self._inside if receiver.accepts.takes(kind))
            self._receivers[kind] = receivers
            if issubclass(kind, Intent) and not takes_by_name(receivers, kind):
                self.untaken.add(kind)
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
        if kind in self.untaken:  # looked at again for each of them
            return tuple(receiver.call for receiver in receivers)
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
        if known is not kind and self._stale:
            self._stale = False
            kinds: list[type] = [kind for receiver in self._inside for kind in receiver.accepts.types]
            self._names = {wire_name(each): each for each in (*self._boundary, *kinds)}
            known = self._names.setdefault(name, kind)
        if known is not kind:
            raise DuplicateName(name, known, kind, self._bus)

    def forget_names(self) -> None:
        """Free the names of types that only a component accepted which is inside no more, when one is wanted."""
        self._stale = True
        self._growth.clear()

    def count_growth(self, giver: Component) -> int:
        """Count a message for which a component returned components; return the count since one was last removed."""
        self._growth[id(giver)] = count = self._growth.get(id(giver), 0) + 1
        return count

    def renew(self) -> None:
        """Work everything out anew; a running turn sees it at its next message."""
        self.calls.clear()
        self.stays.clear()
        self.untaken.clear()
        self._receivers.clear()
