"""Stamps: the notes on an envelope about its way."""

from __future__ import annotations

from collections.abc import Iterable
from time import time
from typing import Annotated, Any, ClassVar, NoReturn, dataclass_transform

import msgspec

from modd.checks import checked_delay, checked_text, is_number
from modd.core import Message, Sensitive, Value
from modd.errors import InvalidOption


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Stamp(Value, frozen=True, kw_only=True, tag=True, tag_field="$stamp"):
    """Base of all stamps: a frozen value with its time. Derive your own: ``class Priority(Stamp): level: int``.

    at: the time of stamping, in seconds since 1970; now by default, and a keyword only.

    Two class variables decide about its way, both False by default:

    - ``inherited``: True to pass the stamp on to every envelope that its envelope causes.
    - ``local``: True to keep the stamp in the process: it is not encoded with the envelope.
    """

    inherited: ClassVar[bool] = False
    local: ClassVar[bool] = False

    at: float = msgspec.field(default_factory=time)


class Identity(Stamp):
    """The ids of a dispatch; every envelope has this stamp.

    id: the id of this dispatch.
    correlation_id: the id of the first dispatch in its line.
    causation_id: the id of the dispatch that caused this one; None, the default, for the first one.
    """

    id: str
    correlation_id: str
    causation_id: str | None = None


class Handled(Stamp):
    """A handler has returned, or a middleware stood in for it; with this stamp from the start, handlers are skipped.

    result: the result, None by default.
    handler: the name of the handler, or of the middleware that stood in for it; empty by default.
    """

    result: Any = None
    handler: str = ""


class Redispatched(Stamp):
    """The envelope was dispatched before.

    stamps: the stamps that it had then, without its identity; none by default.
    """

    stamps: tuple[Stamp, ...] = ()


class FromCache(Stamp):
    """The result came from the cache.

    age: seconds since the result was stored.
    stale: True if the result is past its time to live; False by default.
    """

    age: float
    stale: bool = False


class Cacheable(Stamp):
    """The result may be cached; a handler adds the stamp to set the times for one result.

    ttl: seconds for which the result is fresh; None, the default, for the ``ttl`` of the `Cacher`.
    stale_ttl: seconds for which it may be served stale after that; None, the default, for the ``stale_ttl`` of the
        `Cacher`.

    Raises:
        InvalidOption: a time is no number of seconds, or negative.
    """

    ttl: float | None = None
    stale_ttl: float | None = None

    def __post_init__(self) -> None:
        for option, seconds in (("ttl", self.ttl), ("stale_ttl", self.stale_ttl)):
            if seconds is not None:
                checked_delay(option, seconds)


class Revalidating(Stamp):
    """The dispatch runs in the background, to renew a stale cache entry."""


class Queued(Stamp):
    """The envelope was put in a queue, to be handled later.

    duplicate: True if it was dropped, because the queue has a message with its id; None in a transaction that defers
        its writes, where the commit decides. False by default.
    """

    duplicate: bool | None = False


class Received(Stamp):
    """The envelope was decoded, for example from a queue, so that it is not queued again.

    key: the key that orders it in the queue of a worker; None, the default, for no order.
    """

    local: ClassVar[bool] = True

    key: str | None = None


class OnlyHandler(Stamp):
    """Only the handler of this name is to run.

    Add it to the envelope, ``Envelope(event, OnlyHandler("notify"))``; it has no effect as an argument of ``dispatch``.

    handler: the name of the handler, one of `TypedBus.handler_names`.
    """

    local: ClassVar[bool] = True

    handler: str

    def __post_init__(self) -> None:
        checked_text("handler", self.handler, "give the name of a handler")


class FallbackUsed(Stamp):
    """The feature was off, and the fallback of the `FeatureFlag` gave the result."""


class Timings(Stamp):
    """The duration of the dispatch, by `Logger`.

    total: nanoseconds in the links of the chain further in.
    """

    total: int


class Retried(Stamp):
    """An attempt failed; every failed attempt leaves this stamp, the last one too.

    attempt: the number of the attempt, from 1.
    error: type and text of its error, or the text of its `Failed` stamp.
    """

    attempt: int
    error: str


class WebhookCalled(Stamp):
    """The response of an endpoint to a webhook, after the last attempt.

    attempt: the number of attempts that were made; 0 if the message could not be encoded.
    text: the beginning of the body of the response (at most 4096 characters), or the error if there was no response.
    status: the HTTP status; 0 if there was no response.
    """

    attempt: int
    text: str
    status: int


class Failed(Stamp):
    """The dispatch failed without an error being raised: it releases no events and is retried.

    error: the reason, as a text.
    """

    error: str


class Emitted(Stamp):
    """An event that a handler has emitted; it is released when the dispatch has succeeded.

    event: the event.
    """

    event: Message


class Recorded(Emitted):
    """An aggregate has published an event, and recorded it in its log: no outbox needs it."""

    local: ClassVar[bool] = True


class Duplicate(Stamp):
    """A command under this id was handled before, so that it was not handled again."""

    local: ClassVar[bool] = True


