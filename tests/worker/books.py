"""Handlers of events that fail as often as they are told."""

from __future__ import annotations

from modd.cqrs import EventBus
from tests.worker.desk import Paid


class Books:
    """Handlers that fail as often as they are told, and note what they did."""

    def __init__(self, *names: str) -> None:
        self.log, self.fails = list[tuple[str, int]](), dict[str, int]()
        self.bus = EventBus(name="books")
        for name in names:
            self.add(name)

    def add(self, name: str, kind: type[Paid] = Paid) -> None:
        async def handle(event: Paid) -> None:
            if self.fails.get(name, 0):
                self.fails[name] -= 1
                raise ValueError(name)
            self.log.append((name, event.amount))

        self.bus.register(kind, handle, name)
