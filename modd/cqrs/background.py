"""Background work of a typed bus: it goes on after the dispatch that started it, and ends with the bus."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from modd.concurrency.cancellation import call
from modd.concurrency.loops import check_loop, current_loop
from modd.core import detached, log_error, name_of
from modd.cqrs.errors import NotOpen
from modd.ports.transaction import open_transaction


class Background:
    """Tasks beside their owner; leaving the block waits for them.

    An error of a task is logged and ends no other task.

    owner: the name in the log.
    drain: seconds that leaving waits for running tasks before it cancels them.
    """

    def __init__(self, owner: str, drain: float) -> None:
        self.owner, self._drain = owner, drain
        self._tasks: TaskGroup | None = None
        """The group for new tasks; None before it is open, and from the moment it begins to close."""

    def start(
        self, work: Callable[..., Awaitable[Any]], *args: Any, closing: bool = False, declared: bool = True
    ) -> None:
        """Start a task, outside of the turn and of the transaction in which it is started.

        closing: True if the owner is open still, for the text of the error.
        declared: True if a middleware declares work in the background, so that the owner gets ready for it.

        Raises `NotOpen`, and `InOtherLoop` in another loop than the one that it was opened in.
        """
        if self._tasks is None:
            raise NotOpen(self.owner, [name_of(work)], closing, declared)
        check_loop(self.owner, self._loop)
        transaction = open_transaction.set(None)
        try:
            with detached():
                self._tasks.start_soon(self._run, work, args)
        finally:
            open_transaction.reset(transaction)

    async def _run(self, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        try:
            await call(work, *args)
        except Exception as error:
            log = logging.getLogger(f"modd.{self.owner}")
            messages = [getattr(each, "message", each) for each in args]  # of envelopes
            log_error(log, "work in the background of %s failed", self.owner, error=error, message=messages)

    async def __aenter__(self) -> Self:
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks, self._loop = tasks, current_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        tasks, self._tasks = self._tasks, None  # running tasks may dispatch, and start no more
        assert tasks is not None  # __aexit__ only follows __aenter__
        tasks.cancel_scope.deadline = anyio.current_time() + self._drain
        if isinstance(error, Exception):  # it is raised as it is, and the tasks are waited for all the same
            await tasks.__aexit__(None, None, None)
            return None
        return await tasks.__aexit__(kind, error, trace)
