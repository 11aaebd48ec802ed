"""Not trying what fails all the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, TypedDict, TypeVar

import anyio

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import TIME_PRECISION
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import MISUSE, CircuitOpen
from modd.cqrs.stamps import Failed
from modd.errors import full_name
from modd.middleware.bus_keys import Buses, Key, checked_key, key_of
from modd.middleware.options import Options

V = TypeVar("V")


Settle: TypeAlias = Callable[[bool], None]
"""Takes whether it failed."""


def by_type(envelope: Envelope[Any]) -> str:
    """The key of `CircuitBreaker` by default: the type of message."""
    return full_name(type(envelope.message))


class CircuitBreakerOptions(TypedDict, total=False):
    """What may differ for a type; see `CircuitBreaker`."""

    failures: int
    reset_after: float
    key: Key


class Break:
    """A circuit that is open: until when, and whether it is being tried."""

    __slots__ = ("trying", "until")

    def __init__(self, until: float) -> None:
        self.until, self.trying = until, False


class CircuitBreaker:
    """Raises `CircuitOpen` at once for what has failed several times in a row, and tries it again later.

    The circuit opens after so many failures in a row. When its time is over, one dispatch is tried: if it succeeds the
    circuit closes, if it fails the circuit stays open for the same time again. While one is being tried the others are
    refused; their ``retry_after`` is ``reset_after`` then. A trial that is cancelled leaves the trial to the next one.

    Failures are errors and new `Failed` stamps. Errors of misuse, of validation and of authorization, and `GiveUp`, are
    neither failure nor success: they tell nothing of what the circuit is for. What began before the circuit opened does
    not count when it ends while it is open.

    It counts in the memory of this process.

    failures: how many in a row, at least 1. reset_after: for how many seconds it is open, more than 0.
    key: a function of the envelope, sync or async, whose text says what has a circuit of its own; by default the type.
        Buses have their own, and so have several `CircuitBreaker`.
    size: how many keys that failed it knows at most; for one more, it forgets the one that failed first.
    intents: by message type, what differs. Raises `InvalidOption`.
    """

    def __init__(
        self,
        failures: int,
        reset_after: float,
        *,
        key: Key = by_type,
        size: int = 10_000,
        intents: Mapping[type[Message], CircuitBreakerOptions] = {},
    ) -> None:
        given = CircuitBreakerOptions(failures=failures, reset_after=reset_after, key=key)
        self._options: Options[Any] = Options("CircuitBreaker", CircuitBreakerOptions, given, intents, _check)
        self._size, self._buses = checked_count("size", size), Buses("CircuitBreaker")
        self._failed: dict[str, int] = {}
        """Failures in a row of circuits that are closed."""
        self._open: dict[str, Break] = {}

    def bind(self, bus: Any) -> None:
        """Raise `InvalidOption` for a second bus of one name."""
        self._buses.add(bus)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on, unless the circuit is open."""
        options = self._options.of(type(envelope.message))
        key = await key_of(options["key"], envelope)
        broken = self._open.get(key)
        if broken is None:
            return await _run(envelope, call_next, partial(self._count, key, options))
        left = broken.until - anyio.current_time()
        if left > TIME_PRECISION or broken.trying:
            raise CircuitOpen(type(envelope.message), left if left > TIME_PRECISION else options["reset_after"])
        return await self._try(broken, envelope, call_next, partial(self._conclude, key, options, broken))

    async def _try(self, broken: Break, envelope: Envelope[Any], call_next: Next, settle: Settle) -> None:
        broken.trying = True
        try:
            await _run(envelope, call_next, settle)
        finally:
            broken.trying = False

    def _count(self, key: str, options: Any, failed: bool) -> None:
        """Note the outcome of what began while the circuit was closed."""
        if key in self._open:
            return
        number = self._failed.pop(key, 0) + 1
        if not failed:
            return
        if number < options["failures"]:
            _put(self._failed, key, number, self._size)
        else:
            _put(self._open, key, Break(anyio.current_time() + options["reset_after"]), self._size)

    def _conclude(self, key: str, options: Any, broken: Break, failed: bool) -> None:
        """Note the outcome of a trial."""
        if failed:
            broken.until = anyio.current_time() + options["reset_after"]
        elif self._open.get(key) is broken:  # else it was forgotten meanwhile
            del self._open[key]


async def _run(envelope: Envelope[Any], call_next: Next, settle: Settle) -> None:
    """Go on, and tell how it ended, if that tells anything: a cancellation does not."""
    before = len(envelope.all(Failed))
    try:
        await call_next(envelope)
    except Exception as error:
        if _counts(error):
            settle(True)
        raise
    settle(len(envelope.all(Failed)) > before)


def _counts(error: Exception) -> bool:
    """Whether an error is a failure of what the circuit is for; of a group, any of its errors."""
    if isinstance(error, ExceptionGroup):
        return any(_counts(each) for each in error.exceptions)
    return not isinstance(error, MISUSE)


def _put(known: dict[str, V], key: str, value: V, size: int) -> None:
    """Put a key behind all others; the first one goes if there are too many."""
    known[key] = value
    if len(known) > size:
        del known[next(iter(known))]


def _check(options: CircuitBreakerOptions) -> None:
    checked_count("failures", options.get("failures"))
    checked_span("reset_after", options.get("reset_after"))
    checked_key(options.get("key"))
