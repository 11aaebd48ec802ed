"""Spawn: a part that creates components at run time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any

from modd.core import Accepts, Component, Message, Part, accepts_of
from modd.errors import TurnFailed
from modd.parts.base import NamedPart, Types, checked_function, checked_message_types

Components = Component | Iterable[Component] | None


_activating: ContextVar[tuple[Spawn, Component] | None] = ContextVar("modd_activating", default=None)


class Spawn(NamedPart):
    """Builds components when a message arrives, gives each of them the message, and adds them to the bus.

    Use it for one component per key, such as a cart per customer or a context per tenant:
    ``Spawn(TenantCame, lambda came: tenant_context(came.tenant))``

    on: the activating message type, or several; subclasses count. Every message of these types builds new components.
    build: ``(message) -> component``, several components in a list or generator, or None; may be async.

    Each component in turn gets the message, if it accepts it, and is then added. If a component raises, it and the
    components after it are not added, but messages that were returned before are delivered. If ``build`` raises or
    returns a value that is no component, none is added. Components that are async context managers are not entered:
    enter them in ``build``.

    Raises:
        InvalidOption: an option has a value of a wrong type.
        NotAComponent: when a message arrives, if ``build`` returns a value that is no component.
    """

    grows = True

    def __init__(self, on: Types, build: Callable[[Any], Components | Awaitable[Components]]) -> None:
        self._on = checked_message_types("on", on)
        self._build = checked_function("build", build, sync=False)
        super().__init__(of=self._on)

    async def __call__(self, message: Message, /) -> AsyncIterator[Any]:
        """Yield for each component its result, then the component itself, which the bus adds."""
        components = await self._build_components(message)
        for component, accepts in [(component, accepts_of(component)) for component in components]:
            if accepts.takes(type(message)):
                token = _activating.set((self, component))
                try:
                    yield await _await_result(component(message))
                except TurnFailed as error:
                    if self.boundary is not None:
                        yield error.outbound  # these messages left the spawned bus before it failed
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
        """The boundary of the component that is being activated: a spawned bus does not receive its own messages."""
        spawn, component = _activating.get() or (None, None)
        return component.boundary if spawn is self and isinstance(component, Part) else None

    async def _build_components(self, message: Message) -> tuple[Component, ...]:
        built = await _await_result(self._build(message))
        if built is None:
            return ()
        return tuple(built) if isinstance(built, Iterable) and not callable(built) else (built,)


async def _await_result(value: Any) -> Any:
    return await value if isawaitable(value) else value
