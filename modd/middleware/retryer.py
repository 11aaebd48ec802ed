"""Retryer runs a failed dispatch again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import random as random_number
from typing import Any, ClassVar, TypedDict

import anyio

from modd.checks import checked_callable, checked_count
from modd.concurrency.backoff import Backoff, check_backoff, delays
from modd.concurrency.cancellation import raise_if_cancelled
from modd.core import Message, error_text, mask_secrets
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.retry import Errors, FailedByStamp, attempt, check_errors, is_retryable, requested_delays
from modd.cqrs.stamps import Failed, Retried, Stamp
from modd.middleware.deep_copy import copy_values
from modd.middleware.options import MiddlewareWithOptions
from modd.ports.transaction import savepoint_if_open
from modd.texts import encodable


class RetryerOptions(TypedDict, total=False):
    """The options of `Retryer` that may differ by type; omitted options are as in the `Retryer`.

    attempts: the number of attempts in all, at least 1.
    backoff: the delays between attempts: ``"exponential"``, ``"fibonacci"`` or ``"none"``.
    multiplier: the factor from one delay to the next; only for exponential.
    jitter: the share by which delays vary at random, from 0 to 1.
    retry_on: a type of errors to retry, or a tuple of types.
    give_up_on: a type of errors among them not to retry, or a tuple of types.
    """

    attempts: int
    backoff: Backoff
    multiplier: float
    jitter: float
    retry_on: Errors
    give_up_on: Errors


class Retryer(MiddlewareWithOptions):
    """Runs everything further in again after a failure, with a growing delay between attempts.

    Use it for handlers that fail now and then, such as calls over a network. An attempt fails by an error or by a new
    `Failed` stamp, and leaves a `Retried` stamp, the last attempt too. Every attempt starts with the stamps of the
    first one plus the `Retried` stamps, and with the message as it came: if it holds values that can be changed, such
    as a list, a further attempt gets a copy that was made before the first one. After the last attempt its error is
    raised; a `Failed` stamp of it stays.

    A handler may raise `GiveUp` for a failure that no attempt can mend, or `RetryLater` to set the delay. Errors of
    misuse, of validation and of authorization, `Deadlock` and `TurnOverflow` are not retried. A group of errors is
    retried if one of its errors is.

    attempts: the number of attempts in all, at least 1; 3 by default.
    backoff: ``"exponential"`` (default: 0.5, 0.75, 1.125 s, ...), ``"fibonacci"`` (1, 2, 3, 5, 8 s, ...) or ``"none"``.
    multiplier: the factor from one delay to the next, only for exponential; 1.5 by default.
    jitter: the share by which delays vary at random, from 0 to 1; 0.5 by default.
    retry_on: a type of errors to retry, or a tuple of types; ``Exception`` by default.
    give_up_on: a type of errors among them not to retry, or a tuple of types; by default none.
    intents: by message type, the `RetryerOptions` that differ; by default none.
    random: a function that returns a number from 0 up to 1 for the jitter; by default that of `random`.

    Raises:
        InvalidOption: an option has a value that cannot work.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
    """

    role: ClassVar[str] = "retryer"
    """Its name in the rules of order: outside of a transaction."""

    def __init__(
        self,
        *,
        attempts: int = 3,
        backoff: Backoff = "exponential",
        multiplier: float = 1.5,
        jitter: float = 0.5,
        retry_on: Errors = (Exception,),
        give_up_on: Errors = (),
        intents: Mapping[type[Message], RetryerOptions] = {},
        random: Callable[[], float] = random_number,
    ) -> None:
        self._random = checked_callable("random", random, "give a function that returns a number from 0 up to 1")
        options = RetryerOptions(
            attempts=attempts,
            backoff=backoff,
            multiplier=multiplier,
            jitter=jitter,
            retry_on=retry_on,
            give_up_on=give_up_on,
        )
        super().__init__(RetryerOptions, options, intents, _check)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link until it succeeds or no attempt is left."""
        options = self._options.of(type(envelope.message))
        start, ran, attempt, waits = envelope.all(Stamp), envelope.ran, 0, None
        message = copy_values(envelope.message)
        while (failure := await _failure(envelope, call_next)) is not None:
            attempt += 1
            retried = Retried(attempt, _text(failure, envelope.message), at=envelope.bus.clock())
            if attempt == options["attempts"] or not is_retryable(failure, options["retry_on"], options["give_up_on"]):
                envelope.add(retried)
                return _raise(failure)
            waits = waits or delays(options["backoff"], options["multiplier"], options["jitter"], self._random)
            start = (*start, retried)
            envelope.reset(start, ran=ran)
            envelope.message = copy_values(message)
            await anyio.sleep(_delay(failure, next(waits)))


async def _failure(envelope: Envelope[Any], call_next: Next) -> Exception | Failed | None:
    """Call the next link and return its failure, if any; a cancellation that became an error is raised.

    Writes of a failed attempt to the open transaction are rolled back.
    """
    try:
        async with savepoint_if_open():
            await attempt(envelope, call_next)
    except FailedByStamp:
        return envelope.last(Failed)
    except Exception as error:
        failure = error
    else:
        return None
    await raise_if_cancelled(failure)
    return failure


def _text(failure: Exception | Failed, message: Message) -> str:
    return (
        mask_secrets(encodable(failure.error), message) if isinstance(failure, Failed) else error_text(failure, message)
    )


def _raise(failure: Exception | Failed) -> None:
    if isinstance(failure, Exception):
        raise failure


def _delay(failure: Exception | Failed, backoff: float) -> float:
    """Return the seconds to wait: the longest time that an error in the failure asks for, else the backoff."""
    return max(0.0, max(requested_delays(failure), default=backoff))


def _check(options: RetryerOptions) -> None:
    checked_count("attempts", options.get("attempts"))
    check_backoff(options.get("backoff"), options.get("multiplier"), options.get("jitter"))
    check_errors("retry_on", options.get("retry_on"))
    check_errors("give_up_on", options.get("give_up_on"))
