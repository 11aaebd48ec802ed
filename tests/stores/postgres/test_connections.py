"""The connections of a store: their options, and what taking one does while there is none."""

from typing import Any

import anyio
import pytest
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from modd.stores import PostgresStore, StoreBusy
from modd.stores.postgres.connections import get_connection, ping
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = pytest.mark.anyio


class ScarcePool(AsyncConnectionPool[Any]):
    """A pool that has a connection at the third time of asking."""

    asked = 0

    async def getconn(self, timeout: float | None = None) -> Any:
        """Raise PoolTimeout twice, and return a mark after that."""
        self.asked += 1
        if self.asked < 3:
            raise PoolTimeout
        return "a connection"


@pytest.fixture
def pool() -> ScarcePool:
    return ScarcePool("", open=False)


async def test_a_pool_is_asked_again_until_it_has_a_connection(pool: ScarcePool) -> None:
    # PG-11
    connection: Any = await get_connection(pool, 60.0)
    assert connection == "a connection"
    assert pool.asked == 3


async def test_a_pool_is_not_asked_again_after_the_timeout(pool: ScarcePool) -> None:
    # PG-11
    with pytest.raises(PoolTimeout):
        await get_connection(pool, 0.0)
    assert pool.asked == 1


@pytest.mark.parametrize(("query", "limit"), [("", "25000"), ("?tcp_user_timeout=7000", "7000")])
async def test_a_machine_that_acknowledges_nothing_is_given_up_soon_unless_the_address_says_else(
    postgres_server: PostgresServer, query: str, limit: str
) -> None:
    # PG-11
    async with (
        PostgresStore(postgres_server.url + query, schema=new_schema(), durable=False) as store,
        store._opened().connections.hold(ping) as connection,
    ):
        assert connection.info.get_parameters()["tcp_user_timeout"] == limit


async def hold_connections(store: PostgresStore, number: int, tasks: Any) -> None:
    """Hold this many connections of a store in blocks, until the tasks are cancelled."""

    async def hold(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with store.transaction() as tx:
            await tx.fetch("SELECT 1")
            task_status.started()
            await anyio.sleep_forever()

    for _ in range(number):
        await tasks.start(hold)


def set_timeout(store: PostgresStore, seconds: float) -> None:
    """Set how long blocks wait; to little only when the connections are there, which takes a slow machine its time."""
    store._opened().connections._timeout = seconds


@pytest.mark.parametrize("immediate", [True, False])
async def test_a_block_does_not_wait_for_other_blocks_for_longer_than_the_timeout(
    postgres_server: PostgresServer, immediate: bool
) -> None:
    # PG-62
    async with new_store(postgres_server, timeout=60) as store, anyio.create_task_group() as tasks:
        await hold_connections(store, 8, tasks)
        set_timeout(store, 0.2)
        with anyio.fail_after(60), pytest.raises(StoreBusy, match=r"8 other blocks hold .*waited 0.2 s"):
            async with store.transaction(immediate=immediate) as tx:
                await tx.fetch("SELECT 1")
        assert not await store.inbox.has("a"), "calls beside the blocks go on"
        tasks.cancel_scope.cancel()


async def test_a_block_that_waited_in_vain_or_was_cancelled_takes_no_turn_of_another_one(
    postgres_server: PostgresServer,
) -> None:
    # PG-62
    async with new_store(postgres_server, timeout=60) as store:
        async with anyio.create_task_group() as tasks:
            await hold_connections(store, 8, tasks)
            set_timeout(store, 0.2)
            for seconds in (60, 0.05):
                with anyio.move_on_after(seconds), pytest.raises(StoreBusy):
                    async with store.transaction(immediate=True):
                        pass
            tasks.cancel_scope.cancel()
        set_timeout(store, 60)
        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(60):
                await hold_connections(store, 8, tasks)  # all of them are free again
            tasks.cancel_scope.cancel()
