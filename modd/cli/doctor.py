"""The examination of a file: its problems, and the advice for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from modd.cli.feeds import examine_feeds
from modd.cli.follow_overview import advise_on_file
from modd.cli.formats import DAY, format_age
from modd.cli.inspection import Inspector
from modd.cli.processes import find_processes
from modd.cli.reports import FeedHealth, Journaling, Process, QueueHealth, Sizes, StoreHealth
from modd.stores.sqlite.errors import describe_failure, is_corrupt, is_store_failure
from modd.stores.sqlite.journal_mode import NO_LOCKS, NO_WAL, choose_journal, is_affected, prepare_writer, read_mode
from modd.stores.sqlite.queue_sql import DEAD, READY
from modd.stores.sqlite.schema import STEPS
from modd.texts import amount

T = TypeVar("T")


OLD = 7 * DAY
"""Age in seconds from which on a dead letter seems to be forgotten."""


WAITED = 3600.0
"""Age in seconds from which on a ready item seems to have no worker."""


LONG_WAL = 64 * 1024 * 1024
"""Bytes. SQLite restarts a WAL at 4 MB, unless a process reads all the time."""


MUCH_FREE = 0.5
"""The share of free pages from which on a VACUUM may be worth it."""


class Doctor:
    """Examines a file by way of an `Inspector`.

    While the content is checked in TRUNCATE mode, writers have to wait.

    full: check the indexes too, which takes longer.
    """

    def __init__(self, inspector: Inspector, *, full: bool = False) -> None:
        self._inspector = inspector
        self._check: Literal["quick_check", "integrity_check"] = "integrity_check" if full else "quick_check"
        self._damage: list[str] = []

    def examine(self) -> StoreHealth:
        """Return the findings. Damage is a finding, not an error, as long as the file can be read at all."""
        inspector, empty = self._inspector, Sizes(0, 0, 0, 0)
        self._damage += self._try(lambda: check_content(inspector, self._check), list[str]())
        queues = [health for name in self._try(inspector.queues, list[str]()) for health in self._queue(name)]
        outbox, feeds = self._try(inspector.outbox, 0), self._try(partial(examine_feeds, inspector), list[FeedHealth]())
        journal = inspect_journal(inspector)
        processes, sizes = find_processes(inspector.path), self._try(lambda: measure(inspector), empty)
        parts = self._try(lambda: [*advise_on_file(inspector)], list[str]())
        problems = [*_problems(inspector.path, self._damage, journal, processes)]
        return StoreHealth(
            path=inspector.path,
            ok=not problems,
            journal=journal,
            schema=inspector.version,
            check=self._check,
            damage=self._damage,
            sizes=sizes,
            queues=queues,
            outbox=outbox,
            feeds=feeds,
            processes=processes,
            problems=problems,
            advice=[*_advice(inspector, journal, sizes, queues), *parts],
        )

    def _queue(self, name: str) -> list[QueueHealth]:
        return self._try(lambda: [examine_queue(self._inspector, name)], list[QueueHealth]())

    def _try(self, query: Callable[[], T], default: T) -> T:
        """Return the result of a query; the default, with the error noted as damage, if the query fails."""
        try:
            return query()
        except Exception as error:
            if not (is_store_failure(error) or is_corrupt(error)):
                raise
            self._damage.append(describe_failure(error))
            return default


def check_content(inspector: Inspector, check: str) -> list[str]:
    """Return the damage that a check of SQLite finds."""
    found = [text for [text] in inspector.rows(f"PRAGMA {check}")]
    return [] if found == ["ok"] else found


def inspect_journal(inspector: Inspector) -> Journaling:
    """Return the journal mode of the file and its reason. Raises `NotDurable`."""
    [[version]] = inspector.rows("SELECT sqlite_version()")
    prepare_writer(inspector.path, 0, inspector.connection)  # checks the build; it writes nothing
    affected = is_affected(version)
    return Journaling(version, affected, *_mode(inspector, version), synchronous="full")


def _mode(inspector: Inspector, version: str) -> tuple[Literal["wal", "rollback", "none"], str]:
    if inspector.at_rest:
        return "none", "neither a WAL nor a journal is beside the file; the store that opens it next chooses one"
    if read_mode(inspector.connection) == "wal":
        return "wal", choose_journal(version, can_lock=True).reason
    return "rollback", (NO_LOCKS if is_affected(version) else NO_WAL).reason


def measure(inspector: Inspector) -> Sizes:
    """Return the sizes of the file and its WAL, and the number of free pages."""
    [[pages]], [[free]] = inspector.rows("PRAGMA page_count"), inspector.rows("PRAGMA freelist_count")
    wal = Path(f"{inspector.path}-wal")
    return Sizes(Path(inspector.path).stat().st_size, wal.stat().st_size if wal.exists() else 0, pages, free)


def examine_queue(inspector: Inspector, name: str) -> QueueHealth:
    """Return the counts and ages of a queue."""
    return QueueHealth(inspector.counts(name), inspector.oldest(name, READY), inspector.oldest(name, DEAD))


def _problems(
    path: str, damage: Sequence[str], journal: Journaling, processes: Sequence[Process] | None
) -> Iterator[str]:
    if damage:
        yield (
            "the file is damaged: stop the processes that use it, copy it, and restore a backup or let "
            f"`sqlite3 {path} .recover` save the readable content"
        )
    writers = [process for process in processes or () if process.writes]
    strangers = [str(process.pid) for process in writers if not process.takes_turns]
    if journal.affected and journal.mode == "wal" and strangers and len(writers) > 1:
        yield (
            f"a program that is not modd's ({', '.join(strangers)}) can write at the same time as another process, and "
            f"SQLite {journal.sqlite} can damage the file then: let it read only, or use a later SQLite in all programs"
        )


def _advice(inspector: Inspector, journal: Journaling, sizes: Sizes, queues: Sequence[QueueHealth]) -> Iterator[str]:
    if journal.affected:
        yield (
            f"SQLite {journal.sqlite} can damage a WAL if a program that is not modd's writes beside modd: for that, "
            "use 3.51.3 or later, or 3.50.7 or 3.44.6"
        )
    if inspector.version < len(STEPS):
        yield f"the tables have version {inspector.version} and become {len(STEPS)} when a store opens the file"
    if sizes.wal > LONG_WAL:
        long = amount(sizes.wal, "byte")
        yield f"the WAL has {long}: look for a process that reads all the time or was suspended in a read"
    if sizes.free_pages > MUCH_FREE * max(sizes.pages, 1000):
        yield f"{sizes.free_pages} of {sizes.pages} pages are free: VACUUM shrinks the file; it blocks all processes"
    for queue in queues:
        yield from advise_on_queue(queue)


def advise_on_queue(queue: QueueHealth) -> Iterator[str]:
    """Yield a line for each finding about a queue that is worth a look."""
    name = queue.counts.name
    if queue.oldest_ready is not None and queue.oldest_ready > WAITED:
        yield f"{name}: the oldest ready item was put {format_age(queue.oldest_ready)}; check that a worker runs for it"
    if queue.oldest_dead is not None and queue.oldest_dead > OLD:
        yield f"{name}: the oldest dead letter was put {format_age(queue.oldest_dead)}; redrive or discard it"
