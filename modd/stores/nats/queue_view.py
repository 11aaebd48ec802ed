"""The view of a queue: its items as this process knows them, which follow the records on the server.

The view changes by the records that the server sends, in their order, and by the picks of this process for a claim. A
pick takes what its write is compared with from the same state as the decision, without awaiting in between. Nothing is
picked while the view is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from math import inf
from typing import Any, NamedTuple

import anyio
import msgspec

from modd.concurrency.loops import loop_time_of, steady_time
from modd.core import detached
from modd.nats.message import NatsMessage
from modd.ports.items import HANDLER, Claim, Stats
from modd.stores.errors import StoreBusy
from modd.stores.nats.access import NatsParts
from modd.stores.nats.consumer import OrderedConsumer, StreamPlace
from modd.stores.nats.queue_lanes import LaneEnds
from modd.stores.nats.queue_operations import choose
from modd.stores.nats.queue_records import (
    ItemMeta,
    ItemState,
    QueueSubjects,
    StoredItem,
    as_write,
    claimed_name,
    lane_of,
    read_item,
    write_item,
)
from modd.stores.nats.record import META, Write
from modd.stores.queue_state.lanes import QueueItem
from modd.stores.queue_state.places import Memento
from modd.stores.queue_state.state import QueueState
from modd.stores.undo_log import UndoLog
from modd.stores.waiting import Notifier

MOST_BODY = 8 * 2**10
"""Bytes of the longest body that a view has; longer ones stay on the server until they are claimed."""


WIDEST = 512
"""The most items among which a pick chooses while other processes are faster."""


DOUBT_SECONDS = 0.02
"""Seconds for which a lost pick waits for the record of the process that was faster, before the server is asked."""


GONE = '{"gone":true}'


_decode = msgspec.json.Decoder(ItemMeta).decode


class Pick(NamedTuple):
    """An item that this process claims: the claim is good when the write is stored.

    item: the item, which is leased in the view already. before: its state before. write: the write of the claim.
    """

    item: StoredItem
    claim: Claim
    before: Memento
    write: Write

    @property
    def in_lane(self) -> bool:
        """True if the write is compared with all records of the lane of the item."""
        return self.write.expected_of is not None


class _FirstStates(UndoLog):
    """The states of items before their first change, in place of an undo log."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[QueueItem, Memento] = {}
        self.begin()

    def keep(self, get: Callable[[QueueItem], Memento], set: object, key: QueueItem) -> None:
        """Note the state of an item, unless one is known."""
        if key not in self.states:
            self.states[key] = get(key)

    def wake_at_end(self, notifier: Notifier) -> None:
        """Do nothing, because there is no end."""


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
        self._width = 1
        self._leaves = 0
        self.written = 0
        """The last sequence with which this process has made something claimable."""
        self._now = 0.0
        self._clear()

    def _clear(self) -> None:
        self._is_complete, self._progress = False, 0
        self._first_states, self._ends = _FirstStates(), LaneEnds()
        self.doubts: dict[str, Pick] = {}
        """The picks whose write was not stored, or perhaps not, by the name of the item."""
        self.state = QueueState(self._first_states, self.notifier, lambda: self._now, lambda: self._now, has_ids=False)

    # The calls of the consumer

    def begin(self, now: float) -> None:
        """Forget everything. now: the time of the server."""
        self._clear()
        self._store.clock.see(now)

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
            return self._ends.move(name, delivery.sequence)
        self.doubts.pop(name, None)
        self._remove(name)
        if not meta.gone:
            is_whole = len(body) <= MOST_BODY
            kept = body if is_whole else b""
            places.add(*read_item(name, delivery.sequence, delivery.at, meta, kept, is_whole=is_whole))
            self._ends.add(name)
            self._leaves += meta.state == "left"
        self._ends.move(name, delivery.sequence)
        self.notifier.notify()

    def _remove(self, name: str) -> None:
        places = self.state.places
        item = places.items.get(name)
        if item is not None:
            places.dead.pop(name, None)
            places.forget(item)
            self._ends.remove(name)

    # Waiting for records

    async def ready(self) -> None:
        """Wait until the view is complete. Raises `StoreBusy`."""
        await self._wait_for(lambda: True)

    async def reach(self, sequence: int) -> None:
        """Wait until all records of the queue up to a sequence were received. Raises `StoreBusy`."""
        if not self._is_complete or self._progress < sequence:
            await self._wait_for(lambda: self._progress >= sequence)

    async def catch_up(self) -> None:
        """Wait until all records were received that the server has now. Raises `StoreBusy`."""
        await self.ready()
        last = await self._store.stream.last(self._subjects.all)
        await self.reach(0 if last is None else last.sequence)

    async def _wait_for(self, is_reached: Callable[[], bool]) -> None:
        self._follow()
        if self._is_complete and is_reached():
            return
        with anyio.move_on_after(self._store.stream.requests.timeout):
            while not (self._is_complete and is_reached()):
                await self._next_change()
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

    async def _next_change(self) -> None:
        """Wait until something is received."""
        self._changed = self._changed or anyio.Event()
        await self._changed.wait()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    # Picks

    def pick(self, name: str, limit: int, arguments: tuple[Any, ...]) -> list[Pick]:
        """Lease items in the view, up to ``limit``. name, arguments: the method of `QueueState` that claims.

        While other processes are faster, look further into the line and take some of these items at random.
        """
        if not self._is_complete:
            return []
        self._now = self._store.clock()
        self._first_states.states = {}
        self.state.places.ready.width = self._width
        picks = [self._pick(claim) for claim in choose(self.state, name, limit, arguments)]
        if self._width > 1:
            picks.sort(key=lambda pick: (pick.item.due, pick.item.position))
        return picks

    def _pick(self, claim: Claim) -> Pick:
        places, name = self.state.places, claimed_name(claim.token) or ""
        item = places.items[name]
        assert isinstance(item, StoredItem)
        before = self._first_states.states[item]
        owned_key = before[1]
        state = ItemState(item, places.place_of(item) or (), item.key is not None)
        meta = write_item(self._now, state, item)
        subject = self._subjects.item(name)
        if item.key is None or owned_key:
            write = as_write(subject, meta, item.body, item.sequence)
        else:
            lane = lane_of(name)
            write = as_write(subject, meta, item.body, self._ends.last(lane), self._subjects.lane(lane))
        return Pick(item, claim, before, write)

    def drop(self, picks: Sequence[Pick]) -> None:
        """Make the items of picks that were not written claimable again."""
        for pick in reversed(picks):
            self._restore(pick)

    def confirm(self, pick: Pick, sequence: int) -> None:
        """Note that the write of a pick was stored."""
        if self._is_here(pick):
            pick.item.sequence = sequence
            if pick.in_lane:
                self._ends.move(pick.item.id, sequence)

    def doubt(self, pick: Pick) -> None:
        """Note that the write of a pick was not stored, or perhaps not; the item stays leased until that is known."""
        if self._is_here(pick):
            self.doubts[pick.item.id] = pick

    def note_losses(self, lost: int, number: int) -> None:
        """Choose among more items the next time if other processes took some of a number of picks, else among fewer."""
        self._width = min(2 * self._width + 2 * lost, WIDEST) if 4 * lost > number else max(1, self._width - number)

    async def wait_for_doubts(self) -> None:
        """Wait for the records of the processes that were faster with lost picks, but not for long."""
        with anyio.move_on_after(DOUBT_SECONDS):
            while self.doubts:
                await self._next_change()

    async def resolve_doubts(self) -> None:
        """Ask the server for the items of lost picks, and restore those that are as before."""
        for pick in [*self.doubts.values()]:
            await self._resolve(pick)

    async def _resolve(self, pick: Pick) -> None:
        stream, write = self._store.stream, pick.write
        record = await stream.last(write.subject)
        last = await stream.last(write.expected_of) if write.expected_of else record
        await self.reach(max(each.sequence for each in (record, last) if each) if record and last else 0)
        if self.doubts.get(pick.item.id) is not pick:
            return  # its record has come by
        del self.doubts[pick.item.id]
        if record is None:
            self._remove(pick.item.id)
        else:
            self._ends.correct(pick.item.id, write.expected or 0, last.sequence if last else 0)
            self._restore(pick)
        self.notifier.notify()

    def _restore(self, pick: Pick) -> None:
        self.state.places.restore(pick.item, pick.before)

    def _is_here(self, pick: Pick) -> bool:
        return self.state.places.items.get(pick.item.id) is pick.item and pick.item.token == pick.claim.token

    # Reads

    def find(self, token: str) -> tuple[ItemState, int] | None:
        """Return a copy of the state of a leased item, and the sequence of its record; None if it is not known.

        token: that of its claim.
        """
        name = claimed_name(token) or ""
        item = self.state.places.items.get(name)
        if not isinstance(item, StoredItem) or item.token != token or not item.is_whole or name in self.doubts:
            return None
        return self._copy(item), item.sequence

    def note_written(self, sequence: int) -> None:
        """Note a sequence with which this process has made something claimable."""
        self.written = max(self.written, sequence)

    def note(self, token: str, before: int, after: int) -> None:
        """Note the sequence with which this process has written a leased item anew. before: the one before."""
        found = self.find(token)
        if found is not None and found[1] == before:
            item = self.state.places.items[found[0].item.id]
            assert isinstance(item, StoredItem)
            item.sequence = after

    def of_handler(self, handler: str) -> list[tuple[ItemState, int]]:
        """Return copies of the states of all items of a handler, and the sequences of their records."""
        items = [item for item in self.state.places.items.values() if item.headers.get(HANDLER) == handler]
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
        return bool(self.doubts) or self.state.has_claimable(suspects, 0) or self._leaves != leaves

    def next_due(self) -> float:
        """Return the time of the loop at which items may become claimable by themselves."""
        due = self.state.next_due()
        return inf if due == inf else loop_time_of(steady_time() + due - self._store.clock())
