"""Trying again what failed (MI-36 to MI-41)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import random as random_number
from typing import Any, ClassVar, TypeAlias, TypedDict

import anyio

from modd.cancelled import raise_if_cancelled
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import MISUSE, CircuitOpen, RateLimited, RetryLater, text_of
from modd.cqrs.stamps import Failed, Retried, Stamp
from modd.errors import Deadlock, InvalidOption, TurnOverflow
from modd.message import Message
from modd.middleware.backoff import Backoff, check_backoff, delays
from modd.middleware.options import Options
from modd.ports.checks import checked_count
from modd.ports.transaction import part_here

Errors: TypeAlias = tuple[type[Exception], ...] | type[Exception]
"""Types of errors, or one."""

NEVER: tuple[type[Exception], ...] = (*MISUSE, Deadlock, TurnOverflow)
"""What no further attempt can mend."""


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


def check_errors(option: str, given: Any) -> None:
    """Raise `InvalidOption` for anything but types of errors."""
    if not all(isinstance(each, type) and issubclass(each, Exception) for each in error_types(given)):
        raise InvalidOption(option, given, "give a type derived from Exception, or a tuple of them")


def error_types(given: Any) -> tuple[Any, ...]:
    """One type of errors, or several, as several."""
    return given if isinstance(given, tuple) else (given,)


async def _failure(envelope: Envelope[Any], call_next: Next) -> Exception | Failed | None:
    """Go on, and return how that failed. A cancellation is none, even if an error has taken its place.

    What a failed attempt has written in the open transaction is dropped.
    """
    try:
        async with part_here():
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


def is_hopeful(failure: Exception | Failed, retry_on: Errors, give_up_on: Errors) -> bool:
    """Whether it is of any use to try again; of errors in a group it is enough that it is for one of them."""
    if isinstance(failure, (*NEVER, *error_types(give_up_on))):
        return False
    if not isinstance(failure, ExceptionGroup):
        return isinstance(failure, (Failed, RetryLater, *error_types(retry_on)))
    if failure.subgroup(TurnOverflow) is not None:  # it ends the turns around it as well, whoever catches it
        return False
    wanted = (Exception,) if isinstance(failure, retry_on) else retry_on
    return any(is_hopeful(each, wanted, give_up_on) for each in failure.exceptions)


def _wait(failure: Exception | Failed, backoff: float) -> float:
    """How long to wait: as long as it was asked for, by the one of several that asked for most, else the backoff."""
    return max(0.0, max(asked(failure), default=backoff))


def asked(failure: BaseException | Failed) -> Iterator[float]:
    """For how many seconds the errors in a failure ask to wait, each that does."""
    if isinstance(failure, RetryLater):
        yield failure.seconds
    if isinstance(failure, (CircuitOpen, RateLimited)):
        yield failure.retry_after
    for each in failure.exceptions if isinstance(failure, BaseExceptionGroup) else ():
        yield from asked(each)
