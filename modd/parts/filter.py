"""Filter: a component that gets some messages only (MO-14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modd.core import Accepts, Component, Failure, Message
from modd.parts.base import NamedPart, Types, at_once, checked_function, checked_types, narrowed


class Filter(NamedPart):
    """Gives a component fewer messages than it accepts, by type, by content or both (MO-14).

    Use it to compose a component that you cannot or do not want to change: ``Filter(mailer, deny=Refunded)``,
    ``Filter(shipping, where=lambda order: order.weight < 30)``.

    component: any component; the boundary of a bus is passed on.
    allow: a message type or several, the only ones to pass; subclasses count. None for all that it accepts.
    deny: a message type or several that do not pass, even if allowed.
    where: ``(message) -> bool``, not async, asked for what passes by type.

    What is held back by type is not accepted at all: nobody having received it can be reported. A failure is handled
    if it passes and the component handles failures; one that ``where`` holds back is left unhandled.
    Raises `InvalidOption`, `NotAComponent`, `UnresolvedAnnotation`.
    """

    def __init__(
        self,
        component: Component,
        *,
        allow: Types | None = None,
        deny: Types = (),
        where: Callable[[Any], bool] | None = None,
    ) -> None:
        super().__init__(component, of=[component])
        self._allow = (Message,) if allow is None else checked_types("allow", allow, least=0)
        self._deny = checked_types("deny", deny, least=0)
        self._where = where and checked_function("where", where)

    def __call__(self, message: Any, /) -> Any:
        """Give the message to the component if it passes; raises what `where` raises."""
        if not isinstance(message, self._allow) or isinstance(message, self._deny):
            return None
        if self._where is None or at_once("where", self._where, self._where(message)):
            return self._inside[0].call(message)
        if isinstance(message, Failure) and self.accepts.handles_failures:
            raise message.error  # to give nothing back would be to handle it
        return None

    @property
    def accepts(self) -> Accepts:
        """What the component accepts and the types let pass."""
        return narrowed(super().accepts, self._allow, self._deny)
