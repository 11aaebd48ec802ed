"""What is called at the same time is committed together, and each call is whole or not at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest

from modd.ports import AlreadyHandled, Conflict, Item, LeaseLost
from tests.stores.sqlite.connections import Watch
from tests.stores.sqlite.effects import Do, open_store
from tests.stores.sqlite.test_transaction import LOST

pytestmark = pytest.mark.anyio


async def together(watch: Watch, *calls: Do) -> int:
    """Have these done while the writer is held up at the first of them; how many commits that takes."""
    before = watch.done["COMMIT"]
    async with anyio.create_task_group() as tasks, watch.holding():
        tasks.start_soon(calls[0])
        await watch.stopped()
        for call in calls[1:]:
            tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
    return watch.done["COMMIT"] - before


async def test_many_puts_at_the_same_time_take_few_commits(path: Path) -> None:
    # ST-17
    watch = Watch()
    async with open_store(path, watch) as store:
        queue = store.queue("orders")
        await queue.put(b"0")
        assert await together(watch, *[partial(queue.put, b"%d" % number) for number in range(301)]) == 2
        assert (await queue.stats()).ready == 302


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio runs the tasks of a moment in a random order
async def test_writes_of_tasks_that_wake_each_other_are_in_one_commit(path: Path) -> None:
    # DR-70
    async def put_after(task: int) -> None:
        await woken[task].wait()
        woken[task + 1].set()
        await (store.outbox if task % 2 else queue).put(b"%d" % task, b"more")

    watch = Watch()
    async with open_store(path, watch) as store:
        queue = store.queue("orders")
        await queue.put(b"0")
        commits, woken = watch.done["COMMIT"], [anyio.Event() for _ in range(6)]
        async with anyio.create_task_group() as tasks:
            for task in (0, 0, 1, 2, 3, 4):
                tasks.start_soon(put_after, task)
            await anyio.wait_all_tasks_blocked()
            woken[0].set()
            await store.inbox.add("first")
        assert watch.done["COMMIT"] - commits == 1
        assert (await queue.stats()).ready == 9


async def test_a_commit_is_never_of_more_than_500_calls(path: Path) -> None:
    watch = Watch()
    async with open_store(path, watch) as store:
        assert await together(watch, *[partial(store.outbox.put, b"%d" % number) for number in range(1_102)]) == 4
        assert len(await store.outbox.claim(2_000, 60)) == 1_102


async def test_calls_of_all_kinds_are_committed_together(path: Path) -> None:
    watch = Watch()
    async with open_store(path, watch) as store:
        await store.queue("orders").put(b"0")
        commits = await together(
            watch,
            partial(store.cache.delete, "k"),
            partial(store.cache.set, "k", b"1", 60),
            partial(store.cache.add, "l", b"2", 60),
            partial(store.cache.delete, "m"),
            partial(store.locks.acquire, "k", 60, "me"),
            partial(store.locks.renew, "l", 60, "me"),
            partial(store.locks.release, "m", "me"),
            partial(store.inbox.add, "a"),
            partial(store.outbox.put, b"1"),
            partial(store.outbox.claim, 1, 60),
            partial(store.events.append, "a", [b"1"], 0),
            partial(store.events.save_snapshot, "a", 1, b"1"),
            partial(store.queue("orders").put, b"1"),
            partial(store.queue("orders").claim, 1, 60),
        )
        assert commits == 2
        assert (await store.cache.get("k"), await store.cache.get("l")) == (b"1", b"2")
        assert [event.body async for event in store.events.read("a")] == [b"1"]
        assert await store.inbox.has("a")


async def test_one_that_fails_harms_no_other(path: Path) -> None:
    # ST-17
    async def fails(call: Do, error: type[Exception]) -> None:
        with pytest.raises(error):
            await call()

    watch = Watch()
    async with open_store(path, watch) as store:
        queue = store.queue("orders")
        await queue.put(b"0")
        await store.inbox.add("before")
        commits = await together(
            watch,
            partial(store.cache.delete, "k"),
            partial(store.inbox.add, "a"),
            partial(fails, partial(store.inbox.add, "before"), AlreadyHandled),
            partial(store.inbox.add, "b"),
            partial(store.events.append, "s", [b"1"], 0),
            partial(fails, partial(store.events.append, "s", [b"2"], 7), Conflict),
            partial(store.events.append, "t", [b"3"], 0),
            partial(queue.put, Item(b"1", id="q")),
            partial(fails, partial(queue.ack, LOST), LeaseLost),
            partial(fails, partial(store.outbox.release, LOST), LeaseLost),
            partial(store.outbox.put, b"1"),
        )
        assert commits == 2
        assert [await store.inbox.has(id) for id in ("a", "b")] == [True, True]
        events = [event async for event in store.events.read_all()]
        assert sorted(event.body for event in events) == [b"1", b"3"]
        assert [event.position for event in events] == [1, 2]
        assert (await queue.stats()).ready == 2
        assert len(await store.outbox.claim(9, 60)) == 1


async def test_events_that_are_appended_together_have_positions_without_gaps(path: Path) -> None:
    # ST-8
    watch = Watch()
    async with open_store(path, watch) as store:
        appends = [partial(store.events.append, name, [b"1", b"2"], 0) for name in "abcdefgh"]
        assert await together(watch, *appends) == 2
        assert [event.position async for event in store.events.read_all()] == list(range(1, 17))
