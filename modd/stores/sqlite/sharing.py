"""Sharing a file with other processes, with a SQLite whose WAL is safe for one process alone.

Theory of operation
-------------------

Rule: while several processes use the file it is in TRUNCATE mode; only a process that is alone uses WAL. Each process
holds a lock on a small file beside the store's (`Presence`): exclusive if it is alone, shared with the others if not.
So a process that gets the lock, in whichever form, knows which mode the file may be in.

The journal mode can be changed only while no connection of any process has a transaction open, so the process that is
alone does it when another one asks: that one *knocks*, by making the locked file one byte long.

Example: A is alone, B comes, A ends.

=====================  =========  =========  ========  =============================================================
step                   lock of A  lock of B  mode      remark
=====================  =========  =========  ========  =============================================================
A opens                exclusive             WAL
B opens, gets no lock  exclusive             WAL       B knocks, and tries again every 10 to 20 ms
A sees the knock       exclusive             WAL       A looks every 0.1 s; it ends its snapshots, then reserves its
                                                       writer and pauses its readers
A changes the mode     exclusive             TRUNCATE  in the same step A forbids itself to write (query_only)
A shares the lock      shared                TRUNCATE  A sets TRUNCATE again, and only then allows itself to write
B gets the lock        shared     shared     TRUNCATE  B has seen that the mode is not WAL, and is open
A closes                          shared     TRUNCATE
B is alone                        exclusive  WAL       B tries every 10 s, and changes the mode as A did
=====================  =========  =========  ========  =============================================================

Two complications:

- A lock cannot be converted in one step: `flock` gives the old one up first. If C gets the exclusive lock in between,
  it is alone by the rule, and sets WAL. A then knocks like any other, until C shares; meanwhile A refuses to write.
  This is why A forbids itself to write before it gives up a lock, and sets the mode again after it has the next.
- If A is killed while it is alone, the file stays in WAL and no process has the lock. B gets it as exclusive, and is
  right to use WAL. If B and C take shared locks at the same moment, both see WAL, give the lock up, and try again: one
  of them gets it as exclusive in the end.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from random import uniform

import anyio

from modd.concurrency.backoff import spread
from modd.stores.sqlite.connection import ConnectionThread
from modd.stores.sqlite.errors import StoreBusy, is_busy
from modd.stores.sqlite.file_lock import Presence
from modd.stores.sqlite.journal_mode import (
    ALONE,
    NO_LOCKS,
    NO_WAL,
    SAFE,
    SHARED,
    Journal,
    Mode,
    is_affected,
    set_mode,
)
from modd.stores.sqlite.readers import PausableReaders
from modd.stores.sqlite.sql import Connection
from modd.stores.sqlite.writer import Writer

KNOCK_POLL = 0.1
"""Seconds between two looks for a knock, while this process is alone."""


ALONE_POLL = 10.0
"""Seconds between two tries to be alone, while the file is shared."""


POLL_JITTER = 0.25
"""Share by which these pauses differ, so that processes do not look in step, nor with anything else that polls."""


RETRY = 1.0
"""Seconds until a failed change of the mode is tried again; this process refuses to write meanwhile."""


PATIENCE = 0.05
"""Seconds for which a change of the mode waits for other connections; every writer of this process waits with it."""


_log = logging.getLogger("modd.stores")


class Sharing:
    """The lock and the journal mode of one store, while it uses the file.

    store: the path of the file. timeout: seconds to wait for other processes.
    """

    def __init__(self, store: str, timeout: float) -> None:
        self.journal = SAFE
        self._store, self._timeout = store, timeout
        self._presence: Presence | None = None

    async def enter(self, version: str, read_mode: Callable[[], Awaitable[str]]) -> None:
        """Get the lock, and choose the journal mode.

        version: of SQLite. read_mode: returns the mode that the file is in. Raises `StoreBusy` and OSError.
        """
        if not is_affected(version):
            return
        self._presence = presence = Presence(self._store)
        if presence.works():
            self.journal = await self._enter(presence, read_mode)
        else:
            self.journal = NO_LOCKS

    def close(self) -> None:
        """Give up the lock, after the file was closed."""
        if self._presence is not None:
            self._presence.close()

    def has_others(self) -> bool:
        """True if other processes may use the file, so that writers have to take turns."""
        return self.journal is not ALONE

    def apply(self, connection: Connection) -> None:
        """Put the file into the chosen mode; into TRUNCATE where the file system has no WAL."""
        if set_mode(connection, self.journal.mode, self._timeout) != self.journal.mode:
            set_mode(connection, "truncate", self._timeout)
            self.journal = NO_WAL

    async def watch(self, writer: Writer, readers: PausableReaders) -> None:
        """Change the mode when other processes come and when they have gone, until the store is closed."""
        presence = self._presence
        if presence is None or self.journal is NO_LOCKS:
            return
        has_failed = False
        while True:
            pause = RETRY if has_failed else ALONE_POLL if self.journal is SHARED else KNOCK_POLL
            await anyio.sleep(spread(pause, POLL_JITTER))
            try:
                if self.journal is SHARED:
                    await self._try_alone(presence, writer, readers)
                elif has_failed or presence.is_knocked():
                    await self._let_in(presence, writer, readers)
                has_failed = False
            except Exception:
                has_failed = True
                _log.exception("%s: could not change the journal mode; trying again", self._store)

    async def _enter(self, presence: Presence, read_mode: Callable[[], Awaitable[str]]) -> Journal:
        with anyio.move_on_after(self._timeout):
            while True:
                if presence.try_exclusive():
                    presence.clear_knock()
                    return ALONE
                if not presence.try_shared():
                    presence.knock()
                elif await read_mode() != "wal":
                    return SHARED
                else:  # the process that was alone has crashed: leave the file to the next one that is alone
                    presence.unlock()
                await _pause()
        raise StoreBusy(self._store, "the process that has it alone does not share it")

    async def _let_in(self, presence: Presence, writer: Writer, readers: PausableReaders) -> None:
        """Stop being alone, and share the file with the processes that have knocked."""
        await readers.end_snapshots()  # before the writer is reserved: the owner of a snapshot may be about to write
        async with writer.reserve() as thread, readers.paused():
            if await thread.run(partial(self._try_change, "truncate", False)):
                await self._share(presence, thread)
            else:  # a program that does not take part in this protocol has the file open
                readers.has_snapshots = True
            presence.clear_knock()

    async def _try_alone(self, presence: Presence, writer: Writer, readers: PausableReaders) -> None:
        """Use WAL if no other process shares the file any more."""
        async with writer.reserve() as thread, readers.paused():
            await thread.run(partial(_allow_writes, False))
            if presence.try_exclusive() and await thread.run(partial(self._try_change, "wal", True)):
                presence.clear_knock()
                self.journal, readers.has_snapshots = ALONE, True
            else:
                await self._share(presence, thread)

    async def _share(self, presence: Presence, thread: ConnectionThread) -> None:
        """Get the shared lock, set TRUNCATE, and allow writes; another process may be alone for a while before that."""
        while not presence.try_shared():
            presence.knock()
            await _pause()
        while not await thread.run(partial(self._try_change, "truncate", True)):
            await _pause()
        self.journal = SHARED

    def _try_change(self, mode: Mode, is_writable: bool, connection: Connection) -> bool:
        """Change the mode and then allow or forbid writes; False if other connections are in the way."""
        try:
            if set_mode(connection, mode, PATIENCE) != mode:
                return False
        except Exception as error:
            if not is_busy(error):
                raise
            _log.debug("%s: other connections prevent the journal mode %s: %s", self._store, mode, error)
            return False
        _allow_writes(is_writable, connection)
        return True


def _allow_writes(is_allowed: bool, connection: Connection) -> None:
    connection.execute(f"PRAGMA query_only = {'OFF' if is_allowed else 'ON'}")


async def _pause() -> None:
    await anyio.sleep(uniform(0.01, 0.02))
