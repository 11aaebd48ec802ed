"""Opening a store: the checks of the server, of the stream, and of the servers' disks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modd.errors import AlreadyOpen, InvalidOption, NotEntered
from modd.nats import Link
from modd.ports.errors import StoreError
from modd.stores.errors import NotDurable, StoreBusy, StoreClosed
from modd.stores.nats.errors import ServerTooOld
from modd.stores.nats.store import NatsStore
from tests.nats.server import NatsServer
from tests.stores.nats.proxy import proxy_to
from tests.stores.nats.stores import new_name, open_store

pytestmark = pytest.mark.anyio

OLD_BINARY = Path("/usr/sbin/nats-server")


@pytest.fixture(scope="module")
def restricted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server whose user may not create streams, and has to wait for the disk."""
    permissions = '{ publish: { deny: "$JS.API.STREAM.CREATE.>" } }'
    config = f"authorization {{ users: [{{ user: a, password: b, permissions: {permissions} }}] }}"
    with NatsServer(tmp_path_factory.mktemp("restricted"), config, sync="always") as server:
        yield server


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server without JetStream."""
    with NatsServer(tmp_path_factory.mktemp("plain"), jetstream=False) as server:
        yield server


@pytest.mark.parametrize(
    ("old", "new"), [(b'"version":"2.', b'"version":"1.'), (b'"level":', b'"levee":')], ids=["version", "level"]
)
async def test_a_server_that_is_too_old_is_refused_and_nothing_is_created(
    nats_server: NatsServer, old: bytes, new: bytes
) -> None:
    # NA-2
    async with proxy_to(nats_server) as proxy:
        proxy.to_client = lambda data: data.replace(old, new)
        name = new_name()
        with pytest.raises(ServerTooOld, match=r"2\.12\.2") as too_old:
            async with open_store(proxy, name):
                pass
        assert too_old.value.version in str(too_old.value) and too_old.value.is_misuse
        async with Link(nats_server.url, name="test") as link:
            answer = await link.request(f"$JS.API.STREAM.INFO.MODD_{name}")
            assert b"stream not found" in answer.body


@pytest.mark.skipif(not OLD_BINARY.exists(), reason="Debian's nats-server is not installed")
async def test_debians_server_is_too_old(tmp_path: Path) -> None:
    # NA-2
    with NatsServer(tmp_path, binary=OLD_BINARY) as server, pytest.raises(ServerTooOld):
        async with open_store(server):
            pass


async def test_a_server_without_jetstream_is_an_error_that_names_the_subject(plain_server: NatsServer) -> None:
    # NA-2, NA-19
    with pytest.raises(StoreError, match=r"\$JS\.API\.INFO") as error:
        async with open_store(plain_server):
            pass
    assert not isinstance(error.value, StoreBusy)


async def test_a_missing_permission_is_an_error_that_names_the_subject(restricted_server: NatsServer) -> None:
    # NA-2, NA-19
    async with Link(restricted_server.url, name="test", user="a", password="b") as link:
        with pytest.raises(StoreError, match=r"(?i)\$JS\.API\.STREAM\.CREATE\.MODD_"):
            async with NatsStore(link, new_name(), durable="unchecked"):
                pass


async def test_a_server_that_does_not_answer_is_busy(nats_server: NatsServer) -> None:
    # NA-2
    async with proxy_to(nats_server) as proxy, Link(proxy.url, name="test") as link:
        proxy.to_server = lambda data: b"" if b"$JS.API.INFO" in data else data
        with pytest.raises(StoreBusy):
            async with NatsStore(link, new_name(), timeout=0.2, durable="unchecked"):
                pass


async def test_a_stream_with_another_configuration_is_refused_with_the_differences(nats_server: NatsServer) -> None:
    # NA-3
    async with open_store(nats_server) as store:
        requests, name = store.stream.requests, f"{store.name}-other"
        other = {"name": f"MODD_{name}", "subjects": [f"modd.{name}.r.>"], "storage": "memory", "allow_direct": True}
        await requests.ask(f"STREAM.CREATE.MODD_{name}", other)
        with pytest.raises(StoreError) as error:
            async with open_store(nats_server, name):
                pass
        for text in (f"MODD_{name}", "storage is 'memory' and must be 'file'", "allow_atomic is", "allow_msg_ttl is"):
            assert text in str(error.value)
        assert "allow_direct" not in str(error.value)
        await requests.ask(f"STREAM.DELETE.MODD_{name}")


async def test_stores_of_one_name_share_their_content(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    # NA-3
    async with open_store(nats_server) as store, open_store(nats_server, store.name, replicas=3) as other:
        await store.documents("a").put("k", b"1")
        assert await other.documents("a").get("k") == b"1"
        assert await other.documents("a").items() == [("k", b"1")]
        [record] = caplog.records
        assert record.levelno == logging.WARNING and "1 replicas, not 3" in record.getMessage()


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a.b"},
        {"name": "x" * 65},
        {"name": None},
        {"replicas": 2},
        {"replicas": True},
        {"retention": 0},
        {"timeout": 0},
        {"durable": "maybe"},
    ],
    ids=str,
)
def test_an_option_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    # NA-3
    with pytest.raises(InvalidOption):
        NatsStore(Link("nats://localhost", name="test"), **{"name": "shop", **options})


async def test_a_store_is_used_inside_of_its_block(nats_server: NatsServer) -> None:
    # NA-19
    async with open_store(nats_server) as store:
        with pytest.raises(AlreadyOpen):
            await store.__aenter__()
    for call in (store.cache.get("a"), store.inbox.add("a"), store.documents("a").items()):
        with pytest.raises(StoreClosed):
            await call
    with pytest.raises(StoreClosed):
        store.transaction()
    with pytest.raises(StoreClosed):
        _ = store.background
    with pytest.raises(NotEntered):
        await store.__aexit__(None, None, None)
    assert repr(store) == f"<NatsStore {store.name}>" and repr(store.cache) == f"<NatsCache in {store!r}>"
    assert repr(store.documents("a")) == f"<NatsDocuments a in {store!r}>"


async def test_parts_belong_to_their_store(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server, retention=7) as store:
        parts: list[Any] = [store.cache, store.locks, store.inbox, store.events, store.outbox]
        for part in (*parts, store.documents("a"), store.queue("a"), store.feed("a")):
            assert part.store is store
            async with part.transaction() as tx, store.transaction() as inner:
                assert inner is tx
        assert store.documents("a") is store.documents("a") and store.queue("a") is store.queue("a")
        assert store.feed("a") is store.feed("a")
        assert store.inbox.retention == 7


async def test_an_error_of_the_block_leaves_it_as_it_is(nats_server: NatsServer) -> None:
    # NA-19
    error = ZeroDivisionError()

    async def fail() -> None:
        async with open_store(nats_server) as store:
            await store.inbox.add("a")
            raise error

    with pytest.raises(ZeroDivisionError) as raised:
        await fail()
    assert raised.value is error


async def test_a_server_that_does_not_wait_for_its_disk_is_refused(
    nats_server: NatsServer, restricted_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    # NA-13
    both = [restricted_server.monitor, nats_server.monitor]
    async with Link(nats_server.url, name="test", monitor=both) as link:
        with pytest.raises(NotDurable, match=nats_server.monitor):
            async with NatsStore(link, new_name()):
                pass
        async with NatsStore(link, new_name(), durable="unchecked") as store:
            assert store.stream.publisher.most == 10_000
    link = Link(nats_server.url, name="test", monitor=restricted_server.monitor)
    async with link, NatsStore(link, new_name()):
        pass
    assert caplog.records == []


@pytest.mark.parametrize("monitor", [None, "http://127.0.0.1:1", "https://127.0.0.1:1/x", "http://a b:x"], ids=str)
async def test_disks_that_cannot_be_asked_about_are_told_unless_that_is_silenced(
    nats_server: NatsServer, caplog: pytest.LogCaptureFixture, monitor: str | None
) -> None:
    # NA-13
    async with Link(nats_server.url, name="test", monitor=monitor) as link:
        async with NatsStore(link, new_name(), durable="unchecked"):
            assert caplog.records == []
        async with NatsStore(link, new_name()) as store:
            assert store.stream.publisher.most == 1_000
        [record] = caplog.records
        assert record.levelno == logging.WARNING and "sync_interval: always" in record.getMessage()
        assert monitor is None or monitor in record.getMessage()


@pytest.mark.parametrize("link", ["nats://localhost:4222", None, Link])
def test_a_store_is_given_a_link(link: Any) -> None:
    # NA-3
    with pytest.raises(InvalidOption, match=r"^link=.*: give an open link, such as NatsStore"):
        NatsStore(link, "shop")


async def test_a_full_stream_is_told_with_its_cure(nats_server: NatsServer) -> None:
    # NA-54
    async with open_store(nats_server) as store:
        queue, stream = store.queue("orders"), store.stream
        await queue.put(b"1")
        config = (await stream.info())["config"]
        await stream.requests.ask(f"STREAM.UPDATE.{stream.name}", {**config, "max_bytes": 2_000})
        stream.requests.timeout = 0.2
        with pytest.raises(StoreBusy, match=r"no room for a write.*maximum bytes exceeded.*raise `max_bytes`"):
            await queue.put(b"x" * 2_000)
        stream.requests.timeout = 30
        await stream.requests.ask(f"STREAM.UPDATE.{stream.name}", config)
        await queue.put(b"x" * 2_000)


async def test_writes_to_a_stream_that_was_deleted_name_the_cause(nats_server: NatsServer) -> None:
    # NA-54
    async with open_store(nats_server) as store:
        stream = store.stream
        config = (await stream.info())["config"]
        await stream.requests.ask(f"STREAM.DELETE.{stream.name}")
        stream.requests.timeout = 0.2
        with pytest.raises(StoreBusy, match="its stream was deleted, or has no leader"):
            await store.documents("d").put("k", b"1")
        stream.requests.timeout = 30
        await stream.requests.ask(f"STREAM.CREATE.{stream.name}", config)


async def test_a_stream_that_the_server_cannot_create_is_an_error_with_its_words(nats_server: NatsServer) -> None:
    # NA-2
    with pytest.raises(StoreError, match="replicas"):
        async with open_store(nats_server, new_name(), replicas=3):
            pytest.fail("one server has no three copies")
