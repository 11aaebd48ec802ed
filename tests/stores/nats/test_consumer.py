"""The consumer behind a view: it is made anew when something was missed, and never shows less than the server has."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from modd.ports import Item, Stats
from modd.stores import StoreBusy
from modd.stores.nats import consumer
from modd.stores.nats.record import Write
from tests.nats.server import NatsServer
from tests.stores.nats.proxy import Proxy, proxy_to
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio


def swallow(proxy: Proxy, marker: bytes) -> anyio.Event:
    """Have the proxy lose the next bytes for the client with a marker; return an event for that moment."""
    lost, passing = anyio.Event(), proxy.to_client

    def pass_to_client(data: bytes) -> bytes:
        if marker not in data:
            return data
        proxy.to_client = passing
        lost.set()
        return b""

    proxy.to_client = pass_to_client
    return lost


async def test_a_view_in_which_too_much_waits_is_made_anew(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # NA-16
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(consumer, "MOST_WAITING", 5)
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as slow,
    ):
        queue = slow.queue("orders")
        assert await queue.stats() == Stats(0, 0, 0, 0)
        held, told = bytearray(), logged(caplog, "bytes waited in it")

        def hold_back(data: bytes) -> bytes:
            held.extend(data)
            if held.count(b'{"id":') < 100:
                return b""
            proxy.to_client = lambda data: data
            return bytes(held)

        proxy.to_client = hold_back
        await store.queue("orders").put(*[b"%d" % number for number in range(100)])
        with anyio.fail_after(60):
            await told.wait()
            monkeypatch.undo()
            assert len(await queue.claim(1_000, 60)) == 100


async def test_a_view_is_complete_when_the_leader_has_no_more(nats_server: NatsServer) -> None:
    # NA-21: the replica that sends the records is behind it
    seen = [0]

    def know_less(data: bytes) -> bytes:
        seen[0] += data.count(b'"num_pending":2')
        return data.replace(b'"num_pending":2', b'"num_pending":0')

    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as late,
    ):
        await store.stream.commit([Write(f"{store.subjects.queue('orders')}.{name}", {"gone": True}) for name in "ab"])
        proxy.to_client = know_less
        assert await late.queue("orders").stats() == Stats(0, 0, 0, 0)
        assert seen == [1]
        await store.queue("orders").put(b"1")
        [claim] = await late.queue("orders").claim(9, 60)
        assert claim.body == b"1"


@pytest.mark.measured_on_trio
@pytest.mark.parametrize("follows", ["a message", "a heartbeat"])
async def test_a_view_that_has_missed_a_message_is_made_anew(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, follows: str
) -> None:
    # NA-5
    monkeypatch.setattr(consumer, "HEARTBEAT", 0.1 if follows == "a heartbeat" else 60)
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as slow,
    ):
        queue = slow.queue("orders")
        assert await queue.stats() == Stats(0, 0, 0, 0)
        lost = swallow(proxy, b"first")
        await store.queue("orders").put(b"first")
        await lost.wait()
        if follows == "a message":
            await store.queue("orders").put(b"second")
        with anyio.fail_after(60):
            [claim] = await queue.claim(1, 60)
        assert claim.body == b"first"


async def test_a_view_that_hears_nothing_is_made_anew(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # NA-5
    monkeypatch.setattr(consumer, "HEARTBEAT", 0.1)
    monkeypatch.setattr(consumer, "MISSED", 0.3)
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as deaf,
    ):
        queue = deaf.queue("orders")
        assert await queue.stats() == Stats(0, 0, 0, 0)
        passing, made = proxy.to_client, anyio.Event()
        proxy.to_client = lambda data: b""

        def see(data: bytes) -> bytes:
            if b"CONSUMER.DELETE" in data:
                proxy.to_client = passing
                made.set()
            return data

        proxy.to_server = see
        await store.queue("orders").put(b"1")
        with anyio.fail_after(60):
            await made.wait()
            [claim] = await queue.claim(1, 60)
        assert claim.body == b"1"


async def test_a_view_is_made_anew_when_the_server_says_something_else(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # NA-5
    monkeypatch.setattr(consumer, "HEARTBEAT", 0.1)
    caplog.set_level(logging.INFO)
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as other,
    ):
        told = logged(caplog, "409 Idle Heartbeat")
        await other.queue("orders").stats()
        proxy.to_client = lambda data: data.replace(b"NATS/1.0 100 Idle", b"NATS/1.0 409 Idle")
        with anyio.fail_after(60):
            await told.wait()
            proxy.to_client = lambda data: data
            await store.queue("orders").put(b"1")
            [_] = await other.queue("orders").claim(1, 60)


async def test_a_view_reads_more_than_the_server_sends_without_asking(nats_server: NatsServer) -> None:
    # NA-16
    async with open_store(nats_server) as store, open_store(nats_server, store.name) as other:
        for _ in range(4):
            await store.queue("orders").put(*[b"x" * 100_000] * 10)
        assert (await other.queue("orders").stats()).ready == 40


async def test_a_view_is_made_anew_at_a_reconnect(nats_server: NatsServer) -> None:
    # NA-5
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as cut,
    ):
        queue = cut.queue("orders")
        await queue.put(Item(b"1", id="1", key="k"), Item(b"2", id="2", key="k"))
        assert (await queue.stats()).ready == 2
        proxy.to_client = lambda data: None
        await store.queue("orders").cancel("1")
        proxy.to_client = lambda data: data
        with anyio.fail_after(60):
            [claim] = await queue.claim(9, 60)
        assert claim.body == b"2"


async def test_a_stream_that_is_deleted_is_told_and_looked_for_again(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # NA-5
    monkeypatch.setattr(consumer, "HEARTBEAT", 0.1)
    monkeypatch.setattr(consumer, "MISSED", 0.3)
    async with open_store(nats_server) as store:
        queue, stream = store.queue("orders"), store.stream
        assert await queue.stats() == Stats(0, 0, 0, 0)
        config = (await stream.info())["config"]
        await stream.requests.ask(f"STREAM.DELETE.{stream.name}")
        told = logged(caplog, "the queue 'orders' is read anew")
        with anyio.fail_after(60):
            await told.wait()
        stream.requests.timeout = 0.5
        with pytest.raises(StoreBusy, match="there is no stream"):
            await queue.claim(1, 60)
        stream.requests.timeout = 30
        await stream.requests.ask(f"STREAM.CREATE.{stream.name}", config)
        await queue.put(b"1")
        with anyio.fail_after(60):
            while not await claims_of(queue):
                pass


def logged(caplog: pytest.LogCaptureFixture, text: str) -> anyio.Event:
    """Return an event for the moment in which a text is logged."""
    event = anyio.Event()

    def look(record: logging.LogRecord) -> bool:
        if text in record.getMessage():
            event.set()
        return True

    caplog.handler.addFilter(look)
    return event


async def claims_of(queue: Any) -> Any:
    """Claim; nothing while the view is not there."""
    try:
        return await queue.claim(1, 60)
    except StoreBusy:
        return []
