"""Outbound: a component that does not hear its own messages (MO-15)."""

from __future__ import annotations

from modd.core import Component, Part
from modd.parts.base import NamedPart


class Outbound(NamedPart):
    """For a component that talks outwards: its own messages do not come back to it (MO-15).

    Use it for whatever both sends messages of a type and takes them in: what came from a socket and was given to the
    bus is not sent to the socket again. To bring something in, send the bus a message that only this component
    accepts (``Arrived(frame)``) and have the component give back what is in it.

    component: any component, a bus included.

    What it gave back is known by its place in the queue, not by a mark on the message: an equal message from anybody
    else, the same object even, is given to it. So is what it *sends* to the bus in place of giving it back.
    Raises `NotAComponent`, `UnresolvedAnnotation`.
    """

    def __init__(self, component: Component) -> None:
        super().__init__(component, of=[component])

    @property
    def boundary(self) -> Part | None:
        """The part itself: what came from it is not given back to it."""
        return self
