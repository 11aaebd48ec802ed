"""What the commands find, as plain values: printed as JSON as they are, and for people by `modd.cli.rendering`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class QueueCounts(msgspec.Struct, frozen=True):
    """How many items of each kind a queue has; see `modd.ports.Stats`."""

    name: str
    ready: int
    delayed: int
    leased: int
    dead: int


class Overview(msgspec.Struct, frozen=True):
    """All queues of a file. outbox: how many items are still to be passed on."""

    path: str
    queues: list[QueueCounts]
    outbox: int


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may be shown of a body.

    size: of the body, in bytes. type: the name of the message on the wire, with its version; None for what is no
    envelope. id, correlation_id, causation_id: of the envelope. stamps: names of their types, or the stamps with what
    may be seen of them. shown: whether ``body`` has the content, masked or not. note: why it has not.
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


class DeadLetter(msgspec.Struct, frozen=True):
    """An item that was buried: why, and after how many attempts."""

    id: str
    reason: str
    attempts: int
    content: Content


class DeadLetters(msgspec.Struct, frozen=True):
    """The dead letters of a queue, those that were buried first at the front. total: how many there are in all."""

    queue: str
    total: int
    items: list[DeadLetter]


State = Literal["ready", "waits for its key", "delayed", "leased", "waits for a retry", "dead"]


class Shown(msgspec.Struct, frozen=True):
    """One item. due: when a delay or a lease ends, in seconds since 1970. reason: why it was buried."""

    queue: str
    id: str
    state: State
    attempts: int
    key: str | None
    headers: dict[str, str]
    due: float | None
    reason: str | None
    content: Content


class Moved(msgspec.Struct, frozen=True):
    """What was done to dead letters: to how many, and the ids that were given and were not among them."""

    queue: str
    command: Literal["redrive", "discard"]
    done: int
    missing: list[str]


class Process(msgspec.Struct, frozen=True):
    """Another process that has the file open. writes: whether it has opened it for writing."""

    pid: int
    writes: bool


class QueueHealth(msgspec.Struct, frozen=True):
    """Counts of a queue, and for how many seconds those have been there that were put first; None if there are none."""

    counts: QueueCounts
    oldest_ready: float | None
    oldest_dead: float | None


class Journaling(msgspec.Struct, frozen=True):
    """How commits are kept.

    sqlite: the version. affected: whether it has the error by which two writers can damage a WAL. mode: "wal",
    "rollback" for all others, or "none" when neither a WAL nor a journal is there, so that it cannot be told.
    synchronous: what stores set, checked with this build of SQLite.
    """

    sqlite: str
    affected: bool
    mode: Literal["wal", "rollback", "none"]
    reason: str
    synchronous: str


class Sizes(msgspec.Struct, frozen=True):
    """The file and its WAL in bytes, its pages, and those of them that are free."""

    file: int
    wal: int
    pages: int
    free_pages: int


class Health(msgspec.Struct, frozen=True):
    """What a doctor finds.

    schema: version of the tables. check: what SQLite looked for, and in ``damage`` what it found. processes: those that
    have the file open, of the ones that may be seen; None where the system does not tell. wrong: what has to be put
    right, advice: what is worth a look.
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
    processes: list[Process] | None
    wrong: list[str]
    advice: list[str]


Report = Overview | DeadLetters | Shown | Moved | Health