class Outboxed(Stamp):
    """The events that were emitted so far are in an outbox, from which a relay passes them on.

    ids: the ids of their items.
    """

    local: ClassVar[bool] = True

    ids: tuple[str, ...]


class Actor(Stamp):
    """The user or system that the dispatch acts for; inherited by every dispatch that it causes.

    id: the id of the user or system.
    roles: the names of its roles, for rules such as ``has_role("admin")``; none by default.
    claims: further facts about it, such as the content of a token, in values that JSON has; none by default, and masked
        in logs.
    expires: the time at which it has to prove anew who it is, in seconds since 1970; None, the default, for no such
        time. A gateway ends its streams then.

    Raises:
        InvalidOption: a field has a wrong type, or cannot be encoded.
    """

    inherited: ClassVar[bool] = True

    id: str
    roles: tuple[str, ...] = ()
    claims: Annotated[dict[str, Any], Sensitive] = msgspec.field(default_factory=dict)
    expires: float | None = None

    def __post_init__(self) -> None:
        checked_text("id", self.id)
        roles: Any = self.roles
        if not isinstance(roles, (tuple, list, set, frozenset)) or not all(isinstance(role, str) for role in roles):
            raise InvalidOption("roles", roles, 'give a tuple of texts, such as ("admin",)')
        if not isinstance(self.claims, dict):
            _refuse_claims(self.claims, "this is none")
        if self.claims:
            _check_claims(self.claims)
        if self.expires is not None and not is_number(self.expires):
            raise InvalidOption("expires", self.expires, "give seconds since 1970, or None")


def _check_claims(claims: Any) -> None:
    """Raise `InvalidOption` for claims that cannot be encoded; it shows no values, because they are sensitive."""
    try:
        msgspec.json.encode(claims)
    except UnicodeEncodeError:
        _refuse_claims(claims, "a text in it has half characters (lone surrogates)")
    except (TypeError, ValueError, RecursionError) as error:
        _refuse_claims(claims, str(error))


def _refuse_claims(claims: Any, reason: str) -> NoReturn:
    raise InvalidOption(
        "claims", type(claims), f"give a dict of values that can be encoded as JSON; {reason}"
    ) from None


class Tenant(Stamp):
    """The tenant whose data the dispatch works on; inherited by every dispatch that it causes.

    id: the id of the tenant.

    Raises:
        InvalidOption: the id is no text, or cannot be encoded.
    """

    inherited: ClassVar[bool] = True

    id: str

    def __post_init__(self) -> None:
        checked_text("id", self.id)


class InFlow(Stamp):
    """A flow has sent the command that this dispatch stems from; inherited by every dispatch that it causes.

    A `modd.follower.Follower` adds it, and by it finds the instance that an event is for.

    flow: the name of the flow.
    id: the identity of its instance.

    Raises:
        InvalidOption: a field is no text, or cannot be encoded.
    """

    inherited: ClassVar[bool] = True

    flow: str
    id: str

    def __post_init__(self) -> None:
        checked_text("flow", self.flow)
        checked_text("id", self.id)


class Delay(Stamp):
    """A queue is to hold the message back; give one of the two fields.

    The bus needs the middleware `Enqueue`. Where that has ``enabled=False``, the message is handled at once.

    seconds: the delay from the moment at which the message is queued; None by default.
    until: the time at which the message is due, in seconds since 1970; None by default.

    Raises:
        InvalidOption: both fields or none are given, or a number is negative.
    """

    seconds: float | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) is (self.until is None):
            raise InvalidOption("Delay", (self.seconds, self.until), "give either seconds or until")
        if self.until is None:
            checked_delay("seconds", self.seconds, "give seconds, 0 or more; of a timedelta, its total_seconds()")
        else:
            checked_delay("until", self.until, "give seconds since 1970; of an aware datetime, its timestamp()")


class UnknownStamp(Stamp, tag=False):
    """A stamp of an unknown type, as a codec decodes it when the type is not among its ``stamps``.

    data: the fields as received, with the name of the type; they are encoded again unchanged.
    """

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
    Recorded,
    Duplicate,
    Outboxed,
    Actor,
    Tenant,
    InFlow,
    Delay,
)


def checked_stamps(stamps: tuple[Any, ...]) -> tuple[Stamp, ...]:
    """Return the stamps. Raises `InvalidOption` for anything else among them."""
    for stamp in stamps:
        if not isinstance(stamp, Stamp):
            raise InvalidOption("stamp", stamp, "give instances of types derived from modd.cqrs.Stamp")
    return stamps


def refuse_delay(stamps: Iterable[Stamp], bus: str) -> None:
    """Raise `InvalidOption` for a `Delay` on its way into a bus that queues nothing; a worker is behind the queue."""
    given = {type(stamp): stamp for stamp in stamps}
    if Delay in given and Received not in given:
        cure = f"{bus} queues nothing, so nothing would hold the message back; give it the middleware Enqueue(queue)"
        raise InvalidOption("stamp", given[Delay], cure)


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
