"""Enqueue puts commands and events into a queue, for a worker to handle later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict, get_args, get_origin
from weakref import WeakKeyDictionary

from modd.checks import checked_callable, checked_flag, checked_methods
from modd.core import Intent, Message, tell_stored, wire_name
from modd.cqrs.chain import Next
from modd.cqrs.codec import Codec
from modd.cqrs.decodable import check_decodable
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import WrongBus
from modd.cqrs.ids import item_id
from modd.cqrs.intents import Command, Event, Query, result_type
from modd.cqrs.stamps import Delay, Emitted, OnlyHandler, Queued, Received, Stamp
from modd.cqrs.wire import BUS_HEADER, EVENT_HEADER, Decoders
from modd.errors import NotAnswered
from modd.middleware.bus_keys import KeyOrNone, MiddlewareWithKeys, key_or_none
from modd.ports import Item, Queue, Unique
from modd.ports.items import checked_unique


class EnqueueOptions(TypedDict, total=False):
    """The options of `Enqueue` that may differ by type; omitted options are as in the `Enqueue`.

    enabled: False to call the handlers at once.
    queue: the `modd.ports.Queue` for messages of the type.
    key: a function of the envelope, sync or async; messages with the same text are handled one after another. None for
        no order.
    unique: "until-done" or "until-started".
    """

    enabled: bool
    queue: Queue
    key: KeyOrNone | None
    unique: Unique


class Enqueue(MiddlewareWithKeys):
    """Puts commands and events into a queue, in place of calling their handlers.

    Use it for work that may happen later. The envelope gets a ``Queued`` stamp, is encoded and put into the queue;
    there is no result, and no events are released. A worker decodes the envelope and dispatches it with a ``Received``
    stamp, which passes through, so that the same configuration serves both processes. A ``Delay`` stamp is honoured.

    An event that a middleware outside of `Enqueue` emits before it calls the rest is released once, by the worker, with
    the events of the handler: the event of the worker's pass replaces that of the sender's. Of an event with more than
    one handler, the dispatch to the first handler releases it.

    The id of the item is the id of the envelope with the name of the bus in front, so that buses of different names can
    share a queue: ``commands:import-7``, or ``letters.commands:import-7`` for a bus in the context ``letters``. If an
    item with this id is still in the queue, the message is dropped, and the ``Queued`` stamp says so:
    ``duplicate=True``. A message that is sent while a worker handles the one with its id, and from inside of that
    handler, is the next run: it is dropped only if the queue has a next run already.

    queue: a `modd.ports.Queue`.
    codec: turns envelopes into bytes; by default a codec for the types of the bus.
    enabled: True (default) to queue messages, False to call the handlers at once.
    key: a function of the envelope, sync or async; messages with the same text are handled one after another, in the
        order of their dispatch. Keys of different buses differ. None, the default, for no order.
    unique: "until-done", the default, to drop a message until the one with its id is done; "until-started" to drop it
        only while the one with its id waits, so that a message that comes later is handled, too.
    intents: by message type, the `EnqueueOptions` that differ; by default none.

    Raises:
        InvalidOption: an option has a value that cannot work, two buses of the same name have this instance, or, when
            the bus is checked without a ``codec``, a field of a type cannot be decoded.
        Unencodable: while dispatching, for a value that would not come back.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
        WrongBus: the bus is for queries, or a command has a result, ``Any`` included, which no caller would get. A
            command without a declared result type has none.
    """

    role: ClassVar[str] = "enqueue"
    """Its name in the rules of order: inside of `Authorizer` and `Validator`."""
    may_queue: ClassVar[bool] = True
    """True: a sender that asks for a result is refused before the intent is queued."""

    def __init__(
        self,
        queue: Queue,
        *,
        codec: Codec | None = None,
        enabled: bool = True,
        key: KeyOrNone | None = None,
        unique: Unique = "until-done",
        intents: Mapping[type[Message], EnqueueOptions] | None = None,
    ) -> None:
        if codec is not None:
            checked_methods(
                "codec", codec, ("encode", "decode"), "give a modd.cqrs.Codec, or None for one of the types of the bus"
            )
        defaults = {"enabled": enabled, "queue": queue, "key": key, "unique": unique}
        super().__init__(EnqueueOptions, defaults, intents, _check)
        self._codec = codec
        self._codecs: WeakKeyDictionary[Any, Codec] = WeakKeyDictionary()

    def bind(self, bus: Any) -> None:
        """Raise `WrongBus` for a bus of queries, and `InvalidOption` for a second bus of the same name."""
        if issubclass(bus.kind, Query):
            raise WrongBus("Enqueue", bus.name, "the sender of a query waits for its result; queue commands and events")
        super().bind(bus)

    def check(self, bus: Any) -> None:
        """Raise `WrongBus` for commands that have a result, `InvalidOption` for fields that cannot be decoded.

        It prepares the codec.
        """
        super().check(bus)
        for kind in bus.types:
            result = result_type(kind)
            if issubclass(kind, Command) and self._options.of(kind)["enabled"] and _has_result(kind, result):
                reason = f"it has a result of {getattr(result, '__name__', result)}, which no caller would get"
                cure = "make it a Command[None], or leave it out: intents={" + kind.__name__ + ": {'enabled': False}}"
                raise WrongBus(f"Enqueue of {kind.__qualname__}", bus.name, f"{reason}; {cure}")
            if self._codec is None and self._options.of(kind)["enabled"]:
                check_decodable(kind, Decoders("json", None))
        self._codecs[bus] = self._codec or bus.codec

    def queue_of(self, kind: type[Message]) -> Queue | None:
        """Return the queue for messages of a type; None if their handlers are called at once."""
        options = self._options.of(kind)
        return options["queue"] if options["enabled"] else None

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Queue the envelope; call the next link if it came from a queue or queueing is off.

        Raises `NotAnswered`, and queues nothing, if the sender asked for the result.
        """
        options = self._options.of(type(envelope.message))
        received = envelope.has(Received)
        if received or not options["enabled"]:
            if received and envelope.has(Emitted):
                _release_once(envelope)
            await call_next(envelope)
            return
        if envelope.is_asked:
            raise NotAnswered(type(envelope.message), envelope.bus.name)
        await self._put(envelope, options)

    async def _put(self, envelope: Envelope[Any], options: Mapping[str, Any]) -> None:
        """Put the envelope into the queue, and note on its `Queued` stamp if it was dropped."""
        queued = Queued(at=envelope.bus.clock())
        envelope.add(queued)
        body, key = self._codecs[envelope.bus].encode(envelope), options["key"]
        key = None if key is None else await key_or_none(key, envelope)
        id, headers = item_id(envelope.bus.name, envelope.id), {BUS_HEADER: envelope.bus.name}
        if issubclass(envelope.bus.kind, Event):
            headers[EVENT_HEADER] = wire_name(type(envelope.message))
        unique: Unique = "until-started" if _is_next_run(envelope) else options["unique"]
        [result] = await options["queue"].put(Item(body, headers, key, _delay_of(envelope), id, unique))
        tell_stored((envelope.message,), "queue", envelope.bus)
        if result.duplicate is not False:
            told = Queued(duplicate=result.duplicate, at=queued.at)
            envelope.reset([told if each is queued else each for each in envelope.flush()], ran=envelope.ran)


