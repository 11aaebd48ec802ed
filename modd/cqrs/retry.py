"""Attempts: one that fails by an error or a stamp, and the decision whether a failure is worth a further one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from modd.concurrency.cancellation import call
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import MISUSE, CircuitOpen, RateLimited, RetryLater
from modd.cqrs.stamps import Failed
from modd.errors import Deadlock, InvalidOption, TurnOverflow
from modd.texts import errors_in

Errors: TypeAlias = tuple[type[Exception], ...] | type[Exception]
"""A type of errors, or a tuple of them."""


NEVER: tuple[type[Exception], ...] = (*MISUSE, Deadlock, TurnOverflow)
"""Errors that no further attempt can cure."""


def check_errors(option: str, errors: Any) -> None:
    """Raise `InvalidOption` for anything but a type of errors or a tuple of them."""
    if not all(isinstance(each, type) and issubclass(each, Exception) for each in error_types(errors)):
        raise InvalidOption(option, errors, "give a type derived from Exception, or a tuple of them")


def error_types(errors: Any) -> tuple[Any, ...]:
    """Return a tuple of error types, for a single one too."""
    return errors if isinstance(errors, tuple) else (errors,)


def is_retryable(failure: Exception | Failed, retry_on: Errors, give_up_on: Errors) -> bool:
    """Return True if a further attempt may succeed; for a group, if it may for at least one error."""
    gives_up = (*NEVER, *error_types(give_up_on))
    if isinstance(failure, BaseException) and any(isinstance(each, TurnOverflow) for each in errors_in(failure)):
        return False  # it ends the surrounding turns as well, even if it is caught
    pending: list[tuple[BaseException | Failed, Errors]] = [(failure, retry_on)]
    while pending:  # without recursion, because groups may be deeper than the stack
        each, wanted = pending.pop()
        if isinstance(each, gives_up):
            continue
        if not isinstance(each, BaseExceptionGroup):
            if isinstance(each, (Failed, RetryLater, *error_types(wanted))):
                return True
            continue
        inner: Errors = (Exception,) if isinstance(each, wanted) else wanted
        pending += [(error, inner) for error in each.exceptions]
    return False


def requested_delays(failure: BaseException | Failed) -> Iterator[float]:
    """Yield the seconds that the errors in a failure ask to wait."""
    for each in errors_in(failure) if isinstance(failure, BaseException) else ():
        if isinstance(each, RetryLater):
            yield each.seconds
        if isinstance(each, (CircuitOpen, RateLimited)):
            yield each.retry_after


class FailedByStamp(Exception):
    """Ends the block around an attempt that failed without an error, so that its writes are rolled back."""


async def attempt(envelope: Envelope[Any], call_next: Next) -> None:
    """Call the next link of a chain; raise `FailedByStamp` if it failed by a new `Failed` stamp, without an error."""
    before = len(envelope.all(Failed))
    await call(call_next, envelope)
    if len(envelope.all(Failed)) > before:
        raise FailedByStamp
