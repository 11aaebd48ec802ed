"""Wrong options fail when a worker is created."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modd import Bus, InvalidOption
from modd.core.component import Part
from modd.cqrs import Codec, Command, CommandBus, EventBus, QueryBus
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.desk import Paid, PaidAbroad, Pay, Ship

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


def test_a_codec_that_lacks_a_type_of_the_bus_is_refused_before_its_messages_stay_in_the_queue_unseen() -> None:
    # DR-84
    bus = Bus([CommandBus({Pay: print, Ship: print}), EventBus({Paid: print})], name="till")
    with pytest.raises(InvalidOption, match=r"^codec=<Codec of Pay>: it does not know Ship, Paid, and till handles"):
        Worker(MemoryQueue(), bus, codec=Codec([Pay]))
    assert Worker(MemoryQueue(), bus, codec=Codec([Pay, Ship, PaidAbroad])).in_flight == 0


class Render(Command[None]):
    draw: Callable[[], None]


class Custom:
    """A codec that does not tell its types."""

    encode = decode = print


def test_types_that_no_queue_can_hold_and_codecs_that_do_not_tell_their_types_are_no_finding() -> None:
    # DR-84
    assert Worker(MemoryQueue(), CommandBus({Pay: print, Render: print}), codec=Codec([Pay])).in_flight == 0
    custom: Any = Custom()
    assert Worker(MemoryQueue(), CommandBus({Pay: print}), codec=custom).in_flight == 0
