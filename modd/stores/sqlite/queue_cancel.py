"""The cancellation of items, at once or in the commit of a transaction that defers its writes.

A deferred transaction tells its caller which items its commit will delete before it deletes them. So it reads them in
its snapshot, which makes the read part of its validation, and the commit deletes exactly these, or ends in a conflict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from modd.ports.errors import ReadConflict
from modd.stores.sqlite.queue_operations import QueueOperations
from modd.stores.sqlite.queue_sql import CANCELLABLE, UNCLAIMED
from modd.stores.sqlite.select import Select
from modd.stores.sqlite.sql import CallArgs, Connection


class Cancellation:
    """The operations that cancel items of one queue.

    operations: those of the queue.
    """

    def __init__(self, operations: QueueOperations) -> None:
        self._operations = operations

    def cancel(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[list[str]]:
        """Delete items of which no attempt counts; each call has ids, and returns the deleted ones."""
        return [self._operations.delete(connection, ids, UNCLAIMED) for [ids] in calls]

    def select(self, id: str) -> Select:
        """Return the statement that has rows if `cancel` would delete the item with this id."""
        parameters = {"queue": self._operations.number, "id": id, "place": self._operations.ids.parse(id)}
        return Select(CANCELLABLE, parameters, title=self._title(id))

    def cancel_as_told(self, connection: Connection, calls: Sequence[CallArgs]) -> Sequence[None]:
        """Delete items as `cancel` does; each call has ids, and those of them that its caller was told of.

        Raises `ReadConflict` if other items were deleted, such as one that the same transaction has put.
        """
        for ids, told in calls:
            deleted = Counter(self._operations.delete(connection, ids, UNCLAIMED))
            different = [id for id in ids if deleted[id] != told.count(id)]
            if different:
                raise ReadConflict(self._title(*different))
        return [None] * len(calls)

    def _title(self, *ids: str) -> str:
        return f"{self._operations.name}.cancel({', '.join(map(repr, ids))})"
