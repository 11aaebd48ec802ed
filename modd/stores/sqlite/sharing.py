"""Sharing a file with other processes, where the journal mode depends on whether there are any."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from random import uniform

import anyio

from modd.stores.sqlite.connection import Link
from modd.stores.sqlite.errors import StoreBusy, is_busy
from modd.stores.sqlite.journal import ALONE, SAFE, SHARED, UNABLE, UNLOCKED, Journal, Mode, is_affected, set_mode
from modd.stores.sqlite.processes import Presence
from modd.stores.sqlite.readers import PausableReaders
from modd.stores.sqlite.sql import Connection
from modd.stores.sqlite.writer import Writer

LOOK = 0.1
"""Seconds after which one who has the file alone looks again whether somebody wants to be let in."""


RETRY = 10.0
"""Seconds after which one of several looks again whether it is alone."""


AGAIN = 1.0
"""Seconds after which the mode is changed again that could not be changed; nothing may be written meanwhile."""


PATIENCE = 0.05
"""Seconds for which writing waits at most when the mode cannot be changed at once."""


_log = logging.getLogger("modd.stores")


class Sharing:
    """Who else uses the file, and the journal mode that this asks for.

    One who is alone uses WAL. Who comes when somebody is alone knocks, and waits until that one has changed the file to
    TRUNCATE and holds it together with others. One of several who finds itself alone goes back to WAL.

    The mode is changed, and the lock given up, only while this store neither reads nor writes. From before the lock is
    given up until there is another the connection refuses to write, whoever is cancelled meanwhile.
    """

    def __init__(self, store: str, timeout: float) -> None:
        self.journal = SAFE
        self._store, self._timeout = store, timeout
        self._presence: Presence | None = None

    async def enter(self, version: str, mode: Callable[[], Awaitable[str]]) -> None:
        """Take part, and find the mode. ``mode`` tells the one that the file is in. Raises `StoreBusy` and OSError."""
        if not is_affected(version):
            return
        self._presence = presence = Presence(self._store)
        if presence.works():
            self.journal = await self._entered(presence, mode)
        else:
            self.journal = UNLOCKED

    def leave(self) -> None:
        """Take part no more; the file is closed."""
        if self._presence is not None:
            self._presence.close()

    def has_others(self) -> bool:
        """Whether others may use the file at the same time, with whom to take turns."""
        return self.journal is not ALONE

    def begin(self, connection: Connection) -> None:
        """Put the file into the mode that was found."""
        if set_mode(connection, self.journal.mode, self._timeout) != self.journal.mode:
            set_mode(connection, "truncate", self._timeout)
            self.journal = UNABLE

    async def watch(self, writer: Writer, readers: PausableReaders) -> None:
        """Change the mode when others come and when they have gone, until the store is closed."""
        presence = self._presence
        if presence is None or self.journal is UNLOCKED:
            return
        failed = False
        while True:
            await anyio.sleep(AGAIN if failed else RETRY if self.journal is SHARED else LOOK)
            try:
                if self.journal is SHARED:
                    await self._try_alone(presence, writer, readers)
                elif failed or presence.is_asked():
                    await self._let_in(presence, writer, readers)
                failed = False
            except Exception:
                failed = True
                _log.exception("%s: could not change the journal mode; it is tried again", self._store)

    async def _entered(self, presence: Presence, mode: Callable[[], Awaitable[str]]) -> Journal:
        with anyio.move_on_after(self._timeout):
            while True:
                if presence.alone():
                    presence.answered()
                    return ALONE
                if not presence.together():
                    presence.knock()
                elif await mode() != "wal":
                    return SHARED
                else:  # the one who was alone has crashed: the next who is alone puts the file in order
                    presence.leave()
                await _pause()
        raise StoreBusy(self._store, "the one who has it alone does not let others in")

    async def _let_in(self, presence: Presence, writer: Writer, readers: PausableReaders) -> None:
        await readers.end_snapshots()  # before the others wait: what waits for them could be a snapshot's owner
        async with writer.turn() as link, readers.paused():
            if await link.run(partial(self._changed, "truncate", False)):
                await self._join(presence, link)
            else:  # a program that knows nothing of this has the file open
                readers.snapshots = True
            presence.answered()

    async def _try_alone(self, presence: Presence, writer: Writer, readers: PausableReaders) -> None:
        async with writer.turn() as link, readers.paused():
            await link.run(partial(_allow, False))
            if presence.alone() and await link.run(partial(self._changed, "wal", True)):
                presence.answered()
                self.journal, readers.snapshots = ALONE, True
            else:
                await self._join(presence, link)

    async def _join(self, presence: Presence, link: Link) -> None:
        """Hold the file together with others; somebody may have come between, and be alone now."""
        while not presence.together():
            presence.knock()
            await _pause()
        while not await link.run(partial(self._changed, "truncate", True)):
            await _pause()
        self.journal = SHARED

    def _changed(self, mode: Mode, writable: bool, connection: Connection) -> bool:
        """Change the mode, and then whether this may write; False when others are in the way now."""
        try:
            if set_mode(connection, mode, PATIENCE) != mode:
                return False
        except Exception as error:
            if not is_busy(error):
                raise
            _log.debug("%s: others keep the journal mode from being %s now: %s", self._store, mode, error)
            return False
        _allow(writable, connection)
        return True


def _allow(writable: bool, connection: Connection) -> None:
    connection.execute(f"PRAGMA query_only = {'OFF' if writable else 'ON'}")


async def _pause() -> None:
    await anyio.sleep(uniform(0.01, 0.02))
