"""Enqueue: what is dispatched is queued, and handled later by a worker (MI-54)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict, get_args, get_origin
from weakref import WeakKeyDictionary

from modd.checks import checked_flag, checked_methods
from modd.core import Intent, Message
from modd.cqrs.chain import Next
from modd.cqrs.codec import Codec
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import WrongBus
from modd.cqrs.ids import qualify
from modd.cqrs.intents import Command, Query, result_type
from modd.cqrs.stamps import Delay, Queued, Received
from modd.cqrs.wire import BUS_HEADER
from modd.errors import InvalidOption
from modd.middleware.bus_keys import Buses, KeyOrNone, key_or_none
from modd.middleware.options import Options
from modd.ports import Item, Queue


class EnqueueOptions(TypedDict, total=False):
    """What may differ for a type: whether it is queued, where, and what is handled in order."""

    enabled: bool
    queue: Queue
    key: KeyOrNone | None


class Enqueue:
    """Give commands and events to a queue in place of their handlers (MI-54).

    The envelope is stamped ``Queued`` and put into the queue, and there is no result. A worker decodes and dispatches
    it; as it then has a ``Received`` stamp, it passes through, so that one configuration serves both. A ``Delay`` stamp
    is honoured. Nothing is released by the one who queues.

    The id of the item is that of the envelope behind the name of the bus, ``commands:import-7``, so that buses of
    different names share a queue; what a bus dispatches under the id of an item that is still in the queue is not
    queued a second time.

    queue: a `modd.ports.Queue`. codec: by default one of the types of the bus. enabled: False handles in place. key: a
    function of the envelope, sync or async: what has the same text is handled one after another, in order, apart from
    what other buses queue; None for no order. intents: what differs for some types.

    Raises `InvalidOption`; `WrongBus` for queries, and for commands that have a result, be it ``Any``: nobody would get
    it. A command of which no result type is given at all is taken for one that has none. (MI-54, MI-60)
    """

    role: ClassVar[str] = "enqueue"

    def __init__(
        self,
        queue: Queue,
        *,
        codec: Codec | None = None,
        enabled: bool = True,
        key: KeyOrNone | None = None,
        intents: Mapping[type[Message], EnqueueOptions] | None = None,
    ) -> None:
        if codec is not None:
            checked_methods(
                "codec", codec, ["encode"], "give a modd.cqrs.Codec, or None for one of the types of the bus"
            )
        given = {"enabled": enabled, "queue": queue, "key": key}
        self._options: Options[Any] = Options("Enqueue", EnqueueOptions, given, intents, _check)
        self._codec, self._buses = codec, Buses("Enqueue")
        self._codecs: WeakKeyDictionary[Any, Codec] = WeakKeyDictionary()

    def bind(self, bus: Any) -> None:
        """Refuse a bus of queries, and one of a name that it knows."""
        if issubclass(bus.kind, Query):
            raise WrongBus("Enqueue", bus.name, "who asks waits for the answer; queue commands and events")
        self._buses.add(bus)

    def check(self, bus: Any) -> None:
        """Refuse commands that have a result, and get ready to encode."""
        self._options.check_types(bus)
        for kind in bus.types:
            result = result_type(kind)
            if issubclass(kind, Command) and self._options.of(kind)["enabled"] and _has_result(kind, result):
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
        body, key = self._codecs[envelope.bus].encode(envelope), options["key"]
        key = None if key is None else await key_or_none(key, envelope)
        id = qualify(envelope.bus.name, envelope.id)
        headers = {BUS_HEADER: envelope.bus.name}
        await options["queue"].put(Item(body, headers, key, _delay(envelope), id))


def _has_result(kind: type[Message], result: Any) -> bool:
    """Whether a command has a result: it has none if it says so, or says nothing; Any is a result if it is named."""
    if result is not Any:
        return result is not type(None)
    bases = [base for each in kind.__mro__ for base in vars(each).get("__orig_bases__", ())]
    return any(_is_intent(get_origin(base)) and Any in get_args(base) for base in bases)


def _is_intent(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Intent)


def _delay(envelope: Envelope[Any]) -> float:
    delay = envelope.last(Delay)
    if delay is None:
        return 0.0
    return max(0.0, delay.until - envelope.bus.clock() if delay.until is not None else delay.seconds or 0.0)


def _check(options: Mapping[str, Any]) -> None:
    wanted = "give a modd.ports.Queue, such as modd.stores.MemoryQueue()"
    checked_methods("queue", options["queue"], ("put", "claim"), wanted)
    checked_flag("enabled", options["enabled"])
    if options["key"] is not None and not callable(options["key"]):
        raise InvalidOption("key", options["key"], "give a function from envelope to text, sync or async, or None")
