"""Answer an envelope from stored results, in place of its handlers, and collect the results to store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd.checks import checked_methods
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Failed, FromCache, Handled
from modd.ports.cache import Cache
from modd.stores.memory.cache import MemoryCache


def checked_store(store: Any) -> Cache:
    """Return the cache, a `MemoryCache` for None. Raises `InvalidOption`."""
    if store is None:
        return MemoryCache()
    cure = "give a modd.ports.Cache, such as modd.stores.MemoryCache()"
    return checked_methods("store", store, ("get", "set"), cure, attribute="cache")  # type: ignore[no-any-return]


def replay(envelope: Envelope[Any], by: str, results: Sequence[Any], age: float, stale: bool, at: float) -> None:
    """Answer an envelope with stored results.

    by: the name of the middleware, as the handler in `Handled`. age: seconds since the results were stored. stale: True
    if they are no longer fresh. at: the time of now.
    """
    noted = envelope.flush()
    noted.append(FromCache(age, stale, at=at))
    if len(results) == 1:  # nearly always; the envelope makes the stamp when it is read
        envelope.note_result(results[0], by, at)
    else:
        noted.extend([Handled(result, by, at=at) for result in results])


class Checkpoint:
    """The number of results and failures of an envelope before the links further in ran."""

    def __init__(self, envelope: Envelope[Any]) -> None:
        self._envelope = envelope
        self._handled = self._failed = 0
        if envelope.noted or envelope.handled is not None:
            self._handled, self._failed = len(envelope.all(Handled)), len(envelope.all(Failed))

    @property
    def failed(self) -> bool:
        """True if a `Failed` stamp was added since."""
        return bool(self._envelope.noted) and len(self._envelope.all(Failed)) > self._failed

    @property
    def results(self) -> list[Any]:
        """The results that were added since, by handlers or in their place."""
        return [stamp.result for stamp in self._envelope.all(Handled)[self._handled :]]
