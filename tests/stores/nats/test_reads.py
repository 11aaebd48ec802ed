"""Reads of the stream: of the leader, or of all replicas, and when the server does not answer as usual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from modd.nats import Link
from modd.ports.errors import StoreError
from modd.stores.errors import StoreBusy, UnknownOutcome
from modd.stores.nats.documents import Space, list_documents
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import Record, Write
from modd.stores.nats.store import NatsStore
from tests.nats.server import NatsCluster, NatsServer
from tests.stores.nats.proxy import Proxy, proxy_to
from tests.stores.nats.stores import new_name, open_store

pytestmark = pytest.mark.anyio


async def fill(store: NatsStore, *names: str) -> str:
    """Write records, and return the filter of them all."""
    prefix = f"{store.subjects.prefix}z."
    for name in names:
        await store.stream.commit([Write(prefix + name, {}, name.encode())])
    return f"{prefix}*"


def bodies(records: list[Record]) -> list[bytes]:
    return [record.body for record in records]


def replace_once(proxy: Proxy, old: bytes, new: bytes) -> None:
    """Replace bytes in the first answer of the server that has them."""

    def replace(data: bytes) -> bytes:
        if old in data:
            proxy.to_client = lambda data: data
        return data.replace(old, new, 1)

    proxy.to_client = replace


async def test_records_are_read_in_the_order_of_their_sequences(nats_server: NatsServer) -> None:
    # NA-21
    async with open_store(nats_server) as store:
        stream, filter = store.stream, await fill(store, "a", "b", "c", "a")
        assert bodies(await stream.page(filter)) == bodies(await stream.last_of_each(filter)) == [b"b", b"c", b"a"]
        second = (await stream.page(filter, limit=2))[1]
        assert bodies(await stream.page(filter, second.sequence)) == [b"a"]
        after = await stream.next(filter, second.sequence)
        assert after is not None and after == await stream.last(filter) == await stream.get(after.sequence)
        assert await stream.next(filter, after.sequence) is await stream.get(99) is None
        assert await stream.purge(filter, keep=1) == 2
        assert bodies(await stream.page(filter)) == [b"a"]
        assert abs(await stream.time() - store.clock()) < 30


async def test_a_replica_that_is_behind_is_asked_again(nats_server: NatsServer) -> None:
    # NA-21
    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        stream, filter = store.stream, await fill(store, "a", "b")
        stream.replicas = 3
        replaced: list[bytes] = []

        def begin_later(data: bytes) -> bytes:
            if b"DIRECT.GET" in data and not replaced:
                replaced.append(data)
                return data.replace(b'"seq": 1,', b'"seq": 9,')
            return data

        proxy.to_server = begin_later
        assert bodies(await stream.page(filter)) == [b"a", b"b"]
        assert replaced


@pytest.mark.slow
async def test_each_server_of_a_cluster_shows_what_was_acknowledged_before(nats_cluster: NatsCluster) -> None:
    # NA-21
    name = new_name()
    async with open_store(nats_cluster.servers[0], replicas=3, name=name) as store:
        for server in nats_cluster.servers:
            async with open_store(server, name, replicas=3) as other:
                documents = other.documents("d")
                for number in range(20):
                    key = f"{server.name} {number:02}"
                    await store.documents("d").put(key, b"1")
                    assert await documents.get(key) == b"1"
                    assert [found for found, _ in await documents.items(server.name)][number] == key
                    await store.inbox.add(key)
                    assert await other.inbox.has(key)
        await store.stream.requests.ask(f"STREAM.DELETE.{store.stream.name}")


async def test_an_answer_that_is_lost_is_asked_for_again(nats_server: NatsServer) -> None:
    # NA-11
    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        stream, filter = store.stream, await fill(store, "a", "b")
        for marker in (b"STREAM.MSG.GET", b"DIRECT.GET"):
            proxy.lose_answer_of(marker)
            assert bodies(await stream.page(filter)) == [b"a", b"b"]
            assert (await stream.last(filter)) is not None
        replace_once(proxy, b"NATS/1.0 204", b"NATS/1.0 503")
        assert bodies(await stream.page(filter)) == [b"a", b"b"]
        replace_once(proxy, b'"code":404', b'"code":503')
        assert await stream.get(99) is None


async def test_a_part_of_an_answer_that_does_not_come_is_not_waited_for(nats_server: NatsServer) -> None:
    # NA-11
    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        stream, filter = store.stream, await fill(store, "a")
        stream.requests.timeout = 0.4
        proxy.to_client = lambda data: b"" if b"Nats-Sequence" in data else data
        with pytest.raises(StoreBusy):
            await stream.page(filter)


async def test_errors_of_the_server_are_errors_of_the_store(nats_server: NatsServer) -> None:
    # NA-11, NA-19
    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        stream, filter = store.stream, await fill(store, "a")
        with pytest.raises(StoreError, match=r"STREAM\.PURGE"):
            await stream.requests.ask(f"STREAM.PURGE.{stream.name}", {"keep": 1, "seq": 1})
        with pytest.raises(StoreError, match=r"STREAM\.MSG\.GET"):
            await stream.last_of_many([filter, "", filter])
        replace_once(proxy, b"NATS/1.0 204", b"NATS/1.0 408")
        with pytest.raises(StoreError, match="408"):
            await stream.page(filter)


async def test_a_server_that_stays_away_is_busy_and_what_was_not_sent_is_not_stored(nats_server: NatsServer) -> None:
    # NA-11
    async with proxy_to(nats_server) as proxy:
        link = Link(proxy.url, name="test", timeout=0.3)
        async with link, NatsStore(link, new_name(), timeout=30, durable="unchecked") as store:
            stream, filter = store.stream, await fill(store, "a")
            stream.requests.timeout = 0.3
            proxy.to_client = proxy.to_server = lambda data: None
            subject = filter.replace("*", "b")
            with pytest.raises((StoreBusy, UnknownOutcome)):
                await stream.commit([Write(subject, {})])  # the link learns that it is cut off
            for writes in ([Write(subject, {})], [Write(subject, {}), Write(f"{subject}.c", {})]):
                with pytest.raises(StoreBusy) as busy:
                    await stream.commit(writes)
                assert type(busy.value) is StoreBusy
            proxy.to_client = proxy.to_server = lambda data: data
            stream.requests.timeout = 30
            assert bodies(await stream.page(filter)) == [b"a"]


async def test_keys_of_documents_are_read_by_several_calls_at_a_time(nats_server: NatsServer) -> None:
    # NA-21
    async with open_store(nats_server) as store:
        documents = store.documents("d")
        await documents.put_many({"a": b"1", "b": b"1"})
        found = []

        async def read() -> None:
            found.append(await documents.items())

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(read)
        assert found == [[("a", b"1"), ("b", b"1")]] * 5
        await documents.put("c", b"1")
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(read)
        assert found[5:] == [[("a", b"1"), ("b", b"1"), ("c", b"1")]] * 5


class RivalReads:
    """The records of a stream, of which another writer removes some after the first page was read."""

    def __init__(self, store: NatsStore, space: str, *keys: str) -> None:
        self.stream, self._documents, self._keys = store.stream, store.documents(space), keys

    async def page(self, filter: str, after: int = 0, limit: int | None = None) -> list[Record]:
        records = await self.stream.page(filter, after, limit)
        await self._documents.put_many(dict.fromkeys(self._keys))
        return records

    async def last(self, filter: str) -> Record | None:
        return await self.stream.last(filter)

    async def last_of_many(self, filters: Sequence[str]) -> list[Record | None]:
        return await self.stream.last_of_many(filters)


async def test_a_document_that_is_removed_while_items_are_read_makes_room_for_the_next(
    nats_server: NatsServer,
) -> None:
    # NA-21
    async with open_store(nats_server) as store:
        await store.documents("d").put_many({key: key.encode() for key in "abcde"})
        reads: Any = RivalReads(store, "d", "a", "b", "d")
        found = await list_documents(Overlay(reads, store.clock), Space(store.subjects, "d"), "", 2)
        assert found == [("c", b"c"), ("e", b"e")]
