"""Single flight: of concurrent calls for one key one works, and the rest wait for it or return."""

from __future__ import annotations

from weakref import WeakValueDictionary

from modd.core import Gate


class Flight:
    """The work for one key; its gate lets in one caller at a time."""

    __slots__ = ("__weakref__", "gate", "storable")

    def __init__(self, name: str) -> None:
        self.gate = Gate(name)
        self.storable = True
        """False if the last caller stored no result, so that waiting for the next caller is of no use."""


class SingleFlight:
    """The flights that are under way, one for each key.

    A flight ends when no task refers to it: flights are held weakly, because a task that is cancelled before its first
    step cannot end its flight.
    """

    def __init__(self) -> None:
        self._flights: WeakValueDictionary[str, Flight] = WeakValueDictionary()

    def join(self, key: str, name: str) -> Flight:
        """Return the flight for a key, which the caller has to keep a reference to.

        name: the words for this flight in a `Deadlock`.
        """
        flight = self._flights.get(key)
        return self._start(key, name) if flight is None else flight

    def start(self, key: str, name: str) -> Flight | None:
        """Return a new flight for a key, or None if one is under way."""
        return None if key in self._flights else self._start(key, name)

    def end(self, key: str) -> None:
        """End the flight for a key, if there is one."""
        self._flights.pop(key, None)

    def _start(self, key: str, name: str) -> Flight:
        flight = self._flights[key] = Flight(name)
        return flight
