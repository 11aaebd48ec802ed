"""Workers that run until nothing is due, for tests; on a clock that jumps."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.cqrs import CommandBus, Envelope
from modd.ports import Claim, Item, Stats, Suspects
from modd.stores import MemoryQueue, SqliteStore
from modd.worker import AlreadyRunning, Worker
from tests.worker.books import Books
from tests.worker.desk import CODEC, Paid, Pay, item, work_off
from tests.worker.flaky import Flaky, Plain

pytestmark = pytest.mark.anyio

EMPTY = Stats(ready=0, delayed=0, leased=0, dead=0)
DAY = 86_400.0


class Till:
    """Pays, puts follow-ups into queues, and fails as often as it is told."""

    def __init__(self, fails: int = 0) -> None:
        self.fails, self.paid = fails, list[tuple[int, float]]()
        self.follow_ups: dict[int, tuple[Any, Item]] = {}

    async def pay(self, command: Pay) -> None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the bank does not answer")
        self.paid.append((command.amount, anyio.current_time()))
        if command.amount in self.follow_ups:
            queue, follow_up = self.follow_ups[command.amount]
            await queue.put(follow_up)

    def worker(self, *queues: Any, **options: Any) -> Worker:
        options = {"backoff": lambda attempt: 60.0 * attempt, **options}
        return Worker(queues, CommandBus([self.pay]), **options)


async def test_all_that_is_due_is_done_with_retries_and_what_follows() -> None:
    # TK-4
    queue, till = MemoryQueue(), Till(fails=2)
    await queue.put(item(Pay(1), key="a"), item(Pay(2), key="a"), item(Pay(9), delay=DAY))
    till.follow_ups[2] = queue, item(Pay(3))
    await till.worker(queue).run_until_idle()
    assert till.paid == [(1, 180), (2, 180), (3, 180)]
    assert await queue.stats() == Stats(ready=0, delayed=1, leased=0, dead=0)


async def test_the_rows_of_an_event_are_handled_and_retried_each() -> None:
    # TK-4
    queue, books = MemoryQueue(), Books("post", "tax")
    books.fails["tax"] = 2
    await queue.put(item(Paid(5)))
    await Worker(queue, books.bus, backoff=lambda attempt: 60.0).run_until_idle()
    assert (books.log, anyio.current_time()) == ([("post", 5), ("tax", 5)], 120)
    assert await queue.stats() == EMPTY


async def test_a_message_that_always_fails_ends_as_a_dead_letter() -> None:
    # TK-4
    queue, till = MemoryQueue(), Till(fails=99)
    await queue.put(item(Pay(1)))
    await till.worker(queue, attempts=4).run_until_idle()
    [letter] = await queue.dead()
    assert (letter.attempts, anyio.current_time()) == (4, 360)


@pytest.mark.parametrize(("ahead", "paid"), [(0, 0), (3599, 0), (3600, 1), (DAY, 2), (inf, 3)])
async def test_delayed_messages_are_waited_for_as_far_ahead_as_is_asked(ahead: float, paid: int) -> None:
    # TK-4
    queue, till = Flaky(), Till()
    delays = [3600, DAY, 30 * DAY]
    await queue.put(*[item(Pay(1), delay=delay) for delay in delays])
    await till.worker(queue).run_until_idle(ahead=ahead)
    assert [at for _, at in till.paid] == delays[:paid]
    assert (await queue.stats()).delayed == 3 - paid
    assert len(queue.at("claim")) < 50


async def test_a_job_that_plans_its_next_run_is_run_as_far_ahead_as_is_asked() -> None:
    # TK-4
    queue, till = MemoryQueue(), Till()
    till.follow_ups[1] = queue, item(Pay(1), delay=3600)
    await queue.put(item(Pay(1)))
    worker = till.worker(queue)
    await worker.run_until_idle(ahead=3 * 3600)
    assert [at for _, at in till.paid] == [0, 3600, 7200, 10800]
    await worker.run_until_idle(ahead=3600)
    assert len(till.paid) == 5


async def test_a_retry_is_waited_for_beyond_the_seconds_ahead() -> None:
    # TK-4
    queue, till = MemoryQueue(), Till(fails=1)
    await queue.put(item(Pay(1), delay=50), item(Pay(2), delay=200))
    await till.worker(queue).run_until_idle(ahead=60)
    assert till.paid == [(1, 110)]


async def test_a_lease_that_ends_ahead_is_waited_for() -> None:
    # TK-4
    queue, till = MemoryQueue(), Till()
    await queue.put(item(Pay(1)))
    await queue.claim(1, 30)
    await till.worker(queue).run_until_idle()
    assert till.paid == []
    await till.worker(queue).run_until_idle(ahead=inf)
    assert till.paid == [(1, 30)]


async def test_nothing_to_do_takes_no_time_and_the_worker_runs_again_later() -> None:
    # TK-4
    queue, till = MemoryQueue(), Till()
    worker = till.worker(queue)
    await worker.run_until_idle(ahead=inf)
    assert anyio.current_time() == 0
    await queue.put(item(Pay(1)))
    await worker.run_until_idle()
    await queue.put(item(Pay(2)))
    await work_off(worker, 5)
    assert [amount for amount, _ in till.paid] == [1, 2]


async def test_a_message_that_comes_while_a_later_queue_is_asked_is_handled() -> None:
    # TK-4
    class Slowly(MemoryQueue):
        async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
            await anyio.sleep(10)
            return await super().claim(limit, lease, suspects=suspects)

    first, second, till = MemoryQueue(), Slowly(), Till()
    till.follow_ups[1] = first, item(Pay(2))
    await first.put(item(Pay(1)))
    await till.worker(first, second).run_until_idle()
    assert [amount for amount, _ in till.paid] == [1, 2]


@pytest.mark.parametrize("fails", [0, 1])
async def test_a_message_that_becomes_due_while_a_queue_answers_is_handled(fails: int) -> None:
    # TK-4
    class Slowly(MemoryQueue):
        async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
            claims = await super().claim(limit, lease, suspects=suspects)
            await anyio.sleep(10)
            return claims

    queue, till = Slowly(), Till(fails)
    await queue.put(item(Pay(1), delay=5))
    await till.worker(queue, backoff=lambda attempt: 5.0).run_until_idle(ahead=8)
    assert [amount for amount, _ in till.paid] == [1]


@pytest.mark.parametrize("ahead", [0.0, DAY])
async def test_a_queue_that_cannot_be_waited_for_is_polled(ahead: float) -> None:
    # TK-4
    queue, till = MemoryQueue(), Till(fails=1)
    await queue.put(item(Pay(1)), item(Pay(2), delay=600))
    await till.worker(Plain(queue), poll=5).run_until_idle(ahead=ahead)
    assert [amount for amount, _ in till.paid] == ([1, 2] if ahead else [1])
    assert 60 <= till.paid[0][1] <= 67


async def test_a_queue_that_fails_is_asked_again() -> None:
    # TK-4
    queue, till = Flaky(claim=3), Till()
    await queue.put(item(Pay(1)))
    await till.worker(queue).run_until_idle()
    assert len(till.paid) == 1


async def test_a_queue_that_fails_is_asked_again_after_another_one_had_work() -> None:
    # TK-4
    flaky, queue, till = Flaky(claim=1), MemoryQueue(), Till()
    await flaky.put(item(Pay(1)))
    await queue.put(item(Pay(2), delay=0.001))
    await till.worker(flaky, queue).run_until_idle(ahead=0.002)
    assert sorted(amount for amount, _ in till.paid) == [1, 2]


async def test_a_retry_that_another_worker_has_taken_is_not_waited_for() -> None:
    # TK-4
    class Shared(MemoryQueue):
        async def retry(self, claim: Claim, delay: float = 0.0) -> None:
            await self.ack(claim)

    queue, till = Shared(), Till(fails=1)
    await queue.put(item(Pay(1)))
    await till.worker(queue).run_until_idle()
    assert (till.paid, anyio.current_time()) == ([], 0)


@pytest.mark.parametrize("rows", [1, 101])
@pytest.mark.parametrize("ahead", [0.0, inf])
async def test_rows_whose_handlers_are_not_here_are_left(rows: int, ahead: float) -> None:
    # TK-4
    queue, books = MemoryQueue(), Books("post")
    body = CODEC.encode(Envelope(Paid(5)))
    await queue.put(*[Item(body, {"modd-handler": "mail"}) for _ in range(rows)], item(Paid(7)))
    await Worker(queue, books.bus, clock=anyio.current_time).run_until_idle(ahead=ahead)
    assert books.log == [("post", 7)]
    assert await queue.stats() == Stats(ready=0, delayed=0, leased=0, dead=0, left=rows)


@pytest.mark.unmeasured
async def test_delays_in_a_file_pass_by_the_clock_of_the_loop_if_its_store_has_it(tmp_path: Path) -> None:
    # TK-4
    till = Till(fails=1)
    async with SqliteStore(tmp_path / "till.db", clock=anyio.current_time) as store:
        queue = store.queue("till")
        await queue.put(item(Pay(1), delay=30))
        # the clock jumps while the store's thread works, which it does not see
        await till.worker(queue, lease=1e9).run_until_idle(ahead=30)
        assert await queue.stats() == EMPTY
    [(_, at)] = till.paid
    assert at >= 90


async def test_it_ends_when_it_is_stopped_and_at_the_limits_of_the_worker() -> None:
    # TK-4
    queue, till = MemoryQueue(), Till()
    await queue.put(*[item(Pay(n)) for n in range(3)], item(Pay(9), delay=DAY))
    await till.worker(queue, max_messages=2).run_until_idle(ahead=inf)
    assert len(till.paid) == 2
    worker = till.worker(queue)
    worker.stop()
    await worker.run_until_idle()
    assert len(till.paid) == 2
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: worker.run_until_idle(ahead=inf))
        await anyio.sleep(1)
        with pytest.raises(AlreadyRunning):
            await worker.run_until_idle()
        worker.stop()
    assert (len(till.paid), anyio.current_time()) == (3, 1)


@pytest.mark.parametrize("ahead", [-1, nan, "1", None, True])
async def test_seconds_ahead_that_cannot_be_are_an_error(ahead: Any) -> None:
    # TK-4
    worker = Till().worker(MemoryQueue())
    with pytest.raises(InvalidOption, match=r"ahead=.*give seconds, 0 or more, or math.inf"):
        await worker.run_until_idle(ahead=ahead)
