"""The commands of flows as items of a queue, with ids of their cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import time
from typing import Any

from modd.cqrs.envelope import Envelope
from modd.cqrs.intents import Command
from modd.cqrs.stamps import Identity, InFlow, Stamp, UnknownStamp
from modd.cqrs.wire import STAMP
from modd.follower.cause import IN_FLOW, Cause
from modd.ports.items import Item
from modd.worker.buses import ServedBuses


class CommandItems:
    """Makes items of the commands that flows return.

    buses: the typed buses that handle commands.
    """

    def __init__(self, buses: ServedBuses) -> None:
        self._buses, self._codec = buses, buses.codec

    def create(self, flow: str, id: str, key: str, commands: Iterable[Command[Any]], cause: Cause) -> list[Item]:
        """Return an item for each command. Raises `NoHandler`, and the errors of a codec.

        flow: the name of the flow. id: the identity of its instance. key: the key of that, for the order of commands.
        """
        commands = [*commands]
        stamps = [*_inherited(cause), InFlow(flow, id)] if commands else []
        return [
            self._item(command, f"{cause.id}/{flow}#{number}", f"{flow}/{key}", cause, stamps)
            for number, command in enumerate(commands, 1)
        ]

    def _item(self, command: Command[Any], id: str, key: str, cause: Cause, stamps: Sequence[Stamp]) -> Item:
        if not self._buses.find(type(command), {}):
            raise self._buses.no_handler_error(type(command))
        identity = Identity(id, cause.correlation_id, cause.id, at=time())
        return Item(self._codec.encode(Envelope.restore(command, identity, stamps)), key=key, id=id)


def _inherited(cause: Cause) -> list[Stamp]:
    """Return the stamps of a cause as they came: the codec of the worker knows their types."""
    stamps = (each for each in cause.stamps() if each.get(STAMP) != IN_FLOW)
    return [UnknownStamp(each, at=float(each.get("at", 0.0))) for each in stamps]
