"""The items of a queue that this process knows, as operations use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from modd.ports.items import Claim, Stats
from modd.stores.nats.queue_records import ItemState, StoredItem
from modd.stores.queue_state.state import QueueState


class KnownItems(Protocol):
    """The items that this process knows: a `QueueView`."""

    def leased(self, token: str) -> StoredItem | None:
        """Return a leased item, not to be changed; None if it is not known. token: that of its claim."""
        ...

    def find(self, token: str) -> tuple[ItemState, int] | None:
        """Return a copy of the state of a leased item, and the sequence of its record; None if it is not known.

        token: that of its claim.
        """
        ...

    def note(self, token: str, before: int, after: int) -> None:
        """Note the sequence with which this process has written a leased item anew. before: the one before."""
        ...

    def note_written(self, sequence: int) -> None:
        """Note a sequence with which this process has made something claimable."""
        ...

    async def catch_up(self) -> None:
        """Wait until all is known that the server has now."""
        ...

    def names_of(self, handler: str | None) -> list[str]:
        """Return the names of all items of a handler; None for the items of all, and those of none."""
        ...

    def states_of(self, names: Sequence[str]) -> list[tuple[ItemState, int]]:
        """Return copies of the states of those items that are here, and the sequences of their records."""
        ...

    def dead_names(self, limit: int) -> list[str]:
        """Return the names of the first dead letters."""
        ...

    def stats(self) -> Stats:
        """Count the items of each kind."""
        ...


class FirstTime:
    """True the first time that it is asked: what is known is used once, and then the server is asked.

    is_first: False to have the server asked each time.
    """

    def __init__(self, is_first: bool = True) -> None:
        self._is_first = is_first

    def __call__(self) -> bool:
        """Return True at the first call."""
        is_first, self._is_first = self._is_first, False
        return is_first


def choose(state: QueueState, name: str, limit: int, arguments: tuple[Any, ...]) -> list[Claim]:
    """Return the claims of a method of a state, of this name."""
    if name == "claim":
        return state.claim(limit, *arguments)
    return state.claim_left(arguments[1], limit, arguments[0])
