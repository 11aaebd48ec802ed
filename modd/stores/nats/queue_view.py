"""The view of a queue: its items as this process knows them, which follow the records on the server.

The view changes by the records that the server sends, in their order, and by the picks of this process for a claim.
Nothing is picked while the view is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from math import inf
from typing import Any

import anyio
import msgspec

from modd.concurrency.loops import loop_time_of, steady_time
from modd.core import detached
from modd.nats.message import NatsMessage
from modd.ports.items import HANDLER, Stats
from modd.stores.errors import StoreBusy
from modd.stores.nats.access import NatsParts
from modd.stores.nats.consumer import LONGEST_ANSWER, OrderedConsumer, StreamPlace
from modd.stores.nats.queue_lanes import LaneEnds
from modd.stores.nats.queue_picks import FirstStates, Pick, QueuePicks
from modd.stores.nats.queue_records import (
    ItemMeta,
    ItemState,
    QueueSubjects,
    StoredItem,
    read_item,
)
from modd.stores.nats.record import META
from modd.stores.queue_state.state import QueueState
from modd.stores.waiting import Notifier

MOST_BODY = 8 * 2**10
"""Bytes of the longest body that a view has; longer ones stay on the server until they are claimed."""


NOT_BEGUN = -1
"""The progress of a view before the server has answered."""


GONE = '{"gone":true}'

_decode = msgspec.json.Decoder(ItemMeta).decode


class QueueView:
    """The items of a queue, as far as this process knows. It is read when it is used first.

    store: the store. subjects: those of the queue.
    """

    def __init__(self, store: NatsParts, subjects: QueueSubjects) -> None:
        self._store, self._subjects = store, subjects
        self.notifier = Notifier()
        self._followed_by: object = None
        self._changed: anyio.Event | None = None
        self._error: Exception | None = None
        self._leaves = 0
        self.written = 0
        """The last sequence with which this process has made something claimable."""
        self._now = 0.0
        self._clear()

    def _clear(self) -> None:
        self._is_complete, self._progress = False, NOT_BEGUN
        first_states, self.ends = FirstStates(), LaneEnds()
        self.state = QueueState(first_states, self.notifier, lambda: self._now, lambda: self._now, has_ids=False)
        self.picks = QueuePicks(self.state, first_states, self.ends, self._subjects)

    # The calls of the consumer

    def begin(self, now: float) -> None:
        """Forget everything. now: the time of the server."""
        self._clear()
        self._progress = 0
        self._store.clock.see(now)
        self._wake()

    def receive(self, message: NatsMessage, delivery: StreamPlace) -> None:
        """Apply a record, unless a later one came before: what is gone stays gone."""
        if delivery.sequence <= self._progress:
            return
        self._store.clock.see(delivery.at)
        name = self._subjects.name_of(message.subject)
        if name is not None:
            self._apply(name, delivery, _decode(message.headers.get(META, GONE)), message.body)
        self._progress = delivery.sequence
        self._wake()

    def complete(self) -> None:
        """Let items be claimed: all are here that the server had at the beginning."""
        self._is_complete, self._error = True, None
        self._wake()
        self.notifier.notify()

    def fail(self, error: Exception) -> None:
        """Let nothing be claimed until the view was made anew."""
        self._is_complete, self._error = False, error

    def _apply(self, name: str, delivery: StreamPlace, meta: ItemMeta, body: bytes) -> None:
        places = self.state.places
        old = places.items.get(name)
        if isinstance(old, StoredItem) and old.sequence > delivery.sequence:
            return self.ends.move(name, delivery.sequence)
        self.picks.doubts.pop(name, None)
        self.remove(name)
        if not meta.gone:
            is_whole = len(body) <= MOST_BODY
            kept = body if is_whole else b""
            places.add(*read_item(name, delivery.sequence, delivery.at, meta, kept, is_whole=is_whole))
            self.ends.add(name)
            self._leaves += meta.state == "left"
        self.ends.move(name, delivery.sequence)
        self.notifier.notify()

    def remove(self, name: str) -> None:
        """Remove an item if it is here."""
        places = self.state.places
        item = places.items.get(name)
        if item is not None:
            places.dead.pop(name, None)
            places.forget(item)
            self.ends.remove(name)

    # Waiting for records

    async def ready(self) -> None:
        """Wait until the view is complete, as long as records come. Raises `StoreBusy`."""
        await self._wait_for(lambda: True)

    async def reach(self, sequence: int) -> None:
        """Wait until all records of the queue up to a sequence were received. Raises `StoreBusy`."""
        if not self._is_complete or self._progress < sequence:
            await self._wait_for(lambda: self._progress >= sequence)

    async def catch_up(self) -> None:
        """Wait until all records were received that the server has now. Raises `StoreBusy`.

        The server is asked for the next record, because it finds the last one only by looking at all of them.
        """
        await self.ready()
        stream, last = self._store.stream, inf
        while (found := await stream.next(self._subjects.all, self._progress)) is not None and found.sequence <= last:
            last = await stream.last_sequence() if last == inf else last
            await self.reach(found.sequence)

    async def _wait_for(self, is_reached: Callable[[], bool]) -> None:
        """Wait as long as records come. Raises `StoreBusy` when none has come for the timeout of the store."""
        self._follow()
        if self._is_complete and is_reached():
            return
        timeout, furthest = self._store.stream.requests.timeout, self._progress
        with anyio.move_on_after(timeout) as scope:
            while not (self._is_complete and is_reached()):
                await self.next_change()
                if self._progress > furthest:  # not a record that was received before, in a view that is made anew
                    furthest = self._progress
                    scope.deadline = anyio.current_time() + (timeout if furthest else max(timeout, LONGEST_ANSWER))
            return
        raise StoreBusy(
            self._store.name,
            self._error or "no answer",
            "the server does not send the items of a queue",
            "look at the server, or give the store a longer timeout",
        )

    def _follow(self) -> None:
        """Have the queue followed in the background, if it is not."""
        background = self._store.background
        if self._followed_by is not background:
            self._followed_by = background
            self._clear()
            with detached():
                background.start_soon(
                    OrderedConsumer(self._store.stream, self._subjects.all, self, self._subjects.title).run
                )

    async def next_change(self) -> None:
        """Wait until something is received."""
        self._changed = self._changed or anyio.Event()
        await self._changed.wait()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def pick(self, name: str, limit: int, arguments: tuple[Any, ...]) -> list[Pick]:
        """Lease items, up to ``limit``, as `QueuePicks.pick`; none while the view is made anew."""
        if not self._is_complete:
            return []
        self._now = self._store.clock()
        return self.picks.pick(name, limit, arguments, self._now)

    # Reads

    def find(self, token: str) -> tuple[ItemState, int] | None:
        """Return a copy of the state of a leased item, and the sequence of its record; None if it is not known.

        token: that of its claim.
        """
        item = self.leased(token)
        return None if item is None or not item.is_whole else (self._copy(item), item.sequence)

    def leased(self, token: str) -> StoredItem | None:
        """Return a leased item, not to be changed; None if it is not known. token: that of its claim."""
        name = token.partition(".")[2]
        item = self.state.places.items.get(name)
        if not isinstance(item, StoredItem) or item.token != token or name in self.picks.doubts:
            return None
        return item

    def note_written(self, sequence: int) -> None:
        """Note a sequence with which this process has made something claimable."""
        self.written = max(self.written, sequence)

    def note(self, token: str, before: int, after: int) -> None:
        """Note the sequence with which this process has written a leased item anew. before: the one before."""
        item = self.leased(token)
        if item is not None and item.sequence == before:
            item.sequence = after

    def names_of(self, handler: str | None) -> list[str]:
        """Return the names of all items of a handler; None for the items of all, and those of none."""
        items = self.state.places.items
        return [name for name, item in items.items() if handler in (None, item.headers.get(HANDLER))]

    def states_of(self, names: Sequence[str]) -> list[tuple[ItemState, int]]:
        """Return copies of the states of those items that are here, and the sequences of their records."""
        items = map(self.state.places.items.get, names)
        return [(self._copy(item), item.sequence) for item in items if isinstance(item, StoredItem)]

    def _copy(self, item: StoredItem) -> ItemState:
        places = self.state.places
        place, owns_key = places.place_of(item) or (), places.ready.owns_key(item)
        return ItemState(msgspec.structs.replace(item), place, owns_key)

    def stats(self) -> Stats:
        """Count the items of each kind."""
        self._now = self._store.clock()
        return self.state.stats()

    def dead_names(self, limit: int) -> list[str]:
        """Return the names of the first dead letters."""
        return [*islice(self.state.places.dead, limit)]

    @property
    def leaves(self) -> int:
        """The number of items that were left, as far as this process knows."""
        return self._leaves

    def has_claimable(self, suspects: bool, leaves: int) -> bool:
        """True if there may be an item to claim, or one was left since this number; suspects: be it a suspect."""
        self._now = self._store.clock()
        return bool(self.picks.doubts) or self.state.has_claimable(suspects, 0) or self._leaves != leaves

    def next_due(self) -> float:
        """Return the time of the loop at which items may become claimable by themselves."""
        due = self.state.next_due()
        return inf if due == inf else loop_time_of(steady_time() + due - self._store.clock())
