"""Opening a typed bus: what its middleware hold, and work in the background (MI-27)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from modd.checks import checked_delay
from modd.core import name_of
from modd.cqrs.background import Background
from modd.cqrs.errors import NotOpen
from modd.cqrs.registry import Registry
from modd.errors import AlreadyOpen


class Opening(Registry):
    """A registry that is opened with ``async with``, around everything that uses it, if it works in the background."""

    def __init__(self, *given: Any, close_timeout: float, **options: Any) -> None:
        checked_delay("close_timeout", close_timeout)
        self._opened: AsyncExitStack | None = None
        super().__init__(*given, **options)
        self._background = Background(self.name, close_timeout)

    @property
    def is_open(self) -> bool:
        """Whether it is open, by itself or with a bus around."""
        return self._opened is not None

    def start(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start work in the background, for middleware; it ends with the bus. Raises `NotOpen`."""
        if not self._background.open:
            raise NotOpen(self.name, [name_of(work)])
        self._background.start(work, *args)

    async def __aenter__(self) -> Self:
        """Open it: enter the middleware that hold something, and get ready for work in the background."""
        if self._opened is not None:
            raise AlreadyOpen(self.name)
        self.check()
        async with AsyncExitStack() as stack:
            self._opened = stack
            stack.callback(self._close)
            for each in self._middleware:
                if hasattr(type(each), "__aenter__"):
                    await stack.enter_async_context(each)
            await stack.enter_async_context(self._background)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Wait for the work in the background, then close the middleware."""
        assert self._opened is not None  # only reached after __aenter__
        return await self._opened.__aexit__(kind, error, trace)

    def _close(self) -> None:
        self._opened = None
        self._routes.clear()

    def _refuse_when_closed(self) -> None:
        work = [each.background_work for each in self._middleware if getattr(each, "background_work", "")]
        if work and not self._background.open:
            raise NotOpen(self.name, work)
