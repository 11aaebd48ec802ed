"""The results of the commands as plain values: printed as JSON as they are, and as text by `modd.cli.rendering`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class QueueCounts(msgspec.Struct, frozen=True):
    """The number of items of each kind in a queue; see `modd.ports.Stats`."""

    name: str
    ready: int
    delayed: int
    leased: int
    dead: int
    left: int
    suspects: int


class HandlerStatus(msgspec.Struct, frozen=True):
    """A handler of a queue.

    types: the message types for which workers have announced it.
    seen: the time of the last announcement, in seconds since 1970; None if it is announced no more.
    left: the number of its deliveries that workers without it have left to workers that have it.
    """

    queue: str
    bus: str
    handler: str
    types: list[str]
    seen: float | None
    left: int


class Overview(msgspec.Struct, frozen=True):
    """All queues of a file, and their handlers. outbox: the number of items that are not published yet."""

    path: str
    queues: list[QueueCounts]
    outbox: int
    handlers: list[HandlerStatus]


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """The visible content of a body.

    size: of the body, in bytes.
    type, version: the wire name and version of the message; None and 1 if the body is no envelope.
    id, correlation_id, causation_id: of the envelope.
    stamps: the names of the stamp types, or the stamps themselves without sensitive values.
    shown: True if ``body`` has the content, masked or not.
    note: the reason for which the content is not shown.
    """

    size: int
    type: str | None = None
    version: int = 1
    id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    stamps: list[Any] = []
    shown: bool = False
    body: Any = None
    note: str = ""


class DeadLetterSummary(msgspec.Struct, frozen=True):
    """A dead letter in a list. reason: of its burial. attempts: the number of claims before."""

    id: str
    reason: str
    attempts: int
    content: Content


class DeadLetterList(msgspec.Struct, frozen=True):
    """The first dead letters of a queue, in the order in which they were buried. total: the number of all."""

    queue: str
    total: int
    items: list[DeadLetterSummary]


State = Literal["ready", "waits for its key", "delayed", "leased", "waits for a retry", "dead"]


class ItemDetails(msgspec.Struct, frozen=True):
    """One item of a queue.

    due: the end of a delay or a lease, in seconds since 1970; None without one.
    reason: of the burial; None for an item that is not dead.
    """

    queue: str
    id: str
    state: State
    attempts: int
    key: str | None
    headers: dict[str, str]
    due: float | None
    reason: str | None
    content: Content


class BatchResult(msgspec.Struct, frozen=True):
    """The result of ``redrive`` or ``discard``.

    done: the number of processed dead letters.
    missing: the ids that are no dead letters of the queue.
    """

    queue: str
    command: Literal["redrive", "discard"]
    done: int
    missing: list[str]


class ForgetResult(msgspec.Struct, frozen=True):
    """The result of ``forget``. queues: those of the handler. removed: the number of removed deliveries."""

    handler: str
    queues: list[str]
    removed: int


class Process(msgspec.Struct, frozen=True):
    """Another process that has the file open.

    writes: True if it is open for writing. takes_turns: True if it uses modd's lock on which writers take turns.
    """

    pid: int
    writes: bool
    takes_turns: bool


class QueueHealth(msgspec.Struct, frozen=True):
    """Counts of a queue, and the age in seconds of its oldest ready and dead items; None without such items."""

    counts: QueueCounts
    oldest_ready: float | None
    oldest_dead: float | None


class FeedHealth(msgspec.Struct, frozen=True):
    """A feed of a file.

    items: the number of items in the table, which may have some that are removed and not deleted yet.
    last: the last position.
    oldest: the age of the oldest item in seconds; None without items.
    """

    name: str
    items: int
    last: int
    oldest: float | None


class Journaling(msgspec.Struct, frozen=True):
    """The journal mode of a file.

    sqlite: the version of SQLite.
    affected: True if this version has the bug by which two writers can damage a WAL.
    mode: "wal"; "rollback" for all other modes; "none" if neither a WAL nor a journal exists, so that it is unknown.
    reason: an explanation of the mode.
    synchronous: the setting of all stores, checked with this build of SQLite.
    """

    sqlite: str
    affected: bool
    mode: Literal["wal", "rollback", "none"]
    reason: str
    synchronous: str


class Sizes(msgspec.Struct, frozen=True):
    """The file and its WAL in bytes, and the number of its pages and free pages."""

    file: int
    wal: int
    pages: int
    free_pages: int


class StoreHealth(msgspec.Struct, frozen=True):
    """The findings of ``doctor``.

    ok: True if there are no problems.
    schema: the version of the tables.
    check, damage: the check of SQLite, and the damage that it found.
    processes: the other processes that have the file open; None if the system does not tell.
    problems: findings that need action.
    advice: findings that are worth a look.
    """

    path: str
    ok: bool
    journal: Journaling
    schema: int
    check: Literal["quick_check", "integrity_check"]
    damage: list[str]
    sizes: Sizes
    queues: list[QueueHealth]
    outbox: int
    feeds: list[FeedHealth]
    processes: list[Process] | None
    problems: list[str]
    advice: list[str]


class DatabaseHealth(msgspec.Struct, frozen=True):
    """The findings of ``doctor`` for a store in a PostgreSQL database.

    store: the name of the store. ok: True if there are no problems.
    server: the version of PostgreSQL. schema: the version of the tables.
    size: of all tables and indexes of the store, in bytes. dead_rows: rows of items that no vacuum has removed yet.
    connections, most_connections: those that are open to the server, and the most that it takes.
    oldest_transaction: the age of the oldest open transaction in the database, in seconds; 0 without one.
    problems: findings that need action. advice: findings that are worth a look.
    """

    store: str
    ok: bool
    server: str
    schema: int
    size: int
    dead_rows: int
    connections: int
    most_connections: int
    oldest_transaction: float
    queues: list[QueueHealth]
    outbox: int
    feeds: list[FeedHealth]
    problems: list[str]
    advice: list[str]


class ServerHealth(msgspec.Struct, frozen=True):
    """The findings of ``doctor`` for a store on a NATS server.

    path: the address of the store, without a password. ok: True if there are no problems.
    server: the version of the server that answers. level: that of its JetStream API.
    stream: the name of the stream with the records of the store. replicas: the number of servers that have a copy.
    messages, size, consumers: those of the stream; the size is in bytes.
    problems: findings that need action. advice: findings that are worth a look.
    """

    path: str
    ok: bool
    server: str
    level: int
    stream: str
    replicas: int
    messages: int
    size: int
    consumers: int
    queues: list[QueueHealth]
    outbox: int
    feeds: list[FeedHealth]
    problems: list[str]
    advice: list[str]


class Migration(msgspec.Struct, frozen=True):
    """The result of ``migrate``.

    store: the name of the store. version: that of its tables before; 0 if there were none. known: that of this modd.
    statements: the SQL that was missing. done: True if it was executed.
    """

    store: str
    version: int
    known: int
    statements: list[str]
    done: bool
