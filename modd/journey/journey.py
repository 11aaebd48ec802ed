"""The journey of messages through a bus: their causes, their receivers and the time that these took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

from modd.core import Bus, Delivery, Failure, Message
from modd.errors import InvalidOption, NotEntered
from modd.journey.mermaid import render_sequence_diagram
from modd.journey.record import Record
from modd.journey.tree import render_tree
from modd.texts import amount


class Journey:
    """Records all deliveries in a bus, and in the buses inside it, while its block lasts.

    Print it to see the effects of a message::

        with Journey(bus) as journey:
            await bus(message)
        print(journey)

    In a test, iterate over it: it yields each `Delivery` in the order in which they began. A journey keeps every
    message, so use it for a few messages or a short while; for a running system write an `Observer`.

    Messages are shown by their repr, in which sensitive fields are masked; long ones are shortened. Durations are
    measured with the real clock, even in a test with a virtual clock.

    bus: the bus to observe.

    Raises:
        InvalidOption: ``bus`` is no bus.
    """

    def __init__(self, bus: Bus) -> None:
        if not isinstance(bus, Bus):
            raise InvalidOption("bus", bus, "give the Bus to observe: Journey(bus)")
        self.bus = bus
        self._record = Record()
        self._open, self._entered = ExitStack(), False

    def __enter__(self) -> Self:
        """Begin to record; messages that were sent before are not seen."""
        self._open.enter_context(self.bus.observe(self._record))
        self._entered = True
        return self

    def __exit__(self, *error: object) -> None:
        """Stop recording. The recorded deliveries stay, and the next ``with`` adds to them."""
        if not self._entered:
            raise NotEntered(f"the journey in {self.bus.name}")
        self._entered = False
        self._open.close()

    def __iter__(self) -> Iterator[Delivery]:
        """Iterate over the deliveries, in the order in which they began."""
        return iter(self._record.deliveries)

    def __len__(self) -> int:
        return len(self._record.deliveries)

    def __repr__(self) -> str:
        return f"<Journey in {self.bus.name}: {amount(len(self), 'delivery', 'deliveries')}>"

    def __str__(self) -> str:
        """Return the tree: each message from outside, its receivers, the messages that they caused, and so on."""
        return render_tree(self._record, self.bus)

    def mermaid(self) -> str:
        """Return the journey as a Mermaid sequence diagram, for documentation."""
        return render_sequence_diagram(self._record, self.bus)

    def history(self, message: Message) -> tuple[Delivery, ...]:
        """Return the deliveries of this very message object, in the order in which they began."""
        return tuple(delivery for delivery in self if delivery.message is message)

    def returned_messages(self, bus: Any = None) -> tuple[Message, ...]:
        """Return the messages that components returned, in the order in which they were queued, without failures.

        bus: a bus inside the observed one; None, the default, for the observed one itself.
        """
        wanted = self.bus if bus is None else bus
        receptions = [reception for reception in self._record.finished if reception.bus is wanted]
        deliveries = [delivery for reception in receptions for delivery in self._record.deliveries_of(reception)]
        returned = [message for delivery in deliveries for message in delivery.returned]
        return tuple(message for message in returned if not isinstance(message, Failure))
