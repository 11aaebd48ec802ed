"""Webhook: tells others over HTTP what has been handled (MI-42 to MI-46)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from random import random as random_number
from types import TracebackType
from typing import Any, Self, TypedDict

import anyio

from modd.checks import checked_callable, checked_count, checked_delay, checked_flag, checked_span
from modd.concurrency.backoff import Backoff, check_backoff
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import NotOpen, text_of
from modd.cqrs.stamps import Failed, Queued, WebhookCalled
from modd.middleware.options import Options
from modd.middleware.webhook.addresses import Addresses, Allowed
from modd.middleware.webhook.attempts import Delivery, Tools, body_of, parcel_for, taken
from modd.middleware.webhook.client import Caller, Connections, calls_by
from modd.middleware.webhook.endpoint import Endpoint, check_endpoints
from modd.middleware.webhook.network import Resolve, addresses_of


class WebhookOptions(TypedDict, total=False):
    """What may differ for a type of message; `Webhook` says what each is for."""

    endpoints: Sequence[Endpoint]
    parallel: bool
    background: bool
    attempts: int
    backoff: Backoff
    multiplier: float
    jitter: float
    timeout: float
    max_delay: float


class Webhook:
    """Sends every message that was handled with success to endpoints, and never fails the dispatch.

    Nothing is sent after an error, a new `Failed` stamp, or when it was queued to be handled later.

    Use it to tell other systems what happens here: ``EventBus(middleware=[Webhook([Endpoint(url, secret=...)])])``. It
    serves all three buses. Each endpoint gets a `WebhookCalled` stamp, in the order of the endpoints. A failure (no
    answer, or a status other than 2xx) is retried, then stamped, and logged as a warning to ``modd.<bus>``.

    The body is ``{"id": ..., "type": ..., "timestamp": ..., "correlation_id": ..., "data": {...}}``: id of the
    envelope, name of the message on the wire, when it was dispatched (ISO 8601), and the message as it is encoded
    everywhere, sensitive fields included. ``webhook-id`` is the same for all tries of one message at one endpoint, so
    that the receiver can drop what it has; it is signed by Standard Webhooks if the endpoint has a secret.

    endpoints: where to. parallel: call them side by side, else one after another. background: do so after the dispatch
        has returned, without stamps; the bus must be open.
    attempts: tries in all, for each endpoint. backoff, multiplier, jitter: the waits between tries, as in `Retryer`; a
        ``Retry-After`` counts when it is longer. max_delay: the longest wait, in seconds. timeout: seconds for one try.
    allow: hosts and networks that may be connected to although they are not public (`Addresses`).
    client: an ``httpx2.AsyncClient`` to send with. It is used as it is, and not closed: who gives it sees to ``allow``,
        proxies, and its log, which has full URLs. Without one there are connections of its own, kept while the bus is
        open.
    intents: by type of message, what differs; endpoints there replace those above.
    sleep, random, resolve: wait for so many seconds, give a number from 0 to 1, find the addresses of a host.

    Raises `InvalidOption`.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint] = (),
        *,
        parallel: bool = False,
        background: bool = False,
        attempts: int = 3,
        backoff: Backoff = "exponential",
        multiplier: float = 1.5,
        jitter: float = 0.5,
        timeout: float = 10.0,
        max_delay: float = 60.0,
        allow: Iterable[Allowed] = (),
        client: Any = None,
        intents: Mapping[type[Message], WebhookOptions] | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        random: Callable[[], float] = random_number,
        resolve: Resolve = addresses_of,
    ) -> None:
        given = {"endpoints": endpoints, "parallel": parallel, "background": background, "attempts": attempts}
        given |= {"backoff": backoff, "multiplier": multiplier, "jitter": jitter, "timeout": timeout}
        self._options = Options("Webhook", WebhookOptions, given | {"max_delay": max_delay}, intents, _check)
        for name, function in (("sleep", sleep), ("random", random), ("resolve", resolve)):
            checked_callable(name, function)
        connections = Connections(Addresses(allow), resolve)
        self._call: Caller = connections if client is None else calls_by(client)
        self._held: AbstractAsyncContextManager[Any] = connections if client is None else nullcontext()
        self._sleep, self._random = sleep, random

    @property
    def background_work(self) -> str:
        """Why the bus must be open; empty if it need not, as nothing is sent in the background."""
        kinds: tuple[type[Message], ...] = (Message, *self._options.types)
        if any(self._chosen(kind)["background"] for kind in kinds):
            return "Webhook sends in the background"
        return ""

    def check(self, bus: Any) -> None:
        """Raises `NoHandler` when options differ for a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __aenter__(self) -> Self:
        """Hold connections, until as many have left as have entered."""
        await self._held.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held.__aexit__(kind, error, trace)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on, and then send if that was a success (MI-42)."""
        before = _not_done(envelope)
        await call_next(envelope)
        options = self._chosen(type(envelope.message))
        if not envelope.ran or _not_done(envelope) > before or not options["endpoints"]:
            return
        try:
            deliveries = self._deliveries(envelope, options)
        except Exception as error:  # the message cannot be encoded, which must not fail the dispatch
            stamps = [WebhookCalled(0, text_of(error), 0, at=envelope.bus.clock()) for _ in options["endpoints"]]
            _log(envelope.bus.name, options["endpoints"], stamps)
        else:
            if options["background"] and _started(envelope.bus, deliveries, options["parallel"]):
                return
            async with self._held:  # the bus need not be open
                stamps = await _delivered(envelope.bus.name, deliveries, options["parallel"])
        for stamp in [] if options["background"] else stamps:
            envelope.add(stamp)

    def _chosen(self, kind: type[Message]) -> Mapping[str, Any]:
        return self._options.of(kind)

    def _deliveries(self, envelope: Envelope[Any], options: Mapping[str, Any]) -> list[Delivery]:
        body, tools = body_of(envelope), Tools(self._call, envelope.bus.clock, self._sleep, self._random)
        return [Delivery(parcel_for(to, envelope, body), to, options, tools) for to in options["endpoints"]]


