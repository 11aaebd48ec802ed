"""Opening a bus: the components that are async context managers are entered with it and left in reverse."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, cast

from modd.core.component import Component
from modd.errors import AlreadyOpen


class Opening:
    """The state of a bus that is open or not, and the components that were entered with it.

    name: the bus, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stack: AsyncExitStack | None = None

    @property
    def is_open(self) -> bool:
        """True while the bus is open, by itself or with a bus around it."""
        return self._stack is not None

    def open_with(self, stack: AsyncExitStack) -> None:
        """Be open until a stack is left. Raises `AlreadyOpen`."""
        if self._stack is not None:
            raise AlreadyOpen(self._name)
        self._stack = stack
        stack.callback(self._close)

    async def enter(self, components: Iterable[Component]) -> None:
        """Enter every component that is an async context manager, in their order; a bus among them is open, too.

        Raises `AlreadyOpen` when a bus is open already. On any error the components that were entered are left again.
        """
        async with AsyncExitStack() as stack:
            for component in components:
                opening = getattr(component, "opening", None)
                if isinstance(opening, Opening):
                    opening.open_with(stack)
                elif hasattr(type(component), "__aenter__"):
                    await stack.enter_async_context(cast(AbstractAsyncContextManager[Any], component))
            self._stack = stack.pop_all()

    async def leave(self, *error: Any) -> bool | None:
        """Leave the components that were entered, in reverse."""
        assert self._stack is not None  # only reached after enter
        return await self._stack.__aexit__(*error)

    def _close(self) -> None:
        self._stack = None
