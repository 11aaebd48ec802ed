"""The tables in the file, and the migration of a file from an older schema version."""

from __future__ import annotations

from collections.abc import Sequence

from modd.stores.errors import NewerStore
from modd.stores.sqlite.damage import Columns, Damage
from modd.stores.sqlite.savepoint import begin, roll_back, transaction
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import Connection

FIRST = """
-- last: the last place of an item, as far as it is known
CREATE TABLE modd_store (version INTEGER NOT NULL, nonce TEXT NOT NULL, last INTEGER NOT NULL);
INSERT INTO modd_store VALUES (0, lower(hex(randomblob(6))), 0);

CREATE TABLE modd_queues (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- state: 0 to be claimed next, 1 waits for its key, 2 delayed, 3 leased, 4 waits for a retry, 5 dead
-- due: when a delay or a lease ends, in seconds since 1970; of the dead, the order in which they were buried
CREATE TABLE modd_items (
    place INTEGER PRIMARY KEY, queue INTEGER NOT NULL, state INTEGER NOT NULL, due REAL,
    attempts INTEGER NOT NULL DEFAULT 0, token INTEGER, id TEXT, key TEXT, headers BLOB, reason TEXT, body BLOB NOT NULL
);
CREATE INDEX modd_items_ready ON modd_items (queue, place) WHERE state = 0;
CREATE INDEX modd_items_later ON modd_items (queue, state, due) WHERE due IS NOT NULL;
CREATE INDEX modd_items_key ON modd_items (queue, key, state, place) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX modd_items_id ON modd_items (queue, id) WHERE id IS NOT NULL;

CREATE TABLE modd_events (
    position INTEGER PRIMARY KEY, stream TEXT NOT NULL, revision INTEGER NOT NULL, at REAL NOT NULL, headers BLOB,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX modd_events_stream ON modd_events (stream, revision);
CREATE TABLE modd_snapshots (
    stream TEXT PRIMARY KEY, revision INTEGER NOT NULL, at REAL NOT NULL, headers BLOB, body BLOB NOT NULL
);

CREATE TABLE modd_cache (key TEXT PRIMARY KEY, until REAL NOT NULL, value BLOB NOT NULL);
CREATE INDEX modd_cache_until ON modd_cache (until);

CREATE TABLE modd_locks (key TEXT PRIMARY KEY, until REAL NOT NULL, token TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX modd_locks_until ON modd_locks (until);

CREATE TABLE modd_inbox (id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX modd_inbox_at ON modd_inbox (at);

CREATE TABLE modd_outbox (
    place INTEGER PRIMARY KEY, until REAL, attempts INTEGER NOT NULL DEFAULT 0, token INTEGER,
    id TEXT NOT NULL UNIQUE, key TEXT, headers BLOB, body BLOB NOT NULL
);
CREATE INDEX modd_outbox_claimed ON modd_outbox (until) WHERE until IS NOT NULL;
"""


