"""Cancellations that must not get lost, because an error replaced them or because work had to be finished first.

A stray cancellation is the opposite: an asyncio `CancelledError` in a task that was not cancelled, for example because
it awaited a task that was cancelled elsewhere. It must not end the work around it, so it becomes a `StrayCancellation`.
Catch `FAILURES` where you would catch `Exception`, and turn the caught error into a failure with `failure_of`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from modd.errors import StrayCancellation

T = TypeVar("T")


CancelledError = asyncio.CancelledError
"""The cancellation of asyncio."""


FAILURES = (Exception, CancelledError)
"""The errors that may be a failure of the work; see `failure_of`."""


def failure_of(error: BaseException) -> Exception:
    """Return an error of `FAILURES` as the failure of the work: a stray cancellation becomes a `StrayCancellation`.

    Call this after the ``except`` block. Raises the error itself if it is a cancellation of this task.
    """
    if isinstance(error, Exception):
        return error
    handled = _cancellations(sys.exc_info()[1])
    if _cancel_requests() > bool(handled):
        raise error
    return StrayCancellation(error)


async def call(action: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Await an action; raises its failure, for a stray cancellation a `StrayCancellation`."""
    try:
        return await action(*args)
    except asyncio.CancelledError as error:
        cancelled = error
    try:
        raise failure_of(cancelled)
    finally:
        del cancelled  # its traceback refers to this frame


async def raise_if_cancelled(error: Exception) -> None:
    """Raise the cancellation that an error replaced, if there was one.

    Call this after the ``except`` block, or use `error_of`. Trio and anyio scopes stay cancelled and can be asked. A
    native ``task.cancel()`` is delivered once: this function finds it in the context of the error, unless the caller
    was already handling the same cancellation.
    """
    await checkpoint_if_cancelled()
    handled = _cancellations(sys.exc_info()[1])
    new = [cancelled for cancelled in _cancellations(error) if cancelled not in handled]
    if new and _cancel_requests() > bool(handled):
        raise asyncio.CancelledError(*new[0].args) from error


async def error_of(action: Callable[..., Awaitable[object]], *args: Any) -> Exception | None:
    """Run an action and return its error, if any; raise a cancellation that the error replaced."""
    raised: BaseException | None = None
    try:
        await action(*args)
    except FAILURES as error:
        raised = error
    if raised is None:
        return None
    failure = failure_of(raised)
    await raise_if_cancelled(failure)
    return failure


def native_requests() -> int:
    """Return the number of requests to cancel this task natively, when a cancellation is caught; 0 if it is a scope's.

    Call this before you wait for anything else, in which a scope may be cancelled, too.
    """
    task = _current_task()
    return task.cancelling() if task is not None and anyio.current_effective_deadline() != -inf else 0


def put_off(cancelled: BaseException, requests: int) -> None:
    """Postpone a caught cancellation to the next point at which this task waits.

    Trio and anyio scopes stay cancelled and do this by themselves. A native ``task.cancel()`` is requested again in the
    next pass of the loop, unless the block that requested it, such as ``asyncio.timeout``, has ended by then.

    requests: what `native_requests` has returned.
    """
    task = _current_task()
    if task is not None and requests:
        task.get_loop().call_soon(_request_again, task, cancelled.args, requests)


def _request_again(task: asyncio.Task[object], args: tuple[object, ...], requests: int) -> None:
    if not task.done() and task.cancelling() >= requests:
        task.uncancel()
        task.cancel(*args)


def _cancel_requests() -> int:
    task = _current_task()
    return task.cancelling() if task is not None else 0


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no asyncio loop runs here
        return None


def _cancellations(error: BaseException | None) -> list[asyncio.CancelledError]:
    """Return the cancellations among an error and its contexts, without cancellations of a time-out."""
    found: list[asyncio.CancelledError] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, TimeoutError) and isinstance(error.__cause__, asyncio.CancelledError):
            error = error.__cause__
        elif isinstance(error, asyncio.CancelledError):
            found.append(error)
        error = error.__context__
    return found
