"""Revalidation: dispatch a query again in the background, to replace a stale result."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from modd.checks import checked_callable
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import NotOpen
from modd.cqrs.stamps import Cacheable, Revalidating
from modd.middleware.caching.single_flight import Flight, SingleFlight

OnError: TypeAlias = Callable[[Exception], Awaitable[None] | None]
"""Takes the error of a revalidation; sync or async."""


class Revalidator:
    """Revalidates stale results, one at a time for each key.

    on_error: gets the errors; with None the bus logs them. Raises: `InvalidOption`.
    """

    def __init__(self, on_error: OnError | None) -> None:
        if on_error is not None:
            checked_callable("on_revalidation_error", on_error, "give a function that takes the error")
        self._on_error = on_error
        self._flights = SingleFlight()

    def start(self, envelope: Envelope[Any], key: str) -> bool:
        """Start to revalidate the result for an envelope, unless that is under way; False if the bus is not open."""
        flight = self._flights.start(key, key)
        if flight is not None:
            try:
                envelope.bus.start(self._dispatch, envelope, key, flight)
            except NotOpen:
                return False
        return True

    async def _dispatch(self, envelope: Envelope[Any], key: str, flight: Flight) -> None:
        """Dispatch the query again; the parameter ``flight`` keeps the flight under way."""
        stamps = (*envelope.all(Cacheable), Revalidating(at=envelope.bus.clock()))
        try:
            await envelope.bus.dispatch(envelope.again(*stamps))
        except Exception as error:
            if self._on_error is None:
                raise  # the bus logs it
            returned = self._on_error(error)
            if inspect.isawaitable(returned):
                await returned
        finally:
            self._flights.end(key)
