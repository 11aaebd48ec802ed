"""Whether a file is well, and what to do if it is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from modd.cli.inspection import Reading
from modd.cli.processes import openers
from modd.cli.reports import Health, Journaling, Process, QueueHealth, Sizes
from modd.stores.sqlite.errors import is_store_failure
from modd.stores.sqlite.journal_mode import ALONE, NO_WAL, SAFE, SHARED, is_affected, prepare_writer, read_mode
from modd.stores.sqlite.queue_sql import DEAD, READY
from modd.stores.sqlite.schema import STEPS

T = TypeVar("T")


DAY = 86_400.0


OLD = 7 * DAY
"""Seconds after which a dead letter has been left for long."""


WAITED = 3600.0
"""Seconds after which nobody seems to claim what is ready."""


LONG_WAL = 64 * 1024 * 1024
"""Bytes; a WAL is begun anew when it has 4 MB, unless somebody reads all the time."""


MUCH_FREE = 0.5
"""Part of the file; from then on it may be worth to make it smaller."""


class Doctor:
    """Looks at a file by way of a `Reading`. ``full`` looks at indexes too, which takes longer.

    While the content is checked in TRUNCATE mode, those who write have to wait.
    """

    def __init__(self, reading: Reading, *, full: bool = False) -> None:
        self._reading = reading
        self._check: Literal["quick_check", "integrity_check"] = "integrity_check" if full else "quick_check"
        self._damage: list[str] = []

    def health(self) -> Health:
        """What is found; damage is found, and not raised, as far as anything can be read at all."""
        reading, none = self._reading, Sizes(0, 0, 0, 0)
        self._damage += self._tried(lambda: check(reading, self._check), list[str]())
        queues = [found for name in self._tried(reading.names, list[str]()) for found in self._queue(name)]
        outbox, journal = self._tried(reading.outbox, 0), journaling(reading)
        processes, measured = openers(reading.path), self._tried(lambda: sizes(reading), none)
        wrong = [*_wrong(reading.path, self._damage, journal, processes)]
        advice = [*_advice(reading, journal, measured, queues)]
        return Health(
            path=reading.path,
            ok=not wrong,
            journal=journal,
            schema=reading.version,
            check=self._check,
            damage=self._damage,
            sizes=measured,
            queues=queues,
            outbox=outbox,
            processes=processes,
            wrong=wrong,
            advice=advice,
        )

    def _queue(self, name: str) -> list[QueueHealth]:
        return self._tried(lambda: [queue_health(self._reading, name)], list[QueueHealth]())

    def _tried(self, look: Callable[[], T], otherwise: T) -> T:
        try:
            return look()
        except sqlite3.Error as error:
            if not is_store_failure(error):
                raise
            self._damage.append(str(error))
            return otherwise


def check(reading: Reading, how: str) -> list[str]:
    """What SQLite finds to be damaged."""
    found = [text for [text] in reading.rows(f"PRAGMA {how}")]
    return [] if found == ["ok"] else found


def journaling(reading: Reading) -> Journaling:
    """How commits are kept in the file, and why so. Raises `NotDurable`."""
    [[version]] = reading.rows("SELECT sqlite_version()")
    prepare_writer(reading.path, 0, reading.connection)  # nothing is written by that
    affected = is_affected(version)
    return Journaling(version, affected, *_mode(reading, affected), synchronous="full")


def _mode(reading: Reading, affected: bool) -> tuple[Literal["wal", "rollback", "none"], str]:
    if reading.at_rest:
        return "none", "neither a WAL nor a journal is beside the file; the store that opens it next chooses one"
    if read_mode(reading.connection) == "wal":
        return "wal", (ALONE if affected else SAFE).reason
    return "rollback", (SHARED if affected else NO_WAL).reason


def sizes(reading: Reading) -> Sizes:
    """How large the file is, and how much of it is free."""
    [[pages]], [[free]] = reading.rows("PRAGMA page_count"), reading.rows("PRAGMA freelist_count")
    wal = Path(f"{reading.path}-wal")
    return Sizes(Path(reading.path).stat().st_size, wal.stat().st_size if wal.exists() else 0, pages, free)


def queue_health(reading: Reading, name: str) -> QueueHealth:
    """Counts and ages of one queue."""
    return QueueHealth(reading.counts(name), reading.oldest(name, READY), reading.oldest(name, DEAD))


def _wrong(path: str, damage: Sequence[str], journal: Journaling, processes: Sequence[Process] | None) -> Iterator[str]:
    if damage:
        yield (
            f"the file is damaged: stop what uses it, copy it, and restore a backup or let `sqlite3 {path} .recover` "
            "save what is there"
        )
    writing = [str(each.pid) for each in processes or () if each.writes]
    if journal.affected and journal.mode == "wal" and len(writing) > 1:
        yield (
            f"processes {', '.join(writing)} can all write in WAL mode, and SQLite {journal.sqlite} can damage the "
            "file then: look again in some seconds, and if it is still so, stop all but one of them"
        )


def _advice(reading: Reading, journal: Journaling, sizes: Sizes, queues: Sequence[QueueHealth]) -> Iterator[str]:
    if journal.affected:
        yield (
            f"SQLite {journal.sqlite} can damage a WAL that several processes write, so that these get along without "
            "one, more slowly: use 3.51.3 or later, or 3.50.7 or 3.44.6"
        )
    if reading.version < len(STEPS):
        yield f"the tables have version {reading.version} and become {len(STEPS)} when a store opens the file"
    if sizes.wal > LONG_WAL:
        yield f"the WAL has {sizes.wal:_} bytes: look for a process that reads all the time, or has stopped in doing so"
    if sizes.free_pages > MUCH_FREE * max(sizes.pages, 1000):
        yield f"{sizes.free_pages} of {sizes.pages} pages are free: VACUUM makes the file smaller; it stops all others"
    for queue in queues:
        yield from _advice_on(queue)


def _advice_on(queue: QueueHealth) -> Iterator[str]:
    name = queue.counts.name
    if queue.oldest_ready is not None and queue.oldest_ready > WAITED:
        yield f"{name}: what is ready was put {ago(queue.oldest_ready)}; see whether a worker runs for it"
    if queue.oldest_dead is not None and queue.oldest_dead > OLD:
        yield f"{name}: of the dead letters one was put {ago(queue.oldest_dead)}; redrive or discard it"


def ago(seconds: float) -> str:
    """How long ago something was, in the largest unit that fits."""
    for unit, size in (("days", DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} seconds ago"
