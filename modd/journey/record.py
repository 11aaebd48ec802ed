"""What a journey is made of: each message as a bus took it from its queue, and its deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from modd.core import Delivery, Failure, Message, Observer, Turn, current_delivery, innermost, open_turns

Fate = Literal["received", "unreceived", "unhandled", "left", "abandoned", "queued"]
"""What became of a message in a bus; ``queued`` when the bus has not taken it as far as was seen."""


class Reception(msgspec.Struct, eq=False):
    """One message as one bus took it, once: the same object that is sent twice is taken twice."""

    message: Message
    bus: Any
    cause: Delivery | None = None
    """The delivery in which it was given back or sent; None for a message from outside."""
    fate: Fate = "received"
    leaves: bool = False
    """Whether it also left the bus."""
    deliveries: list[Delivery] = msgspec.field(default_factory=list)


class Record(Observer):
    """Puts together what an observer is told: which message was taken where, and what caused it."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        """In the order in which they began."""
        self.steps: list[tuple[Literal["began", "ended"], Delivery]] = []
        self.finished: dict[Reception, None] = {}
        """Messages with a delivery that ended, in the order in which they were done with."""
        self._caused: dict[Delivery | None, list[Reception]] = {None: []}
        self._latest: dict[tuple[Turn | None, Delivery | None, int], Reception] = {}
        self._taken_of: dict[Delivery, tuple[Turn | None, Reception]] = {}
        self._visits: set[tuple[Reception, int]] = set()
        self._givers: dict[tuple[Turn | None, int], Delivery] = {}
        self._failures: dict[tuple[Turn | None, int], Failure] = {}

    @property
    def roots(self) -> Sequence[Reception]:
        """The messages that were sent from outside, in their order."""
        return self._caused[None]

    def caused(self, delivery: Delivery) -> list[Reception]:
        """What followed from a delivery: what was sent inside it, then what was given back, in their order."""
        taken = self._caused.get(delivery, ())
        back: dict[int, list[Reception]] = {}
        for each in reversed(taken):
            if each.bus is delivery.bus:
                back.setdefault(id(each.message), []).append(each)
        given = [
            back[id(message)].pop() if back.get(id(message)) else self._untaken(message, delivery)
            for message in delivery.returned
        ]
        returned = set(given)
        return [*(each for each in taken if each not in returned), *given]

    def receivers(self, taken: Reception) -> list[Delivery]:
        """The deliveries of a message in the order of the components, in which concurrent ones need not begin."""
        if not taken.bus.concurrent:
            return taken.deliveries
        places = {id(component): place for place, component in enumerate(taken.bus.components)}
        return sorted(taken.deliveries, key=lambda delivery: places.get(id(delivery.component), -1))

    def began(self, delivery: Delivery) -> None:
        """Add a delivery to the message that the bus has taken, or is taking with it."""
        turn = _turn_in(delivery.bus)
        cause = delivery.cause if delivery.cause in self._taken_of else None
        taken = self._latest.get((turn, cause, id(delivery.message)))
        if taken is None or ((taken, id(delivery.component)) in self._visits and _is_sent_again(delivery, taken)):
            taken = self._take(delivery.message, delivery.bus, cause)
        taken.deliveries.append(delivery)
        self._visits.add((taken, id(delivery.component)))
        self._taken_of[delivery] = turn, taken
        self.deliveries.append(delivery)
        self.steps.append(("began", delivery))

    def ended(self, delivery: Delivery) -> None:
        """Note who gave which messages back."""
        self.steps.append(("ended", delivery))
        turn, taken = self._taken_of[delivery]
        self.finished.pop(taken, None)
        self.finished[taken] = None
        for message in delivery.returned:
            self._givers[turn, id(message)] = delivery
            if isinstance(message, Failure):
                self._failures[turn, id(message.error)] = message

    def unreceived(self, message: Message, bus: Any) -> None:
        """Note a message that nobody received."""
        self._take(message, bus, self._cause_of(message, bus)).fate = "unreceived"

    def abandoned(self, messages: tuple[Message, ...], failures: tuple[Exception, ...], bus: Any) -> None:
        """Note what a turn that was cut short left undone."""
        turn = _turn_in(bus)
        lost = [self._failures[turn, id(error)] for error in failures if (turn, id(error)) in self._failures]
        for message in (*messages, *lost):
            cause = self._cause_of(message, bus)
            taken = self._latest.get((turn, cause, id(message))) or self._take(message, bus, cause)
            taken.fate = "abandoned"

    def _take(self, message: Message, bus: Any, cause: Delivery | None) -> Reception:
        turn = _turn_in(bus)
        given_back = (turn, id(message)) in self._givers
        taken = Reception(message, bus, cause, leaves=given_back and isinstance(message, bus.outbound))
        self._latest[turn, cause, id(message)] = taken
        self._caused.setdefault(cause, []).append(taken)
        return taken

    def _cause_of(self, message: Message, bus: Any) -> Delivery | None:
        """The delivery that gave a message back in this turn, or else the one in which the turn was begun."""
        turn = _turn_in(bus)
        cause = self._givers.get((turn, id(message))) or current_delivery.get()
        return cause if cause in self._taken_of else None

    def _untaken(self, message: Message, delivery: Delivery) -> Reception:
        """A message that was given back and that the bus gave to nobody, or not yet."""
        turn, _ = self._taken_of[delivery]
        fate: Fate = "left" if isinstance(message, delivery.bus.outbound) else "queued"
        if isinstance(message, Failure) and not (turn and turn.open):
            fate = "left" if delivery.bus.lets_failures_out else "unhandled"
        return Reception(message, delivery.bus, delivery, fate)


def _turn_in(bus: Any) -> Turn | None:
    """The turn of a bus that is going on here: what tells two sends of one message object apart."""
    return next((turn for turn in open_turns(innermost()) if turn.bus is bus), None)


def _is_sent_again(delivery: Delivery, taken: Reception) -> bool:
    """Whether the component got the message as often as it is in the bus, so that this must be another send."""
    before = _count(delivery.component, (each.component for each in taken.deliveries))
    return before >= _count(delivery.component, delivery.bus.components)


def _count(component: Any, components: Iterable[Any]) -> int:
    return sum(each is component for each in components)
