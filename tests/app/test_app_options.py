"""An app is checked when it is made, and has a label for each of its parts."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Bus, InvalidOption
from modd.app import App
from modd.cqrs import CommandBus
from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue
from modd.worker import Worker
from tests.worker.desk import Pay


class Job:
    async def run(self) -> None: ...

    def stop(self) -> None: ...


class SMTPGateway(Job):
    stops_first = True


class AsyncStop(Job):
    async def stop(self) -> None: ...  # type: ignore[override]


class Sync(Job):
    def run(self) -> None:  # type: ignore[override]
        self.has_run = True


class SyncTimer(Sync):
    stops_first = True


class Named(Job):
    stops_first = True

    def __init__(self, name: str, label: Any = None) -> None:
        self.name, self.label = name, label


job = Job()


@pytest.mark.parametrize(
    ("parts", "options", "message"),
    [
        ((), {}, r"parts=\(\): give at least one part or timer"),
        ((job, job), {}, "parts=.*: it is given twice"),
        ((named := Named("a"),), {"timers": [named]}, "parts=.*: it is given twice"),
        (([job],), {}, "parts=.*: give parts one by one"),
        ((Job,), {}, "parts=.*: give parts one by one"),
        ((None,), {}, "parts=None"),
        ((Bus([]),), {}, "parts=.*: give parts one by one"),
        ((AsyncStop(),), {}, r"parts=.*: its stop\(\) is async"),
        ((job, Sync()), {}, r"parts=.*Sync.*: its run\(\) returns nothing to await; make it async: `async def run"),
        ((job,), {"timers": [SyncTimer()]}, r"timers=.*: its run\(\) returns nothing to await"),
        ((job,), {"drain": -1}, "drain=-1"),
        ((job,), {"drain": True}, "drain=True"),
        ((job,), {"timers": Named("a")}, "timers=.*: give a list"),
        ((job,), {"timers": [print]}, "timers=.*: give timers, as every"),
        ((job,), {"timers": [Job()]}, "timers=.*: it is no timer"),
        ((job,), {"timers": [Named("a"), Named("a")]}, "timers='a': two timers have this name"),
    ],
)
def test_what_cannot_work_is_refused_when_the_app_is_made(
    parts: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    # AP-14
    with pytest.raises(InvalidOption, match=message):
        App("shop", *parts, **options)


@pytest.mark.parametrize("name", ["", "Shop", "1shop", "my shop", "my_shop", "-shop", "shop\n", None, 1])
def test_a_name_that_is_no_name_is_refused(name: Any) -> None:
    # AP-14
    with pytest.raises(InvalidOption, match=r"name=.*: give small letters, digits and -"):
        App(name, Job())


def test_each_part_has_a_label_of_its_own() -> None:
    # AP-30
    queue, desk = MemoryQueue(), CommandBus({Pay: lambda pay: None})
    parts: list[Any] = [
        Worker(queue, desk),
        Job(),
        Job(),
        SMTPGateway(),
        Named("x", "job 2"),
        Named("x", 5),
        Relay(MemoryOutbox(), queue),
        Job(),
    ]
    timers = [Named("a", "timer a"), Named("b", "timer a")]
    app = App("shop-2", *parts, timers=timers)
    assert [*app.labels] == [
        "worker",
        "job",
        "job 2",
        "smtp gateway",
        "job 2 2",
        "named",
        "relay",
        "job 3",
        "timer a",
        "timer a 2",
    ]
    assert [*app.labels.values()] == [*parts, *timers] == [*app.parts, *app.timers]
    assert (app.name, repr(app)) == ("shop-2", "<App shop-2>")
