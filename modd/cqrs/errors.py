"""Errors of typed buses and middleware."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modd.errors import (
    AlreadyOpen,
    ErrorGroup,
    InvalidOption,
    ModdError,
    MultipleHandlers,
    NoHandler,
    NotAMessage,
    NotAnswered,
    UnresolvedAnnotation,
)
from modd.texts import describe


class Forbidden(ModdError, PermissionError):
    """The actor may not dispatch this intent.

    intent: the type of the intent.
    actor: the id of the actor; None if the envelope has no `Actor` stamp.
    reason: the rule that refused, or that there is none, as a text.

    Dispatch with an `Actor` stamp that the rule allows, or give `Authorizer` a rule for the type. A retry does not
    help.
    """

    def __init__(self, intent: type, actor: str | None, reason: str) -> None:
        self.intent, self.actor, self.reason = intent, actor, reason
        refused = f"{actor} may not {intent.__qualname__}: {reason}"
        cure = "dispatch with an Actor stamp, or give Authorizer a rule that needs none"
        super().__init__(
            f"no actor was given for {intent.__qualname__}: {reason}; {cure}" if actor is None else refused
        )


class FeatureDisabled(ModdError, RuntimeError):
    """The feature is off, and there is no fallback.

    intent: the type of the intent.

    Switch the feature on, or give `FeatureFlag` a ``fallback`` for the type.
    """

    def __init__(self, intent: type) -> None:
        self.intent = intent
        super().__init__(f"{intent.__qualname__} is switched off; give FeatureFlag a fallback for it, or switch it on")


class LockTimeout(ModdError, TimeoutError):
    """Other processes or tasks held the lock until the timeout.

    key: the name of the lock.
    timeout: the seconds for which the dispatch tried.

    Try again later, or give `Lock` a longer ``timeout``.
    """

    def __init__(self, key: str, timeout: float) -> None:
        self.key, self.timeout = key, timeout
        super().__init__(f"the lock {key!r} was not free within {timeout:g} s; try again later, or wait longer")


class DispatchTimeout(ModdError, TimeoutError):
    """The dispatch took longer than its timeout, and was cancelled.

    intent: the type of the intent.
    seconds: the time limit.

    Retry it if its handler may run twice, or give `Timeout` more ``seconds``.
    """

    def __init__(self, intent: type, seconds: float) -> None:
        self.intent, self.seconds = intent, seconds
        super().__init__(f"{intent.__qualname__} took longer than {seconds:g} s and was cancelled")


class RateLimited(ModdError, RuntimeError):
    """The limit of dispatches in a period is reached.

    intent: the type of the intent.
    retry_after: seconds until the next dispatch may begin; try again then.
    """

    def __init__(self, intent: type, retry_after: float) -> None:
        self.intent, self.retry_after = intent, retry_after
        super().__init__(f"too many {intent.__qualname__}; try again in {retry_after:.3g} s")


class CircuitOpen(ModdError, RuntimeError):
    """The intent failed so often lately that it is not tried now.

    intent: the type of the intent.
    retry_after: seconds until a dispatch is tried; try again then, and look for the cause in the service that the
        handler calls.
    """

    def __init__(self, intent: type, retry_after: float) -> None:
        self.intent, self.retry_after = intent, retry_after
        super().__init__(f"{intent.__qualname__} failed too often and is not tried for {retry_after:.3g} s")


__all__ = [
    "CircuitOpen",
    "DispatchEnded",
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
    "Unencodable",
    "UnknownType",
    "UnsafeOrder",
    "WrongBus",
    "WrongEnvelope",
]


class InvalidIntent(ModdError, ValueError):
    """Data, a field or a result does not fit the intent.

    intent: the type of the intent.
    errors: a path, such as ``$.name``, and a message for each error; correct the data there.
    """

    def __init__(self, intent: type, errors: Sequence[tuple[str, str]]) -> None:
        self.intent, self.errors = intent, tuple(errors)
        lines = "; ".join(f"{path}: {message}" for path, message in self.errors)
        super().__init__(f"{intent.__qualname__} is not valid: {lines}")


class Undecodable(ModdError, ValueError):
    """Bytes are no envelope of the registered types, or no message of them.

    reason: the error of the decoder, without their values; a ``KeyError`` for an unknown name.
    known: the names of the types that the codec knows, in the text.
    name, version: those of the message on the wire; "" and 0, the default, if the bytes do not tell them.
    form: "envelope", the default, or "message", in the text.

    With a name, the fields have changed and the version has not, or an upcaster fails: give the type a higher
    ``schema_version`` and the codec an upcaster, or mend that. Without a name, give both sides the same ``format``.
    """

    def __init__(
        self, reason: Exception, known: Iterable[str], name: str = "", version: int = 0, form: str = "envelope"
    ) -> None:
        self.reason, self.name, self.version = reason, name, version
        super().__init__(f"{self._describe(reason, form)}; the codec knows: {', '.join(known) or 'no types'}")

    def _describe(self, reason: Exception, form: str) -> str:
        if not self.name:
            return f"these bytes are no {form}: {reason}"
        cure = "give a changed type a higher schema_version and an upcaster, or mend the upcaster"
        return f"these bytes are no {form} of version {self.version} of {self.name}: {reason}; {cure}"


class UnknownType(Undecodable):
    """An envelope has a message of a type, or of a version of it, that is not known here.

    name, version: those of the message on the wire.
    reason: a ``KeyError`` for an unknown name, else an error with the limit of the versions.
    known: the names of the types that are known, in the text.

    A worker leaves such a message to workers that know it. Give the worker a handler, or a codec that knows the type:
    add the type, or an upcaster for its old name or version, to the `Codec`.
    """

    def __init__(self, name: str, version: int, reason: Exception, known: Iterable[str]) -> None:
        super().__init__(reason, known, name, version)

    def _describe(self, reason: Exception, form: str) -> str:
        text = f"no type {self.name!r}" if isinstance(reason, KeyError) else str(reason)
        return f"{text}; give the worker a handler, or a codec that knows it"


class Unencodable(ModdError, ValueError):
    """A message or a stamp has a value that a codec could not decode again, or that would come back changed.

    kind: the type of the message or stamp.
    field: the path of the value in it, such as ``.mean``.
    reason: the limit that the value breaks, as a text without the value.
    format: the format of the codec.

    Give the field a value of its type, within the limits of the type and of the format.
    """

    def __init__(self, kind: type, field: str, reason: str, format: str) -> None:
        self.kind, self.field, self.reason, self.format = kind, field, reason, format
        super().__init__(f"{kind.__qualname__}{field} cannot be encoded as {format}: {reason}")


class InvalidHandler(ModdError, TypeError):
    """A callable cannot handle the intent that it was registered for.

    handler: the name of the callable.
    reason: the fault and the way to mend it, as a text.
    """

    def __init__(self, handler: str, reason: str) -> None:
        self.handler, self.reason = handler, reason
        super().__init__(f"{handler} cannot be a handler: {reason}")


class InvalidMiddleware(ModdError, TypeError):
    """An object given to a typed bus as middleware cannot be a middleware.

    middleware: the object.

    Give an ``async def middleware(envelope, call_next)``, or an instance with such a ``__call__``; several of them in a
    list.
    """

    def __init__(self, middleware: object) -> None:
        self.middleware = middleware
        super().__init__(
            f"{describe(middleware)} cannot be a middleware; give an `async def middleware(envelope, call_next)` "
            "or an object with such a __call__, multiple middleware in a list"
        )


class DispatchEnded(ModdError, RuntimeError):
    """A dispatch was used after its end, by a task that it left running or by a function that was stored.

    call: the refused call, ``"emit"`` or ``"call_next"``.
    intent: the type of the message.
    bus: the name of the bus.
    """

    def __init__(self, call: str, intent: type, bus: str) -> None:
        self.call, self.intent, self.bus = call, intent, bus
        super().__init__(
            f"{call} after the dispatch of {intent.__qualname__} in {bus} has ended; do it before the handlers and the "
            "middleware return, or dispatch a message of its own"
        )


class WrongEnvelope(ModdError, TypeError):
    """A middleware called the rest of the chain with another value than the envelope that it was given.

    value: that value.
    bus: the name of the bus.
    """

    def __init__(self, value: object, bus: str) -> None:
        self.value, self.bus = value, bus
        super().__init__(
            f"a middleware of {bus} gave call_next {describe(value)}; give it the envelope that the middleware was "
            "given. To handle another message, dispatch it in place of calling call_next"
        )


class Sealed(ModdError, RuntimeError):
    """A typed bus was changed after its check, when no change is allowed any more.

    A bus is checked when it is opened, at its first dispatch, and by ``check()``.

    bus: the name of the bus.
    action: the refused change, as an instruction such as "register handlers"; do it before the check.
    """

    def __init__(self, bus: str, action: str) -> None:
        self.bus, self.action = bus, action
        super().__init__(f"{bus} is in use: {action} before it is opened and before its first dispatch")


class NotOpen(ModdError, RuntimeError):
    """A typed bus with work in the background was used before it was opened, or got new work while it was closing.

    bus: the name of the bus.
    because: the kinds of work that need an open bus.
    closing: True if the bus is closing; by default False, and it is not open.
    declared: False if no middleware of the bus has a text ``background_work``; by default True.

    Dispatch inside ``async with bus:``, of this bus or of the bus around it. While it is closing, do the work at once,
    or leave it.
    """

    def __init__(self, bus: str, because: Iterable[str], closing: bool = False, declared: bool = True) -> None:
        self.bus, self.because = bus, tuple(because)
        cure = "is closing, so it takes no new work; do the work at once, or leave it"
        if not closing:
            cure = f"is not open; dispatch inside `async with {bus}:`, or of the bus around it"
        if not declared:
            cure = "is not ready for it; give the middleware that starts it a text background_work, which names it"
        super().__init__(f"{bus} has work for the background ({', '.join(self.because)}) and {cure}")


class WrongBus(ModdError, TypeError):
    """A type or a middleware does not go with this kind of typed bus.

    subject: the type or the middleware, as a text.
    bus: the name of the bus.
    reason: the reason and the bus to use instead, as a text.
    """

    def __init__(self, subject: str, bus: str, reason: str) -> None:
        self.subject, self.bus, self.reason = subject, bus, reason
        super().__init__(f"{subject} in {bus}: {reason}")


class UnsafeOrder(ModdError, ValueError):
    """A middleware is outside a middleware that it makes useless, such as a cache outside an authorizer.

    outer, inner: the names of the two middleware.
    bus: the name of the bus.
    reason: the damage that the order would do, as a text.

    List ``inner`` before ``outer``: the first middleware in the list is the outermost.
    """

    def __init__(self, outer: str, inner: str, bus: str, reason: str) -> None:
        self.outer, self.inner, self.bus, self.reason = outer, inner, bus, reason
        super().__init__(f"{bus}: {outer} is outside {inner}: {reason}; give {inner} before {outer}")


class GiveUp(ModdError):
    """For handlers to raise: the work will never succeed, so do not retry it.

    reason: the text of the error; a worker stores it with the dead letter.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RetryLater(ModdError):
    """For handlers to raise: the work may succeed later, so retry it then.

    seconds: the delay until the next attempt; it takes precedence over the backoff.
    reason: the text of the error; by default it names the delay.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        self.seconds = seconds
        super().__init__(reason or f"try again in {seconds:g} s")


class HandlersFailed(ErrorGroup):
    """Multiple handlers of one intent failed; every handler has run to its end.

    The attribute ``exceptions`` has the error of each handler. Catch single types with ``except*``.
    """

    def derive(self, excs: Sequence[Exception]) -> HandlersFailed:  # type: ignore[override]  # typeshed: any subclass
        """Return the same group with other errors."""
        derived = HandlersFailed(self.message, excs)
        derived.mask = self.mask
        return derived


MISUSE: tuple[type[Exception], ...] = (
    InvalidIntent,
    InvalidHandler,
    InvalidMiddleware,
    DispatchEnded,
    WrongEnvelope,
    Sealed,
    NotOpen,
    WrongBus,
    UnsafeOrder,
    Forbidden,
    FeatureDisabled,
    Undecodable,
    Unencodable,
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
