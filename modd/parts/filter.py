"""Filter: a part that passes only some messages to a component."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modd.core import Accepts, Component, Failure, Message
from modd.parts.base import NamedPart, Types, checked_function, checked_message_types, narrow, require_sync


class Filter(NamedPart):
    """Passes fewer messages to a component than it accepts: by type, by content or both (Rx: filter, ofType).

    Use it to compose a component that you cannot or do not want to change: ``Filter(mailer, deny=Refunded)``,
    ``Filter(shipping, where=lambda order: order.weight < 30)``.

    component: any component; the boundary of a bus is passed on.
    allow: a message type or several; only these and their subclasses pass. None, the default, allows all types.
    deny: a message type or several that do not pass, even if allowed; by default none.
    where: ``(message) -> bool``, not async, called for each message that passes by type; None, the default, passes all.

    A message that is filtered by type counts as not accepted, so an observer can report that it was not received. A
    failure is handled if it passes and the component handles failures; a failure that ``where`` rejects stays
    unhandled.

    Raises:
        InvalidOption: an option has a value of a wrong type.
        NotAComponent: ``component`` cannot take a message.
        UnresolvedAnnotation: the annotation of its parameter cannot be resolved.
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
        self._allow = (Message,) if allow is None else checked_message_types("allow", allow, least=0)
        self._deny = checked_message_types("deny", deny, least=0)
        self._where = where and checked_function("where", where)

    def __call__(self, message: Any, /) -> Any:
        """Pass the message to the component, or drop it. An error of ``where`` is raised."""
        if not isinstance(message, self._allow) or isinstance(message, self._deny):
            return None
        if self._where is None or require_sync("where", self._where, self._where(message)):
            return self._inside[0].call(message)
        if isinstance(message, Failure) and self.accepts.handles_failures:
            raise message.error  # to return nothing would count as handling it
        return None

    @property
    def accepts(self) -> Accepts:
        """The types that the component accepts, without the filtered ones."""
        return narrow(super().accepts, self._allow, self._deny)
