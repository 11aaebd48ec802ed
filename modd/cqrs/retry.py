"""Which errors are worth another attempt: what retrying middleware and workers decide alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from modd.cqrs.errors import MISUSE, CircuitOpen, RateLimited, RetryLater
from modd.cqrs.stamps import Failed
from modd.errors import Deadlock, InvalidOption, TurnOverflow

Errors: TypeAlias = tuple[type[Exception], ...] | type[Exception]
"""Types of errors, or one."""


NEVER: tuple[type[Exception], ...] = (*MISUSE, Deadlock, TurnOverflow)
"""What no further attempt can mend."""


def check_errors(option: str, given: Any) -> None:
    """Raise `InvalidOption` for anything but types of errors."""
    if not all(isinstance(each, type) and issubclass(each, Exception) for each in error_types(given)):
        raise InvalidOption(option, given, "give a type derived from Exception, or a tuple of them")


def error_types(given: Any) -> tuple[Any, ...]:
    """One type of errors, or several, as several."""
    return given if isinstance(given, tuple) else (given,)


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


def asked(failure: BaseException | Failed) -> Iterator[float]:
    """For how many seconds the errors in a failure ask to wait, each that does."""
    if isinstance(failure, RetryLater):
        yield failure.seconds
    if isinstance(failure, (CircuitOpen, RateLimited)):
        yield failure.retry_after
    for each in failure.exceptions if isinstance(failure, BaseExceptionGroup) else ():
        yield from asked(each)
