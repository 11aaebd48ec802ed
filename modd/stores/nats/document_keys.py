"""The keys of a space of documents in their order, which the server does not have: read once, then followed."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from modd.stores.nats.overlay import RecordReader
from modd.stores.nats.record import TOMBSTONE_SECONDS, Record

READ_ANEW = TOMBSTONE_SECONDS / 2
"""Seconds between two looks after which all keys are read anew, because tombstones may have been missed."""


class DocumentKeys:
    """The keys of the documents of one space.

    filter: the filter of its subjects.
    """

    def __init__(self, filter: str) -> None:
        self._filter = filter
        self._latest: dict[str, tuple[int, str | None]] = {}
        """The sequence and the key of each subject; None for one that was removed."""
        self._sorted: list[str] | None = None
        self._seen, self._at = 0, -inf

    async def read(self, stream: RecordReader, now: float) -> Sequence[str]:
        """Return all keys in their order, as they are now. now: the time of the server."""
        is_known = now - self._at < READ_ANEW
        records = await stream.page(self._filter, self._seen if is_known else 0)
        if not is_known:
            self._latest, self._sorted = {}, None
        self._at = now
        for record in records:
            self._apply(record)
        if self._sorted is None:
            self._sorted = sorted(key for _, key in self._latest.values() if key is not None)
        return self._sorted

    def _apply(self, record: Record) -> None:
        """Note a record, unless a later one of its subject is known: several calls may read at a time."""
        sequence, earlier = self._latest.get(record.subject, (0, None))
        if record.sequence > sequence:
            key = None if record.is_gone else str(record.meta["key"])
            self._latest[record.subject] = record.sequence, key
            self._sorted = self._sorted if key == earlier else None
            self._seen = max(self._seen, record.sequence)
