"""The status of an app, and the words of workers, relays and followers for what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modd.app import App, AppFailed, Health, Status
from modd.app.status import PartFact, status_of
from modd.cqrs import CommandBus
from modd.follower import Follower
from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue, MemoryStore
from modd.worker import Worker
from tests.app.jobs import Brief, Failing, Job, Slow
from tests.projection.shop import totals as projection
from tests.virtual import anyio_backend  # noqa: F401  # the fixture
from tests.worker.desk import Pay, item

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Deaf:
    """A store that does not answer once it is told so."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.is_deaf, self.asked = inner, False, anyio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def claim(self, *args: Any, **options: Any) -> Any:
        if self.is_deaf:
            self.asked.set()
            await anyio.sleep_forever()
        return await self.inner.claim(*args, **options)


def fact(**options: Any) -> PartFact:
    """Return the facts about a part that works."""
    values: dict[str, Any] = {"label": "job", "state": "running", "has_begun": True}
    return PartFact(**(values | options))


@pytest.mark.parametrize(
    ("facts", "words", "is_well"),
    [
        (fact(), "ok", True),
        (fact(state="ended"), "ended", True),
        (fact(state="waiting", has_begun=False), "not started", False),
        (fact(has_begun=False), "starting", False),
        (fact(has_begun=False, problem="not polled yet"), "not polled yet", False),
        (fact(problem="last polled 31 s ago"), "last polled 31 s ago", False),
        (fact(error=ValueError("secret")), "failed: ValueError", False),
        (fact(is_timer=True, problem="failed 2 times, last: OSError"), "failed 2 times, last: OSError", True),
        (fact(is_timer=True, has_begun=False), "starting", False),
        (fact(is_timer=True, error=ValueError("secret")), "failed: ValueError", False),
        (fact(is_timer=True, state="waiting", has_begun=False), "not started", False),
    ],
)
def test_the_status_follows_from_the_facts(facts: PartFact, words: str, is_well: bool) -> None:
    # AP-30
    parts = {"job": words}
    assert status_of([facts], {}, is_live=True, is_stopping=False) == Status(True, is_well, parts)
    assert status_of([facts], {}, is_live=True, is_stopping=True) == Status(True, False, parts)
    assert status_of([facts], {}, is_live=False, is_stopping=False) == Status(False, False, parts)
    checked = status_of([facts], {"db": "OSError"}, is_live=True, is_stopping=False)
    assert checked == Status(True, False, {**parts, "db": "OSError"})


async def test_a_check_has_two_seconds_and_tells_no_text() -> None:
    # AP-31
    async def good() -> None: ...

    async def bad() -> None:
        raise ConnectionError("a secret")

    async def false() -> bool:
        return False

    async def long() -> None:
        await anyio.sleep(2.5)

    checks: dict[str, Any] = {"good": good, "bad": bad, "false": false, "long": long}
    app = App("shop", Job(), health=Health(port=0, checks=checks))
    assert await app.status() == Status(False, False, {"job": "not started"})
    words = await Health(checks=checks).run_checks()
    assert words == {"good": "ok", "bad": "ConnectionError", "false": "returned False", "long": "TimeoutError"}


async def test_the_status_of_an_app_that_has_ended_tells_how_its_parts_ended() -> None:
    # AP-88
    job = Job("job")
    app = App("shop", job, Failing(ValueError("a secret"), after=job.began))
    with pytest.raises(AppFailed):
        await app.run()
    assert await app.status() == Status(False, False, {"job": "ended", "failing": "failed: ValueError"})
    app.stop()
    async with app.running():
        assert not (await app.status()).live


async def test_a_part_whose_words_cannot_be_got_is_not_well() -> None:
    # AP-30
    class Broken(Slow):
        def problem(self) -> str | None:
            raise OSError("a secret")

    class Odd(Job):
        problem = "no function"

    broken = Broken("broken")
    broken.may_be_ready.set()
    async with (app := App("shop", broken, Odd("odd"), Brief())).running():
        assert (await app.status()).parts == {"broken": "OSError", "odd": "ok", "brief": "ended"}


Made = tuple[Any, Deaf, Clock]


def worker() -> Made:
    clock = Clock()
    queue: Any = Deaf(MemoryQueue())
    return Worker(queue, CommandBus({Pay: lambda pay: None}), clock=clock), queue, clock


def relay() -> Made:
    clock = Clock()
    outbox: Any = Deaf(MemoryOutbox())
    return Relay(outbox, MemoryQueue(), clock=clock), outbox, clock


@pytest.mark.parametrize("make", [worker, relay])
async def test_a_worker_or_a_relay_is_well_while_it_polls(make: Callable[[], Made]) -> None:
    # AP-31
    part, store, clock = make()
    assert part.problem() == "not polled yet"
    async with (app := App("shop", part)).running():
        assert (part.poll, part.problem()) == (1.0, None)
        store.is_deaf = True
        await store.asked.wait()
        clock.now += 5
        assert part.problem() is None
        clock.now += 26
        assert part.problem() == "last polled 31 s ago"
        status = await app.status()
        assert (status.ready, status.parts) == (False, {part.label: "last polled 31 s ago"})
    assert part.problem() == "not polled yet"
    assert part.last_polled == 1000.0


async def test_a_follower_is_well_while_it_looks_at_the_log() -> None:
    # AP-31
    clock = Clock()
    follower = Follower(MemoryStore(clock=clock), [projection()], poll=3)
    assert (follower.label, follower.poll, follower.problem()) == ("follower", 3, "not polled yet")
    async with App("shop", follower).running():
        clock.now += 9
        assert follower.problem() is None
        clock.now += 1
        assert follower.problem() == "last polled 10 s ago"
    assert follower.problem() == "not polled yet"
    assert Follower(MemoryStore(), [projection()], name="sales").label == "follower sales"


async def test_labels_name_the_queues_and_options_can_be_read() -> None:
    # AP-30
    store, bus = MemoryStore(), CommandBus({Pay: lambda pay: None})
    queues = [store.queue("urgent"), store.queue("commands")]
    assert (Worker(queues, bus, poll=2).label, Worker(queues, bus, poll=2).poll) == ("worker urgent, commands", 2)
    relay = Relay(store.outbox, queues[0], poll=4, drain=5)
    assert (relay.label, relay.poll, relay.drain) == ("relay", 4, 5)


@pytest.mark.parametrize("make", [worker, relay])
async def test_waiting_for_a_poll_can_be_cancelled_and_goes_on_in_the_next_run(make: Callable[[], Made]) -> None:
    # AP-31
    part, store, _ = make()
    store.is_deaf = True
    with anyio.move_on_after(1) as scope:
        await part.wait_ready()
    assert scope.cancelled_caught
    for store.is_deaf in (True, False):  # the first run ends before a poll was answered
        with anyio.fail_after(300):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(part.run)
                await (store.asked.wait if store.is_deaf else part.wait_ready)()
                part.stop()
    assert part.last_polled == 1000.0


async def test_a_worker_that_leaves_the_queues_to_another_one_with_a_suspect_is_ready() -> None:
    # AP-31
    queue, began, done = MemoryQueue(), anyio.Event(), anyio.Event()

    async def pay(pay: Pay) -> None:
        began.set()
        await done.wait()

    await queue.put(item(Pay()))
    await queue.claim(1, 0.1)
    await anyio.sleep(1)
    busy, other = (Worker(queue, CommandBus([pay], name=name)) for name in ("one", "two"))
    with anyio.fail_after(300):
        async with App("shop", busy).running():
            await began.wait()
            async with App("other", other).running():
                assert other.problem() is None
            done.set()
