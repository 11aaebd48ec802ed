"""RateLimit refuses dispatches beyond a number per key in a time, counted in this process."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from threading import Lock
from typing import Any, TypeAlias, TypedDict

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import TIME_PRECISION
from modd.concurrency.loops import steady_time
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import RateLimited
from modd.cqrs.stamps import Actor, Tenant
from modd.middleware.bus_keys import Key, MiddlewareWithKeys, check_key, key_of
from modd.texts import full_name

Window: TypeAlias = tuple[str, int, float]
"""A key and a limit (``rate``, ``per``); dispatches with the same window are counted together."""


def by_actor(envelope: Envelope[Any]) -> str:
    """Return the default key of `RateLimit`: message type, actor and tenant."""
    actor, tenant = envelope.last(Actor), envelope.last(Tenant)
    return repr((full_name(type(envelope.message)), actor and actor.id, tenant and tenant.id))


class RateLimitOptions(TypedDict, total=False):
    """The options of `RateLimit` that may differ by type; omitted options are as in the `RateLimit`.

    rate: the most dispatches in a window, at least 1.
    per: the length of the window in seconds, more than 0.
    key: a function of the envelope, sync or async; dispatches with the same text and the same limit are counted
        together.
    """

    rate: int
    per: float
    key: Key


class RateLimit(MiddlewareWithKeys):
    """Lets through ``rate`` dispatches per key in ``per`` seconds, in this process; raises `RateLimited` beyond that.

    Use it to protect a service from a sender that sends too much. The window slides: in no stretch of ``per`` seconds
    do more than ``rate`` dispatches begin, and ``retry_after`` of the error is the seconds until the next one may.
    Failed dispatches count, refused ones do not. The times of the last ``rate`` dispatches of each key are in the
    memory of this process.

    rate: the most dispatches in a window, at least 1.
    per: the length of the window in seconds, more than 0.
    key: a function of the envelope, sync or async; dispatches with the same text and the same limit are counted
        together. By default message type, actor and tenant. Each bus and each instance of `RateLimit` has a count.
    size: the most keys to remember, 10 000 by default; beyond it the key that was not used for longest is forgotten.
    intents: by message type, the `RateLimitOptions` that differ; by default none.

    Raises:
        InvalidOption: an option has a value that cannot work, or two buses of the same name have this instance.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
        RateLimited: while dispatching, if the window is full.
    """

    def __init__(
        self,
        rate: int,
        *,
        per: float,
        key: Key = by_actor,
        size: int = 10_000,
        intents: Mapping[type[Message], RateLimitOptions] = {},
    ) -> None:
        super().__init__(RateLimitOptions, RateLimitOptions(rate=rate, per=per, key=key), intents, _check)
        self._size = checked_count("size", size)
        self._windows: OrderedDict[Window, deque[float]] = OrderedDict()
        """The times at which the last dispatches began, the window that was used last at the end."""
        self._lock = Lock()  # for loops in several threads

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link; raise `RateLimited` if the window is full."""
        kind = type(envelope.message)
        options = self._options.of(kind)
        key = await key_of(options["key"], envelope)
        wait = self._count((key, options["rate"], options["per"]))
        if wait > 0:
            raise RateLimited(kind, wait)
        await call_next(envelope)

    def _count(self, window: Window) -> float:
        """Count a dispatch and return 0; if the window is full, return the seconds until there is room."""
        _, rate, per = window
        with self._lock:
            now = steady_time()
            times = self._windows.pop(window, None) or deque(maxlen=rate)
            wait = times[0] + per - now if len(times) == rate else 0.0
            if wait <= TIME_PRECISION:
                times.append(now)  # a full deque drops its first time
            self._windows[window] = times
            self._forget(now)
        return wait if wait > TIME_PRECISION else 0.0

    def _forget(self, now: float) -> None:
        """Remove windows from the front that are over, or too many."""
        while self._windows:
            oldest, times = next(iter(self._windows.items()))
            if len(self._windows) <= self._size and times[-1] + oldest[2] > now + TIME_PRECISION:
                return
            del self._windows[oldest]


def _check(options: RateLimitOptions) -> None:
    checked_count("rate", options.get("rate"))
    checked_span("per", options.get("per"))
    check_key(options.get("key"))
