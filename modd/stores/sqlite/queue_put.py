"""The insertion of items that are put, without those whose id keeps them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from modd.ports.items import PutResult
from modd.stores.sqlite.item_ids import ItemIds
from modd.stores.sqlite.positions import Positions
from modd.stores.sqlite.queue_sql import READY
from modd.stores.sqlite.sql import BulkInsert, CallArgs, Connection

# the number of the queue is a value and no part of the text, so that all queues share the statements that SQLite caches
INSERT_PLAIN = BulkInsert("INSERT INTO modd_items (queue, place, state, body)", f"(?, ?, {READY}, ?)")


INSERT = BulkInsert(
    "INSERT INTO modd_items (queue, place, state, due, id, key, headers, body)", "(?, ?, ?, ?, ?, ?, ?, ?)"
)


class ItemRow(NamedTuple):
    """An item to insert; its due time is in seconds since 1970.

    only_unclaimed: True to drop it only if an item with its id was never claimed; False if there is one in any state.
    """

    state: int
    due: float | None
    id: str | None
    key: str | None
    headers: bytes | None
    body: bytes
    only_unclaimed: bool = False


class Insertion:
    """The items of one commit: each gets a position, or is left out as a duplicate; `run` inserts them.

    ids: the ids of the queue. positions: the source of positions. now: seconds since 1970, by the clock of the store.
    """

    def __init__(self, connection: Connection, ids: ItemIds, positions: Positions, *, now: float) -> None:
        self._connection, self._ids, self._positions = connection, ids, positions
        self._next = positions.next_free(connection, now)
        self._plain: list[Any] = []
        self._full: list[Any] = []
        self._added: set[str] = set()

    @property
    def has_rows(self) -> bool:
        """True if an item is more than its body."""
        return bool(self._full)

    def add(self, calls: Sequence[CallArgs]) -> list[list[PutResult]]:
        """Add the items of all calls, and return the results of each.

        An item is its body alone, which is faster, or a row.
        """
        # in one loop, as most calls have one item: to call a method for each takes a tenth of the time
        outcome: list[list[PutResult]] = []
        plain, nonce, number, position = self._plain, self._positions.nonce, self._ids.number, self._next
        for items, _ in calls:
            results: list[PutResult] = []
            for item in items:
                if type(item) is bytes:
                    plain += (number, position, item)
                    results.append(PutResult(f"{nonce}{position:x}", False))
                elif item.id is not None and self._is_duplicate(item.id, item.only_unclaimed):
                    results.append(PutResult(item.id, True))
                    continue
                else:
                    self._full += (number, position, *item[:-1])
                    results.append(PutResult(self._ids.id_of(position, item.id), False))
                position += 1
            outcome.append(results)
        self._next = position
        return outcome

    def run(self) -> None:
        """Insert the items."""
        self._positions.mark_used(self._next - 1)
        INSERT_PLAIN.run(self._connection, self._plain)
        INSERT.run(self._connection, self._full)

    def _is_duplicate(self, id: str, only_unclaimed: bool) -> bool:
        """Return True if an item with this id is in the file, or was added before; else note that it is added."""
        if id in self._added or self._ids.is_known(self._connection, id, only_unclaimed=only_unclaimed):
            return True
        self._added.add(id)
        return False