SECOND = """
-- the handlers that workers have announced; seen: the last time, in seconds since 1970
CREATE TABLE modd_subscriptions (
    queue INTEGER NOT NULL, type TEXT NOT NULL, bus TEXT NOT NULL, handler TEXT NOT NULL, seen REAL NOT NULL,
    PRIMARY KEY (queue, type, bus, handler)
) WITHOUT ROWID;

-- the items that were left to workers that know them: the name under which, since when, and until when
CREATE TABLE modd_left (
    place INTEGER PRIMARY KEY, queue INTEGER NOT NULL, name TEXT NOT NULL, since REAL NOT NULL, due REAL NOT NULL
);
CREATE INDEX modd_left_name ON modd_left (queue, name, place);
CREATE INDEX modd_left_due ON modd_left (due);

-- rank: the order among the items to be claimed next, if it is not that of their places
ALTER TABLE modd_items ADD COLUMN rank INTEGER;
DROP INDEX modd_items_ready;
CREATE INDEX modd_items_ready ON modd_items (queue, coalesce(rank, place)) WHERE state = 0;

-- items that have begun may have the id of one that has not
DROP INDEX modd_items_id;
CREATE INDEX modd_items_id ON modd_items (queue, id) WHERE id IS NOT NULL;

CREATE TABLE modd_documents (
    space TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (space, key)
) WITHOUT ROWID;

-- the tags of events; type: that of the event, by its headers
CREATE TABLE modd_event_tags (
    tag TEXT NOT NULL, position INTEGER NOT NULL, type TEXT, PRIMARY KEY (tag, position)
) WITHOUT ROWID;

-- number: stands for the name, as in modd_queues; first: the position before the first item in the table; last: the
-- last position when items were deleted the last time
CREATE TABLE modd_feeds (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL
);
CREATE TABLE modd_feed_items (
    feed INTEGER NOT NULL, position INTEGER NOT NULL, at REAL NOT NULL, id TEXT, key TEXT, headers BLOB,
    body BLOB NOT NULL, PRIMARY KEY (feed, position)
) WITHOUT ROWID;
CREATE INDEX modd_feed_items_id ON modd_feed_items (feed, id) WHERE id IS NOT NULL;
"""


STEPS: tuple[str, ...] = (FIRST, SECOND)
"""The SQL from each version to the next. Never change a step that was released: add one."""


TABLES = "SELECT name FROM sqlite_master WHERE name IN ('modd_store', 'modd_items', 'modd_events', 'modd_outbox')"


VERSION = Select("SELECT version FROM modd_store", columns=Columns(version=int))


NONCE = Select("SELECT nonce FROM modd_store", columns=Columns(nonce=str))


# one statement, because another process may be about to create the tables
SIZE = Select(
    """SELECT (SELECT count(*) FROM sqlite_master), page_count - freelist_count, auto_vacuum
    FROM pragma_page_count, pragma_freelist_count, pragma_auto_vacuum"""
)
"""Number of tables and indexes, of pages with content, and the setting of auto_vacuum."""


def check_version(store: str, connection: Connection, known: int = len(STEPS)) -> int:
    """Return the schema version of the file; 0 if it has no tables of modd. Raises `NewerStore` and `Damage`."""
    names = sorted(name for [name] in connection.execute(TABLES).fetchall())
    if not names:
        _check_empty(connection)
        return 0
    if "modd_store" not in names:
        raise Damage(f"there is a table {names[0]} and no table modd_store")
    [version] = VERSION.only(connection)
    if version > known:
        raise NewerStore(store, version, known)
    if version < 1:
        raise Damage(f"its tables have version {version}")
    return int(version)


def _check_empty(connection: Connection) -> None:
    """Raise `Damage` if the file has content and no table: tables of modd would be written over what was there."""
    tables, pages, has_map = SIZE.only(connection)
    if not tables and pages > 1 and not has_map:  # with auto_vacuum some pages have a map of the others
        raise Damage(f"the schema is empty, and {pages} pages have content")


def migrate(store: str, connection: Connection, steps: Sequence[str] = STEPS) -> str:
    """Bring the file to the schema version of this modd, and return its nonce, which differs from file to file.

    Either all missing steps are done or, if one fails, none. Other tables are left alone, so that modd's may be in the
    file of an application. Raises `NewerStore`, and the error of SQLite for a file that cannot be written, which would
    come with the first write otherwise.
    """
    if check_version(store, connection, len(steps)) < len(steps):
        with transaction(connection):
            for step in steps[check_version(store, connection, len(steps)) :]:  # another process may have been first
                for statement in step.split(";\n"):
                    connection.execute(statement)
            connection.execute("UPDATE modd_store SET version = ?", (len(steps),))
    begin(connection)
    connection.execute("UPDATE modd_store SET version = version")
    roll_back(connection)
    [nonce] = NONCE.only(connection)
    return str(nonce)
