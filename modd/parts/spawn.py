"""Spawn: components that come into being when they are needed (MO-18)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any

from modd.core import Accepts, Component, Message, Part, accepts_of
from modd.errors import TurnFailed
from modd.parts.base import NamedPart, Types, checked_function, checked_types

Built = Component | Iterable[Component] | None


_activating: ContextVar[tuple[Spawn, Component] | None] = ContextVar("modd_activating", default=None)


class Spawn(NamedPart):
    """Builds components on an activating message, gives it to each, and adds them to the bus (MO-18).

    Use it for what exists once per something: a cart per customer, a context per tenant.
    ``Spawn(TenantCame, lambda came: tenant_context(came.tenant))``

    on: the activating message type, or several; subclasses count. Each such message builds anew.
    build: ``(message) -> component``, several in a list or generator, or None; it may be async.

    One after another each component is activated, if it accepts the message, then added; what it gives back is kept.
    When one fails to be activated, it and those after it are not added; when ``build`` fails or gives something that
    is no component, none is. Components that are async context managers are not entered: enter them where you build.
    Raises `InvalidOption`; when activated, whatever ``build`` and the components raise, `NotAComponent` among it.
    """

    def __init__(self, on: Types, build: Callable[[Any], Built | Awaitable[Built]]) -> None:
        self._on = checked_types("on", on)
        self._build = checked_function("build", build, sync=False)
        super().__init__(of=self._on)

    async def __call__(self, message: Message, /) -> AsyncIterator[Any]:
        """Yield what each component gives back, then the component itself."""
        components = await self._built(message)
        for component, accepts in [(component, accepts_of(component)) for component in components]:
            if accepts.takes(type(message)):
                token = _activating.set((self, component))
                try:
                    yield await _result(component(message))
                except TurnFailed as error:
                    if self.boundary is not None:
                        yield error.outbound  # it left the spawned bus, whatever failed besides
                    raise
                finally:
                    _activating.reset(token)
            yield component

    @property
    def accepts(self) -> Accepts:
        """The activating types."""
        return Accepts(self._on)

    @property
    def boundary(self) -> Part | None:
        """That of the component which is being activated: a spawned bus does not get back what it lets out."""
        spawn, component = _activating.get() or (None, None)
        return component.boundary if spawn is self and isinstance(component, Part) else None

    async def _built(self, message: Message) -> tuple[Component, ...]:
        built = await _result(self._build(message))
        if built is None:
            return ()
        return tuple(built) if isinstance(built, Iterable) and not callable(built) else (built,)


async def _result(given: Any) -> Any:
    return await given if isawaitable(given) else given
