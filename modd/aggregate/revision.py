"""A revision of an instance: its state at a point of its history, and the revisions that are kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar

import msgspec

from modd.aggregate.access import Ownership

S = TypeVar("S")


class Revision(msgspec.Struct, Generic[S], frozen=True, eq=False):
    """The state of an instance after a number of its events.

    number: the number of its events; 0 for an instance that does not exist.
    state: the state after these.
    ownership: its owner after these, and the commands that are open to others.
    snapshot: the number of events in its snapshot; 0 without one.
    position: the position of the last of its events in the store, for a boundary; 0 otherwise.
    """

    number: int
    state: S
    ownership: Ownership = Ownership()
    snapshot: int = 0
    position: int = 0


class RevisionCache:
    """The latest revisions of the instances that were used last, so that a command need not read.

    A revision in it may be older than the store, because other processes write, too.

    size: the number of instances; 0 for none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._revisions: OrderedDict[str, Revision[Any]] = OrderedDict()

    def get(self, key: str) -> Revision[Any] | None:
        """Return the revision of an instance; None if it is not here."""
        return self._revisions.get(key)

    def put(self, key: str, revision: Revision[Any]) -> None:
        """Keep a revision, in place of the one that was not used for longest."""
        if not self.size:
            return
        self._revisions[key] = revision
        self._revisions.move_to_end(key)
        while len(self._revisions) > self.size:
            self._revisions.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget the revision of an instance, if it is here."""
        self._revisions.pop(key, None)
