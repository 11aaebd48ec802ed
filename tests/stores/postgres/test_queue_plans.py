"""How PostgreSQL does the statements of a queue: by an index, however many items there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest

from modd.ports import Item, Subscription
from modd.stores import PostgresStore
from modd.stores.item_ids import queue_number
from modd.stores.postgres.queue import PostgresQueue
from tests.postgres.server import PostgresServer
from tests.proofs.sizes import size_of
from tests.stores.postgres.stores import new_schema, new_store

MANY = size_of("POSTGRES_ITEMS", 200_000)

pytestmark = pytest.mark.anyio

OPTIONS = "-csession_preload_libraries=auto_explain -cauto_explain.log_min_duration=0"
"""Have the server write the plan of each statement to its log."""


# in every state, with a key or none, with an id or none, of two queues
FILL = """INSERT INTO {}.items (queue, state, rank, due, attempts, reason, id, key, body)
    SELECT %s + number / 6 %% 2, state, number, CASE WHEN state > 1 THEN 2000000000 + number END, state / 3,
    CASE WHEN state = 5 THEN 'no use'::bytea END, CASE WHEN number %% 5 > 0 THEN ('id' || number)::bytea END,
    CASE WHEN state = 1 OR number %% 4 > 0 THEN ('key' || number)::bytea END, ''
    FROM (SELECT number, number %% 6 AS state FROM generate_series(1, %s) AS number) AS made"""


@pytest.fixture
def explained(postgres_server: PostgresServer) -> str:
    """The address for connections whose plans the server writes to its log."""
    return f"{postgres_server.url}?options={quote(OPTIONS)}"


def plans(log: str) -> Iterator[str]:
    """Each statement of modd's tables of items with its plan."""
    for entry in re.split(r"^\d{4}-\d\d-\d\d ", log, flags=re.M):
        if "Query Text: " in entry and re.search(r"\bitems\b", entry):
            yield entry


async def do_all(queue: PostgresQueue, number: int) -> None:
    """Each method that workers call, and those of the operator that take ids."""
    results = await queue.put(b"", Item(b"", key=f"new{number}", id=f"new{number}"), Item(b"", key="k"))
    await queue.put(Item(b"", key="late", delay=0.001), Item(b"", delay=0.001))
    first, second, third, fourth, fifth, sixth = await queue.claim(6, 60)
    await queue.extend(first, 60)
    await queue.ack(first, second)
    await queue.retry(third)
    await queue.retry(fourth, 0.001)
    await queue.release(fifth)
    await queue.bury(sixth, "no use")
    await queue.claim(3, 0.001)
    [suspect] = await queue.claim(3, 60, suspects="first")
    await queue.leave(suspect, "a", 60)
    await queue.ack(*await queue.claim_left(["a"], 1, 60))
    await queue.cancel("id6", *[each.id for each in results])
    await queue.redrive(sixth.id)
    await queue.discard(f"id{6 * number + 5}")
    await queue.seconds_left()
    await queue.dead(3)


@pytest.mark.parametrize("many", [30_000, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("analyzed", [False, True])
async def test_no_statement_goes_through_all_items(
    postgres_server: PostgresServer, explained: str, many: int, analyzed: bool
) -> None:
    # PG-4
    """Also if the server has counted how many of each kind there are, and if it has made a plan for all parameters."""
    schema = new_schema()
    async with new_store(postgres_server, schema):
        pass  # the tables are there
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(FILL.format(schema).encode(), (queue_number("orders"), many))
        if analyzed:
            connection.execute(f"VACUUM (ANALYZE) {schema}.items".encode())
    before = len(postgres_server.log)
    async with PostgresStore(explained, schema=schema, durable=False) as store:
        queue = store.queue("orders")
        await queue.announce(Subscription("b", "t", "h"), retention=60)
        for number in range(7):
            await do_all(queue, number)
        await queue.stats()
    found = list(plans(postgres_server.log[before:]))
    assert len(found) > 100
    assert [each for each in found if "Seq Scan on items" in each] == []
