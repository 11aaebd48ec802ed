"""What taking a connection of a pool does while the pool has none."""

from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from modd.stores.postgres.connections import get_connection

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
