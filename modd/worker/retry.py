"""What is done about a failure: a pure decision."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from math import inf
from typing import Any, TypeAlias

import msgspec

from modd.concurrency.backoff import Backoff, check_backoff, delays
from modd.cqrs.errors import text_of
from modd.cqrs.retry import Errors, error_types, is_retryable, requested_delays
from modd.errors import InvalidOption
from modd.ports.errors import NoTransaction
from modd.worker.errors import NotedFailure

Seconds: TypeAlias = Callable[[int], float]
"""How long to wait after an attempt of this number, in seconds."""


FARTHEST = 366 * 86400.0
"""No delay is longer, in seconds, whatever a handler asks for."""


class Outcome(msgspec.Struct, frozen=True):
    """delay: try again after so many seconds; None to bury it. reason: what went wrong."""

    delay: float | None
    reason: str


class Rules(msgspec.Struct, frozen=True):
    """When to try again: at most so many attempts, after how many seconds, and not after which errors."""

    attempts: int
    backoff: Seconds
    give_up_on: Errors

    def after(self, error: Exception, attempt: int) -> Outcome:
        """What to do about the error of this attempt, counted from 1.

        What it asks for itself counts more than the backoff. Raises what a backoff of the user's own raises.
        """
        hopeless = (*error_types(self.give_up_on), NoTransaction)
        if attempt >= self.attempts or not is_retryable(error, (Exception,), hopeless):
            return Outcome(None, reason_of(error))
        wanted = [*requested_delays(error)]
        seconds = max(wanted) if wanted else self.backoff(attempt)
        return Outcome(min(max(0.0, seconds), FARTHEST), reason_of(error))


def checked_backoff(given: Backoff | Seconds) -> Seconds:
    """A function from attempt to seconds. Raises `InvalidOption`."""
    if not isinstance(given, str) and callable(given):
        return _checking(given)
    if not isinstance(given, str):
        raise InvalidOption("backoff", given, 'give "exponential", "fibonacci", "none", or a function of the attempt')
    check_backoff(given, 1.5, 0.5)
    return lambda attempt: next(islice(delays(given), attempt - 1, None))


def reason_of(error: Exception) -> str:
    """What people are told: the error, what was noted on it, and the same of each error in a group.

    It can be kept and logged, whatever the error is: half a character is shown by its number.
    """
    lines = [_told(error), *getattr(error, "__notes__", ())]
    if isinstance(error, ExceptionGroup):
        lines += map(reason_of, error.exceptions)
    return "\n".join(lines).encode(errors="backslashreplace").decode()


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, NotedFailure) else text_of(error)


def _checking(seconds: Seconds) -> Seconds:
    def checked(attempt: int) -> float:
        given: Any = seconds(attempt)
        if not (isinstance(given, (int, float)) and 0 <= given < inf):
            raise InvalidOption("backoff", given, "its function is to return seconds, 0 or more")
        return float(given)

    return checked
