"""The decision whether an error is worth a further attempt, for retrying middleware and workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from modd.cqrs.errors import MISUSE, CircuitOpen, RateLimited, RetryLater
from modd.cqrs.stamps import Failed
from modd.errors import Deadlock, InvalidOption, TurnOverflow

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
    if isinstance(failure, (*NEVER, *error_types(give_up_on))):
        return False
    if not isinstance(failure, ExceptionGroup):
        return isinstance(failure, (Failed, RetryLater, *error_types(retry_on)))
    if failure.subgroup(TurnOverflow) is not None:  # it ends the surrounding turns as well, even if it is caught
        return False
    wanted = (Exception,) if isinstance(failure, retry_on) else retry_on
    return any(is_retryable(each, wanted, give_up_on) for each in failure.exceptions)


def requested_delays(failure: BaseException | Failed) -> Iterator[float]:
    """Yield the seconds that the errors in a failure ask to wait."""
    if isinstance(failure, RetryLater):
        yield failure.seconds
    if isinstance(failure, (CircuitOpen, RateLimited)):
        yield failure.retry_after
    for each in failure.exceptions if isinstance(failure, BaseExceptionGroup) else ():
        yield from requested_delays(each)
