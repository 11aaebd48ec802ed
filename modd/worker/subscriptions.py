"""The handlers of a worker as it announces them, and the names under which messages are left to it.

A name says all that a worker needs to handle a message: `type_name` the type and the version on the wire,
`delivery_name` also the handler, and `former_name` the former name of an event that is to be fanned out. A worker
leaves a message that it does not know under such a name, and workers that know all of it claim messages of this name. A
worker never claims those of a name under which it has left one, so that no message goes to and fro.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from modd.core import Message, wire_name
from modd.cqrs.ids import escape, unescape
from modd.cqrs.intents import Event, with_derived
from modd.ports.items import Subscription
from modd.worker.buses import ServedBuses

REFRESH = 60.0
"""Seconds between two announcements."""


SHORTEST_RETENTION = 3600.0
"""Least seconds for which an announcement holds: a worker that is busy or restarted is not forgotten."""


def type_name(type: str, version: int) -> str:
    """Return the name of messages of a version of a type."""
    return _join("type", type, str(version))


def delivery_name(bus: str, type: str, version: int, handler: str) -> str:
    """Return the name of deliveries for a handler; the bus, and the type with version 0, are empty if not known."""
    return _join("delivery", bus, type, str(version), handler)


def former_name(type: str) -> str:
    """Return the name of events of a former name of a type."""
    return _join("former", type)


class Subscriber:
    """The knowledge of a worker: its handlers, and the types that it decodes.

    codec: decodes the messages of the worker. retention: that of the worker, in seconds.
    """

    def __init__(self, buses: ServedBuses, codec: Any, retention: float) -> None:
        self._buses, self._codec = buses, codec
        self.former: frozenset[str] = getattr(codec, "former_names", frozenset())
        """The former names of types that the codec decodes."""
        self.retention = max(retention, SHORTEST_RETENTION)
        """Seconds for which an announcement holds."""
        self.subscriptions: list[Subscription] = []
        """The handlers to announce."""
        self.names: frozenset[str] = frozenset()
        """The names of left messages that this worker knows."""
        self._lacking: set[str] = set()

    def begin(self) -> None:
        """Forget what it lacked in an earlier run."""
        self._lacking.clear()

    def renew(self) -> None:
        """Look at the handlers again: there may be new ones, and new derived types."""
        handlers = [*self._handlers()]
        former = [Subscription("", name, "") for name in sorted(self.former)]
        self.subscriptions = [each for each, _ in handlers] + former
        self.names = frozenset(self._names(handlers)) - self._lacking

    def lack(self, name: str) -> None:
        """Note that this worker has left a message under a name, so that it does not claim messages of it."""
        if name in self.names:
            self._lacking.add(name)
            self.names -= self._lacking

    def head_of(self, body: bytes, kind: type[Message]) -> tuple[str, int]:
        """Return the type name and the version of a message on the wire; by default those of its type."""
        head: tuple[str, int]
        head = self._codec.head_of(body) if hasattr(self._codec, "head_of") else (wire_name(kind), kind.schema_version)
        return head

    def _handlers(self) -> Iterator[tuple[Subscription, type[Message]]]:
        for bus in self._buses.buses:
            for kind in with_derived(bus.types):
                for name in bus.handler_names(kind):
                    yield Subscription(bus.name, wire_name(kind), name), kind

    def _names(self, handlers: Iterable[tuple[Subscription, type[Message]]]) -> Iterator[str]:
        versions: Mapping[str, Collection[int]] = getattr(self._codec, "versions", {})
        former = [(type, version) for type in self.former for version in versions[type]]
        yield from (former_name(type) for type in self.former)
        yield from (type_name(*each) for each in former)
        for handler, kind in handlers:
            read = [(handler.type, version) for version in versions.get(handler.type, (kind.schema_version,))]
            yield from (type_name(*each) for each in read)
            if issubclass(kind, Event):
                for bus in ("", handler.bus):
                    yield from (delivery_name(bus, *each, handler.handler) for each in (*read, *former, ("", 0)))


def delivery_of(name: str) -> tuple[str, str] | None:
    """Return the bus and the handler of a name that `delivery_name` has made; None for other names."""
    kind, *parts = name.split("/")
    return (unescape(parts[0]), unescape(parts[3])) if kind == "delivery" else None


def _join(*parts: str) -> str:
    return "/".join(escape(part, "/") for part in parts)
