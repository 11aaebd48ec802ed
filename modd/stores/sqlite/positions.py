"""Positions of queue items in the file: their order, and the source of their ids. Their column is ``place``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import time_ns

from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import CallArgs, Connection
from modd.stores.sqlite.writer import Writer

LAST = Select("SELECT last FROM modd_store", columns=Columns(last=int))


SAVE = "UPDATE modd_store SET last = ? WHERE last < ?"


_log = logging.getLogger("modd.stores")


class Positions:
    """Hands out the positions of a file's items. `next_free` and `mark_used` run in the writer's thread.

    A position is the time in microseconds since 1970, or one more than the last position if that is greater. The last
    one is known while the store is open, and saved in the file when it is closed. So no id is used twice when the clock
    is set back, or when all items are gone.

    One case is left: the clock is set back while the file has no items, and the last item was put by a process that was
    killed, or that still runs. Then a new item gets an old id if it is put at the same microsecond.
    """

    def __init__(self) -> None:
        self.nonce = ""
        """The text with which ids begin; it differs from file to file."""
        self._last = self._saved = -1

    def begin(self, nonce: str) -> None:
        """Begin anew, because the store was opened."""
        self.nonce, self._last, self._saved = nonce, -1, -1

    def next_free(self, connection: Connection) -> int:
        """Return the first position after all known ones."""
        if self._last < 0:
            [self._saved] = LAST.only(connection)
            self._last = self._saved
        [last] = connection.execute("SELECT max(place) FROM modd_items").fetchone()
        return max((last or 0) + 1, self._last + 1, time_ns() // 1000)

    def mark_used(self, position: int) -> None:
        """Count this position and all before it as used, even if their items are rolled back."""
        self._last = position

    async def save(self, store: str, writer: Writer) -> None:
        """Save the last position in the file, if it has changed; a failure is logged (logger ``modd.stores``)."""
        try:
            if self._last > self._saved:
                await writer.submit(self._save_last)
        except Exception:
            _log.exception("%s: could not save the last id; it may come again if the clock is set back", store)

    def _save_last(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        connection.execute(SAVE, (self._last, self._last))
        return [None] * len(calls)
