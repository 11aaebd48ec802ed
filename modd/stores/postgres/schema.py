"""The tables in the database, and their migration from an older version."""

from __future__ import annotations

from collections.abc import Sequence

from modd.stores.errors import NewerStore, OlderStore
from modd.stores.postgres.advisory import MIGRATION, take_alone
from modd.stores.postgres.session import ConnectionSession, Schema

FIRST = """
-- nonce: tells one store from another; it begins the id of an item that was put without one
CREATE TABLE modd.store (version integer NOT NULL, nonce text NOT NULL);
INSERT INTO modd.store VALUES (0, substr(md5(random()::text || clock_timestamp()::text), 1, 12));

CREATE TABLE modd.queues (number bigint PRIMARY KEY, name bytea NOT NULL UNIQUE);

-- state: 0 to be claimed next, 1 waits for its key, 2 delayed, 3 leased, 4 waits for a retry, 5 dead
-- due: when a delay or a lease ends, in seconds since 1970; of the dead, the order in which they were buried
-- rank: the order among the items to be claimed next, in microseconds since 1970
CREATE TABLE modd.items (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, queue bigint NOT NULL, state smallint NOT NULL,
    rank bigint NOT NULL, due double precision, attempts integer NOT NULL DEFAULT 0, token bigint,
    id bytea, key bytea, headers bytea, reason bytea, body bytea NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX items_ready ON modd.items (queue, rank, place) WHERE state = 0;
CREATE INDEX items_later ON modd.items (queue, state, due) WHERE due IS NOT NULL;
CREATE INDEX items_lane ON modd.items (queue, key, place) WHERE key IS NOT NULL AND state = 1;
-- one item of a key is at the head of its lane: to be claimed next, leased, or waiting for a retry
CREATE UNIQUE INDEX items_head ON modd.items (queue, key) WHERE key IS NOT NULL AND state IN (0, 3, 4);
CREATE INDEX items_id ON modd.items (queue, id) WHERE id IS NOT NULL;

-- the handlers that workers have announced; seen: the last time, in seconds since 1970
CREATE TABLE modd.subscriptions (
    queue bigint NOT NULL, type bytea NOT NULL, bus bytea NOT NULL, handler bytea NOT NULL,
    seen double precision NOT NULL, PRIMARY KEY (queue, type, bus, handler)
);

-- the items that were left to workers that know them: the name under which, since when, and until when
CREATE TABLE modd.left_items (
    place bigint PRIMARY KEY, queue bigint NOT NULL, name bytea NOT NULL, since double precision NOT NULL,
    due double precision NOT NULL
);
CREATE INDEX left_items_name ON modd.left_items (queue, name, place);
CREATE INDEX left_items_due ON modd.left_items (due);

CREATE TABLE modd.events (
    position bigint PRIMARY KEY, stream bytea NOT NULL, revision bigint NOT NULL, at double precision NOT NULL,
    headers bytea, body bytea NOT NULL
);
CREATE UNIQUE INDEX events_stream ON modd.events (stream, revision);
CREATE TABLE modd.snapshots (
    stream bytea PRIMARY KEY, revision bigint NOT NULL, at double precision NOT NULL, headers bytea,
    body bytea NOT NULL
);
-- the tags of events; type: that of the event, by its headers
CREATE TABLE modd.event_tags (tag bytea NOT NULL, position bigint NOT NULL, type bytea, PRIMARY KEY (tag, position));

CREATE TABLE modd.documents (space bytea NOT NULL, key bytea NOT NULL, body bytea NOT NULL, PRIMARY KEY (space, key));

CREATE TABLE modd.cache (key bytea PRIMARY KEY, until double precision NOT NULL, value bytea NOT NULL);
CREATE INDEX cache_until ON modd.cache (until);

CREATE TABLE modd.locks (key bytea PRIMARY KEY, until double precision NOT NULL, token bytea NOT NULL);
CREATE INDEX locks_until ON modd.locks (until);

CREATE TABLE modd.inbox (id bytea PRIMARY KEY, at double precision NOT NULL);
CREATE INDEX inbox_at ON modd.inbox (at);

CREATE TABLE modd.outbox (
    place bigint PRIMARY KEY, until double precision, attempts integer NOT NULL DEFAULT 0, token bigint,
    id bytea NOT NULL, key bytea, headers bytea, body bytea NOT NULL
);
-- of digests, because an index has no long texts
CREATE UNIQUE INDEX outbox_id ON modd.outbox (sha256(id));
CREATE INDEX outbox_claimed ON modd.outbox (until) WHERE until IS NOT NULL;

-- number: stands for the name; first: the position before the first item in the table; last: the last position; at: the
-- time of the last item
CREATE TABLE modd.feeds (
    number bigint PRIMARY KEY, name bytea NOT NULL, epoch text NOT NULL, first bigint NOT NULL, last bigint NOT NULL,
    at double precision NOT NULL
);
CREATE TABLE modd.feed_items (
    feed bigint NOT NULL, position bigint NOT NULL, at double precision NOT NULL, id bytea NOT NULL, key bytea,
    headers bytea, body bytea NOT NULL, PRIMARY KEY (feed, position)
);
CREATE INDEX feed_items_id ON modd.feed_items (feed, sha256(id));
CREATE INDEX feed_items_at ON modd.feed_items (feed, at, position);
"""


STEPS: tuple[str, ...] = (FIRST,)
"""The SQL from each version to the next. Never change a step that was released: add one."""


EXISTS = "SELECT to_regclass(%s) IS NOT NULL"


async def schema_version(session: ConnectionSession) -> int:
    """Return the version of the tables; 0 if there are none."""
    [[exists]] = await session.rows(EXISTS, (f"{session.schema.quoted}.store",))
    if not exists:
        return 0
    [[version]] = await session.rows("SELECT version FROM modd.store")
    return int(version)


async def check_version(session: ConnectionSession, store: str, known: int = len(STEPS)) -> None:
    """Raise `OlderStore` or `NewerStore` unless the tables have the version that this modd knows."""
    version = await schema_version(session)
    if version < known:
        raise OlderStore(store, version, known)
    if version > known:
        raise NewerStore(store, version, known, "the schema")


async def migrate(session: ConnectionSession, store: str, steps: Sequence[str] = STEPS) -> None:
    """Bring the tables to the version of this modd, as a part of the open transaction. Raises `NewerStore`."""
    await take_alone(session, MIGRATION)  # of several processes that are started together one makes the tables
    version = await schema_version(session)
    if version > len(steps):
        raise NewerStore(store, version, len(steps), "the schema")
    if version < len(steps):
        for statement in statements(session.schema, version, steps):
            await session.connection.execute(statement.encode())


def statements(schema: Schema, version: int, steps: Sequence[str] = STEPS) -> list[str]:
    """Return the statements that bring the tables from a version to that of this modd."""
    if version >= len(steps):
        return []
    create = [f"CREATE SCHEMA IF NOT EXISTS {schema.quoted}"] if version == 0 else []
    changes = [each.strip() for step in steps[version:] for each in step.split(";\n")]
    texts = [each for each in changes if each] + [f"UPDATE modd.store SET version = {len(steps)}"]
    return create + [schema.statement(each).decode() for each in texts]
