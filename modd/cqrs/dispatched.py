"""What a dispatch comes back with (MI-5)."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Handled
from modd.message import Message
from modd.origin import Caused

R = TypeVar("R")


class Dispatched(msgspec.Struct, Generic[R], frozen=True, eq=False):
    """The envelope after its way, the result, and the events that were released."""

    envelope: Envelope[Any]
    result: R
    """The result of the last handler; None when there is none (a middleware stopped it, or it was queued)."""
    events: tuple[Message, ...] = ()
    """What was released; inside a `Bus` it flows on there by itself."""

    @property
    def results(self) -> tuple[R, ...]:
        """The results of all handlers, in the order in which these were registered."""
        return tuple(stamp.result for stamp in self.envelope.all(Handled))

    @property
    def answered(self) -> bool:
        """Whether there is a result at all; a result may be None, too."""
        return self.envelope.has(Handled)

    @property
    def caused(self) -> Caused:
        """The events with what caused them, for a surrounding bus."""
        return Caused(self.events, self.envelope)
