"""Enqueue: what is dispatched is queued, and handled later by a worker (MI-54)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypedDict
from weakref import WeakKeyDictionary

from modd.cqrs.chain import Next
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import WrongBus
from modd.cqrs.intents import Command, Query, result_type
from modd.cqrs.stamps import Delay, Queued, Received
from modd.errors import InvalidOption
from modd.message import Message
from modd.middleware.options import Options
from modd.ports import Item, Queue

Key = Callable[[Envelope[Any]], str | None]


class EnqueueOptions(TypedDict, total=False):
    """What may differ for a type: whether it is queued, where, and what is handled in order."""

    enabled: bool
    queue: Queue
    key: Key | None


class Enqueue:
    """Give commands and events to a queue in place of their handlers (MI-54).

    The envelope is stamped ``Queued`` and put into the queue under its id, and there is no result. A worker decodes and
    dispatches it; as it then has a ``Received`` stamp, it passes through, so that one configuration serves both. A
    ``Delay`` stamp is honoured. Nothing is released by the one who queues.

    queue: a `modd.ports.Queue`. codec: by default one of the types of the bus. enabled: False handles in place. key:
    what has the same key is handled one after another, in order. intents: what differs for some types.
    Raises `WrongBus` for queries, and for commands that have a result: nobody would get it.
    """

    role: ClassVar[str] = "enqueue"

    def __init__(
        self,
        queue: Queue,
        *,
        codec: Codec | None = None,
        enabled: bool = True,
        key: Key | None = None,
        intents: Mapping[type[Message], EnqueueOptions] | None = None,
    ) -> None:
        given = {"enabled": enabled, "queue": queue, "key": key}
        self._options: Options[Any] = Options("Enqueue", EnqueueOptions, given, intents or {}, _check)
        self._codec = codec
        self._codecs: WeakKeyDictionary[Any, Codec] = WeakKeyDictionary()

    def bind(self, bus: Any) -> None:
        """Refuse a bus of queries."""
        if issubclass(bus.kind, Query):
            raise WrongBus("Enqueue", bus.name, "who asks waits for the answer; queue commands and events")

    def check(self, bus: Any) -> None:
        """Refuse commands that have a result, and get ready to encode."""
        self._options.check_types(bus)
        for kind in bus.types:
            result = result_type(kind)
            if issubclass(kind, Command) and self._options.of(kind)["enabled"] and result not in (type(None), Any):
                reason = f"it has a result of {getattr(result, '__name__', result)}, which nobody would get"
                cure = "make it a Command[None], or leave it out: intents={" + kind.__name__ + ": {'enabled': False}}"
                raise WrongBus(f"Enqueue of {kind.__qualname__}", bus.name, f"{reason}; {cure}")
        self._codecs[bus] = self._codec or bus.codec

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Queue the envelope, or go on with one that came from a queue."""
        options = self._options.of(type(envelope.message))
        if envelope.has(Received) or not options["enabled"]:
            await call_next(envelope)
            return
        envelope.add(Queued(at=envelope.bus.clock()))
        key = options["key"]
        await options["queue"].put(
            Item(
                self._codecs[envelope.bus].encode(envelope),
                key=None if key is None else key(envelope),
                delay=_delay(envelope),
                id=envelope.id,
            )
        )


def _delay(envelope: Envelope[Any]) -> float:
    delay = envelope.last(Delay)
    if delay is None:
        return 0.0
    return max(0.0, delay.until - envelope.bus.clock() if delay.until is not None else delay.seconds or 0.0)


def _check(options: Mapping[str, Any]) -> None:
    if isinstance(options["queue"], type) or not hasattr(options["queue"], "put"):
        raise InvalidOption("queue", options["queue"], "give a modd.ports.Queue, such as modd.stores.MemoryQueue()")
    if not isinstance(options["enabled"], bool):
        raise InvalidOption("enabled", options["enabled"], "give True or False")
    if options["key"] is not None and not callable(options["key"]):
        raise InvalidOption("key", options["key"], "give a function from envelope to text, or None")
