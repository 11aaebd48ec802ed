"""Single flight: of concurrent calls for one key one works, and the rest wait for it or return."""

from __future__ import annotations

from threading import RLock
from types import TracebackType
from typing import Any
from weakref import WeakValueDictionary

from modd.core import Gate


class Flight:
    """The work for one key; its gate lets in one caller at a time."""

    __slots__ = ("__weakref__", "failure", "failures", "gate", "storable", "trace")

    def __init__(self, name: str) -> None:
        self.gate = Gate(name)
        self.storable = True
        """False if the last caller stored no result, so that waiting for the next caller is of no use."""
        self.failures = 0
        """The number of calls that have failed."""
        self.failure: Any = None
        """The error or the stamp of the last one, as long as callers that came before it wait."""
        self.trace: TracebackType | None = None
        """The traceback of the error, to which every caller that raises it would add."""

    def note_failure(self, failure: Any) -> None:
        """Note that a call has failed, for the callers that wait now."""
        self.failures += 1
        if self.gate.line:
            self.failure, self.trace = failure, getattr(failure, "__traceback__", None)

    def failure_since(self, failures: int) -> Any:
        """Return the failure of a call that has failed since there were so many failures; None without one."""
        failure = self.failure if self.failures > failures else None
        if isinstance(failure, Exception):
            failure = failure.with_traceback(self.trace)
        if not self.gate.line:  # an error refers to the frames, and so to the flight
            self.failure = self.trace = None
        return failure


class SingleFlight:
    """The flights that are under way, one for each key.

    A flight ends when no task refers to it: flights are held weakly, because a task that is cancelled before its first
    step cannot end its flight.
    """

    def __init__(self) -> None:
        self._flights: WeakValueDictionary[str, Flight] = WeakValueDictionary()
        self._lock = RLock()  # for loops in several threads; not a Lock, because the garbage collector may end a flight

    def join(self, key: str, name: str) -> Flight:
        """Return the flight for a key, which the caller has to keep a reference to.

        name: the words for this flight in a `Deadlock`.
        """
        with self._lock:
            flight = self._flights.get(key)
            return self._start(key, name) if flight is None else flight

    def start(self, key: str, name: str) -> Flight | None:
        """Return a new flight for a key, or None if one is under way."""
        with self._lock:
            return None if key in self._flights else self._start(key, name)

    def end(self, key: str) -> None:
        """End the flight for a key, if there is one."""
        self._flights.pop(key, None)

    def _start(self, key: str, name: str) -> Flight:
        flight = self._flights[key] = Flight(name)
        return flight
