"""Errors over HTTP: a status for each type of error, and the errors that are the client's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, isfinite
from typing import Any

from modd.cqrs import (
    CircuitOpen,
    DispatchTimeout,
    FeatureDisabled,
    Forbidden,
    InvalidIntent,
    LockTimeout,
    NoHandler,
    RateLimited,
    RetryLater,
    Undecodable,
)
from modd.errors import InvalidOption
from modd.nats import LinkLost
from modd.ports import Conflict
from modd.remote import NotServed
from modd.stores import StoreBusy

STATUSES: dict[type[Exception], int] = {
    Undecodable: 400,
    Forbidden: 403,
    NoHandler: 404,
    Conflict: 409,
    InvalidIntent: 422,
    RateLimited: 429,
    CircuitOpen: 503,
    FeatureDisabled: 503,
    LockTimeout: 503,
    RetryLater: 503,
    DispatchTimeout: 504,
}
"""The status for each error of modd that a client can do something about. Any other error is a 500 of FastAPI, but for
a store, a link or a context that is away: that is a 503, whose text goes to the log alone.

A `Forbidden` for a message without an actor is a 401, unless you give `Forbidden` a status of your own.
"""

OUTAGES: dict[type[Exception], int] = {LinkLost: 503, NotServed: 503, StoreBusy: 503}
"""The status for each error of a server or a process that is away; its text, which names them, is for the log alone."""


def checked_statuses(option: str, statuses: Any) -> dict[type[Exception], int]:
    """Return the statuses of an option as a dict. Raises `InvalidOption`."""
    table = dict(statuses) if isinstance(statuses, Mapping) else None
    if table is None or not all(_is_error(kind) and _is_status(status) for kind, status in table.items()):
        raise InvalidOption(option, statuses, "give a mapping from types of exceptions to statuses, 400 to 599")
    return table


def http_status_of(error: Exception, statuses: Mapping[type[Exception], int]) -> int | None:
    """Return the status of the error's type, or of its closest base in the table; None if it has none."""
    return next((statuses[kind] for kind in type(error).__mro__ if kind in statuses), None)


def retry_after(error: Exception) -> int | None:
    """Return the seconds after which an error says to try again; None if it has no such time."""
    seconds: Any = getattr(error, "retry_after", error.seconds if isinstance(error, RetryLater) else None)
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not isfinite(seconds):
        return None
    return max(0, ceil(seconds))


def is_of_client(error: InvalidIntent, sent: Iterable[Any]) -> bool:
    """True if an error is about a message that the client sent, not about a result or a message of a handler.

    sent: the messages that were sent for the request; without any, the request itself did not fit.
    """
    about_result = any(path.startswith("result") for path, _ in error.errors)
    kinds = [type(message) for message in sent]
    return not about_result and (not kinds or error.intent in kinds)


def _is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)


def _is_status(status: Any) -> bool:
    return isinstance(status, int) and 400 <= status <= 599
