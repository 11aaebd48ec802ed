"""How SQLite keeps a commit from being lost halfway: in which journal mode, and why in that one.

WAL is the faster one, and readers do not wait in it. SQLite 3.7.0 to 3.51.2 has an error in it: when two connections
write or checkpoint at the same moment, the file can be damaged. With these a file is in WAL mode as long as one process
uses it, in which one connection writes and checkpoints, and in TRUNCATE mode, an older and safe one, when there are
several.
"""

from __future__ import annotations

from random import uniform
from time import monotonic, sleep
from typing import Literal, TypeAlias

import msgspec

from modd.ports.errors import StoreError
from modd.stores.sqlite.errors import is_busy
from modd.stores.sqlite.sql import Connection

Mode: TypeAlias = Literal["wal", "truncate"]


REPAIRED: dict[tuple[int, ...], int] = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
"""By release, the first patch in which WAL is safe with several connections; it is in all releases after these."""


class NotDurable(StoreError):
    """A connection does not wait for the disk, so that what is committed could be lost with the power."""

    def __init__(self, store: str, level: object) -> None:
        self.level = level
        super().__init__(
            store,
            f"PRAGMA synchronous is {level} here and stays so, and a store needs 2 (FULL) or more; give it a connect= "
            "that leaves this to the store",
        )


class Journal(msgspec.Struct, frozen=True):
    """The journal mode of a file, and why it is that one."""

    mode: Mode
    reason: str

    def __str__(self) -> str:
        return f"{self.mode}: {self.reason}"


ALONE = Journal("wal", "one process uses the file")


SHARED = Journal("truncate", "several processes use the file, and this version of SQLite can damage a WAL then")


UNLOCKED = Journal("truncate", "no lock tells here whether others use the file, and this SQLite can damage a WAL then")


SAFE = Journal("wal", "this version of SQLite is safe with several processes")


UNABLE = Journal("truncate", "the file system has no WAL")


def is_affected(version: str) -> bool:
    """Whether this version of SQLite can damage a WAL that several connections write."""
    numbers = tuple(int(part) for part in version.split("."))
    patch = REPAIRED.get(numbers[:2])
    return (3, 7) <= numbers < (3, 52) and (patch is None or numbers[2:] < (patch,))


def prepare_writer(store: str, timeout: float, connection: Connection) -> None:
    """Make it a connection that writes what is not lost. Raises `NotDurable`."""
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * timeout)}")
    connection.execute("PRAGMA synchronous = FULL")
    [level] = connection.execute("PRAGMA synchronous").fetchone()
    if level < 2:
        raise NotDurable(store, level)


def prepare_reader(timeout: float, connection: Connection) -> None:
    """Make it a connection that only reads, and leaves the WAL to the one that writes."""
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * timeout)}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA query_only = ON")


def set_mode(connection: Connection, mode: Mode, patience: float) -> str:
    """Change the journal mode, and return the one that the file is in then; not every file system has a WAL.

    patience: for how many seconds to try while others have the file open, as SQLite does not wait by itself here.
    """
    end = monotonic() + patience
    while True:
        try:
            is_now: str = connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0]
        except Exception as error:
            if not is_busy(error) or monotonic() >= end:
                raise
        else:
            return is_now
        sleep(uniform(0.002, 0.01))  # in a thread, and not in step with the others who try


def mode_of(connection: Connection) -> str:
    """The journal mode that the file is in."""
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # it is known when something was read
    mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
    return mode
