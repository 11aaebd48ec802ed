"""Picks: the items that this process claims, leased in the view before their claims are stored.

A pick takes what its write is compared with from the same state as the decision, without awaiting in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from modd.ports.items import Claim
from modd.stores.nats.queue_known import choose
from modd.stores.nats.queue_lanes import LaneEnds
from modd.stores.nats.queue_records import (
    ItemState,
    QueueSubjects,
    StoredItem,
    as_write,
    claimed_name,
    lane_of,
    write_item,
)
from modd.stores.nats.record import Write
from modd.stores.queue_state.lanes import QueueItem
from modd.stores.queue_state.places import Memento
from modd.stores.queue_state.state import QueueState
from modd.stores.undo_log import UndoLog
from modd.stores.waiting import Notifier

WIDEST = 512
"""The most items among which a pick chooses while other processes are faster."""


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


class FirstStates(UndoLog):
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


class QueuePicks:
    """Picks items of a view, and knows those picks that are in doubt.

    state: the items. first_states: those of the items before their first change. ends: those of the lanes.
    subjects: those of the queue.
    """

    def __init__(self, state: QueueState, first_states: FirstStates, ends: LaneEnds, subjects: QueueSubjects) -> None:
        self._state, self._first_states, self._ends, self._subjects = state, first_states, ends, subjects
        self._width = 1
        self.doubts: dict[str, Pick] = {}
        """The picks whose write was not stored, or perhaps not, by the name of the item."""

    def pick(self, name: str, limit: int, arguments: tuple[Any, ...], now: float) -> list[Pick]:
        """Lease items, up to ``limit``. name, arguments: the method of `QueueState` that claims. now: the time.

        While other processes are faster, look further into the line and take some of these items at random.
        """
        self._first_states.states = {}
        self._state.places.ready.width = self._width
        picks = [self._pick(claim, now) for claim in choose(self._state, name, limit, arguments)]
        if self._width > 1:
            picks.sort(key=lambda pick: (pick.item.due, pick.item.position))
        return picks

    def _pick(self, claim: Claim, now: float) -> Pick:
        places, name = self._state.places, claimed_name(claim.token) or ""
        item = places.items[name]
        assert isinstance(item, StoredItem)
        before = self._first_states.states[item]
        owned_key = before[1]
        state = ItemState(item, places.place_of(item) or (), item.key is not None)
        meta = write_item(now, state, item, item.put)
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
            self.restore(pick)

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

    def restore(self, pick: Pick) -> None:
        """Make the item of a pick again what it was before."""
        self._state.places.restore(pick.item, pick.before)

    def _is_here(self, pick: Pick) -> bool:
        return self._state.places.items.get(pick.item.id) is pick.item and pick.item.token == pick.claim.token
