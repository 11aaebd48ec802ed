"""Outbound: a part that keeps the messages of a component from coming back to it (no echo)."""

from __future__ import annotations

from modd.core import Component, Part
from modd.parts.base import NamedPart


class Outbound(NamedPart):
    """Keeps the messages that a component returns from coming back to it (no echo).

    Use it for a component that both returns and accepts messages of a type, such as a socket: a message that arrived at
    the socket is not written to the socket again. To bring a frame in, send the bus a message that only this component
    accepts (``Arrived(frame)``), and let the component return its content. It is not related to the option
    ``outbound``.

    component: any component, a bus included.

    The bus recognises a returned message by its entry in the queue: an equal message of another component, even the
    same object, is delivered. So is a message that the component *sends* to the bus instead of returning it.

    Raises:
        NotAComponent: ``component`` cannot take a message.
        UnresolvedAnnotation: the annotation of its parameter cannot be resolved.
    """

    def __init__(self, component: Component) -> None:
        super().__init__(component, of=[component])

    @property
    def boundary(self) -> Part | None:
        """The part itself, so that it does not receive its own messages."""
        return self
