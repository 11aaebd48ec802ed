"""Ids of queue items in the file: several items may have one id, those that were claimed, and one that was not."""

from __future__ import annotations

from collections.abc import Callable

from modd.stores.item_ids import id_at, position_in, queue_number
from modd.stores.sqlite.sql import Connection

WITH_ID = "FROM modd_items WHERE queue = ? AND id = ?"


AT_POSITION = "FROM modd_items WHERE place = ? AND queue = ? AND id IS NULL"


class ItemIds:
    """The ids of the items of one queue.

    queue: its name. nonce: returns the nonce of the file.
    """

    def __init__(self, queue: str, nonce: Callable[[], str]) -> None:
        self.number, self._nonce = queue_number(queue), nonce

    def id_of(self, position: int, id: str | None) -> str:
        """Return the id of an item: its id in the table or, if that is NULL, nonce and position."""
        return id if id is not None else id_at(self._nonce(), position)

    def is_known(self, connection: Connection, id: str, *, only_unclaimed: bool = False) -> bool:
        """Return True if there is an item with this id. only_unclaimed: ignore items of which an attempt counts."""
        condition = "AND attempts = 0 LIMIT 1" if only_unclaimed else "LIMIT 1"
        position = self.parse(id)
        if position is not None:
            rows = connection.execute(f"SELECT 1 {AT_POSITION} {condition}", (position, self.number))
            if rows.fetchone():
                return True
        return bool(connection.execute(f"SELECT 1 {WITH_ID} {condition}", (self.number, id)).fetchone())

    def positions_of(self, connection: Connection, id: str) -> list[int]:
        """Return the positions of the items with this id, in order."""
        rows = connection.execute(f"SELECT place {WITH_ID} ORDER BY place", (self.number, id)).fetchall()
        position = self.parse(id)
        if position is not None:
            rows = connection.execute(f"SELECT place {AT_POSITION}", (position, self.number)).fetchall() + rows
        return [position for [position] in rows]

    def parse(self, id: str) -> int | None:
        """Return the position in an id that is made of nonce and position; None for any other id."""
        return position_in(self._nonce(), id)
