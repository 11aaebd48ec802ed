"""Background work of a typed bus: it goes on after the dispatch that started it, and ends with the bus."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from modd.concurrency.cancellation import call
from modd.core import detached
from modd.ports.transaction import open_transaction


class Background:
    """Tasks beside their owner; leaving the block waits for them.

    An error of a task is logged and ends no other task.

    owner: the name in the log.
    drain: seconds that leaving waits for running tasks before it cancels them.
    """

    def __init__(self, owner: str, drain: float) -> None:
        self._owner, self._drain = owner, drain
        self._tasks: TaskGroup | None = None

    @property
    def open(self) -> bool:
        """True if tasks can be started."""
        return self._tasks is not None

    def start(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start a task, outside of the turn and of the transaction in which it is started."""
        assert self._tasks is not None  # the owner asks before
        transaction = open_transaction.set(None)
        try:
            with detached():
                self._tasks.start_soon(self._run, work, args)
        finally:
            open_transaction.reset(transaction)

    async def _run(self, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        try:
            await call(work, *args)
        except Exception:
            logging.getLogger(f"modd.{self._owner}").exception("work in the background of %s failed", self._owner)

    async def __aenter__(self) -> Self:
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks = tasks
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None  # __aexit__ only follows __aenter__
        self._tasks.cancel_scope.deadline = anyio.current_time() + self._drain
        try:  # running tasks may start more, and dispatch, until all of them have ended
            if isinstance(error, Exception):  # it is raised as it is, and the tasks are waited for all the same
                await self._tasks.__aexit__(None, None, None)
                return None
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            self._tasks = None
