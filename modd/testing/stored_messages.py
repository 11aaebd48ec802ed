"""Messages of a scenario that are in a queue or an outbox, which explain why an expected message is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modd.core import Message, Observer, Place

REASONS: dict[Place, str] = {
    "queue": (
        "{message} is in a queue, because {bus} has Enqueue, and its handlers have not run. Run them by "
        "`await worker.run_until_idle()` and look at their effects, or test a bus without Enqueue."
    ),
    "outbox": (
        "{message} is in an outbox, because {bus} has Transactional, and nothing gets it in this turn. Pass it on by "
        "`await relay.pass_on()` and look at its effects, or test a bus without Transactional."
    ),
}
"""The explanation for each place, with the cure."""


class StoredMessages(Observer):
    """An observer that notes messages that were put into a queue or an outbox, and explains their absence."""

    def __init__(self) -> None:
        self._reasons: dict[str, None] = {}

    def stored(self, messages: tuple[Message, ...], place: Place, bus: Any) -> None:
        """Note the reason why these messages are missing, once for each type, place and bus."""
        for message in messages:
            reason = REASONS[place].format(message=type(message).__qualname__, bus=bus.name)
            self._reasons[reason] = None

    @property
    def reasons(self) -> list[str]:
        """The reasons, a line for each; none if nothing was stored."""
        return [*self._reasons]


def missing_of(expected: Iterable[Message], actual: Iterable[Message]) -> list[Message]:
    """Return the expected messages that are not among the actual ones, each as often as it is missing."""
    present, missing = [*actual], list[Message]()
    for message in expected:
        if message in present:
            present.remove(message)
        else:
            missing.append(message)
    return missing
