"""The records as an operation sees them: those of the server, and over them the writes that are not committed yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from secrets import randbits
from typing import Any, NamedTuple, Protocol, Self

from modd.stores.nats.record import PENDING, Guard, Record, Write, tombstone


class RecordReader(Protocol):
    """The reads of a `JetStream`."""

    async def last(self, filter: str) -> Record | None:
        """Return the last message of a subject or a filter; None if there is none."""
        ...

    async def last_of_many(self, filters: Sequence[str]) -> list[Record | None]:
        """Return the last message of each subject or filter."""
        ...

    async def last_of_each(self, filter: str) -> list[Record]:
        """Return the last message of each subject of a filter, in the order of sequences."""
        ...

    async def page(self, filter: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """Return the messages of a filter behind a sequence, in the order of sequences."""
        ...

    async def get(self, sequence: int) -> Record | None:
        """Return the message of a sequence; None if there is none."""
        ...

    async def next(self, filter: str, after: int) -> Record | None:
        """Return the first message of a filter behind a sequence; None if there is none."""
        ...

    async def count(self, subject: str) -> int:
        """Return the number of messages of a subject."""
        ...


TOKEN_BITS = 30
"""Bits of the token of a commit: few, because each item has one in memory, and it tells commits of one item apart."""


class OverlayMark(NamedTuple):
    """The state of an overlay at a savepoint."""

    writes: list[Write]
    hooks: int
    ids: int
    witness: str | None


class Overlay:
    """Reads records, notes as guards what was read, and collects writes.

    An operation reads with `get`, `last`, `each` and `page`, decides, and calls `write` or `remove`. The commit
    compares the guards: if something that was read has changed, the operation runs again on a new overlay.

    stream: the records of the server.
    clock: returns the time of the server, for records that are not committed yet.
    is_guarded: False for an operation that reads alone and outside of a transaction: then less is asked.
    """

    def __init__(self, stream: RecordReader, clock: Callable[[], float], *, is_guarded: bool = True) -> None:
        self.stream, self.clock, self.is_guarded = stream, clock, is_guarded
        self.guards: dict[str, int] = {}
        """The last sequence of each subject and filter that was read, 0 if there was none."""
        self.writes: list[Write] = []
        """The writes, in their order. A record that is written again keeps its first place."""
        self.ids: list[str] = []
        """The ids of items that are put, for `UnknownOutcome`."""
        self.hooks: list[Callable[[Mapping[str, int]], None]] = []
        """Functions to call after the commit, with the sequences of the subjects that were written, as far as known."""
        self.token = randbits(TOKEN_BITS)
        """The token of the commit, for records that keep it when they are written again."""
        self.witness: str | None = None
        """The subject of such a record, which tells if the commit is stored."""
        self._read: dict[str, Record | None] = {}
        self._places: dict[str, list[int]] = {}
        """The places of the writes of each subject."""

    def continues(self, earlier: Overlay) -> Self:
        """Take over all that an earlier overlay has read, and return this one."""
        self.guards, self._read = earlier.guards.copy(), earlier._read.copy()
        return self

    async def get(self, subject: str) -> Record | None:
        """Return the record of a subject; None if there is none, or a tombstone."""
        record = await self.last(subject)
        return None if record is None or record.is_gone else record

    async def get_many(self, subjects: Sequence[str]) -> list[Record | None]:
        """Return the record of each subject as `get` does, with several requests at a time."""
        wanted = [subject for subject in subjects if subject not in self._read and subject not in self._places]
        if len(wanted) > 1:
            for subject, record in zip(wanted, await self.stream.last_of_many(wanted), strict=True):
                self.see(subject, record)
                self._read[subject] = record
        return [await self.get(subject) for subject in subjects]

    async def last(self, filter: str) -> Record | None:
        """Return the last message of a subject or a filter, be it a tombstone; None if there is none.

        It is read from the server once.
        """
        pending = self._pending(filter)
        if pending:
            return pending[-1]
        if filter not in self._read:
            record = await self.stream.last(filter)
            self.see(filter, record)
            self._read[filter] = record
        return self._read[filter]

    async def each(self, filter: str) -> list[Record]:
        """Return the records of a filter without tombstones, in the order of sequences."""
        await self._see_last(filter)
        records = {record.subject: record for record in await self.stream.last_of_each(filter)}
        for record in self._pending(filter):
            records.pop(record.subject, None)
            records[record.subject] = record
        return [record for record in records.values() if not record.is_gone]

    async def page(
        self, filter: str, after: int = 0, limit: int | None = None, *, is_guarded: bool = True
    ) -> list[Record]:
        """Return the messages of a filter behind a sequence, the first ``limit``, in the order of sequences.

        is_guarded: False to have nothing compared by the commit.
        """
        if is_guarded:
            await self._see_last(filter)
        records = await self.stream.page(filter, after, limit)
        pending = self._pending(filter)
        written = {record.subject for record in pending if self._is_rollup(record.subject)}
        records = [record for record in records if record.subject not in written]
        return (records + [record for record in pending if record.sequence > after])[:limit]

    async def look(self, filter: str) -> list[Record]:
        """Note the last message of a filter as read, and return only the records of it that are not committed yet."""
        await self._see_last(filter)
        return self._pending(filter)

    def see(self, filter: str, record: Record | None) -> None:
        """Note a record that was read as the last of a subject or a filter: the commit compares it."""
        self.guards.setdefault(filter, 0 if record is None else record.sequence)

    def write(self, write: Write) -> None:
        """Add a write; of a record with ``rollup``, in place of an earlier one."""
        places = self._places.setdefault(write.subject, [])
        if write.rollup and places:
            self.writes[places[0]] = write
        else:
            places.append(len(self.writes))
            self.writes.append(write)

    def remove(self, subject: str, meta: Mapping[str, Any] | None = None) -> None:
        """Add the write of a tombstone. meta: its metadata; None for the usual one."""
        self.write(tombstone(subject) if meta is None else tombstone(subject, meta=meta))

    def after_commit(self, hook: Callable[[Mapping[str, int]], None]) -> None:
        """Have a function called after the commit, with the sequences of the subjects that were written.

        They are not known of a commit whose answer was lost, and whose records other processes have written again.
        """
        self.hooks.append(hook)

    def note_commit(self, sequences: Mapping[str, int]) -> None:
        """Call the functions of `after_commit`. sequences: those of the subjects that were written, as far as known."""
        for hook in self.hooks:
            hook(sequences)

    def mark(self) -> OverlayMark:
        """Return the state to which `undo_to` goes back."""
        return OverlayMark(self.writes.copy(), len(self.hooks), len(self.ids), self.witness)

    def undo_to(self, mark: OverlayMark) -> None:
        """Drop the writes since a mark. Reads since then are still compared."""
        self.writes, self.witness, self._places = mark.writes.copy(), mark.witness, {}
        for place, write in enumerate(self.writes):
            self._places.setdefault(write.subject, []).append(place)
        del self.hooks[mark.hooks :], self.ids[mark.ids :]

    def all_guards(self) -> list[Guard]:
        """Return the conditions of the commit."""
        return [Guard(filter, sequence) for filter, sequence in self.guards.items()]

    async def _see_last(self, filter: str) -> None:
        if self.is_guarded and filter not in self.guards:
            self.see(filter, await self.stream.last(filter))

    def _pending(self, filter: str) -> list[Record]:
        """Return the writes of a subject or a filter as records."""
        if not self.writes:
            return []
        if filter.endswith(("*", ">")):
            places: Iterable[int] = (place for place, each in enumerate(self.writes) if matches(filter, each.subject))
        else:
            places = self._places.get(filter, ())
        return [self.record_at(place) for place in places]

    def record_at(self, place: int) -> Record:
        """Return the write of a place as a record."""
        write = self.writes[place]
        return Record(write.subject, PENDING + place, self.clock(), dict(write.meta), write.body)

    def _is_rollup(self, subject: str) -> bool:
        return any(self.writes[place].rollup for place in self._places[subject])


def matches(filter: str, subject: str) -> bool:
    """True if a subject is one of a filter: ``*`` stands for one token, ``>`` at the end for one or more."""
    if filter == subject:
        return True
    wanted, tokens = filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, tokens = wanted[:-1], tokens[: len(wanted) - 1] if len(tokens) >= len(wanted) else []
    return len(wanted) == len(tokens) and all(one in ("*", other) for one, other in zip(wanted, tokens, strict=True))
