"""A draft: some items of a queue, changed by the rules of queues, and the writes that make the same change."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from secrets import token_hex

import msgspec

from modd.stores.nats.overlay import Overlay
from modd.stores.nats.queue_records import (
    ItemState,
    QueueSubjects,
    StoredItem,
    as_write,
    item_name,
    read_item,
    read_item_meta,
    read_subscription,
    write_item,
)
from modd.stores.nats.record import Record, Write, item_tombstone
from modd.stores.queue_state.lanes import QueueItem
from modd.stores.queue_state.places import Memento
from modd.stores.queue_state.state import QueueState
from modd.stores.undo_log import UndoLog
from modd.stores.waiting import Notifier


class QueueDraft:
    """Some items and handlers of a queue in a state of their own, in which time stands still.

    subjects: those of the queue. now: the time of the server.
    """

    def __init__(self, subjects: QueueSubjects, now: float) -> None:
        self.state = QueueState(UndoLog(), Notifier(), lambda: now, lambda: now)
        self._subjects, self._now = subjects, now
        self._before: dict[str, tuple[StoredItem, Memento, int | None]] = {}
        """The items as they were, in a copy, and the sequence with which a write is compared."""
        self._handlers: dict[str, float] = {}

    def add(self, state: ItemState, expected: int | None = None) -> None:
        """Add an item. expected: the sequence with which its write is compared; None if the overlay compares it."""
        places, item = self.state.places, state.item
        assert isinstance(item, StoredItem)
        places.add(item, state.place, state.owns_key)
        self._before[item.id] = msgspec.structs.replace(item), places.memento(item), expected

    def add_record(self, record: Record) -> None:
        """Add the item of a record, in place of an earlier state of it; not the handler of one."""
        name = self._subjects.name_of(record.subject)
        if name is not None:
            self.remove(name)
            self.add(read_item(name, record.sequence, record.at, read_item_meta(record.meta), record.body))

    def remove(self, name: str) -> None:
        """Remove an item as if it had never been here."""
        item = self.state.places.items.get(name)
        if item is not None:
            self.state.places.dead.pop(name, None)
            self.state.places.forget(item)
        self._before.pop(name, None)

    def add_handlers(self, records: Iterable[Record]) -> None:
        """Add the announced handlers of records."""
        found = [read_subscription(record) for record in records]
        self._handlers = {self._subjects.handler(each): each.seen for each in found}
        self.state.announced.restore(None, {(each.type, each.bus, each.handler): each.seen for each in found})

    def has_claim(self, token: str) -> bool:
        """True if an item is leased with this token."""
        item = self.state.places.items.get(token.partition(".")[2])
        return item is not None and item.token == token

    def write_to(self, overlay: Overlay) -> None:
        """Write what has changed."""
        places = self.state.places
        for name, (before, _, expected) in self._before.items():
            if name not in places.items:
                overlay.write(item_tombstone(self._subjects.item(name), before.put, expected))
        for item in sorted(places.items.values(), key=attrgetter("position")):
            if item.id not in self._before:
                self._write_new(overlay, item)
            elif places.memento(item) != self._before[item.id][1]:
                overlay.write(self._write_changed(item, *self._before[item.id]))
        self._write_handlers(overlay)

    def _write_new(self, overlay: Overlay, item: QueueItem) -> None:
        subject = self._subjects.item(item_name(item.put_id, item.key, token_hex(8)))
        meta = write_item(self._now, self._state_of(item), None, overlay.token)
        overlay.write(as_write(subject, meta, item.body, None))
        overlay.witness = subject

    def _write_changed(self, item: QueueItem, before: StoredItem, _: Memento, expected: int | None) -> Write:
        meta = write_item(self._now, self._state_of(item), before, before.put)
        return as_write(self._subjects.item(item.id), meta, item.body, expected)

    def _state_of(self, item: QueueItem) -> ItemState:
        places = self.state.places
        return ItemState(item, places.place_of(item) or (), places.ready.owns_key(item))

    def _write_handlers(self, overlay: Overlay) -> None:
        left = dict(self._handlers)
        for each in self.state.announced.find():
            subject = self._subjects.handler(each)
            if left.pop(subject, None) != each.seen:
                overlay.write(Write(subject, {"type": each.type, "bus": each.bus, "handler": each.handler}))
        for subject in left:
            overlay.remove(subject)
