"""A flow as a track: its instances hear of events and timeouts, and their commands go into a queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from logging import Logger
from math import inf
from typing import Any

import msgspec

from modd.aggregate import Rejected
from modd.core import Message, wire_name
from modd.flow import Timeout
from modd.follower.cause import cause_of, place_of
from modd.follower.cursor import Cursors
from modd.follower.flow_batch import FlowBatch
from modd.follower.flow_notes import FlowNotes, words_for
from modd.follower.instance_work import FlowRules, InstanceWork
from modd.follower.instances import DueEntry, FlowDocuments, Waiting, instance_key
from modd.follower.log_reader import LogReader
from modd.follower.track import EventFailure, LoggedEvent
from modd.ports.errors import StoreError
from modd.ports.queue import Queue
from modd.ports.storage import Storage

MOST_KEPT = 4096
"""Instances that are kept in memory."""


MOST_DUE = 256
"""Due times of one commit."""


class Heard(msgspec.Struct, frozen=True):
    """An event for an instance.

    event: the event. key, id: the key and the identity of the instance.
    content: the event, decoded, or the reason for which it could not be decoded.
    """

    event: LoggedEvent
    key: str
    id: str
    content: Message | Exception


class FlowTrack:
    """Runs the instances of a flow; see `modd.follower.track.Track`. It is also the only track of its flow.

    rules: those of the flow. store: the store. queue: gets the commands. log: gets failures.
    """

    def __init__(self, rules: FlowRules, store: Storage, queue: Queue, log: Logger) -> None:
        self._rules, self._flow, self._store, self._queue, self._log = rules, rules.flow, store, queue, log
        self._notes = FlowNotes(rules, log)
        self.name = self.part = self._flow.name
        self.key = f"flow {self._flow.name}"
        self.types: frozenset[str] | None = self._flow.event_names | {wire_name(Rejected)}
        self._documents = FlowDocuments(store, self._flow.name)
        self._reader = LogReader(store.events, None)
        self._works: dict[str, InstanceWork] = {}
        """The instances in memory: no process writes them while the cursor stays."""
        self._due: float | None = None
        """A time before which nothing is due; None if it is not known."""
        self._is_queue_due = True
        """True after a commit that failed, until the next one: commands go into the queue."""

    async def live(self) -> str | None:
        """Return the key of the cursor."""
        return self.key

    async def open(self) -> Sequence[FlowTrack]:
        """Return the track, with a cursor that begins where the flow says."""
        since, cursors = self._flow.since, Cursors(self._store)
        if since == "start":
            await cursors.create(self.key)
        elif await cursors.load(self.key) is None:
            last = await self._store.events.last()
            await cursors.create(self.key, last if since == "now" else min(since, last))
        return [self]

    async def prepare(self, events: Sequence[LoggedEvent]) -> FlowBatch:
        """Have the instances hear of events, up to one that no instance can be found for."""
        heard, failed = self._hear_all(events)
        works, now = await self._load({each.key: each.id for each in heard}), self._store.clock()
        for each in heard:
            self._tell(works[each.key], each, now)
        direct = self._rules.direct if len(events) == 1 and not self._is_queue_due else None
        return self._batch(works.values(), failed=failed, direct=direct)

    async def next_due(self) -> float | None:
        """Return a time before which nothing is due."""
        if self._due is None:
            self._note_next(await self._documents.due(1))
        return None if self._due == inf else self._due

    async def prepare_due(self, now: float) -> FlowBatch:
        """Have timeouts come, and instances that were set aside try again."""
        entries = await self._documents.due(MOST_DUE)
        due = [entry for entry in entries if entry.due <= now]
        if not due:
            self._note_next(entries)
            return self._batch([])
        works = await self._load({entry.key: "" for entry in due})
        stale = [entry for entry in due if not await self._come(works[entry.key], entry, now)]
        self._due = None
        return self._batch(works.values(), stale=stale)

    async def at_end(self) -> bool:
        """Drop instances from memory, should there be many."""
        while len(self._works) > MOST_KEPT:
            del self._works[next(iter(self._works))]
        return False

    def forget(self) -> None:
        """Drop the instances that are kept in memory."""
        self._works.clear()
        self._due, self._is_queue_due = None, True

    def _batch(self, works: Iterable[InstanceWork], **options: Any) -> FlowBatch:
        return FlowBatch(self._documents, self._queue, works, self._note_due, **options)

    def _hear_all(self, events: Sequence[LoggedEvent]) -> tuple[list[Heard], EventFailure | None]:
        """Return the events for instances, up to the first for which no instance can be found."""
        found: list[Heard] = []
        for event in events:
            try:
                heard = self._hear(event)
            except Exception as error:
                return found, EventFailure(event.position, error)
            if heard is not None:
                found.append(heard)
        return found, None

    def _hear(self, event: LoggedEvent) -> Heard | None:
        """Return an event for an instance; None if it is for none. Raises errors of its codec and its identity."""
        place = place_of(event.headers, self._flow.name)
        try:
            message = self._flow.decode(event.body)
        except Exception as error:
            if place.in_flow is None:
                raise
            return Heard(event, instance_key(place.in_flow, place.tenant), place.in_flow, error)
        if type(message) is Rejected and Rejected not in self._flow.reacts:
            if place.in_flow is not None:
                self._warn(message, place.in_flow)
            return None
        id = self._flow.instance_of(message, place.in_flow)
        return None if id is None else Heard(event, instance_key(id, place.tenant), id, message)

    def _warn(self, rejected: Rejected, id: str) -> None:
        text = "%s of the flow %s, instance %r, was rejected, and no function is for Rejected: %s"
        self._log.warning(text, rejected.command, self._flow.name, id, rejected.reason)

    async def _load(self, ids: dict[str, str]) -> dict[str, InstanceWork]:
        """Return the instances of these keys, from memory or from the store.

        ids: the identities by the keys; empty ones for instances that have to be stored.
        """
        missing = [key for key in ids if key not in self._works]
        stored = await self._documents.get_many(missing)
        new = {key: InstanceWork(self._rules, key, ids[key], stored.get(key)) for key in missing}
        works = {key: new[key] if key in new else self._works[key] for key in ids}
        self._works |= {key: work for key, work in new.items() if work.now.id}
        return works

    def _tell(self, work: InstanceWork, heard: Heard, now: float) -> None:
        """Have an instance hear of an event."""
        if work.has_ended:
            return
        waiting = Waiting(heard.event.position)
        if work.is_set_aside:
            work.wait(waiting)
            return
        try:
            if isinstance(heard.content, Exception):
                raise heard.content
            work.take(heard.content, cause_of(heard.event), now)
        except Exception as error:
            self._set_aside(work, error, waiting, now, kind=heard.event.type, message=heard.content)

    async def _come(self, work: InstanceWork, entry: DueEntry, now: float) -> bool:
        """Do what is due for an instance; False if the instance knows nothing of it."""
        if entry.place not in {DueEntry(due, name, entry.key).place for due, name in work.now.due_times()}:
            return False
        if not entry.name:
            await self._retry(work, now)
            return True
        waiting = work.come(entry.name)
        if work.is_set_aside:
            work.wait(waiting)
            return True
        try:
            work.take(Timeout(entry.name), work.cause_of(waiting), now)
        except Exception as error:
            self._set_aside(work, error, waiting, now)
        return True

    async def _retry(self, work: InstanceWork, now: float) -> None:
        """Have an instance that was set aside do what waits, up to the first that fails."""
        failure = work.now.failure
        attempts = 0 if failure is None else failure.attempts
        waiting = work.release()
        for number, each in enumerate(waiting):
            if work.has_ended:
                return
            event = None
            try:
                event = await self._event_of(each)
                self._do_again(work, each, event, now)
            except StoreError:
                raise
            except Exception as error:
                kind = None if event is None else event.type
                self._set_aside(work, error, each, now, attempts=0 if number else attempts, kind=kind)
                work.wait(*waiting[number + 1 :])
                return

    async def _event_of(self, waiting: Waiting) -> LoggedEvent | None:
        """Return the event that waits; None for a timeout."""
        return None if waiting.timeout is not None else await self._reader.event(waiting.position)

    def _do_again(self, work: InstanceWork, waiting: Waiting, event: LoggedEvent | None, now: float) -> None:
        if waiting.timeout is not None:
            work.take(Timeout(waiting.timeout), work.cause_of(waiting), now)
            return
        assert event is not None  # as all but timeouts have one
        work.take(self._flow.decode(event.body), cause_of(event), now)

    def _set_aside(
        self,
        work: InstanceWork,
        error: Exception,
        waiting: Waiting,
        now: float,
        *,
        attempts: int = 0,
        kind: str | None = None,
        message: object = None,
    ) -> None:
        failure, at = work.set_aside(error, waiting, now, attempts), words_for(waiting, kind)
        self._notes.tell_set_aside(work.key, failure, at, now, error=error, message=message)

    def _note_next(self, entries: Sequence[DueEntry]) -> None:
        self._due = entries[0].due if entries else inf

    def _note_due(self, works: Iterable[InstanceWork]) -> None:
        """Note the due times of instances that were written."""
        self._is_queue_due = False
        if self._due is not None:
            self._due = min([self._due, *(due for work in works for due, _ in work.now.due_times())])
