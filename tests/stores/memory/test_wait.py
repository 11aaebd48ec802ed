"""Queue and outbox in memory: how one waits for something to claim. Time is virtual, so that waits are exact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Item
from modd.stores import MemoryOutbox, MemoryQueue

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("kind", [MemoryQueue, MemoryOutbox])


async def waited(store: Any, seconds: float = 60, then: Callable[[], Awaitable[object]] | None = None) -> float:
    """For how long one waits, if something else is done after 5 seconds."""

    async def do() -> None:
        await anyio.sleep(5)
        if then is not None:
            await then()

    started = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(do)
        await store.wait(seconds)
        tasks.cancel_scope.cancel()
    return round(anyio.current_time() - started, 6)


@both
async def test_who_waits_waits_as_long_as_is_said(kind: type[Any]) -> None:
    assert await waited(kind(), 60) == 60
    assert await waited(kind(), 0) == 0


@both
async def test_who_waits_is_woken_by_a_put(kind: type[Any]) -> None:
    # ST-4
    store = kind()
    assert await waited(store, then=partial(store.put, b"1")) == 5


@both
async def test_nobody_waits_while_there_is_something(kind: type[Any]) -> None:
    store = kind()
    await store.put(b"1")
    assert await waited(store) == 0


@both
async def test_who_waits_is_woken_when_a_lease_ends(kind: type[Any]) -> None:
    store = kind()
    await store.put(b"1")
    await store.claim(1, 20)
    assert await waited(store, 10) == 10
    assert await waited(store) == 10


@both
async def test_who_waits_is_woken_by_a_release(kind: type[Any]) -> None:
    # ST-4
    store = kind()
    await store.put(b"1")
    [claim] = await store.claim(1, 20)
    assert await waited(store, then=partial(store.release, claim)) == 5


@both
async def test_all_who_wait_are_woken_and_leave_nothing_behind(kind: type[Any]) -> None:
    store, woken = kind(), list[float]()

    async def wait() -> None:
        await store.wait(60)
        woken.append(anyio.current_time())

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(wait)
        await anyio.sleep(1)
        await store.put(b"1")
    assert woken == [start + 1] * 3
    assert not store._notifier._events


@both
async def test_one_who_is_cancelled_leaves_nothing_behind(kind: type[Any]) -> None:
    store = kind()
    with anyio.move_on_after(1) as scope:
        await store.wait(60)
    assert scope.cancelled_caught and not store._notifier._events
    await store.put(b"1")
    assert len(await store.claim(1, 60)) == 1


@both
@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, None, "1"])
async def test_a_time_to_wait_that_cannot_be_is_an_error(kind: type[Any], seconds: Any) -> None:
    with pytest.raises(InvalidOption, match=r"seconds=.*: give seconds, 0 or more"):
        await kind().wait(seconds)


async def test_who_waits_for_an_outbox_is_woken_when_all_before_is_passed_on() -> None:
    outbox = MemoryOutbox()
    await outbox.put(b"1", b"2", b"3")
    first, second = await outbox.claim(2, 60)
    await outbox.ack(first)
    assert await waited(outbox, then=partial(outbox.ack, second)) == 5


async def test_who_waits_for_a_queue_is_woken_when_a_delayed_item_is_due() -> None:
    # ST-4
    queue = MemoryQueue()
    await queue.put(Item(b"1", delay=20))
    assert await waited(queue, then=partial(queue.put, Item(b"2", delay=10))) == 15
    [claim] = await queue.claim(9, 60)
    await queue.retry(claim, 2)
    assert await waited(queue) == 2


async def test_who_waits_for_a_queue_is_woken_when_a_key_is_free() -> None:
    # ST-4
    queue = MemoryQueue()
    for settle in (queue.ack, partial(queue.bury, reason="no use")):
        await queue.put(Item(b"1", key="k"), Item(b"2", key="k"))
        [claim] = await queue.claim(9, 60)
        assert await waited(queue, then=partial(settle, claim)) == 5
        await queue.ack(*await queue.claim(9, 60))


async def test_who_waits_for_a_queue_is_woken_by_a_redrive() -> None:
    queue = MemoryQueue()
    await queue.put(Item(b"1", id="a"))
    [claim] = await queue.claim(1, 60)
    await queue.bury(claim, "no use")
    assert await waited(queue, then=partial(queue.redrive, "a")) == 5


async def test_who_waits_for_a_queue_follows_a_lease_that_is_made_shorter_or_longer() -> None:
    queue = MemoryQueue()
    await queue.put(b"1")
    [claim] = await queue.claim(1, 30)
    assert await waited(queue, then=partial(queue.extend, claim, 5)) == 10
    [claim] = await queue.claim(1, 10)
    assert await waited(queue, then=partial(queue.extend, claim, 20)) == 25
