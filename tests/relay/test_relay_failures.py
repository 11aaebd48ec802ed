"""A relay when something fails or it is cancelled: nothing is lost, and it goes on."""

from __future__ import annotations

import logging
from itertools import pairwise

import anyio
import pytest

from modd.ports import LeaseLost
from modd.ports.settlement import SETTLE_TIMEOUT
from modd.relay import Relay
from modd.relay.relay import MAX_PAUSE
from modd.stores import MemoryOutbox, MemoryQueue
from tests.relay.places import Refused, Unsteady, bodies, running

pytestmark = pytest.mark.anyio


async def test_what_the_target_does_not_take_is_given_back_at_once() -> None:
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    await outbox.put(b"1", b"2")
    queue.down = {"put"}
    with pytest.raises(Refused):
        await Relay(outbox, queue).pass_on()
    assert await bodies(outbox) == [b"1", b"2"]


async def test_what_was_put_and_not_acknowledged_is_put_again_with_the_same_ids() -> None:
    # ST-55
    outbox, queue = Unsteady(MemoryOutbox()), MemoryQueue()
    await outbox.place.put(b"1", b"2")
    outbox.down = {"ack"}
    relay = Relay(outbox, queue)
    with pytest.raises(Refused):
        await relay.pass_on()
    outbox.down = set()
    assert await relay.pass_on() == 2
    assert await bodies(queue) == [b"1", b"2"]


async def test_a_failure_is_logged_and_tried_again_after_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    await outbox.put(b"secret")
    queue.down = {"put"}
    async with running(Relay(outbox, queue, poll=1)):
        await anyio.sleep(100)
        queue.down = set()
        await anyio.sleep(2 * MAX_PAUSE)
    pauses = [after - before for before, after in pairwise(queue.times("put"))]
    assert 0.2 < pauses[0] < 0.8
    assert pauses[-1] == pytest.approx(MAX_PAUSE)
    assert await bodies(queue.place) == [b"secret"]
    logged = [record for record in caplog.records if record.name == "modd.relay"]
    assert len(logged) == len(pauses)
    assert {record.levelno for record in logged} == {logging.ERROR}
    assert "could not pass on the items of the outbox; next try in" in logged[0].message
    assert "secret" not in caplog.text


async def test_after_a_success_pauses_are_short_again() -> None:
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    queue.down = {"put"}
    await outbox.put(b"1")
    async with running(Relay(outbox, queue)):
        await anyio.sleep(100)
        queue.down = set()
        await anyio.sleep(MAX_PAUSE)
        queue.down, failed = {"put"}, len(queue.calls)
        await outbox.put(b"2")
        await anyio.sleep(5)
    first, second = queue.times("put")[failed:][:2]
    assert 0.2 < second - first < 0.8


@pytest.mark.parametrize("method", ["claim", "ack"])
async def test_a_store_that_fails_for_a_while_is_tried_again(method: str) -> None:
    outbox, queue = Unsteady(MemoryOutbox()), MemoryQueue()
    await outbox.place.put(b"1")
    outbox.down = {method}
    async with running(Relay(outbox, queue)):
        await anyio.sleep(30)
        outbox.down = set()
        await anyio.sleep(2 * MAX_PAUSE)
    assert await bodies(queue) == [b"1"]
    assert await bodies(outbox.place) == []


async def test_a_stop_does_not_wait_for_the_pause_after_a_failure() -> None:
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    await outbox.put(b"1")
    queue.down = {"put"}
    async with running(Relay(outbox, queue)):
        await anyio.sleep(100)
        stopped = anyio.current_time()
    assert anyio.current_time() == stopped


async def test_what_cannot_be_given_back_is_free_when_its_lease_ends(caplog: pytest.LogCaptureFixture) -> None:
    outbox, queue = Unsteady(MemoryOutbox()), Unsteady(MemoryQueue())
    await outbox.place.put(b"1")
    outbox.down, queue.down = {"release"}, {"put"}
    with pytest.raises(Refused, match="put"):
        await Relay(outbox, queue, lease=20).pass_on()
    assert "could not be settled; free when the lease ends" in caplog.text
    assert await bodies(outbox.place) == []
    await anyio.sleep(20)
    assert await bodies(outbox.place) == [b"1"]


async def test_a_store_that_does_not_answer_is_waited_for_a_little(caplog: pytest.LogCaptureFixture) -> None:
    outbox, queue = Unsteady(MemoryOutbox()), Unsteady(MemoryQueue())
    await outbox.place.put(b"1")
    outbox.slow, queue.down = {"release": 1000}, {"put"}
    start = anyio.current_time()
    with pytest.raises(Refused, match="put"):
        await Relay(outbox, queue).pass_on()
    assert anyio.current_time() == start + SETTLE_TIMEOUT
    assert "could not be settled within 1 s; free when the lease ends" in caplog.text


async def test_what_was_acknowledged_after_all_need_not_be_given_back(caplog: pytest.LogCaptureFixture) -> None:
    outbox, queue = Unsteady(MemoryOutbox()), MemoryQueue()
    await outbox.place.put(b"1")
    outbox.down_after = {"ack"}
    with pytest.raises(Refused, match="ack"):
        await Relay(outbox, queue).pass_on()
    assert not caplog.records
    assert await bodies(queue) == [b"1"]
    assert await bodies(outbox.place) == []


async def test_a_target_that_takes_longer_than_the_lease_is_given_up() -> None:
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    await outbox.put(b"1", b"2")
    queue.slow = {"put": 1000}
    start = anyio.current_time()
    with pytest.raises(LeaseLost) as lost:
        await Relay(outbox, queue, lease=20).pass_on()
    assert anyio.current_time() == pytest.approx(start + 20)
    claims = await outbox.claim(9, 60)
    assert lost.value.ids == tuple(claim.id for claim in claims)
    assert await bodies(queue.place) == []  # the next who has the items goes on, and this one is not in its way


async def test_a_relay_that_is_cancelled_gives_back_what_it_has_claimed() -> None:
    outbox, queue = Unsteady(MemoryOutbox()), Unsteady(MemoryQueue())
    await outbox.place.put(b"1")
    outbox.slow, queue.slow = {"release": 0.5}, {"put": 10}
    with anyio.move_on_after(5):
        await Relay(outbox, queue).run()
    assert await bodies(outbox.place) == [b"1"]


async def test_a_relay_that_waits_or_rests_can_be_cancelled() -> None:
    outbox, queue = MemoryOutbox(), Unsteady(MemoryQueue())
    queue.down = {"put"}
    relay = Relay(outbox, queue, poll=60)
    for _ in range(2):
        with anyio.move_on_after(5) as scope:
            await relay.run()
        assert scope.cancelled_caught
        assert not relay._stoppable
        await outbox.put(b"1")
