"""A limit to how many dispatches there may be in a given time."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

import anyio

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import TIME_PRECISION
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import RateLimited
from modd.cqrs.stamps import Actor, Tenant
from modd.errors import full_name
from modd.middleware.bus_keys import Buses, Key, checked_key, key_of
from modd.middleware.options import Options

Window: TypeAlias = tuple[str, int, float]
"""What is counted together: a key and a limit."""


def by_actor(envelope: Envelope[Any]) -> str:
    """The key of `RateLimit` by default: the type of message, and who sent it for whom."""
    actor, tenant = envelope.last(Actor), envelope.last(Tenant)
    return repr((full_name(type(envelope.message)), actor and actor.id, tenant and tenant.id))


class RateLimitOptions(TypedDict, total=False):
    """What may differ for a type; see `RateLimit`."""

    rate: int
    per: float
    key: Key


class RateLimit:
    """Lets through so many dispatches in so many seconds, and raises `RateLimited` for those beyond.

    It counts in a sliding window: there is no stretch of ``per`` seconds in which more than ``rate`` begin, and
    ``retry_after`` says when there is room for the next one. What is refused does not count; what fails does.

    It counts in the memory of this process, and keeps the times of the last ``rate`` dispatches for each key.

    rate: how many, at least 1. per: in how many seconds, more than 0.
    key: a function of the envelope, sync or async, whose text says what is counted together; by default type, actor and
        tenant. Types with one key are counted together if their limits are equal. Buses are counted apart, and so
        are several `RateLimit`.
    size: how many keys it knows at most; for one more, it forgets the one that was not used for longest.
    intents: by message type, what differs. Raises `InvalidOption`.
    """

    def __init__(
        self,
        rate: int,
        per: float,
        *,
        key: Key = by_actor,
        size: int = 10_000,
        intents: Mapping[type[Message], RateLimitOptions] = {},
    ) -> None:
        given = RateLimitOptions(rate=rate, per=per, key=key)
        self._options: Options[Any] = Options("RateLimit", RateLimitOptions, given, intents, _check)
        self._size, self._buses = checked_count("size", size), Buses("RateLimit")
        self._windows: OrderedDict[Window, deque[float]] = OrderedDict()
        """When the last ones began, the key that was used last at the end."""

    def bind(self, bus: Any) -> None:
        """Raise `InvalidOption` for a second bus of one name."""
        self._buses.add(bus)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on, if there is room."""
        kind = type(envelope.message)
        options = self._options.of(kind)
        key = await key_of(options["key"], envelope)
        wait = self._take((key, options["rate"], options["per"]))
        if wait > 0:
            raise RateLimited(kind, wait)
        await call_next(envelope)

    def _take(self, window: Window) -> float:
        """Count one, and return 0; or return how many seconds it has to wait. There is no await in between."""
        _, rate, per = window
        now = anyio.current_time()
        times = self._windows.pop(window, None) or deque(maxlen=rate)
        wait = times[0] + per - now if len(times) == rate else 0.0
        if wait <= TIME_PRECISION:
            times.append(now)  # and the first one goes, if there are as many as there may be
        self._windows[window] = times
        self._forget(now)
        return wait if wait > TIME_PRECISION else 0.0

    def _forget(self, now: float) -> None:
        """Forget what is over at the front, and what is too much."""
        while self._windows:
            oldest, times = next(iter(self._windows.items()))
            if len(self._windows) <= self._size and times[-1] + oldest[2] > now:
                return
            del self._windows[oldest]


def _check(options: RateLimitOptions) -> None:
    checked_count("rate", options.get("rate"))
    checked_span("per", options.get("per"))
    checked_key(options.get("key"))
