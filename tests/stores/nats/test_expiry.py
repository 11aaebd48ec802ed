"""Records with an end leave the server."""

from __future__ import annotations

import anyio
import pytest

from modd.stores.nats.expiry import LONGEST
from modd.stores.nats.record import Write
from modd.stores.nats.store import NatsStore
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store, until

pytestmark = pytest.mark.anyio


async def has_less(store: NatsStore, messages: int) -> bool:
    """True if the stream has less messages."""
    return bool((await store.stream.info())["state"]["messages"] < messages)


async def test_values_of_the_cache_leave_the_server_a_little_after_their_end(nats_server: NatsServer) -> None:
    # NA-22
    async with open_store(nats_server) as store:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(store.cache.set, str(number), b"1", 0.3)
        await store.cache.set("a", b"1", 100)
        await until(lambda: has_less(store, 2))
        assert await store.cache.get("a") == b"1"
        assert await store.cache.add("1", b"2", 100)


async def test_a_value_for_ever_is_one_that_the_server_does_not_remove(nats_server: NatsServer) -> None:
    # NA-22
    async with open_store(nats_server) as store:
        for ttl in (LONGEST, 1e300, float("inf")):
            await store.cache.set("a", b"1", ttl)
            assert await store.cache.get("a") == b"1"


async def test_what_is_over_is_over_by_the_servers_clock_though_it_is_still_stored(nats_server: NatsServer) -> None:
    # NA-22
    async with open_store(nats_server) as store:
        for subject in (store.subjects.cache("a"), store.subjects.lock("a"), store.subjects.inbox("a")):
            meta = {"seconds": -60, "key": "a", "id": "a", "token": "other"}
            await store.stream.commit([Write(subject, meta, b"1", ttl=1000)])
        store.clock.see(
            await store.stream.time()
        )  # else it may be behind that of the server, by an answer that took long
        assert await store.cache.get("a") is None
        assert not await store.inbox.has("a")
        assert not await store.locks.renew("a", 9, "other")
        await store.locks.release("a", "other")
        await store.inbox.add("a")
        assert await store.cache.add("a", b"2", 9) and await store.locks.acquire("a", 9, "me")


@pytest.mark.slow
async def test_many_values_of_the_cache_leave_nothing_behind(nats_server: NatsServer) -> None:
    # NA-22
    async with open_store(nats_server) as store:
        for first in range(0, 100_000, 1_000):
            async with store.transaction(immediate=True, max_seconds=60):
                for number in range(first, first + 1_000):
                    await store.cache.set(str(number), b"1", 1)
        await until(lambda: has_less(store, 1_000))
