"""CircuitBreaker refuses dispatches for a while after several failures in a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from threading import Lock
from typing import Any, TypeAlias, TypedDict, TypeVar

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import TIME_PRECISION
from modd.concurrency.cancellation import call
from modd.concurrency.loops import current_loop, is_over, steady_time
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import MISUSE, CircuitOpen
from modd.cqrs.stamps import Failed
from modd.middleware.bus_keys import Key, MiddlewareWithKeys, check_key, key_of
from modd.texts import errors_in, full_name

V = TypeVar("V")


OnOutcome: TypeAlias = Callable[[bool], None]
"""Takes the outcome of a dispatch: True if it failed."""


def by_type(envelope: Envelope[Any]) -> str:
    """Return the default key of `CircuitBreaker`: the message type."""
    return full_name(type(envelope.message))


class CircuitBreakerOptions(TypedDict, total=False):
    """The options of `CircuitBreaker` that may differ by type.

    Omitted options are as in the `CircuitBreaker`.

    failures: failures in a row that open the circuit, at least 1.
    reset_after: seconds that the circuit stays open, more than 0.
    key: a function of the envelope, sync or async; dispatches with the same text share a circuit.
    """

    failures: int
    reset_after: float
    key: Key


class OpenCircuit:
    """A circuit that refuses dispatches until a time by `steady_time`, and then admits one trial."""

    __slots__ = ("trial_loop", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.trial_loop: Any = None
        """The loop of the trial; None while there is none."""

    @property
    def in_trial(self) -> bool:
        """True while there is a trial; one whose loop was closed is none."""
        return self.trial_loop is not None and not is_over(self.trial_loop)


class CircuitBreaker(MiddlewareWithKeys):
    """Raises `CircuitOpen` at once after several failures in a row, and tries one dispatch later.

    Use it for handlers that depend on a service that may be down. The circuit opens after ``failures`` in a row. After
    ``reset_after`` seconds one dispatch is tried: if it succeeds the circuit closes, if it fails the circuit stays open
    for as long again. During the trial other dispatches are refused, with ``reset_after`` as their ``retry_after``. If
    the trial is cancelled, the next dispatch is the trial.

    Failures are errors and new `Failed` stamps. Errors of misuse, of validation and of authorization, and `GiveUp`, are
    neither failure nor success, because they tell nothing about the service. A dispatch that began before the circuit
    opened does not count if it ends while the circuit is open. The counts are in the memory of this process.

    failures: failures in a row that open the circuit, at least 1.
    reset_after: seconds that the circuit stays open, more than 0.
    key: a function of the envelope, sync or async; dispatches with the same text share a circuit. By default the
        message type. Buses and instances of `CircuitBreaker` do not share circuits.
    size: the most keys with failures to remember, 10 000 by default; beyond it the key that failed first is forgotten.
    intents: by message type, the `CircuitBreakerOptions` that differ; by default none.

    Raises:
        InvalidOption: an option has a value that cannot work, or two buses of the same name have this instance.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
        CircuitOpen: while dispatching, if the circuit is open.
    """

    def __init__(
        self,
        failures: int,
        *,
        reset_after: float,
        key: Key = by_type,
        size: int = 10_000,
        intents: Mapping[type[Message], CircuitBreakerOptions] = {},
    ) -> None:
        options = CircuitBreakerOptions(failures=failures, reset_after=reset_after, key=key)
        super().__init__(CircuitBreakerOptions, options, intents, _check)
        self._size = checked_count("size", size)
        self._failures: dict[str, int] = {}
        """Failures in a row, by the key of a closed circuit."""
        self._open: dict[str, OpenCircuit] = {}
        self._lock = Lock()  # for loops in several threads

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link; raise `CircuitOpen` if the circuit is open."""
        options = self._options.of(type(envelope.message))
        key = await key_of(options["key"], envelope)
        circuit = self._open.get(key)
        if circuit is None:
            return await _run(envelope, call_next, partial(self._count, key, options))
        left = self._begin_trial(circuit)
        if left is not None:
            raise CircuitOpen(type(envelope.message), left if left > TIME_PRECISION else options["reset_after"])
        return await self._try(circuit, envelope, call_next, partial(self._conclude, key, options, circuit))

    def _begin_trial(self, circuit: OpenCircuit) -> float | None:
        """Return None if the next dispatch is the trial, else the seconds until a trial is due."""
        with self._lock:
            left = circuit.until - steady_time()
            if left > TIME_PRECISION or circuit.in_trial:
                return left
            circuit.trial_loop = current_loop()
            return None

    async def _try(self, circuit: OpenCircuit, envelope: Envelope[Any], call_next: Next, on_outcome: OnOutcome) -> None:
        try:
            await _run(envelope, call_next, on_outcome)
        finally:
            circuit.trial_loop = None

    def _count(self, key: str, options: Any, failed: bool) -> None:
        """Record the outcome of a dispatch that began while the circuit was closed."""
        with self._lock:
            failures = self._failures.pop(key, 0) + 1
            if key in self._open or not failed:
                return
            if failures < options["failures"]:
                _put(self._failures, key, failures, self._size)
            else:
                _put(self._open, key, OpenCircuit(steady_time() + options["reset_after"]), self._size)

    def _conclude(self, key: str, options: Any, circuit: OpenCircuit, failed: bool) -> None:
        """Record the outcome of a trial."""
        with self._lock:
            if failed:
                circuit.until = steady_time() + options["reset_after"]
            elif self._open.get(key) is circuit:  # else the key was forgotten meanwhile
                del self._open[key]


async def _run(envelope: Envelope[Any], call_next: Next, on_outcome: OnOutcome) -> None:
    """Call the next link and record its outcome; a cancellation is none."""
    before = len(envelope.all(Failed))
    try:
        await call(call_next, envelope)
    except Exception as error:
        if _counts(error):
            on_outcome(True)
        raise
    on_outcome(len(envelope.all(Failed)) > before)


def _counts(error: Exception) -> bool:
    """True if an error is a failure of the service; for a group, if any of its errors is."""
    single = [each for each in errors_in(error) if not isinstance(each, BaseExceptionGroup)]
    return any(not isinstance(each, MISUSE) for each in single)


def _put(values: dict[str, V], key: str, value: V, size: int) -> None:
    """Add a key at the end of a dict; drop the first key if the dict is too long."""
    values[key] = value
    if len(values) > size:
        del values[next(iter(values))]


def _check(options: CircuitBreakerOptions) -> None:
    checked_count("failures", options.get("failures"))
    checked_span("reset_after", options.get("reset_after"))
    check_key(options.get("key"))
