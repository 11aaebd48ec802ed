"""Opening: components that hold something are entered with the bus and left in reverse (MO-16)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self, cast

from modd.core.component import inside
from modd.core.routing import Wiring
from modd.errors import AlreadyOpen


class Openable(Wiring):
    """A wiring that is opened with ``async with``, around everything that uses it.

    One that holds no async context manager needs no opening. What is added to an open bus is entered by who adds it.
    """

    _opened: AsyncExitStack | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is open, by itself or with a bus around."""
        return self._opened is not None

    async def __aenter__(self) -> Self:
        """Enter every component inside, to any depth, that is an async context manager; each once, in their order.

        Raises `AlreadyOpen` when this bus or one inside is open; what had been entered is left again on any error.
        """
        async with AsyncExitStack() as stack:
            for component in inside(self):
                if isinstance(component, Openable):
                    component._open(stack)
                elif hasattr(type(component), "__aenter__"):
                    await stack.enter_async_context(cast(AbstractAsyncContextManager[Any], component))
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Leave what was entered, in reverse."""
        assert self._opened is not None  # only reached after __aenter__
        return await self._opened.__aexit__(kind, error, trace)

    def _open(self, stack: AsyncExitStack) -> None:
        if self._opened is not None:
            raise AlreadyOpen(self.name)
        self._opened = stack
        stack.callback(self._close)

    def _close(self) -> None:
        self._opened = None
