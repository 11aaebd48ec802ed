"""The words of timers whose firings fail, in the status of their app."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from modd.app import App, every
from modd.cqrs import CommandBus
from modd.stores import MemoryInbox
from tests.app.clocks import SystemClock
from tests.app.timed import Remind
from tests.virtual import anyio_backend  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


class Failing:
    """A handler that fails while it has errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def __call__(self, message: Remind) -> None:
        if self.errors:
            raise self.errors.pop(0)


async def test_a_timer_that_fails_has_words_in_the_status_and_the_app_stays_ready() -> None:
    # AP-75
    failing = Failing(OSError("secret"), ValueError("secret"))
    app = App("shop", timers=[every(10, Remind(), to=CommandBus({Remind: failing}), name="report")])
    words = []
    async with app.running():
        for _ in range(4):
            status = await app.status()
            assert status.ready
            words.append(status.parts["timer report"])
            await anyio.sleep(10.5)
    assert words == ["ok", "failed 1 time, last: OSError", "failed 2 times, last: ValueError", "ok"]


def two_messages() -> Iterator[Remind]:
    yield Remind(1)
    yield Remind(2)


async def test_one_message_of_several_that_fails_makes_a_firing_a_failure() -> None:
    # AP-75
    timer = every(10, two_messages, to=CommandBus({Remind: Failing(OSError(), OSError(), OSError())}))
    app = App("shop", timers=[timer])
    words = []
    async with app.running():
        for _ in range(3):
            await anyio.sleep(10.5)
            words.append(timer.problem())
    assert words == ["failed 1 time, last: OSError", "failed 2 times, last: OSError", None]


async def test_a_slot_that_another_process_fires_changes_no_words() -> None:
    # AP-75
    inbox = MemoryInbox()
    bus = CommandBus({Remind: Failing(OSError())})
    timer = every(60, Remind(), to=bus, once=inbox, clock=SystemClock("2026-06-01T05:00:30"))
    app = App("shop", timers=[timer])
    await inbox.add("timer/Remind/2026-06-01T05:01:00Z")
    async with app.running():
        await anyio.sleep(80)
        assert timer.problem() == "failed 1 time, last: OSError"
        await anyio.sleep(60)
        assert timer.problem() is None
