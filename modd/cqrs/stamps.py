"""Stamps: what has been noted on an envelope on its way (MI-8)."""

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
    """Base of all stamps: a frozen value that carries its time. Derive your own: ``class Priority(Stamp): level: int``.

    Set ``inherited`` for what is passed on to everything that the envelope causes, and ``local`` for what stays in the
    process: it is left out when the envelope is encoded. Both are class variables.
    """

    inherited: ClassVar[bool] = False
    local: ClassVar[bool] = False

    at: float = msgspec.field(default_factory=time)
    """When it was stamped, in seconds since 1970."""


class Identity(Stamp):
    """Who the envelope is: the id of this dispatch, of the first in its line, and of the one that caused it (MI-9)."""

    id: str
    correlation_id: str
    causation_id: str | None = None


class Handled(Stamp):
    """A handler is done, or something stood in for it: handlers are skipped when it is there before (MI-5, MI-7)."""

    result: Any = None
    handler: str = ""
    """The name of the handler, or of the middleware that stood in for it."""


class Redispatched(Stamp):
    """The envelope was dispatched before; what it carried then, without its identity (MI-10)."""

    stamps: tuple[Stamp, ...] = ()


class FromCache(Stamp):
    """The result came from the cache; its age in seconds, and whether that is past its time to live (MI-23)."""

    age: float
    stale: bool = False


class Cacheable(Stamp):
    """The result may be kept so many seconds, and served stale for so many more (MI-25, MI-26)."""

    ttl: float | None = None
    stale_ttl: float | None = None

    def __post_init__(self) -> None:
        for option, given in (("ttl", self.ttl), ("stale_ttl", self.stale_ttl)):
            if given is not None:
                checked_delay(option, given)


class Revalidating(Stamp):
    """A pass in the background that renews a stale cache entry (MI-27)."""


class Queued(Stamp):
    """The envelope was given to a queue, to be handled later (MI-54)."""


class Received(Stamp):
    """The envelope was decoded, from a queue for example: it is not given to a queue again."""

    local: ClassVar[bool] = True


class OnlyHandler(Stamp):
    """Only this handler of the message's type is to run; it is named by ``Registry.handler_names``.

    It counts on the envelope that is dispatched (``Envelope(event, OnlyHandler("notify"))``), not among the stamps that
    ``dispatch`` is given beside a message.
    """

    local: ClassVar[bool] = True

    handler: str


class FallbackUsed(Stamp):
    """The feature was off, and the result is that of the fallback (MI-51)."""


class Timings(Stamp):
    """How long it took in all, in nanoseconds (MI-48)."""

    total: int


class Retried(Stamp):
    """An attempt failed: its number, counted from 1, and the error as text (MI-38)."""

    attempt: int
    error: str


class WebhookCalled(Stamp):
    """What an endpoint answered: tries made, body and status; the status is 0 when there was no answer (MI-46)."""

    attempt: int
    text: str
    status: int


class Failed(Stamp):
    """It failed though nothing was raised; releases no events and is retried (MI-39)."""

    error: str


class Emitted(Stamp):
    """An event that a handler has emitted; it is released when all went well (MI-15)."""

    event: Message


class Actor(Stamp):
    """On whose behalf this is done; known to all that it causes."""

    inherited: ClassVar[bool] = True

    id: str
    roles: tuple[str, ...] = ()
    claims: Annotated[dict[str, Any], Sensitive] = msgspec.field(default_factory=dict)


class Tenant(Stamp):
    """For whom this is done; known to all that it causes."""

    inherited: ClassVar[bool] = True

    id: str


class Delay(Stamp):
    """A queue is to keep it back: for so many seconds, or until a time in seconds since 1970."""

    seconds: float | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) is (self.until is None):
            raise InvalidOption("Delay", (self.seconds, self.until), "give either seconds or until")
        checked_delay("seconds" if self.until is None else "until", self.seconds if self.until is None else self.until)


class UnknownStamp(Stamp, tag=False):
    """A stamp of a type that is not known here, kept as it came."""

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
    """Return the stamps that an envelope lists beside its ids."""
    return [stamp for stamp in stamps if not isinstance(stamp, Identity)]


def last_of_each(stamps: Iterable[Stamp]) -> list[Stamp]:
    """Return the last stamp of each type, in the order in which these were added."""
    last: dict[type, Stamp] = {}
    for stamp in stamps:
        last.pop(type(stamp), None)
        last[type(stamp)] = stamp
    return [*last.values()]
