"""What the suites share."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class Suite(Generic[T]):
    """Tests of a port; a subclass says how to make what is tested."""

    tick: float = 1.0
    """The unit of all times in the suite, in seconds. For a store with a real clock take the least that is reliable."""

    def make(self) -> AbstractAsyncContextManager[T]:
        """What is to be tested, empty, for one test: an async generator under ``@asynccontextmanager``."""
        # not abstract: pytest would pass over a class that forgot it, and all would look well
        raise NotImplementedError(f"define {type(self).__name__}.make, an async context manager that gives the store")

    async def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass for the store; here they are slept, which a virtual clock does in no time."""
        await anyio.sleep(seconds)

    async def ticks(self, number: float) -> None:
        """Let so many ticks pass."""
        await self.pass_time(number * self.tick)
