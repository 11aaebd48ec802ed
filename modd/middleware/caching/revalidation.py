"""Renewing what is stale, in the background and once at a time (MI-27)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import NotOpen
from modd.cqrs.stamps import Cacheable, Revalidating
from modd.errors import InvalidOption

OnError: TypeAlias = Callable[[Exception], Awaitable[None] | None]
"""Is told what a renewal raised; sync or async."""


class Renewal:
    """Stands for a renewal for as long as that goes on."""


class Renewals:
    """The renewals that are going on, one for each key. ``on_error`` gets their errors; without it they are logged.

    Raises `InvalidOption`.
    """

    def __init__(self, on_error: OnError | None) -> None:
        if on_error is not None and not callable(on_error):
            raise InvalidOption("on_revalidation_error", on_error, "give a function that takes the error")
        self._on_error = on_error
        self._going: WeakValueDictionary[str, Renewal] = WeakValueDictionary()
        """Weak, because a task that is cancelled before it begins has no chance to say that it is over."""

    def renew(self, envelope: Envelope[Any], key: str) -> bool:
        """See to it that the result for an envelope is renewed; False when its bus is not open for that."""
        if key in self._going:
            return True
        renewal = self._going[key] = Renewal()
        try:
            envelope.bus.start(self._dispatch, envelope, key, renewal)
        except NotOpen:
            return False
        return True

    async def _dispatch(self, envelope: Envelope[Any], key: str, renewal: Renewal) -> None:
        stamps = (*envelope.all(Cacheable), Revalidating(at=envelope.bus.clock()))
        try:
            await envelope.bus.dispatch(envelope.again(*stamps))
        except Exception as error:
            if self._on_error is None:
                raise  # the bus logs it
            given = self._on_error(error)
            if inspect.isawaitable(given):
                await given
        finally:
            self._going.pop(key, None)
