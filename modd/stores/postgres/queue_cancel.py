"""The cancellation of items, at once or in the commit of a transaction that defers its writes.

A deferred transaction tells its caller which items its commit will delete before it deletes them. So it reads them in
its snapshot, which makes the read part of its validation, and the commit deletes exactly these, or ends in a conflict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from modd.ports.errors import ReadConflict
from modd.stores.item_ids import position_in
from modd.stores.postgres.queue_operations import QueueOperations
from modd.stores.postgres.queue_sql import CANCELLABLE, UNCLAIMED
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import Session
from modd.stores.postgres.values import encode_text


class CancelOperations:
    """The operations that cancel items of one queue.

    operations: those of the queue.
    """

    def __init__(self, operations: QueueOperations) -> None:
        self._operations = operations

    async def cancel(self, session: Session, ids: Sequence[str]) -> list[str]:
        """Delete the items with these ids of which no attempt counts, and return the id of each."""
        return await self._operations.delete(session, ids, UNCLAIMED)

    def select(self, id: str) -> Select:
        """Return the statement that has rows if `cancel` would delete the item with this id."""
        queue, place = self._operations.number, position_in(self._operations.nonce(), id)
        return Select(CANCELLABLE, (queue, encode_text(id), place, queue), title=self._title(id))

    async def cancel_as_told(self, session: Session, ids: Sequence[str], told: Sequence[str]) -> None:
        """Delete items as `cancel` does. told: those of the ids that the caller was told of.

        Raises `ReadConflict` if other items were deleted, such as one that the same transaction has put.
        """
        deleted = Counter(await self._operations.delete(session, ids, UNCLAIMED))
        different = [id for id in ids if deleted[id] != told.count(id)]
        if different:
            raise ReadConflict(self._title(*different))

    def _title(self, *ids: str) -> str:
        return f"{self._operations.name}.cancel({', '.join(map(repr, ids))})"
