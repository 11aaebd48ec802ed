"""Webhook sends handled messages to other systems over HTTP."""

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
from modd.core import Message, error_text
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import NotOpen
from modd.cqrs.stamps import Failed, Queued, WebhookCalled
from modd.middleware.options import MiddlewareWithOptions
from modd.middleware.webhook.addresses import AddressFilter, Allowed
from modd.middleware.webhook.attempts import DeliveryTools, WebhookDelivery, body_of, is_success, payload_for
from modd.middleware.webhook.client import ConnectionPool, Send, sender_of
from modd.middleware.webhook.endpoint import Endpoint, check_endpoints
from modd.middleware.webhook.network import Resolve, addresses_of
from modd.texts import amount


class WebhookOptions(TypedDict, total=False):
    """The options of `Webhook` that may differ by type; omitted options are as in the `Webhook`.

    endpoints: the endpoints to send to, in place of the endpoints of the `Webhook`.
    parallel: True to send to all endpoints at once; else one after another.
    background: True to send after the dispatch has returned, without stamps; the bus must be open.
    attempts: the number of attempts in all, for each endpoint.
    backoff: the delays between attempts: ``"exponential"``, ``"fibonacci"`` or ``"none"``.
    multiplier: the factor from one delay to the next; only for exponential.
    jitter: the share by which delays vary at random, from 0 to 1.
    timeout: seconds for one attempt.
    max_delay: the longest delay in seconds.
    """

    endpoints: Sequence[Endpoint]
    parallel: bool
    background: bool
    attempts: int
    backoff: Backoff
    multiplier: float
    jitter: float
    timeout: float
    max_delay: float


class Webhook(MiddlewareWithOptions):
    """Sends every message that was handled successfully to endpoints, over HTTP; a failure does not fail the dispatch.

    Use it to tell other systems about events: ``EventBus(middleware=[Webhook([Endpoint(url, secret=...)])])``; it works
    on command and query buses too. No request is sent after an error, after a new `Failed` stamp, or for a message that
    was queued. Each endpoint gets a `WebhookCalled` stamp, in the order of the endpoints. A failure (no response, or a
    status other than 2xx) is retried; after the last attempt it is logged as a warning to ``modd.<bus>``.

    The body is ``{"id": ..., "type": ..., "timestamp": ..., "correlation_id": ..., "data": {...}}``: id of the
    envelope, name of the message on the wire, time of the dispatch (ISO 8601), and the encoded message, sensitive
    fields included. The header ``webhook-id`` is the same at every attempt to send one message to one endpoint, so that
    the receiver can drop duplicates. Requests are signed by Standard Webhooks if the endpoint has a secret.

    endpoints: the endpoints to send to; by default none.
    parallel: True to send to all endpoints at once, False (default) one after another.
    background: True to send after the dispatch has returned, without stamps; the bus must be open. False by default.
    attempts: the number of attempts in all, for each endpoint; 3 by default.
    backoff, multiplier, jitter: the delays between attempts, as in `Retryer` and with the same defaults; a longer
        ``Retry-After`` wins.
    timeout: seconds for one attempt; 10 by default.
    max_delay: the longest delay in seconds; 60 by default.
    allow: hosts and networks to allow although they are not public, by default none; any other private host is refused.
    client: an ``httpx2.AsyncClient`` to send with. The webhook neither configures nor closes it, so ``allow`` and
        proxies are up to you, and its log shows full URLs. By default the webhook opens connections, which
        stay open while the bus is open.
    intents: by message type, the `WebhookOptions` that differ, by default none; endpoints there replace the endpoints
        above.
    sleep, random, resolve: wait for some seconds, return a number from 0 up to 1, and return the addresses of a host;
        for tests.

    Raises:
        InvalidOption: an option has a value that cannot work.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
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
        options = {"endpoints": endpoints, "parallel": parallel, "background": background, "attempts": attempts}
        options |= {"backoff": backoff, "multiplier": multiplier, "jitter": jitter, "timeout": timeout}
        super().__init__(WebhookOptions, options | {"max_delay": max_delay}, intents, _check)
        for name, function in (("sleep", sleep), ("random", random), ("resolve", resolve)):
            checked_callable(name, function)
        pool = ConnectionPool(AddressFilter(allow), resolve)
        self._send: Send = pool if client is None else sender_of(client)
        self._connections: AbstractAsyncContextManager[Any] = pool if client is None else nullcontext()
        self._sleep, self._random = sleep, random

    @property
    def background_work(self) -> str:
        """The work that the bus must be open for; empty if none."""
        return "Webhook sends in the background" if any(each["background"] for each in self._options.sets) else ""

    async def __aenter__(self) -> Self:
        """Open the connections, until the last bus has left."""
        await self._connections.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.__aexit__(kind, error, trace)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link, and send the message if it was handled."""
        unhandled = _count_unhandled(envelope)
        await call_next(envelope)
        options = self._options.of(type(envelope.message))
        if not envelope.ran or _count_unhandled(envelope) > unhandled or not options["endpoints"]:
            return
        try:
            deliveries = self._deliveries(envelope, options)
        except Exception as error:  # the message cannot be encoded; the dispatch must not fail
            stamps = [
                WebhookCalled(0, error_text(error, envelope.message), 0, at=envelope.bus.clock())
                for _ in options["endpoints"]
            ]
            _log(envelope.bus.name, options["endpoints"], stamps)
        else:
            if options["background"] and _start(envelope.bus, deliveries, options["parallel"]):
                return
            async with self._connections:  # the bus need not be open
                stamps = await _deliver_all(envelope.bus.name, deliveries, options["parallel"])
        for stamp in [] if options["background"] else stamps:
            envelope.add(stamp)

    def _deliveries(self, envelope: Envelope[Any], options: Mapping[str, Any]) -> list[WebhookDelivery]:
        body, tools = body_of(envelope), DeliveryTools(self._send, envelope.bus.clock, self._sleep, self._random)
        return [WebhookDelivery(payload_for(to, envelope, body), to, options, tools) for to in options["endpoints"]]


def _start(bus: Any, deliveries: Sequence[WebhookDelivery], parallel: bool) -> bool:
    """Start to deliver in the background; False if the bus is not open, for example because it is closing."""
    try:
        bus.start(_deliver_all, bus.name, deliveries, parallel)
    except NotOpen:
        return False
    return True


async def _deliver_all(bus: str, deliveries: Sequence[WebhookDelivery], parallel: bool) -> list[WebhookCalled]:
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
        if not is_success(stamp.status):
            reason = f"status {stamp.status}" if stamp.status else stamp.text
            text = "webhook to %s failed after %s: %s"
            logging.getLogger(f"modd.{bus}").warning(text, endpoint.origin, amount(stamp.attempt, "attempt"), reason)


def _check(options: Mapping[str, Any]) -> None:
    check_endpoints(options["endpoints"])
    for name in ("parallel", "background"):
        checked_flag(name, options[name])
    checked_count("attempts", options["attempts"])
    check_backoff(options["backoff"], options["multiplier"], options["jitter"])
    checked_span("timeout", options["timeout"])
    checked_delay("max_delay", options["max_delay"])


def _count_unhandled(envelope: Envelope[Any]) -> int:
    """Return the number of stamps that say the message failed or was queued."""
    return len(envelope.all(Failed)) + len(envelope.all(Queued))
