"""An app warns of a queue that its buses put messages into, and that none of its workers reads."""

from __future__ import annotations

from typing import Any

import pytest

from modd.app import App
from modd.cqrs import CommandBus
from modd.middleware import Enqueue, Logger
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.app.jobs import Job
from tests.worker.desk import Pay, Ship

pytestmark = pytest.mark.anyio


class NamedQueue(MemoryQueue):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def desk(queue: Any, **options: Any) -> CommandBus:
    handlers: Any = {Pay: lambda pay: None, Ship: lambda ship: None}
    return CommandBus(handlers, middleware=[Logger(), Enqueue(queue, **options)], name="desk")


async def warnings(app: App, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level("WARNING", "modd.app")
    async with app.running():
        pass
    return caplog.messages


async def test_a_queue_with_a_name_that_no_worker_reads_is_told_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    # AP-85
    unnamed = MemoryQueue()
    urgent = desk(NamedQueue("commands"), intents={Ship: {"queue": NamedQueue("urgent")}})
    app = App("shop", Worker([NamedQueue("comands"), unnamed], urgent), Job())
    words = "which no worker of this app reads; they read 'comands'"
    assert await warnings(app, caplog) == [
        f"shop: desk puts messages into the queue 'commands', {words}",
        f"shop: desk puts messages into the queue 'urgent', {words}",
    ]


async def test_without_the_names_of_the_queues_that_workers_read_the_other_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-85
    app = App("shop", Worker(MemoryQueue(), desk(NamedQueue("commands"))))
    [line] = await warnings(app, caplog)
    assert line.endswith("'commands', which no worker of this app reads")


async def test_a_queue_that_some_worker_reads_or_that_is_not_used_or_has_no_name_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-85
    queue = MemoryQueue()
    workers = [
        Worker(queue, desk(queue)),
        Worker(NamedQueue("commands"), desk(NamedQueue("events"))),
        Worker(NamedQueue("events"), desk(NamedQueue("commands"), intents={Ship: {"enabled": False}})),
        Worker(NamedQueue("late"), desk(MemoryQueue())),
        Worker(NamedQueue("off"), desk(NamedQueue("nowhere"), enabled=False)),
    ]
    assert await warnings(App("shop", *workers), caplog) == []
