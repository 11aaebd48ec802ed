"""Positions of queue items in the file: their order, and the source of their ids. Their column is ``place``.

Theory of operation. A position is the time in microseconds since 1970 or, if that is not greater, one more than the
last position of the file. That is the highest ``place`` in ``modd_items``, or ``last`` in ``modd_store`` if it is
greater; both are read in the transaction that writes the items. A transaction that deletes the item with the highest
``place`` writes that place to ``last``. So no position comes again: not in another process, which may have read the
time before it waited for its turn to write, not after a process was killed, and not when the clock stands still or is
set back. A put writes nothing for it, and neither does a deletion while there are items with later positions.

Example: the clock stands at 100, and the file is empty.

================================  ==========  ====  ====================================================
step                              places      last  position
================================  ==========  ====  ====================================================
process 1 puts two items          100, 101    0     100, the time, and 101
process 1 deletes the first       101         0
process 1 deletes the second      -           101   it was the highest place
process 2 puts an item            102         101   the time would be 100, and 101 was the last position
================================  ==========  ====  ====================================================
"""

from __future__ import annotations

from modd.stores.sqlite.damage import Damage
from modd.stores.sqlite.sql import Connection

MICROSECONDS = 1_000_000
"""Positions of a second."""


LAST = "SELECT max(last, coalesce((SELECT max(place) FROM modd_items), 0)) FROM modd_store"
"""The last position that the file knows."""


KEEP_LAST = """UPDATE modd_store SET last = :place
    WHERE last < :place AND NOT EXISTS (SELECT 1 FROM modd_items WHERE place > :place)"""


class Positions:
    """Hands out the positions of a file's items; `next_free` and `mark_used` run in the writer's thread.

    nonce: the text with which the ids of the file begin; it differs from file to file, and is known once the store was
    opened.

    A transaction that is rolled back may have returned ids of its items before. So a store does not use their positions
    again either; other processes may, because the file does not know them.
    """

    def __init__(self, nonce: str = "") -> None:
        self.nonce, self._last = nonce, 0

    def next_free(self, connection: Connection, now: float) -> int:
        """Return the first position after all used ones; now: seconds since 1970, by the clock of the store."""
        row = connection.execute(LAST).fetchone()
        if row is None or type(row[0]) is not int:  # as `Select.only` does, which takes four times as long
            raise Damage("modd_store has no last position")
        return max(row[0] + 1, self._last + 1, int(now * MICROSECONDS))

    def mark_used(self, position: int) -> None:
        """Count this position and all before it as used, even if their items are rolled back."""
        self._last = position


def keep_last(connection: Connection, position: int) -> None:
    """Let the file know the position of a deleted item, unless it has an item with a later one."""
    connection.execute(KEEP_LAST, {"place": position})
