"""A relay passes on items in order."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Item
from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue
from tests.relay.places import Unsteady, bodies, running

pytestmark = pytest.mark.anyio


async def test_items_are_passed_on_as_they_are_and_leave_the_outbox() -> None:
    # ST-56
    outbox, queue = MemoryOutbox(), MemoryQueue()
    ids = await outbox.put(Item(b"1", {"type": "a"}, "k", id="mine"), b"2")
    assert await Relay(outbox, queue).pass_on() == 2
    first, second = await queue.claim(9, 60)
    assert (first.id, first.body, first.headers, first.key) == ("mine", b"1", {"type": "a"}, "k")
    assert (second.id, second.body, second.headers, second.key) == (ids[1], b"2", {}, None)
    assert await bodies(outbox) == []


async def test_one_batch_is_passed_on_at_a_time_in_order() -> None:
    outbox, queue = MemoryOutbox(), MemoryQueue()
    await outbox.put(*[b"%d" % number for number in range(5)])
    relay = Relay(outbox, queue, batch=2)
    assert [await relay.pass_on() for _ in range(4)] == [2, 2, 1, 0]
    assert await bodies(queue) == [b"0", b"1", b"2", b"3", b"4"]


async def test_it_runs_until_it_is_stopped_and_waits_for_what_is_put() -> None:
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    start = anyio.current_time()
    async with running(Relay(outbox, queue, poll=60)):
        for _ in range(3):
            await anyio.sleep(7)
            await outbox.put(b"")
        await anyio.sleep(7)
    assert queue.times("put") == [start + 7, start + 14, start + 21]
    assert anyio.current_time() == start + 28


async def test_an_outbox_that_cannot_be_waited_for_is_polled() -> None:
    outbox, queue = Unsteady(MemoryOutbox()), Unsteady(MemoryQueue())
    start = anyio.current_time()
    async with running(Relay(outbox, queue, poll=4)):
        await anyio.sleep(5)
        await outbox.place.put(b"1")
        await anyio.sleep(5)
    assert [at - start for at in outbox.times("claim")] == pytest.approx([0, 4, 8, 8])
    assert [at - start for at in queue.times("put")] == pytest.approx([8])


async def test_full_batches_follow_each_other_at_once() -> None:
    outbox, queue = Unsteady(MemoryOutbox()), MemoryQueue()
    await outbox.place.put(*[b"%d" % number for number in range(100)])
    async with running(Relay(outbox, queue, batch=7, poll=1000)):
        await anyio.sleep(1)
    assert await bodies(queue) == [b"%d" % number for number in range(100)]


async def test_a_stop_lets_the_batch_be_passed_on() -> None:
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    await outbox.put(b"1", b"2")
    queue.slow = {"put": 5}
    start = anyio.current_time()
    async with running(Relay(outbox, queue, batch=1)):
        await anyio.sleep(1)
    assert anyio.current_time() == start + 5
    assert await bodies(queue.place) == [b"1"]
    assert await bodies(outbox) == [b"2"]


async def test_several_relays_of_an_outbox_take_turns_and_keep_the_order() -> None:
    # ST-56
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    numbers = [b"%d" % number for number in range(50)]
    queue.slow = {"put": 0.5}
    async with running(*[Relay(outbox, queue, batch=3) for _ in range(4)]):
        for number in numbers:
            await outbox.put(Item(number, key="k"))
        await anyio.sleep(60)
    assert len(queue.times("put")) >= 17
    for number in numbers:
        [claim] = await queue.place.claim(9, 60)
        assert claim.body == number
        await queue.place.ack(claim)


@pytest.mark.measured_on_trio
async def test_one_relay_may_run_twice() -> None:
    outbox, queue = MemoryOutbox(), MemoryQueue()
    relay = Relay(outbox, queue, poll=60)
    async with running(relay, relay):
        await anyio.sleep(1)
        await outbox.put(b"1")
        await anyio.sleep(1)
        assert await bodies(queue) == [b"1"]


async def test_it_tells_when_it_last_polled() -> None:
    relay: Any = Relay(MemoryOutbox(), MemoryQueue(), clock=lambda: 7.0)
    assert relay.last_polled is None
    await relay.pass_on()
    assert relay.last_polled == 7.0
    with pytest.raises(AttributeError):
        relay.last_polled = 8.0


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"outbox": MemoryQueue}, r"outbox=<class .*: give a modd\.ports\.Outbox"),
        ({"outbox": None}, r"outbox=None: give a modd\.ports\.Outbox"),
        ({"target": object()}, r"target=<object .*: give a modd\.ports\.Queue, or something else with its put"),
        ({"target": MemoryQueue}, r"target=<class .*: give a modd\.ports\.Queue"),
        ({"batch": 0}, r"batch=0: give a whole number, at least 1"),
        ({"lease": 0}, r"lease=0: give seconds, more than 0"),
        ({"poll": 0}, r"poll=0: give seconds, more than 0"),
        ({"drain": -1}, r"drain=-1: give seconds, 0 or more"),
        ({"clock": 5}, r"clock=5: give a function"),
    ],
)
def test_what_cannot_be_relayed_fails_when_the_relay_is_made(given: dict[str, Any], wanted: str) -> None:
    options: dict[str, Any] = {"outbox": MemoryOutbox(), "target": MemoryQueue()} | given
    with pytest.raises(InvalidOption, match=wanted):
        Relay(options.pop("outbox"), options.pop("target"), **options)


async def test_an_outbox_is_no_target_of_its_own_as_it_would_forget_all() -> None:
    outbox = MemoryOutbox()
    with pytest.raises(InvalidOption, match=r"target=.*: it is the outbox itself; give the queue"):
        Relay(outbox, outbox)
