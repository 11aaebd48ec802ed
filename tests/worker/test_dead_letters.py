"""A message that fails is retried, and in the end becomes a dead letter with the reason."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from modd.cqrs import CommandBus, Envelope, Forbidden, GiveUp, HandlersFailed, RetryLater
from modd.cqrs.stamps import Failed
from modd.ports import Item, Queue
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.desk import CODEC, Pay, at_work, item, work_off

pytestmark = pytest.mark.anyio


class Till:
    """A handler that fails as it is told, and notes when it was called."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.at = [*errors], list[float]()

    async def __call__(self, pay: Pay) -> None:
        self.at.append(anyio.current_time())
        if self.errors:
            raise self.errors.pop(0)

    @property
    def pauses(self) -> list[float]:
        return [round(later - at, 3) for at, later in zip(self.at, self.at[1:], strict=False)]


async def buried(queue: Queue) -> list[str]:
    return [each.reason for each in await queue.dead()]


async def run(till: Any, *items: Item, **options: Any) -> MemoryQueue:
    queue = MemoryQueue()
    await queue.put(*(items or (item(Pay()),)))
    await work_off(Worker(queue, CommandBus({Pay: till}), poll=60, **options))
    return queue


async def test_what_fails_is_tried_again_after_a_while_as_the_backoff_says() -> None:
    # ST-40
    till = Till(*[ValueError("no")] * 3)
    queue = await run(till, backoff=lambda attempt: 10.0 * attempt)
    assert till.pauses == [10, 20, 30]
    assert (await queue.stats()).dead == 0
    till = Till(*[ValueError("no")] * 4)
    await run(till)
    assert all(0.5 <= pause / (0.5 * 3.5**n) <= 1.5 for n, pause in enumerate(till.pauses))
    till = Till(*[ValueError("no")] * 2)
    await run(till, backoff="none")
    assert till.pauses == [0, 0]


async def test_after_so_many_attempts_it_is_buried_with_the_error_and_its_notes() -> None:
    # ST-40
    error = ValueError("no money")
    error.add_note("at till 5")
    till = Till(*[error] * 9)
    queue = await run(till, attempts=3)
    assert len(till.at) == 3
    assert await buried(queue) == ["ValueError: no money\nat till 5"]
    [dead] = await queue.dead()
    assert dead.attempts == 3


@pytest.mark.parametrize("error", [GiveUp("never"), Forbidden(Pay, "ada", "no"), KeyError("k")])
async def test_what_will_never_work_is_buried_at_once(error: Exception) -> None:
    # ST-41
    till = Till(error)
    queue = await run(till, give_up_on=(KeyError,))
    assert len(till.at) == 1
    assert len(await buried(queue)) == 1


async def test_a_handler_says_how_long_to_wait_in_a_group_as_well() -> None:
    # ST-40
    group = HandlersFailed("2 failed", [ValueError("a"), RetryLater(70)])
    till = Till(RetryLater(50), group, RetryLater(-3), RetryLater(float("inf")))
    queue = await run(till)
    assert till.pauses == [50, 70, 0]
    assert (await queue.stats()).delayed == 1
    till = Till(HandlersFailed("2 failed", [ValueError("a"), KeyError("b")]))
    [reason] = await buried(await run(till, attempts=1))
    assert reason.splitlines()[1:] == ["ValueError: a", "KeyError: 'b'"]


async def test_a_failed_stamp_is_a_failure_but_one_from_before_is_none() -> None:
    async def pay(envelope: Envelope[Pay]) -> None:
        envelope.add(Failed("no money"))

    assert await buried(await run(pay, attempts=2, backoff="none")) == ["no money"]
    till = Till()
    queue = await run(till, Item(CODEC.encode(Envelope(Pay(), Failed("once")))))
    assert (len(till.at), await buried(queue)) == (1, [])


