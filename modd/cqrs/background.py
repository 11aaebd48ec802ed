"""Work that goes on after the dispatch that started it, inside an open bus and never longer (MI-27)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from modd.core import detached
from modd.ports.transaction import open_transaction


class Background:
    """Runs work beside its owner; leaving waits for what is running, and cancels what takes longer than the timeout.

    An error is logged and ends only the work that raised it.
    """

    def __init__(self, owner: str, close_timeout: float) -> None:
        self._owner, self._close_timeout = owner, close_timeout
        self._stack: AsyncExitStack | None = None
        self._tasks: TaskGroup | None = None

    @property
    def open(self) -> bool:
        """Whether work can be started."""
        return self._tasks is not None

    def start(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start work; it counts as outside of the turn and of the transaction that it is started in."""
        assert self._tasks is not None  # the owner asks before
        around = open_transaction.set(None)
        try:
            with detached():
                self._tasks.start_soon(self._run, work, args)
        finally:
            open_transaction.reset(around)

    async def _run(self, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        try:
            await work(*args)
        except Exception:
            logging.getLogger(f"modd.{self._owner}").exception("work in the background of %s failed", self._owner)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._stack is not None and self._tasks is not None  # only reached after __aenter__
        self._tasks.cancel_scope.deadline = anyio.current_time() + self._close_timeout
        try:  # work that is running may start more, and dispatch, until all of it has ended
            if isinstance(error, Exception):  # it comes out as it is, and the work is waited for all the same
                await self._stack.__aexit__(None, None, None)
                return None
            return await self._stack.__aexit__(kind, error, trace)
        finally:
            self._tasks = None
