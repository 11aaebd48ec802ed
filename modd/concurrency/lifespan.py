"""The time between opening and closing an object: opened once, closed in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType

from modd.concurrency.blocks import async_block
from modd.errors import AlreadyOpen, NotEntered


class Lifespan:
    """The open period of an object that is used with ``async with``; a bus or a store has one.

    In ``__aenter__``, enter resources on the stack of ``async with lifespan.opening() as stack:``; in ``__aexit__``,
    return ``await lifespan.close(kind, error, trace)``. Afterwards it can be opened again.

    name: the name of the owner in errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._stack: AsyncExitStack | None = None

    @property
    def is_open(self) -> bool:
        """True from the start of the opening until the last resource has been left."""
        return self._stack is not None

    @async_block
    async def opening(self) -> AsyncIterator[AsyncExitStack]:
        """Open it, with the resources and callbacks that the block puts on the stack.

        If the block fails, they are left again and it stays closed. Raises `AlreadyOpen`.
        """
        async with AsyncExitStack() as stack:
            self.join(stack)
            yield stack
            self._stack = stack.pop_all()

    def join(self, stack: AsyncExitStack) -> None:
        """Open it until the stack of a surrounding owner is left. Raises `AlreadyOpen`."""
        if self._stack is not None:
            raise AlreadyOpen(self.name)
        self._stack = stack
        stack.callback(self._end)

    async def close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Leave the resources in reverse; returns True if one suppressed the error. Raises `NotEntered`."""
        if self._stack is None:
            raise NotEntered(self.name)
        return await self._stack.__aexit__(kind, error, trace)

    def _end(self) -> None:
        self._stack = None
