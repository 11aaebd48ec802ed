"""FeatureFlag switches message types on and off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any, TypeAlias, TypedDict

from modd.checks import checked_callable, checked_flag
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import FeatureDisabled
from modd.cqrs.stamps import FallbackUsed, Handled
from modd.middleware.options import MiddlewareWithOptions

Checker: TypeAlias = Callable[[type[Message]], bool | Awaitable[bool]]
"""Takes a message type and returns True if it is on; sync or async."""


class FeatureFlagOptions(TypedDict, total=False):
    """The options of `FeatureFlag` by type.

    fallback: a function of the message, sync or async, that returns the result if the type is off. None, the default,
        raises `FeatureDisabled`.
    short_circuit: True, the default, if the fallback ends the dispatch; False to run the middleware further in, without
        the handlers.
    """

    fallback: Callable[[Any], Any] | None
    short_circuit: bool


class FeatureFlag(MiddlewareWithOptions):
    """Handles a message only if its type is on; the flag is read at every dispatch.

    Use it to roll a feature out step by step, or to switch off a handler that makes trouble:
    ``FeatureFlag(flags.is_on, intents={GetUser: {"fallback": lambda query: User.unknown}})``.

    If the type is off, the result of its fallback is added as `Handled`, beside `FallbackUsed`; without a fallback
    `FeatureDisabled` is raised.

    checker: a function ``(type) -> bool``, sync or async; only True is on. An error of the checker ends the dispatch.
    intents: by message type, a ``fallback``, and ``short_circuit`` (default True: the fallback ends the dispatch).

    Raises:
        InvalidOption: an option has a value that cannot work.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
        FeatureDisabled: while dispatching, if the type is off and has no fallback.
    """

    def __init__(self, checker: Checker, *, intents: Mapping[type[Message], FeatureFlagOptions] = {}) -> None:
        self._checker: Checker = checked_callable(
            "FeatureFlag(checker)", checker, "give a function of the type, sync or async"
        )
        super().__init__(FeatureFlagOptions, {"short_circuit": True}, intents, _check)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link if the type is on; otherwise use the fallback or raise `FeatureDisabled`."""
        kind = type(envelope.message)
        on = self._checker(kind)
        if (await on if isawaitable(on) else on) is True:
            return await call_next(envelope)
        options = self._options.of(kind)
        fallback = options.get("fallback")
        if fallback is None:
            raise FeatureDisabled(kind)
        await _use_fallback(envelope, fallback)
        if not options.get("short_circuit"):
            await call_next(envelope)


async def _use_fallback(envelope: Envelope[Any], fallback: Callable[[Any], Any]) -> None:
    result = fallback(envelope.message)
    if isawaitable(result):
        result = await result
    at = envelope.bus.clock()
    envelope.add(FallbackUsed(at=at))
    envelope.add(Handled(result, "feature_flag", at=at))


def _check(options: FeatureFlagOptions) -> None:
    fallback = options.get("fallback")
    if fallback is not None:
        checked_callable("fallback", fallback, "give a function of the message, sync or async, or None")
    checked_flag("short_circuit", options.get("short_circuit"))
