"""Serve: the side that answers calls of `Remote`, as a part of an app."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, ClassVar, NamedTuple
from weakref import WeakValueDictionary

import anyio

from modd.checks import checked_count, checked_list, checked_methods
from modd.concurrency.cancellation import error_of
from modd.core import Bus, Message
from modd.cqrs import Codec, Envelope, Queued, RateLimited, TypedBus
from modd.cqrs.enclosing import open_bus
from modd.cqrs.handled import handled_types, is_handled
from modd.errors import InvalidOption, NoHandler, NotAnswered
from modd.nats import Link, NatsMessage
from modd.nats.subscription import NatsSubscription
from modd.ports import AlreadyHandled, Inbox
from modd.remote.checks import checked_context_name, checked_errors, checked_link
from modd.remote.reply import REFUSALS, ReplyParts, error_reply, queued_reply, result_reply
from modd.remote.request import ASKED, ask_subject, read_request, request_id, seconds_left
from modd.texts import show

WAITING = 4
"""The most requests that wait, as a multiple of those that are handled at a time."""


RETRY_AFTER = 1.0
"""Seconds after which a sender that was refused may try again."""


log = logging.getLogger("modd.remote")


class Serve:
    """Answers the calls of `Remote` for a context, as a part of an `App`; several processes share the work.

    link: the `modd.nats.Link`, which is open while it runs.
    name: the name of the context: 1 to 64 letters, digits, ``-`` and ``_``.
    bus: the bus, with all its middleware. It is opened for `run` if it is not open.
    expose: the types that others may send; nothing else is decoded. All processes of one name expose the same types.
    errors: types of errors that are raised as themselves if `Remote` has them, too; none by default.
    concurrency: requests that are handled at a time, 32 by default; four times as many wait, and more are refused with
        `RateLimited`.
    inbox: a `modd.ports.Inbox` that remembers the ids of intents that were handled, so that one that is sent again is
        `AlreadyHandled`; one that failed is handled again. By default none.

    Raises:
        InvalidOption: an option has a value that cannot work.
        NoHandler: the bus has no handler for a type.
        DuplicateName: two types have the same name on the wire.
    """

    stops_first: ClassVar[bool] = True
    """True: an app stops it before the parts that do its work."""

    def __init__(
        self,
        link: Link,
        name: str,
        bus: Bus | TypedBus,
        *,
        expose: Iterable[type[Message]],
        errors: Iterable[type[Exception]] = (),
        concurrency: int = 32,
        inbox: Inbox | None = None,
    ) -> None:
        if not isinstance(bus, (Bus, TypedBus)):
            raise InvalidOption("bus", bus, "give a modd.Bus, or a typed bus")
        if inbox is not None:
            checked_methods("inbox", inbox, ("add", "has"), "give a modd.ports.Inbox, such as store.inbox")
        self._link, self._name, self._bus, self._inbox = checked_link(link), checked_context_name(name), bus, inbox
        self._kinds = _checked_kinds(bus, expose)
        self._crossing = frozenset((*REFUSALS, *checked_errors(errors)))
        self._concurrency = checked_count("concurrency", concurrency)
        self._served = _served_types(name, self._kinds)
        self._stopped, self._ready = anyio.Event(), anyio.Event()
        self._under_way = 0
        self._in_hand = WeakValueDictionary[str, anyio.Lock]()
        """A lock for each id that is being handled, so that its second call waits for the end of the first."""

    @property
    def label(self) -> str:
        """The name of the part in the status of an app: ``serve`` and the name of the context."""
        return f"serve {self._name}"

    async def wait_ready(self) -> None:
        """Return when `run` takes requests."""
        await self._ready.wait()

    def problem(self) -> str | None:
        """Return the words for a link that is not connected; None if it is well."""
        status = self._link.status
        return None if status == "connected" else f"the link is {status}"

    async def run(self) -> None:
        """Answer requests until `stop` is called, and those that have come until then."""
        async with open_bus(self._bus):
            subject = ask_subject(self._name, ">")
            async with self._link.subscribe(subject, self._name) as requests, anyio.create_task_group() as tasks:
                self._ready.set()
                tasks.start_soon(self._drain_when_stopped, requests)
                slots = anyio.Semaphore(self._concurrency, fast_acquire=True)
                async for request in requests:
                    self._under_way += 1
                    tasks.start_soon(self._answer, request, slots)

    def stop(self) -> None:
        """Have `run` take no more requests, answer those that have come, and end."""
        self._stopped.set()

    async def _drain_when_stopped(self, requests: NatsSubscription) -> None:
        await self._stopped.wait()
        await error_of(requests.drain)  # without a connection nothing comes any more

    async def _answer(self, request: NatsMessage, slots: anyio.Semaphore) -> None:
        """Handle a request and send the reply; none after the time in which the sender waits."""
        try:
            reply = None
            with anyio.move_on_after(seconds_left(request.headers)):
                if self._under_way > self._concurrency * (1 + WAITING):
                    reply = self._refuse(request)
                else:
                    async with slots:
                        reply = await self._handle(request)
            if reply is not None and request.reply:
                await self._send(request, *reply)
        finally:
            self._under_way -= 1

    async def _send(self, request: NatsMessage, headers: dict[str, str], body: bytes) -> None:
        """Send a reply, or the error for one that is too large; one that the link cannot send is lost."""
        error = await error_of(self._link.publish, request.reply, body, headers)
        if isinstance(error, InvalidOption):
            headers, body = self._failed(request, error)
            await error_of(self._link.publish, request.reply, body, headers)

    async def _handle(self, request: NatsMessage) -> ReplyParts:
        """Return the reply to a request."""
        try:
            served = self._served.get(request.subject)
            if served is None:
                raise NoHandler(request.headers.get("ce-type", request.subject), self._name, self._kinds)
            envelope = read_request(request.headers, request.body, served.codec)
            dispatch = partial(self._dispatch, envelope, is_asked=ASKED in request.headers)
            return await dispatch() if self._inbox is None else await self._once(self._inbox, envelope.id, dispatch)
        except Exception as error:
            return self._failed(request, error)

    async def _once(self, inbox: Inbox, id: str, dispatch: Callable[[], Awaitable[ReplyParts]]) -> ReplyParts:
        """Handle an intent unless the inbox has its id, and note it when it is done: one that failed may come again."""
        async with self._in_hand.setdefault(id, anyio.Lock()):
            if await inbox.has(id):
                raise AlreadyHandled(id)
            reply = await dispatch()
            with anyio.CancelScope(shield=True):  # it is done, although its sender waits no longer
                await inbox.add(id)
            return reply

    async def _dispatch(self, envelope: Envelope[Any], *, is_asked: bool) -> ReplyParts:
        if is_asked:
            return result_reply(await self._bus.ask(envelope))
        dispatched: Any = await self._bus.dispatch(envelope)
        queued = dispatched.envelope.last(Queued)
        if queued is not None:
            return queued_reply(queued)
        if not dispatched.answered:
            raise NotAnswered(type(envelope.message), self._bus.name)
        return result_reply(dispatched.result)

    def _refuse(self, request: NatsMessage) -> ReplyParts:
        served = self._served.get(request.subject)
        return error_reply(RateLimited(Message if served is None else served.kind, RETRY_AFTER), self._crossing)

    def _failed(self, request: NatsMessage, error: Exception) -> ReplyParts:
        """Return the reply with an error; log one that does not cross as itself."""
        if type(error) not in self._crossing:
            log.error("%s failed for %s", show(request_id(request.headers)), self._name, exc_info=error)
        return error_reply(error, self._crossing)


class ServedType(NamedTuple):
    """A type that others may send, and the codec that decodes it alone.

    kind: the type. codec: the codec.
    """

    kind: type[Message]
    codec: Codec


def _served_types(name: str, kinds: list[type[Message]]) -> dict[str, ServedType]:
    """Return the types by their subjects, former names included. Raises `DuplicateName`."""
    Codec(kinds)  # finds two types of one name
    served = [ServedType(kind, Codec([kind])) for kind in kinds]
    return {ask_subject(name, wire): each for each in served for wire in each.codec.versions}


def _checked_kinds(bus: Bus | TypedBus, expose: Iterable[type[Message]]) -> list[type[Message]]:
    """Return the types that others may send. Raises `InvalidOption` for none, and `NoHandler`."""
    kinds: list[type[Message]] = checked_list("expose", expose)
    if not kinds:
        raise InvalidOption("expose", kinds, "give the types that others may send")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise InvalidOption("expose", kind, "give types of commands and queries")
        if not is_handled(bus, kind):
            raise NoHandler(kind, bus.name, handled_types(bus))
    return kinds
