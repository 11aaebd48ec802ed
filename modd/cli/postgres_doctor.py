"""The examination of a store in a PostgreSQL database: its problems, and the advice for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modd.cli.doctor import advise_on_queue
from modd.cli.formats import format_age
from modd.cli.reports import DatabaseHealth, FeedHealth, QueueCounts, QueueHealth
from modd.stores.item_ids import queue_number
from modd.stores.postgres.base import NOW
from modd.stores.postgres.queue_sql import DEAD, READY
from modd.stores.postgres.select import Select
from modd.stores.postgres.store import PostgresStore
from modd.stores.postgres.values import decode_text
from modd.texts import amount

LONG_TRANSACTION = 300.0
"""Age in seconds from which on an open transaction keeps vacuum from what was deleted since."""


MANY_DEAD_ROWS = 100_000
"""Dead rows of items from which on vacuum seems to be late."""


FULL = 0.8
"""The share of the connections from which on there may soon be too few."""


SERVER = f"""SELECT current_setting('server_version'), (SELECT version FROM modd.store),
    current_setting('max_connections')::int, current_setting('fsync'), current_setting('synchronous_commit'),
    current_setting('autovacuum'), (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    (SELECT coalesce(max({NOW} - extract(epoch FROM xact_start)), 0)::double precision FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid())"""


SIZES = """SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint,
    coalesce(sum(n_dead_tup) FILTER (WHERE relname = 'items'), 0)::bigint
    FROM pg_stat_user_tables WHERE schemaname = %s"""


OLDEST_READY = f"""SELECT {NOW} - min(rank) / 1000000.0::double precision FROM modd.items
    WHERE queue = %s AND state = {READY}"""


OLDEST_DEAD = f"""SELECT {NOW} - rank / 1000000.0::double precision FROM modd.items
    WHERE queue = %s AND state = {DEAD} AND due IS NOT NULL ORDER BY due, place LIMIT 1"""


FEEDS = f"""SELECT name, last - first, last, (SELECT {NOW} - at FROM modd.feed_items
    WHERE feed = number ORDER BY position LIMIT 1) FROM modd.feeds ORDER BY name"""


async def examine_database(store: PostgresStore, counts: Sequence[QueueCounts]) -> DatabaseHealth:
    """Return the findings. counts: those of the queues."""
    [[server, schema, most, fsync, synchronous, vacuum, connections, oldest]] = await rows_of(store, SERVER)
    [[size, dead_rows]] = await rows_of(store, SIZES, store.schema.name)
    [[outbox]] = await rows_of(store, "SELECT count(*) FROM modd.outbox")
    feeds = [FeedHealth(decode_text(name), *others) for name, *others in await rows_of(store, FEEDS)]
    queues = [await examine_items(store, each) for each in counts]
    settings = {"fsync": fsync, "synchronous_commit": synchronous}
    problems = [
        f"{name} is off: a crash can undo what was acknowledged; turn it on"
        for name in settings
        if settings[name] == "off"
    ]
    health = DatabaseHealth(
        store.name,
        not problems,
        server,
        schema,
        size,
        dead_rows,
        connections,
        most,
        oldest,
        queues,
        outbox,
        feeds,
        problems,
        [],
    )
    health.advice.extend(advise(health, has_vacuum=vacuum == "on"))
    return health


async def examine_items(store: PostgresStore, counts: QueueCounts) -> QueueHealth:
    """Return the counts and ages of a queue."""
    number = queue_number(counts.name)
    [[ready]], dead = await rows_of(store, OLDEST_READY, number), await rows_of(store, OLDEST_DEAD, number)
    return QueueHealth(counts, ready, dead[0][0] if dead else None)


def advise(health: DatabaseHealth, *, has_vacuum: bool) -> Iterator[str]:
    """Yield a line for each finding that is worth a look."""
    if not has_vacuum:
        yield "autovacuum is off: the tables grow with each item; turn it on, or run VACUUM"
    if health.dead_rows > MANY_DEAD_ROWS:
        yield f"{amount(health.dead_rows, 'dead row')} of items: look why vacuum is late, such as a long transaction"
    if health.oldest_transaction > LONG_TRANSACTION:
        yield (
            f"a transaction is open since {format_age(health.oldest_transaction)}, and keeps vacuum off; find it with "
            "SELECT pid, query FROM pg_stat_activity ORDER BY xact_start LIMIT 1"
        )
    if health.connections > FULL * health.most_connections:
        yield (
            f"{health.connections} of {health.most_connections} connections are open; a store opens up to 11: raise "
            "max_connections, or use a pooler and listen=False"
        )
    for queue in health.queues:
        yield from advise_on_queue(queue)


async def rows_of(store: PostgresStore, sql: str, *parameters: Any) -> list[Any]:
    """Return the rows of a statement."""
    return await store.access("look").read(Select(sql, parameters))
