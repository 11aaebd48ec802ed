"""Stamps: the notes on an envelope about its way."""

from __future__ import annotations

from collections.abc import Iterable
from time import time
from typing import Annotated, Any, ClassVar, dataclass_transform

import msgspec

from modd.checks import checked_delay
from modd.core import Message, Sensitive, Value
from modd.errors import InvalidOption


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Stamp(Value, frozen=True, kw_only=True, tag=True, tag_field="$stamp"):
    """Base of all stamps: a frozen value with its time. Derive your own: ``class Priority(Stamp): level: int``."""

    inherited: ClassVar[bool] = False
    """True if the stamp is passed on to every envelope that its envelope causes."""
    local: ClassVar[bool] = False
    """True if the stamp stays in the process: it is not encoded with the envelope."""

    at: float = msgspec.field(default_factory=time)
    """The time of stamping, in seconds since 1970."""


class Identity(Stamp):
    """The ids of this dispatch, of the first dispatch in its line, and of the dispatch that caused it."""

    id: str
    correlation_id: str
    causation_id: str | None = None


class Handled(Stamp):
    """A handler has returned, or a middleware stood in for it; with this stamp from the start, handlers are skipped."""

    result: Any = None
    handler: str = ""
    """The name of the handler, or of the middleware that stood in for it."""


class Redispatched(Stamp):
    """The envelope was dispatched before, with these stamps beside its identity."""

    stamps: tuple[Stamp, ...] = ()


class FromCache(Stamp):
    """The result came from the cache; its age in seconds, and True for `stale` if it is past its time to live."""

    age: float
    stale: bool = False


class Cacheable(Stamp):
    """The result may be cached for `ttl` seconds, and served stale for `stale_ttl` more; None: as the cacher says."""

    ttl: float | None = None
    stale_ttl: float | None = None

    def __post_init__(self) -> None:
        for option, seconds in (("ttl", self.ttl), ("stale_ttl", self.stale_ttl)):
            if seconds is not None:
                checked_delay(option, seconds)


class Revalidating(Stamp):
    """The dispatch runs in the background, to renew a stale cache entry."""


class Queued(Stamp):
    """The envelope was put in a queue, to be handled later."""


class Received(Stamp):
    """The envelope was decoded, for example from a queue, so that it is not queued again."""

    local: ClassVar[bool] = True


class OnlyHandler(Stamp):
    """Only the handler of this name is to run, one of `TypedBus.handler_names`.

    Add it to the envelope, ``Envelope(event, OnlyHandler("notify"))``; it has no effect as an argument of ``dispatch``.
    """

    local: ClassVar[bool] = True

    handler: str


class FallbackUsed(Stamp):
    """The feature was off, and the fallback gave the result."""


class Timings(Stamp):
    """The duration of the dispatch in nanoseconds."""

    total: int


class Retried(Stamp):
    """An attempt failed: its number, counted from 1, and the error as text."""

    attempt: int
    error: str


class WebhookCalled(Stamp):
    """The answer of an endpoint: attempts made, body and status; status 0 when there was no answer."""

    attempt: int
    text: str
    status: int


class Failed(Stamp):
    """The dispatch failed without an error being raised: it releases no events and is retried."""

    error: str


class Emitted(Stamp):
    """An event that a handler has emitted; it is released when the dispatch has succeeded."""

    event: Message


class Actor(Stamp):
    """The user or system that the dispatch acts for; inherited by everything that it causes."""

    inherited: ClassVar[bool] = True

    id: str
    roles: tuple[str, ...] = ()
    claims: Annotated[dict[str, Any], Sensitive] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        roles: Any = self.roles
        if not isinstance(roles, (tuple, list, set, frozenset)) or not all(isinstance(role, str) for role in roles):
            raise InvalidOption("roles", roles, 'give a tuple of texts, such as ("admin",)')


class Tenant(Stamp):
    """The tenant whose data the dispatch works on; inherited by everything that it causes."""

    inherited: ClassVar[bool] = True

    id: str


class Delay(Stamp):
    """A queue is to hold the message back: for `seconds`, or `until` a time in seconds since 1970."""

    seconds: float | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) is (self.until is None):
            raise InvalidOption("Delay", (self.seconds, self.until), "give either seconds or until")
        checked_delay("seconds" if self.until is None else "until", self.seconds if self.until is None else self.until)


class UnknownStamp(Stamp, tag=False):
    """A stamp of an unknown type, with its data as received."""

    data: dict[str, Any]


BUILT_IN: tuple[type[Stamp], ...] = (
    Identity,
    Handled,
    Redispatched,
    FromCache,
    Cacheable,
    Revalidating,
    Queued,
    Received,
    OnlyHandler,
    FallbackUsed,
    Timings,
    Retried,
    WebhookCalled,
    Failed,
    Emitted,
    Actor,
    Tenant,
    Delay,
)


def checked_stamps(stamps: tuple[Any, ...]) -> tuple[Stamp, ...]:
    """Return the stamps. Raises `InvalidOption` for anything else among them."""
    for stamp in stamps:
        if not isinstance(stamp, Stamp):
            raise InvalidOption("stamp", stamp, "give instances of types derived from modd.cqrs.Stamp")
    return stamps


def without_identity(stamps: Iterable[Stamp]) -> list[Stamp]:
    """Return the stamps without those that hold the ids."""
    return [stamp for stamp in stamps if not isinstance(stamp, Identity)]


def last_of_each(stamps: Iterable[Stamp]) -> list[Stamp]:
    """Return the last stamp of each type, in the order in which these were added."""
    last: dict[type, Stamp] = {}
    for stamp in stamps:
        last.pop(type(stamp), None)
        last[type(stamp)] = stamp
    return [*last.values()]
