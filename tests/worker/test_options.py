"""Wrong options fail when a worker is created."""

from __future__ import annotations

from typing import Any

import pytest

from modd import Bus, InvalidOption
from modd.core.component import Part
from modd.cqrs import CommandBus, QueryBus
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.desk import Pay

WRONG: list[tuple[str, Any]] = [
    *[("queues", value) for value in (None, [], "queue", MemoryQueue, [MemoryQueue(), 5])],
    *[("bus", value) for value in (None, CommandBus, Bus(), Bus([QueryBus()]), Part(CommandBus()))],
    *[("codec", value) for value in (5, "json")],
    *[("inbox", value) for value in (5, MemoryQueue())],
    ("outbox", 5),
    *[("concurrency", value) for value in (0, True, 1.5)],
    ("attempts", 0),
    *[("backoff", value) for value in ("linear", 5, None)],
    *[("give_up_on", value) for value in ("ValueError", (ValueError, 5))],
    *[("lease", value) for value in (0, float("inf"))],
    ("drain", -1),
    ("poll", 0),
    ("max_messages", 0),
    ("max_age", 0),
    ("retention", -1),
    ("clock", 5),
]


@pytest.mark.parametrize(("option", "value"), WRONG)
def test_an_option_that_cannot_work_is_named(option: str, value: Any) -> None:
    options: dict[str, Any] = {"queues": MemoryQueue(), "bus": CommandBus({Pay: print}), option: value}
    with pytest.raises(InvalidOption, match=f"^{option}="):
        Worker(**options)


def test_what_is_made_with_defaults_works() -> None:
    assert Worker(MemoryQueue(), CommandBus({Pay: print}), outbox=None, give_up_on=ValueError).in_flight == 0
