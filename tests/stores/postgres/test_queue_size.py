"""The table of items stays small: what is acknowledged is deleted, and its space is used again."""

from __future__ import annotations

import pytest

from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ITEMS, AT_ONCE, MEBIBYTE = 200_000, 2_000, 2**20
THRESHOLD = 40_000
"""Acknowledged items after which autovacuum would come: a fifth of all."""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_items_that_are_put_claimed_and_acknowledged_leave_a_small_table(
    postgres_server: PostgresServer, anyio_backend: str
) -> None:
    # PG-16
    schema = new_schema()
    async with new_store(postgres_server, schema) as store:
        queue = store.queue("orders")
        for start in range(0, ITEMS, AT_ONCE):
            await queue.put(*[b"%d" % number for number in range(start, start + AT_ONCE)])
        acked = 0
        while claims := await queue.claim(AT_ONCE, 60.0):
            await queue.ack(*claims)
            acked += len(claims)
            if not acked % THRESHOLD:
                postgres_server.execute(f"VACUUM {schema}.items")
        assert acked == ITEMS
        assert size_of_items(postgres_server, schema) < 64 * MEBIBYTE


def size_of_items(server: PostgresServer, schema: str) -> int:
    """Return the bytes of the table of items and its indexes."""
    [[size]] = server.rows(f"SELECT pg_total_relation_size('{schema}.items')")
    return int(size)
