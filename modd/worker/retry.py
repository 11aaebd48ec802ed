"""The retry policy of a worker: pure decisions, without a queue."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from math import inf
from typing import Any, TypeAlias

import msgspec

from modd.concurrency.backoff import Backoff, check_backoff, delays
from modd.cqrs.retry import Errors, error_types, is_retryable, requested_delays
from modd.errors import InvalidOption
from modd.ports.errors import NoTransaction

BackoffFunction: TypeAlias = Callable[[int], float]
"""A function from the number of the failed attempt, counted from 1, to the seconds before the next attempt."""


FACTOR = 3.5
"""The factor of the exponential backoff: ten attempts last for hours, which is longer than most outages."""


LONGEST_IN_TESTS = 1.0
"""Seconds: the upper limit of the delays of a named backoff in `Worker.run_until_idle`."""


MAX_DELAY = 366 * 86400.0
"""Upper limit of a delay in seconds, whatever a handler asks for."""


class RetryRules(msgspec.Struct, frozen=True):
    """The options of a worker that decide about retries: ``attempts``, ``backoff`` and ``give_up_on``."""

    attempts: int
    backoff: BackoffFunction
    give_up_on: Errors

    def delay_after(self, error: Exception, attempt: int) -> float | None:
        """Return the seconds before the next attempt; None to give up.

        A delay that the error asks for, such as that of `RetryLater`, takes precedence over the backoff.

        attempt: the number of the failed attempt, counted from 1.

        Raises: the errors of the user's backoff function.
        """
        give_up_on = (*error_types(self.give_up_on), NoTransaction)
        if attempt >= self.attempts or not is_retryable(error, (Exception,), give_up_on):
            return None
        requested = [*requested_delays(error)]
        seconds = max(requested) if requested else self.backoff(attempt)
        return min(max(0.0, seconds), MAX_DELAY)


def checked_backoff(backoff: Backoff | BackoffFunction, longest: float = MAX_DELAY) -> BackoffFunction:
    """Return a backoff as a function; longest: the limit of the delays of a named one. Raises `InvalidOption`."""
    if isinstance(backoff, str):
        check_backoff(backoff, FACTOR, 0.5)
        return lambda attempt: min(longest, next(islice(delays(backoff, FACTOR), attempt - 1, None)))
    if not callable(backoff):
        wanted = 'give "exponential", "fibonacci", "none", or a function of the attempt'
        raise InvalidOption("backoff", backoff, wanted)
    return _check_seconds(backoff)


def _check_seconds(backoff: BackoffFunction) -> BackoffFunction:
    def checked(attempt: int) -> float:
        seconds: Any = backoff(attempt)
        if not (isinstance(seconds, (int, float)) and 0 <= seconds < inf):
            raise InvalidOption("backoff", seconds, "its function is to return seconds, 0 or more")
        return float(seconds)

    return checked
