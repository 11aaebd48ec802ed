"""The journey of messages through a bus: what caused what, who received it, and how long it took (MO-11, MO-26)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

from modd.core import Delivery, Failure, Message, Wiring
from modd.errors import InvalidOption
from modd.journey.mermaid import render_sequence_diagram
from modd.journey.record import Record
from modd.journey.tree import render_tree


class Journey(Record):
    """Records what happens in a bus, and in the buses inside, for as long as its block lasts; then print it.

    ``with Journey(bus) as journey: await bus(message)`` and ``print(journey)``, to see what a message causes. In a
    test, iterate over it: it gives each `Delivery` in the order in which they began. It keeps every message that it
    saw, so use it for a few messages or a while; for a running system write an `Observer`.

    Messages are shown by their repr, in which sensitive fields are masked; long ones are shortened. Times are real
    ones, under a virtual clock too.

    bus: the bus to observe. Raises `InvalidOption` for anything else.
    """

    def __init__(self, bus: Wiring) -> None:
        if not isinstance(bus, Wiring):
            raise InvalidOption("bus", bus, "give the Bus to observe: Journey(bus)")
        super().__init__()
        self.bus = bus
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Begin to record; what is sent before is not seen."""
        self._open.enter_context(self.bus.observe(self))
        return self

    def __exit__(self, *error: object) -> None:
        """Stop recording; what was recorded stays. Another ``with`` goes on with it."""
        self._open.close()

    def __iter__(self) -> Iterator[Delivery]:
        """The deliveries, in the order in which they began."""
        return iter(self.deliveries)

    def __len__(self) -> int:
        return len(self.deliveries)

    def __repr__(self) -> str:
        return f"<Journey in {self.bus.name}: {len(self)} deliveries>"

    def __str__(self) -> str:
        """The tree: a message from outside, who received it, what that caused, who received that."""
        return render_tree(self, self.bus)

    def mermaid(self) -> str:
        """The journey as a Mermaid sequence diagram, for documentation and for anything that draws Mermaid (MO-26)."""
        return render_sequence_diagram(self, self.bus)

    def history(self, message: Message) -> tuple[Delivery, ...]:
        """Where a message has been: the deliveries of this very object, in the order in which they began (MO-11)."""
        return tuple(delivery for delivery in self.deliveries if delivery.message is message)

    def returned_messages(self, bus: Any = None) -> tuple[Message, ...]:
        """What components gave back, in the order in which it was queued; failures are left out.

        bus: the bus inside that is asked for; the observed one if none is given.
        """
        where = self.bus if bus is None else bus
        deliveries = [each for taken in self.finished if taken.bus is where for each in self.receivers(taken)]
        returned = [message for delivery in deliveries for message in delivery.returned]
        return tuple(message for message in returned if not isinstance(message, Failure))
