"""The undo log of changes in memory, by which a transaction is undone, and hidden from others while it is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

from modd.concurrency.blocks import block
from modd.stores.waiting import Notifier

Swap: TypeAlias = Callable[[], "Swap"]
"""A function that undoes a change, and returns one that makes the change again."""


class UndoLog:
    """The changes of the open transaction, each as a function that undoes it; off while there is none.

    Undoing is exact in both directions, so that a reader beside an immediate transaction sees the state before it: all
    changes are undone, the reader reads, and the changes are made again. No task runs in between.
    """

    def __init__(self) -> None:
        self.is_on = False
        self._swaps: list[Swap] = []
        self._notifiers: set[Notifier] = set()

    def note(self, swap: Swap) -> None:
        """Note the function that undoes a change; call it only while the log is on."""
        self._swaps.append(swap)

    def wake_at_end(self, notifier: Notifier) -> None:
        """Have a notifier wake its tasks at the end of the open transaction, because they see changes only then."""
        if self.is_on:
            self._notifiers.add(notifier)

    def keep(self, get: Callable[[Any], Any], set: Callable[[Any, Any], None], key: Any) -> None:
        """Note the state of a key before it is changed, if a transaction is open.

        get: returns the state of a key. set: makes that the state of the key again.
        """
        if self.is_on:
            self._swaps.append(partial(_swap, get, set, key, get(key)))

    def begin(self) -> None:
        """Note changes from now on."""
        self.is_on = True

    def mark(self) -> int:
        """Return the number of changes, for `undo`."""
        return len(self._swaps)

    def undo(self, mark: int = 0) -> None:
        """Undo the changes since a mark; all by default."""
        self._undo(mark)
        del self._swaps[mark:]

    def end(self) -> None:
        """Forget the changes, note no more, and wake those that wait for a part that was changed."""
        self.is_on = False
        self._swaps.clear()
        while self._notifiers:
            self._notifiers.pop().notify()

    @block
    def undone(self) -> Iterator[None]:
        """Undo all changes for the block, and make them again."""
        self._undo(0)
        try:
            yield
        finally:
            self._undo(0)

    def _undo(self, mark: int) -> None:
        """Replace the changes since a mark with functions that make them again, the last one first."""
        is_on, self.is_on = self.is_on, False
        self._swaps[mark:] = [swap() for swap in reversed(self._swaps[mark:])]
        self.is_on = is_on


def _swap(get: Callable[[Any], Any], set: Callable[[Any, Any], None], key: Any, state: Any) -> Swap:
    """Give a key an earlier state, and return a function that gives it the present one again."""
    present = get(key)
    set(key, state)
    return partial(_swap, get, set, key, present)