def _is_next_run(envelope: Envelope[Any]) -> bool:
    """True if a handler of a message from a queue sends a message with the same id to the same bus."""
    scope, name = envelope.outer, envelope.bus.name
    while scope is not None:
        cause = scope.by
        is_received = isinstance(cause, Envelope) and cause.bus.name == name and cause.has(Received)
        if is_received and cause.id == envelope.id:
            return True
        scope = scope.outer
    return False


def _release_once(envelope: Envelope[Any]) -> None:
    """Drop events that were emitted outside before the message was queued, and again in this pass.

    An event in this pass stands for the newest event of its type from before. A row for one of multiple handlers drops
    all, unless it is the row of the first handler.
    """
    noted, only = envelope.flush(), envelope.last(OnlyHandler)
    if only is not None and only.handler != envelope.bus.handler_names(type(envelope.message))[0]:
        envelope.drop_events(0)
        return
    queued = max((position for position, stamp in enumerate(noted) if isinstance(stamp, Queued)), default=0)
    again = Counter(type(stamp.event) for stamp in noted[queued:] if isinstance(stamp, Emitted))
    unique: list[Stamp] = []
    for stamp in reversed(noted[:queued]):
        if isinstance(stamp, Emitted) and again[type(stamp.event)]:
            again[type(stamp.event)] -= 1
        else:
            unique.append(stamp)
    envelope.reset([*reversed(unique), *noted[queued:]], ran=envelope.ran)


def _has_result(kind: type[Message], result: Any) -> bool:
    """True if a command declares a result; ``Command[Any]`` does, a bare ``Command`` does not."""
    if result is not Any:
        return result is not type(None)
    bases = [base for each in kind.__mro__ for base in vars(each).get("__orig_bases__", ())]
    return any(_is_intent(get_origin(base)) and Any in get_args(base) for base in bases)


def _is_intent(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Intent)


def _delay_of(envelope: Envelope[Any]) -> float:
    delay = envelope.last(Delay)
    if delay is None:
        return 0.0
    return max(0.0, delay.until - envelope.bus.clock() if delay.until is not None else delay.seconds or 0.0)


def _check(options: Mapping[str, Any]) -> None:
    cure = 'give a modd.ports.Queue, such as modd.stores.MemoryQueue() or store.queue("commands")'
    checked_methods("queue", options["queue"], ("put", "claim"), cure)
    checked_flag("enabled", options["enabled"])
    checked_unique(options["unique"])
    if options["key"] is not None:
        checked_callable("key", options["key"], "give a function from envelope to text, sync or async, or None")
