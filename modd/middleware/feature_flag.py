"""FeatureFlag: switches message types off and on (MI-51)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any, TypeAlias, TypedDict

from modd.checks import checked_flag
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import FeatureDisabled
from modd.cqrs.stamps import FallbackUsed, Handled
from modd.errors import InvalidOption
from modd.middleware.options import Options

Checker: TypeAlias = Callable[[type[Message]], bool | Awaitable[bool]]
"""Says whether a type is on; sync or async."""


class FeatureFlagOptions(TypedDict, total=False):
    """What may differ by type in a `FeatureFlag`."""

    fallback: Callable[[Any], Any] | None
    """Gives the result while it is off, from the message; sync or async. None: that is an error."""
    short_circuit: bool
    """Whether the fallback ends the way; False has the middleware further in run, but not the handlers."""


class FeatureFlag:
    """Handles a message only if its type is switched on; the flags are asked anew for every dispatch (MI-51).

    Use it to roll a feature out step by step, or to switch off what makes trouble:
    ``FeatureFlag(flags.is_on, intents={GetUser: {"fallback": lambda query: User.unknown}})``.

    checker: ``(type) -> bool``, sync or async; only True is on. What it raises comes out of the dispatch.
    intents: by type, a ``fallback`` and whether it ends the way (``short_circuit``, by default True).

    Off with a fallback, its result is noted as `Handled`, beside `FallbackUsed`; off without one, `FeatureDisabled` is
    raised. Raises `InvalidOption` for options that cannot work, and `NoHandler` when the bus is checked.
    """

    def __init__(self, checker: Checker, *, intents: Mapping[type[Message], FeatureFlagOptions] = {}) -> None:
        if not callable(checker):
            raise InvalidOption("FeatureFlag(checker)", checker, "give a function of the type, sync or async")
        self._checker = checker
        self._options = Options("FeatureFlag", FeatureFlagOptions, {"short_circuit": True}, intents, _check)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on if the type is on; else use the fallback, or raise `FeatureDisabled`."""
        kind = type(envelope.message)
        on = self._checker(kind)
        if (await on if isawaitable(on) else on) is True:
            return await call_next(envelope)
        options = self._options.of(kind)
        fallback = options.get("fallback")
        if fallback is None:
            raise FeatureDisabled(kind)
        await _stand_in(envelope, fallback)
        if not options.get("short_circuit"):
            await call_next(envelope)


async def _stand_in(envelope: Envelope[Any], fallback: Callable[[Any], Any]) -> None:
    result = fallback(envelope.message)
    if isawaitable(result):
        result = await result
    at = envelope.bus.clock()
    envelope.add(FallbackUsed(at=at))
    envelope.add(Handled(result, "feature_flag", at=at))


def _check(options: FeatureFlagOptions) -> None:
    fallback = options.get("fallback")
    if fallback is not None and not callable(fallback):
        raise InvalidOption("fallback", fallback, "give a function of the message, sync or async, or None")
    checked_flag("short_circuit", options.get("short_circuit"))
