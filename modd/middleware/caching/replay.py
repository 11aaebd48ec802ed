"""What middleware with a store have in common: the store, and answers in place of handlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Failed, FromCache, Handled
from modd.errors import InvalidOption
from modd.ports.cache import Cache
from modd.stores.memory.cache import MemoryCache


def checked_store(given: Any) -> Cache:
    """A cache; for None one in memory. Raises `InvalidOption`."""
    if given is None:
        return MemoryCache()
    if isinstance(given, type) or not all(callable(getattr(given, name, None)) for name in ("get", "set")):
        raise InvalidOption("store", given, "give a modd.ports.Cache, such as modd.stores.MemoryCache()")
    return given  # type: ignore[no-any-return]


def stand_in(envelope: Envelope[Any], by: str, results: Sequence[Any], age: float, stale: bool, at: float) -> None:
    """Answer with results from a store: ``age`` is theirs in seconds, ``at`` is now (MI-23)."""
    noted = envelope.flush()
    noted.append(FromCache(age, stale, at=at))
    if len(results) == 1:  # nearly always; made a stamp when somebody looks at it
        envelope.note_result(results[0], by, at)
    else:
        noted.extend([Handled(result, by, at=at) for result in results])


class Before:
    """How far an envelope was before something further in was run."""

    def __init__(self, envelope: Envelope[Any]) -> None:
        self._envelope = envelope
        self._handled = self._failed = 0
        if envelope.noted or envelope.handled is not None:
            self._handled, self._failed = len(envelope.all(Handled)), len(envelope.all(Failed))

    @property
    def failed(self) -> bool:
        """Whether a failure was noted since."""
        return bool(self._envelope.noted) and len(self._envelope.all(Failed)) > self._failed

    @property
    def results(self) -> list[Any]:
        """What handlers, or those who stood in for them, have given since."""
        return [stamp.result for stamp in self._envelope.all(Handled)[self._handled :]]
