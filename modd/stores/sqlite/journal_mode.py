"""The journal mode: how SQLite makes a commit atomic, and which mode is safe for a file.

WAL is faster, and readers do not wait in it. SQLite 3.7.0 to 3.51.2 has a bug in it: a checkpoint that runs while a
second connection commits can damage the file. A store has one connection that writes and checkpoints; of several
stores, be they of one process or of many, one at a time does so: `modd.stores.sqlite.write_turns` has the lock. So no
checkpoint runs beside a commit, and WAL is safe with every version. Where files cannot be locked, TRUNCATE is used.
"""

from __future__ import annotations

from random import uniform
from time import monotonic, sleep
from typing import Literal, TypeAlias

import msgspec

from modd.stores.errors import NotDurable
from modd.stores.sqlite.errors import is_busy
from modd.stores.sqlite.sql import Connection

Mode: TypeAlias = Literal["wal", "truncate"]


REPAIRED: dict[tuple[int, ...], int] = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
"""First patch of a release in which WAL is safe with several connections; every later release is safe."""


class Journal(msgspec.Struct, frozen=True):
    """The journal mode of a file, ``wal`` or ``truncate``, and the reason for it."""

    mode: Mode
    reason: str

    def __str__(self) -> str:
        return f"{self.mode}: {self.reason}"


TURNS = Journal("wal", "stores write one after another, because this SQLite can damage a WAL that two write at once")


NO_LOCKS = Journal("truncate", "files cannot be locked here to take turns, and this SQLite can damage a WAL")


SAFE = Journal("wal", "this version of SQLite is safe with several processes")


NO_WAL = Journal("truncate", "the file system has no WAL")


LOG_SIZE = 4 * 2**20
"""Bytes to which SQLite shortens the WAL when it begins anew, a little more than it checkpoints at (1000 pages)."""


def is_affected(version: str) -> bool:
    """True if this version of SQLite can damage a WAL that several connections write."""
    numbers = tuple(int(part) for part in version.split("."))
    patch = REPAIRED.get(numbers[:2])
    return (3, 7) <= numbers < (3, 52) and (patch is None or numbers[2:] < (patch,))


def choose_journal(version: str, can_lock: bool) -> Journal:
    """Return the journal mode for a version of SQLite. can_lock: True if files can be locked here."""
    if not is_affected(version):
        return SAFE
    return TURNS if can_lock else NO_LOCKS


def apply_journal(journal: Journal, patience: float, connection: Connection) -> Journal:
    """Put the file into this mode, and return the mode that it is in: TRUNCATE where the file system has no WAL."""
    if set_mode(connection, journal.mode, patience) == journal.mode:
        return journal
    set_mode(connection, "truncate", patience)
    return NO_WAL


def prepare_writer(store: str, timeout: float, connection: Connection) -> None:
    """Set up the connection that writes: each commit waits for the disk. Raises `NotDurable`."""
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * timeout)}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_SIZE}")
    connection.execute("PRAGMA synchronous = FULL")
    [level] = connection.execute("PRAGMA synchronous").fetchone()
    if level < 2:
        raise NotDurable(store, level)


def prepare_reader(timeout: float, connection: Connection) -> None:
    """Set up a read-only connection, which leaves checkpoints to the connection that writes."""
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * timeout)}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA query_only = ON")


def set_mode(connection: Connection, mode: Mode, patience: float) -> str:
    """Change the journal mode, and return the mode that the file is in then: some file systems have no WAL.

    patience: seconds to retry while other connections have the file open, because SQLite's ``busy_timeout`` does not
    hold for this statement. Raises SQLite's error after that.
    """
    end = monotonic() + patience
    while True:
        try:
            current: str = connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0]
        except Exception as error:
            if not is_busy(error) or monotonic() >= end:
                raise
        else:
            return current
        sleep(uniform(0.002, 0.01))  # random, so that two processes do not retry in step; this is not the loop's thread


def read_mode(connection: Connection) -> str:
    """Return the journal mode that the file is in."""
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # SQLite knows the mode after the first read
    mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
    return mode