async def test_what_kills_its_worker_again_and_again_is_buried_without_being_handled() -> None:
    # ST-42
    till, queue = Till(), MemoryQueue()
    await queue.put(item(Pay()))
    for _ in range(4):  # the first does not count
        assert await queue.claim(1, 1)
        await anyio.sleep(2)
    await work_off(Worker(queue, CommandBus({Pay: till}), attempts=3))
    assert await buried(queue) == ["it was claimed 4 times and never settled"]
    assert till.at == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"identity": 1}'])
async def test_what_cannot_be_decoded_is_buried_as_it_is(body: bytes) -> None:
    # ST-43
    queue = await run(Till(), Item(body))
    [dead] = await queue.dead()
    assert dead.body == body
    assert dead.reason.startswith("Undecodable: these bytes are no envelope")


async def test_a_backoff_that_fails_loses_nothing() -> None:
    for wrong in (lambda attempt: 1 / 0, lambda attempt: -1.0):
        [reason] = await buried(await run(Till(ValueError("no")), backoff=wrong))
        assert reason.startswith("ValueError: no\nthe backoff failed: ")


async def test_who_waits_for_another_try_keeps_its_place_in_its_key() -> None:
    # ST-36
    log = list[int]()

    async def pay(pay: Pay) -> None:
        log.append(pay.amount)
        if log == [1]:
            raise RetryLater(100)

    await run(pay, item(Pay(1), key="k"), item(Pay(2), key="k"))
    assert log == [1, 1, 2]


@pytest.mark.unmeasured
@pytest.mark.costly
async def test_ten_attempts_last_for_hours_but_not_in_a_run_until_the_worker_is_idle() -> None:
    # DR-85
    till, queue = Till(*[ValueError("no")] * 20), MemoryQueue()
    worker = Worker(queue, CommandBus({Pay: till}), poll=60)
    await queue.put(item(Pay()))
    await work_off(worker, 8 * 3600)
    assert 2 * 3600 < sum(till.pauses) < 7 * 3600 and len(till.at) == 10
    till.at.clear()
    await queue.put(item(Pay()))
    await worker.run_until_idle()
    assert sum(till.pauses) < 10 and len(till.at) == 10
    assert len(await queue.dead()) == 2


async def test_the_first_failure_is_a_warning_with_its_traceback_and_so_is_the_error_of_the_dead_letter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # DR-83
    with caplog.at_level(logging.INFO, "modd.worker"):
        await run(Till(*(ValueError("no money") for _ in range(3))), item(Pay(), id="p"), attempts=3, backoff="none")
    assert [(each.levelname, each.getMessage(), bool(each.exc_info)) for each in caplog.records] == [
        ("WARNING", "p failed and is tried again in 0 s: ValueError: no money", True),
        ("INFO", "p failed and is tried again in 0 s: ValueError: no money", False),
        ("ERROR", "p becomes a dead letter: ValueError: no money", True),
    ]
    assert caplog.text.count("raise self.errors.pop(0)") == 2


async def test_a_delay_that_is_asked_for_is_no_warning_and_what_was_never_raised_has_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # DR-83
    with caplog.at_level(logging.INFO, "modd.worker"):
        await run(Till(RetryLater(5)), item(Pay(), id="p"))
        await run(Till(), Item(b"no envelope", id="q"))
    [asked, foreign] = caplog.records
    assert (asked.levelname, foreign.levelname, "Traceback" in caplog.text) == ("INFO", "ERROR", False)


async def test_a_handler_that_is_cancelled_by_something_of_its_own_has_failed() -> None:
    calls = 0

    async def pay(pay: Pay) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise anyio.get_cancelled_exc_class().__new__(anyio.get_cancelled_exc_class())

    queue = MemoryQueue()
    await queue.put(item(Pay()))
    async with at_work(Worker(queue, CommandBus([pay]))):
        await anyio.sleep(100)
    assert calls == 2


async def test_what_a_handler_sets_in_its_context_is_gone_at_the_next_message() -> None:
    seen, var = list[str](), ContextVar("var", default="nothing")

    async def pay(pay: Pay) -> None:
        seen.append(var.get())
        await anyio.sleep(1)
        var.set("something")

    await run(pay, *[item(Pay()) for _ in range(3)], concurrency=1)
    assert seen == ["nothing"] * 3
