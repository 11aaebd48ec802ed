"""Commits while the server is killed and started again: none is lost, and none is stored twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import anyio
import anyio.to_thread
import pytest

from modd.stores.errors import UnknownOutcome
from modd.stores.nats.record import Write
from modd.stores.nats.store import NatsStore
from modd.testing.conformance.documents import add_up, encode_number
from tests.nats.server import NatsCluster, NatsServer
from tests.stores.nats.stores import open_store

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KILLS = 5
WRITERS = 8


@pytest.fixture
def own_nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """A cluster of three servers for one test, which may stop some."""
    with NatsCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


async def test_commits_over_kills_of_the_server_are_stored_once(own_nats_server: NatsServer) -> None:
    # NA-10
    async with open_store(own_nats_server) as store:
        await write_over_kills(store, [own_nats_server] * KILLS)


@pytest.mark.cluster
async def test_commits_over_kills_of_the_servers_of_a_cluster_are_stored_once(own_nats_cluster: NatsCluster) -> None:
    # NA-10
    async with open_store(own_nats_cluster, replicas=3) as store:
        await write_over_kills(store, own_nats_cluster.servers * 2)


async def write_over_kills(store: NatsStore, servers: list[NatsServer]) -> None:
    """Write in several tasks while servers are killed and started again, and look if each write is there once."""
    stream, prefix = store.stream, f"{store.subjects.prefix}z."
    stored: list[str] = []
    is_over = anyio.Event()

    async def write(writer: int) -> None:
        number = 0
        while not is_over.is_set():
            names = [f"{writer}-{number}-{part}" for part in range(1 + writer % 3)]
            number += 1
            try:
                await stream.commit([Write(f"{prefix}{name}", {}, name.encode(), rollup=False) for name in names])
            except UnknownOutcome:
                continue
            stored.extend(names)

    async with anyio.create_task_group() as tasks:
        for writer in range(WRITERS):
            tasks.start_soon(write, writer)
        for server in servers:
            before = len(stored)
            while len(stored) < before + 30:  # noqa: ASYNC110
                await anyio.sleep(0.02)
            await anyio.to_thread.run_sync(server.restart)
        is_over.set()
    found = Counter(record.body.decode() for record in await stream.page(f"{prefix}*"))
    assert not [name for name, times in found.items() if times > 1]
    assert not {*stored} - found.keys()


async def test_folds_over_kills_of_the_server_are_made_once(own_nats_server: NatsServer) -> None:
    # NA-10
    folded, unknown = [0], [0]
    is_over = anyio.Event()

    async def fold() -> None:
        while not is_over.is_set():
            try:
                await documents.fold([("sum", 1)], add_up, int, encode_number)
                folded[0] += 1
            except UnknownOutcome:
                unknown[0] += 1

    async with open_store(own_nats_server) as store:
        documents = store.documents("sums")
        async with anyio.create_task_group() as tasks:
            for _ in range(WRITERS):
                tasks.start_soon(fold)
            for _ in range(KILLS):
                before = folded[0]
                while folded[0] < before + 20:  # noqa: ASYNC110
                    await anyio.sleep(0.02)
                await anyio.to_thread.run_sync(own_nats_server.restart)
            is_over.set()
        total = int(await documents.get("sum") or b"0")
        assert folded[0] <= total <= folded[0] + unknown[0]
