"""Where items are put, so that they are in order, and no id is given twice."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import time_ns

from modd.stores.sqlite.sql import Call, Connection
from modd.stores.sqlite.writer import Writer

KEEP = "UPDATE modd_store SET last = ? WHERE last < ?"


_log = logging.getLogger("modd.stores")


class Places:
    """The places of a file's items, of which ids are made: by `next` and `use`, in the writer's thread.

    The last one is known while the store is open, and kept in the file when it is closed. So ids come again neither
    when the clock is set back nor when all items are gone. What is left: the clock is set back, no item is in the file,
    and what was put last was put by a process that was killed, or by another one that still runs. Then a new item gets
    an old id if it is put at the same microsecond of the clock.
    """

    def __init__(self) -> None:
        self.nonce = ""
        """The text that tells the file from others, and with which ids begin."""
        self._last = self._kept = -1

    def begin(self, nonce: str) -> None:
        """The store was opened."""
        self.nonce, self._last, self._kept = nonce, -1, -1

    def next(self, connection: Connection) -> int:
        """A place behind all that are known: the microseconds since 1970, at least."""
        if self._last < 0:
            [self._kept] = connection.execute("SELECT last FROM modd_store").fetchone()
            self._last = self._kept
        [last] = connection.execute("SELECT max(place) FROM modd_items").fetchone()
        return max((last or 0) + 1, self._last + 1, time_ns() // 1000)

    def use(self, place: int) -> None:
        """All up to this one are taken, even if that is not committed in the end."""
        self._last = place

    async def keep(self, store: str, writer: Writer) -> None:
        """Keep the last one in the file, if it is another than there; a failure is logged (logger ``modd.stores``)."""
        try:
            if self._last > self._kept:
                await writer.submit(self._keep)
        except Exception:
            _log.exception("%s: could not note the last id; it may come again if the clock is set back", store)

    def _keep(self, connection: Connection, calls: Sequence[Call]) -> Sequence[None]:
        connection.execute(KEEP, (self._last, self._last))
        return [None] * len(calls)
