"""The records of a queue: the state of an item as metadata, and the subjects of items and handlers.

A time that begins with a record is a number of seconds from the time stamp that the server gives to the record. A time
that began with an earlier record is that of the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from modd.ports.items import Subscription
from modd.stores.nats.record import Record, Write
from modd.stores.nats.subjects import Subjects, hash_name
from modd.stores.queue_state.lanes import QueueItem
from modd.stores.queue_state.places import Place

State: TypeAlias = Literal["ready", "delayed", "leased", "suspects", "left", "dead"]
"""The name of the place of an item."""


NO_LANE = "_"
"""The lane of items without a key."""


FROM_RECORD = 0.0
"""A time that is the time stamp of the record."""


_NAME = re.compile(r"(_|[0-9a-f]{32})\.[0-9a-f]{32}\.[0-9a-f]+")


class QueueSubjects:
    """The subjects of one queue.

    subjects: those of its store. name: the name of the queue.
    """

    def __init__(self, subjects: Subjects, name: str) -> None:
        base = subjects.queue(name)
        self.title = f"the queue {name!r}"
        self._base = f"{base}."
        self.all, self.handlers, self.items, self._items = f"{base}.>", f"{base}.h.*", f"{base}.i.>", f"{base}.i."
        self.label = f"{base}.n"
        """The subject of the record that has the name of the queue."""

    def has(self, subject: str) -> bool:
        """True for the subject of an item or a handler of the queue."""
        return subject.startswith(self._base)

    def item(self, name: str) -> str:
        """Return the subject of an item."""
        return self._items + name

    def name_of(self, subject: str) -> str | None:
        """Return the name of the item of a subject; None if it is not the subject of an item."""
        return subject.removeprefix(self._items) if subject.startswith(self._items) else None

    def of_id(self, id: str) -> str:
        """Return the filter of the items of an id, which may be in several lanes."""
        return f"{self._items}*.{hash_name(id)}.*"

    def lane(self, lane: str) -> str:
        """Return the filter of the items of a lane."""
        return f"{self._items}{lane}.>"

    def handler(self, each: Subscription) -> str:
        """Return the subject of an announced handler."""
        return self.handlers.removesuffix("*") + hash_name(each.type, each.bus, each.handler)


def item_name(id: str, key: str | None, number: str = "0") -> str:
    """Return the name of an item among all items of its queue: its lane, its id, and the number of those of one id."""
    return f"{NO_LANE if key is None else hash_name(key)}.{hash_name(id)}.{number}"


def lane_of(name: str) -> str:
    """Return the lane of an item."""
    return name.partition(".")[0]


def claimed_name(token: str) -> str | None:
    """Return the name of the item of a claim by the token of the claim; None if it is no such token."""
    name = token.partition(".")[2]
    return name if _NAME.fullmatch(name) else None


class ItemMeta(msgspec.Struct, omit_defaults=True, gc=False):
    """The metadata of the record of an item; see `QueueItem`.

    position: 0 if it is the sequence of the record.
    seconds: the length of the lease, of the delay, or of the time for which the item was left; from the time stamp.
    due: the server's time; None if it is the time stamp, with ``seconds`` for an item that was delayed or left.
    left: the name under which it was left.
    left_at: the server's time; `FROM_RECORD` if it is the time stamp.
    owns: True if it owns its key.
    put: the token of the commit that has added the item; each later record of the item has it, too.
    gone: True for a tombstone, which has ``put`` besides, and nothing else.
    """

    id: str = ""
    key: str | None = None
    headers: dict[str, str] = {}
    state: State = "ready"
    position: int = 0
    seconds: float = 0.0
    due: float | None = None
    attempts: int = 0
    alone: bool = False
    token: str | None = None
    reason: str = ""
    left: str = ""
    left_at: float | None = None
    owns: bool = False
    put: int = 0
    gone: bool = False


class StoredItem(QueueItem):
    """An item whose state is a record.

    sequence: that of the record, as far as it is known. is_whole: False if its body was left on the server.
    put: the token of the commit that has added it.
    """

    sequence: int = 0
    is_whole: bool = True
    put: int = 0


class ItemState(NamedTuple):
    """The state of an item: the item, its place, and True if it owns its key."""

    item: QueueItem
    place: Place
    owns_key: bool


def read_item(name: str, sequence: int, at: float, meta: ItemMeta, body: bytes, *, is_whole: bool = True) -> ItemState:
    """Return the state of an item from its record. is_whole: False for a body that is left on the server."""
    is_later = meta.state in ("delayed", "left")
    due = meta.due if meta.due is not None else at + meta.seconds * is_later
    left_at = at if meta.left_at == FROM_RECORD else meta.left_at
    item = StoredItem(
        name,
        meta.id,
        body,
        meta.headers,
        meta.key,
        meta.position or sequence,
        due,
        meta.attempts,
        meta.alone,
        meta.token,
        meta.reason,
        left_at,
        sequence,
        sequence,
        is_whole,
        meta.put,
    )
    return ItemState(item, _read_place(item, at, meta), meta.owns)


def _read_place(item: StoredItem, at: float, meta: ItemMeta) -> Place:
    if meta.state == "delayed":
        return "delayed", item.due
    if meta.state == "leased":
        return "leased", at + meta.seconds
    if meta.state == "suspects":
        return "suspects", -at, -item.position
    if meta.state == "left":
        return "left", meta.left, item.due
    return (meta.state,)


def write_item(now: float, state: ItemState, before: QueueItem | None, put: int) -> ItemMeta:
    """Return the metadata of the record of an item.

    now: the time at which the item came into this state, in the clock of the state.
    before: the item in the state of its last record; None for an item that is put.
    put: the token of the commit that has added it, or adds it now.
    """
    item, (place, *rank), owns_key = state
    meta = ItemMeta(item.put_id, item.key, item.headers, place, attempts=item.attempts, alone=item.was_alone, put=put)
    meta.token, meta.reason, meta.owns = item.token, item.reason if place == "dead" else "", owns_key
    if before is not None and item.position == before.position:
        meta.position = item.position
    if before is not None and item.due == before.due:
        meta.due = item.due
    if item.left_at is not None:
        meta.left_at = FROM_RECORD if item.left_at == now else item.left_at
    if place in ("delayed", "left"):
        meta.seconds = item.due - now
    elif place == "leased":
        meta.seconds = rank[0] - now
    if place == "left":
        meta.left = rank[0]
    return meta


def as_write(subject: str, meta: ItemMeta, body: bytes, expected: int | None, expected_of: str | None = None) -> Write:
    """Return the write of the record of an item."""
    return Write(subject, msgspec.to_builtins(meta), body, expected=expected, expected_of=expected_of)


def read_item_meta(meta: Mapping[str, Any]) -> ItemMeta:
    """Return the metadata of an item from that of its record."""
    return msgspec.convert(meta, ItemMeta)


def label_filter(subjects: Subjects) -> str:
    """Return the filter of the records that have the names of the queues of a store."""
    return f"{subjects.prefix}q.*.n"


def read_subscription(record: Record) -> Subscription:
    """Return the announced handler of a record."""
    return Subscription(record.meta["bus"], record.meta["type"], record.meta["handler"], record.at)