def _started(bus: Any, deliveries: Sequence[Delivery], parallel: bool) -> bool:
    """Whether it goes on in the background; it cannot when the bus is being closed around a dispatch."""
    try:
        bus.start(_delivered, bus.name, deliveries, parallel)
    except NotOpen:
        return False
    return True


async def _delivered(bus: str, deliveries: Sequence[Delivery], parallel: bool) -> list[WebhookCalled]:
    stamps: dict[int, WebhookCalled] = {}

    async def run(at: int) -> None:
        stamps[at] = await deliveries[at].run()

    if parallel:
        async with anyio.create_task_group() as tasks:
            for at in range(len(deliveries)):
                tasks.start_soon(run, at)
    else:
        for at in range(len(deliveries)):
            await run(at)
    in_order = [stamps[at] for at in range(len(deliveries))]
    _log(bus, [delivery.endpoint for delivery in deliveries], in_order)
    return in_order


def _log(bus: str, endpoints: Iterable[Endpoint], stamps: Iterable[WebhookCalled]) -> None:
    for endpoint, stamp in zip(endpoints, stamps, strict=True):
        if not taken(stamp.status):
            what = f"status {stamp.status}" if stamp.status else stamp.text
            text = "webhook to %s failed after %d tries: %s"
            logging.getLogger(f"modd.{bus}").warning(text, endpoint.shown, stamp.attempt, what)


def _check(options: Mapping[str, Any]) -> None:
    check_endpoints(options["endpoints"])
    for name, given in (("parallel", options["parallel"]), ("background", options["background"])):
        checked_flag(name, given)
    checked_count("attempts", options["attempts"])
    check_backoff(options["backoff"], options["multiplier"], options["jitter"])
    checked_span("timeout", options["timeout"])
    checked_delay("max_delay", options["max_delay"])


def _not_done(envelope: Envelope[Any]) -> int:
    return len(envelope.all(Failed)) + len(envelope.all(Queued))
