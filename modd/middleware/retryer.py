"""Trying again what failed (MI-36 to MI-41)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import random as random_number
from typing import Any, ClassVar, TypedDict

import anyio

from modd.checks import checked_count
from modd.concurrency.backoff import Backoff, check_backoff, delays
from modd.concurrency.cancellation import raise_if_cancelled
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import text_of
from modd.cqrs.retry import Errors, asked, check_errors, is_hopeful
from modd.cqrs.stamps import Failed, Retried, Stamp
from modd.errors import InvalidOption
from modd.middleware.options import Options
from modd.ports.transaction import savepoint_if_open


class RetryerOptions(TypedDict, total=False):
    """What may differ for a type; see `Retryer`."""

    attempts: int
    backoff: Backoff
    multiplier: float
    jitter: float
    retry_on: Errors
    give_up_on: Errors


class Retryer:
    """Runs all that is further in again when it fails, after a while.

    An attempt fails by an error or by a new `Failed` stamp; each that fails leaves a `Retried` stamp, the last one too.
    Every attempt starts from the stamps that the first one saw, with those. What the last attempt raised is raised; if
    it failed by a stamp alone, nothing is, and the stamp stays.

    A handler may raise `GiveUp`, for what will never work, or `RetryLater`, to say how long to wait. Errors of misuse,
    of validation and of authorization, `Deadlock` and `TurnOverflow` are not retried. Of errors in a group it is
    enough that one is to be retried.

    attempts: how many there are in all, at least 1.
    backoff: ``"exponential"`` (0.5, 0.75, 1.125 s, ...), ``"fibonacci"`` (1, 2, 3, 5, 8 s, ...) or ``"none"``.
    multiplier: of exponential: the factor from one delay to the next. jitter: the share by which delays differ, 0 to 1.
    retry_on: the types of errors to retry, or one type. give_up_on: those among them not to retry.
    intents: by message type, what differs.
    random: numbers from 0 up to 1, for the jitter.

    Raises `InvalidOption` (MI-36 to MI-41).
    """

    role: ClassVar[str] = "retryer"

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
        if not callable(random):
            raise InvalidOption("random", random, "give a function that returns a number from 0 up to 1")
        given = RetryerOptions(
            attempts=attempts,
            backoff=backoff,
            multiplier=multiplier,
            jitter=jitter,
            retry_on=retry_on,
            give_up_on=give_up_on,
        )
        self._options: Options[Any] = Options("Retryer", RetryerOptions, given, intents, _check)
        self._random = random

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on, and again if that fails, until it does not or there is no attempt left."""
        options = self._options.of(type(envelope.message))
        start, ran, attempt, waits = envelope.all(Stamp), envelope.ran, 0, None
        while (failure := await _failure(envelope, call_next)) is not None:
            attempt += 1
            retried = Retried(attempt, _text(failure), at=envelope.bus.clock())
            if attempt == options["attempts"] or not is_hopeful(failure, options["retry_on"], options["give_up_on"]):
                envelope.add(retried)
                return _raise(failure)
            waits = waits or delays(options["backoff"], options["multiplier"], options["jitter"], self._random)
            start = (*start, retried)
            envelope.reset(start, ran=ran)
            await anyio.sleep(_wait(failure, next(waits)))


def _check(options: RetryerOptions) -> None:
    checked_count("attempts", options.get("attempts"))
    check_backoff(options.get("backoff"), options.get("multiplier"), options.get("jitter"))
    check_errors("retry_on", options.get("retry_on"))
    check_errors("give_up_on", options.get("give_up_on"))


async def _failure(envelope: Envelope[Any], call_next: Next) -> Exception | Failed | None:
    """Go on, and return how that failed. A cancellation is none, even if an error has taken its place.

    What a failed attempt has written in the open transaction is dropped.
    """
    try:
        async with savepoint_if_open():
            await _attempt(envelope, call_next)
    except _Undone:
        return envelope.last(Failed)
    except Exception as error:
        raised = error
    else:
        return None
    await raise_if_cancelled(raised)
    return raised


async def _attempt(envelope: Envelope[Any], call_next: Next) -> None:
    """Go on; raises `_Undone` when that failed and nothing was raised."""
    before = len(envelope.all(Failed))
    await call_next(envelope)
    if len(envelope.all(Failed)) > before:
        raise _Undone


class _Undone(Exception):
    """Ends a part of a transaction where nothing was raised."""


def _text(failure: Exception | Failed) -> str:
    return failure.error if isinstance(failure, Failed) else text_of(failure)


def _raise(failure: Exception | Failed) -> None:
    if isinstance(failure, Exception):
        raise failure


def _wait(failure: Exception | Failed, backoff: float) -> float:
    """How long to wait: as long as it was asked for, by the one of several that asked for most, else the backoff."""
    return max(0.0, max(asked(failure), default=backoff))
