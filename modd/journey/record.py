"""The data of a journey: each message in each bus, with its cause and its deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from modd.concurrency.scopes import open_scopes
from modd.core import Delivery, Failure, Message, Observer, Turn, current_delivery, innermost

Fate = Literal["received", "unreceived", "unhandled", "left", "abandoned", "queued"]
"""The fate of a message in a bus; ``queued`` if the bus has not taken it from its queue yet."""


class Reception(msgspec.Struct, eq=False):
    """One message, taken from the queue of one bus once; an object that is sent twice has two receptions.

    cause: the delivery in which the message was returned or sent; None for a message from outside.
    leaves: True if the message also left the bus.
    """

    message: Message
    bus: Any
    cause: Delivery | None = None
    fate: Fate = "received"
    leaves: bool = False
    deliveries: list[Delivery] = msgspec.field(default_factory=list)


class Record(Observer):
    """An observer that assigns each delivery to the reception of its message, and each reception to its cause."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        """All deliveries, in the order in which they began."""
        self.steps: list[tuple[Literal["began", "ended"], Delivery]] = []
        self.finished: dict[Reception, None] = {}
        """The receptions with a delivery that ended, in the order of their latest end."""
        self._effects: dict[Delivery | None, list[Reception]] = {None: []}
        self._latest: dict[tuple[Turn | None, Delivery | None, int], Reception] = {}
        self._reception_of: dict[Delivery, tuple[Turn | None, Reception]] = {}
        self._visits: set[tuple[Reception, int]] = set()
        self._producers: dict[tuple[Turn | None, int], Delivery] = {}
        """The delivery that returned a message, by turn and id of the message."""
        self._failures: dict[tuple[Turn | None, int], Failure] = {}

    @property
    def roots(self) -> Sequence[Reception]:
        """The messages from outside, in the order in which they were sent."""
        return self._effects[None]

    def effects_of(self, delivery: Delivery) -> list[Reception]:
        """Return the messages that a delivery caused: first those sent inside it, then those returned."""
        effects = self._effects.get(delivery, ())
        by_message: dict[int, list[Reception]] = {}
        for reception in reversed(effects):
            if reception.bus is delivery.bus:
                by_message.setdefault(id(reception.message), []).append(reception)
        returned = [
            by_message[id(message)].pop() if by_message.get(id(message)) else self._undelivered(message, delivery)
            for message in delivery.returned
        ]
        sent = set(effects) - set(returned)
        return [*(reception for reception in effects if reception in sent), *returned]

    def deliveries_of(self, reception: Reception) -> list[Delivery]:
        """Return the deliveries of a message in the order of the components; concurrent ones may begin in another."""
        if not reception.bus.concurrent:
            return reception.deliveries
        positions = {id(component): position for position, component in enumerate(reception.bus.components)}
        return sorted(reception.deliveries, key=lambda delivery: positions.get(id(delivery.component), -1))

    def began(self, delivery: Delivery) -> None:
        """Add a delivery to the reception of its message, which begins with its first delivery."""
        turn = _current_turn(delivery.bus)
        cause = delivery.cause if delivery.cause in self._reception_of else None
        reception = self._latest.get((turn, cause, id(delivery.message)))
        visited = (reception, id(delivery.component)) in self._visits
        if reception is None or (visited and _is_sent_again(delivery, reception)):
            reception = self._add(delivery.message, delivery.bus, cause)
        reception.deliveries.append(delivery)
        self._visits.add((reception, id(delivery.component)))
        self._reception_of[delivery] = turn, reception
        self.deliveries.append(delivery)
        self.steps.append(("began", delivery))

    def ended(self, delivery: Delivery) -> None:
        """Remember the delivery as the producer of the messages that it returned."""
        self.steps.append(("ended", delivery))
        turn, reception = self._reception_of[delivery]
        self.finished.pop(reception, None)
        self.finished[reception] = None
        for message in delivery.returned:
            self._producers[turn, id(message)] = delivery
            if isinstance(message, Failure):
                self._failures[turn, id(message.error)] = message

    def unreceived(self, message: Message, bus: Any) -> None:
        """Add a message that no component accepts."""
        self._add(message, bus, self._cause_of(message, bus)).fate = "unreceived"

    def abandoned(self, messages: tuple[Message, ...], failures: tuple[Exception, ...], bus: Any) -> None:
        """Add the messages that a turn left in its queue when it was cancelled or overflowed."""
        turn = _current_turn(bus)
        lost = [self._failures[turn, id(error)] for error in failures if (turn, id(error)) in self._failures]
        for message in (*messages, *lost):
            cause = self._cause_of(message, bus)
            reception = self._latest.get((turn, cause, id(message))) or self._add(message, bus, cause)
            reception.fate = "abandoned"

    def _add(self, message: Message, bus: Any, cause: Delivery | None) -> Reception:
        turn = _current_turn(bus)
        is_returned = (turn, id(message)) in self._producers
        reception = Reception(message, bus, cause, leaves=is_returned and isinstance(message, bus.outbound))
        self._latest[turn, cause, id(message)] = reception
        self._effects.setdefault(cause, []).append(reception)
        return reception

    def _cause_of(self, message: Message, bus: Any) -> Delivery | None:
        """Return the delivery that returned a message in this turn, or else the delivery in which the turn began."""
        turn = _current_turn(bus)
        cause = self._producers.get((turn, id(message))) or current_delivery.get()
        return cause if cause in self._reception_of else None

    def _undelivered(self, message: Message, delivery: Delivery) -> Reception:
        """Return a reception for a message that was returned and has no delivery, or none yet."""
        turn, _ = self._reception_of[delivery]
        fate: Fate = "left" if isinstance(message, delivery.bus.outbound) else "queued"
        if isinstance(message, Failure) and not (turn and turn.open):
            fate = "left" if delivery.bus.lets_failures_out else "unhandled"
        return Reception(message, delivery.bus, delivery, fate)


def _current_turn(bus: Any) -> Turn | None:
    """Return the open turn of a bus, which tells two sends of one message object apart."""
    return next((turn for turn in open_scopes(innermost()) if turn.bus is bus), None)


def _is_sent_again(delivery: Delivery, reception: Reception) -> bool:
    """True if the component has received the message as often as it is in the bus, so that this is a new send."""
    before = _count(delivery.component, (earlier.component for earlier in reception.deliveries))
    return before >= _count(delivery.component, delivery.bus.components)


def _count(component: Any, components: Iterable[Any]) -> int:
    return sum(candidate is component for candidate in components)
