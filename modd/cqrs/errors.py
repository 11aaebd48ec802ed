"""Errors of typed buses and middleware."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modd.errors import (
    AlreadyOpen,
    InvalidOption,
    ModdError,
    MultipleHandlers,
    NoHandler,
    NotAMessage,
    NotAnswered,
    UnresolvedAnnotation,
    describe,
)


class Forbidden(ModdError, PermissionError):
    """The actor may not do this."""

    def __init__(self, intent: type, actor: str | None, reason: str) -> None:
        self.intent, self.actor, self.reason = intent, actor, reason
        super().__init__(f"{actor or 'nobody'} may not {intent.__qualname__}: {reason}")


class FeatureDisabled(ModdError, RuntimeError):
    """The feature is off, and there is no fallback."""

    def __init__(self, intent: type) -> None:
        self.intent = intent
        super().__init__(f"{intent.__qualname__} is switched off; give FeatureFlag a fallback for it, or switch it on")


class LockTimeout(ModdError, TimeoutError):
    """Other processes or tasks held the lock until the timeout."""

    def __init__(self, key: str, timeout: float) -> None:
        self.key, self.timeout = key, timeout
        super().__init__(f"the lock {key!r} was not free within {timeout:g} s; try again later, or wait longer")


class DispatchTimeout(ModdError, TimeoutError):
    """The dispatch took longer than its timeout."""

    def __init__(self, intent: type, seconds: float) -> None:
        self.intent, self.seconds = intent, seconds
        super().__init__(f"{intent.__qualname__} took longer than {seconds:g} s and was cancelled")


class RateLimited(ModdError, RuntimeError):
    """The limit of dispatches in a period is reached; ``retry_after`` is in seconds."""

    def __init__(self, intent: type, retry_after: float) -> None:
        self.intent, self.retry_after = intent, retry_after
        super().__init__(f"too many {intent.__qualname__}; try again in {retry_after:.3g} s")


class CircuitOpen(ModdError, RuntimeError):
    """The intent failed so often lately that it is not tried now; ``retry_after`` is in seconds."""

    def __init__(self, intent: type, retry_after: float) -> None:
        self.intent, self.retry_after = intent, retry_after
        super().__init__(f"{intent.__qualname__} failed too often and is not tried for {retry_after:.3g} s")


__all__ = [
    "CircuitOpen",
    "DispatchTimeout",
    "FeatureDisabled",
    "Forbidden",
    "GiveUp",
    "HandlersFailed",
    "InvalidHandler",
    "InvalidIntent",
    "InvalidMiddleware",
    "LockTimeout",
    "NoHandler",
    "NotAnswered",
    "NotOpen",
    "RateLimited",
    "RetryLater",
    "Sealed",
    "Undecodable",
    "UnsafeOrder",
    "WrongBus",
]


class InvalidIntent(ModdError, ValueError):
    """Data, a field or a result does not fit the intent; ``errors`` has a path and a message for each error."""

    def __init__(self, intent: type, errors: Sequence[tuple[str, str]]) -> None:
        self.intent, self.errors = intent, tuple(errors)
        lines = "; ".join(f"{path}: {message}" for path, message in self.errors)
        super().__init__(f"{intent.__qualname__} is not valid: {lines}")


class Undecodable(ModdError, ValueError):
    """Bytes are no envelope of the registered types; ``reason`` is the error of the decoder."""

    def __init__(self, reason: Exception, known: Iterable[str]) -> None:
        self.reason = reason
        text = f"no type {reason}" if isinstance(reason, KeyError) else str(reason)
        super().__init__(f"these bytes are no envelope: {text}; the codec knows: {', '.join(known) or 'no types'}")


class InvalidHandler(ModdError, TypeError):
    """A callable cannot handle the intent that it was registered for."""

    def __init__(self, handler: str, reason: str) -> None:
        self.handler, self.reason = handler, reason
        super().__init__(f"{handler} cannot be a handler: {reason}")


class InvalidMiddleware(ModdError, TypeError):
    """An object given to a typed bus as middleware cannot be one."""

    def __init__(self, middleware: object) -> None:
        self.middleware = middleware
        super().__init__(
            f"{describe(middleware)} cannot be a middleware; give an `async def middleware(envelope, call_next)` "
            "or an object with such a __call__, multiple middleware in a list"
        )


class Sealed(ModdError, RuntimeError):
    """A change of a typed bus after its check: on opening, at its first dispatch, or by ``check()``."""

    def __init__(self, bus: str, action: str) -> None:
        self.bus, self.action = bus, action
        super().__init__(f"{bus} is in use: {action} before it is opened and before its first dispatch")


class NotOpen(ModdError, RuntimeError):
    """A typed bus with work in the background was used before it was opened, or got new work while it was closing."""

    def __init__(self, bus: str, because: Iterable[str], closing: bool = False) -> None:
        self.bus, self.because = bus, tuple(because)
        cure = "is closing, so it takes no new work; do the work at once, or leave it"
        if not closing:
            cure = f"is not open; dispatch inside `async with {bus}:`, or of the bus around it"
        super().__init__(f"{bus} has work for the background ({', '.join(self.because)}) and {cure}")


class WrongBus(ModdError, TypeError):
    """A type or a middleware does not go with this kind of typed bus."""

    def __init__(self, subject: str, bus: str, reason: str) -> None:
        self.subject, self.bus, self.reason = subject, bus, reason
        super().__init__(f"{subject} in {bus}: {reason}")


class UnsafeOrder(ModdError, ValueError):
    """A middleware is outside a middleware that it makes useless, such as a cache outside an authorizer."""

    def __init__(self, outer: str, inner: str, bus: str, reason: str) -> None:
        self.outer, self.inner, self.bus, self.reason = outer, inner, bus, reason
        super().__init__(f"{bus}: {outer} is outside {inner}: {reason}; give {inner} before {outer}")


class GiveUp(ModdError):
    """For handlers to raise: the work will never succeed, so do not retry it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RetryLater(ModdError):
    """For handlers to raise: the work may succeed after this many seconds, so retry it then."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        self.seconds = seconds
        super().__init__(reason or f"try again in {seconds:g} s")


class HandlersFailed(ModdError, ExceptionGroup[Exception]):
    """Multiple handlers of one intent failed; every handler has run to its end."""

    def derive(self, excs: Sequence[Exception]) -> HandlersFailed:  # type: ignore[override]  # typeshed: any subclass
        """Return the same group with other errors."""
        return HandlersFailed(self.message, excs)


def text_of(error: BaseException) -> str:
    """Return type and text of an error, for a stamp: a text that can be encoded, whatever the error is."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as failure:
        return f"{name}, whose text raises {type(failure).__name__}"
    return (f"{name}: {text}" if text else name).encode(errors="backslashreplace").decode()  # half a character, perhaps


MISUSE: tuple[type[Exception], ...] = (
    InvalidIntent,
    InvalidHandler,
    InvalidMiddleware,
    Sealed,
    NotOpen,
    WrongBus,
    UnsafeOrder,
    Forbidden,
    FeatureDisabled,
    Undecodable,
    AlreadyOpen,
    InvalidOption,
    NoHandler,
    NotAMessage,
    NotAnswered,
    MultipleHandlers,
    UnresolvedAnnotation,
    GiveUp,
)
"""Errors that every attempt would raise again: never retried."""
