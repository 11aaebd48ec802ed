"""The time between opening and closing an object: opened once, closed in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

import anyio

from modd.concurrency.blocks import async_block
from modd.concurrency.loops import check_loop, current_loop, is_over
from modd.errors import AlreadyOpen, NotEntered, OpenedInOtherTask


class Lifespan:
    """The open period of an object that is used with ``async with``; a bus or a store has one.

    In ``__aenter__``, enter resources on the stack of ``async with lifespan.opening() as stack:``; in ``__aexit__``,
    return ``await lifespan.close(kind, error, trace)``. Afterwards it can be opened again. It can be opened again, too,
    if its loop was closed meanwhile: then there is nothing left to close.

    name: the name of the owner in errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._stack: AsyncExitStack | None = None
        self._loop: Any = None
        self._task: tuple[int, str] | None = None
        """Id and name of the only task that can close it; None if any task can."""

    @property
    def is_open(self) -> bool:
        """True from the start of the opening until the last resource has been left."""
        return self._stack is not None

    @async_block
    async def opening(self) -> AsyncIterator[AsyncExitStack]:
        """Open it, with the resources and callbacks that the block puts on the stack.

        If the block fails, they are left again and it stays closed. Raises `AlreadyOpen`, `InOtherLoop`.
        """
        async with AsyncExitStack() as stack:
            self.join(stack)
            yield stack
            self._stack = stack.pop_all()

    def join(self, stack: AsyncExitStack) -> None:
        """Open it until the stack of a surrounding owner is left. Raises `AlreadyOpen`, `InOtherLoop`."""
        if self._stack is not None and not is_over(self._loop):
            check_loop(self.name, self._loop)
            raise AlreadyOpen(self.name)
        self._stack, self._loop, self._task = stack, current_loop(), None
        stack.callback(self._end)

    def bind_to_task(self) -> None:
        """Have only this task close it, because it holds tasks, which end where they were started."""
        task = anyio.get_current_task()
        self._task = task.id, str(task.name)

    def bind_like(self, inner: Lifespan) -> None:
        """Have only the task close it that can close a lifespan inside."""
        self._task = inner._task or self._task

    async def close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Leave the resources in reverse; returns True if one suppressed the error.

        Raises `NotEntered`; `OpenedInOtherTask`, and leaves it open, if only another task can close it.
        """
        if self._stack is None:
            raise NotEntered(self.name)
        if self._task is not None and self._task[0] != anyio.get_current_task().id:
            if is_over(self._loop):
                self._end()
                return None
            raise OpenedInOtherTask(self.name, self._task[1])
        return await self._stack.__aexit__(kind, error, trace)

    def _end(self) -> None:
        self._stack = self._loop = self._task = None
