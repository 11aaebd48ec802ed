"""The port for queues of work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeAlias

from modd.ports.items import Claim, DeadLetter, Item, PutResult, Stats, Subscription, Suspects

CreateDeliveries: TypeAlias = Callable[[Sequence[Subscription]], Sequence[Item] | None]
"""A function from the announced handlers of an event to the items that replace it; None to leave the event alone."""


class Queue(Protocol):
    """Stores items until they are acknowledged: each is processed at least once.

    Leases. A claim leases an item for a number of seconds. Settle it with `ack`, `retry`, `release` or `bury`. If the
    lease ends before, the item is a suspect. Until the item is claimed again, the late claim can still be extended and
    settled; after that, or after it was settled, these methods raise `LeaseLost`.

    Suspects. An item whose claim was never settled may have ended its process, or another item in that process has. So
    suspects are claimed one at a time, after all other items, and the claim that was not settled does not count as an
    attempt. If the claim of a suspect is not settled either, that one counts. A retry ends the suspicion, a release
    does not.

    Order. Items are claimed by the time at which they became due: when they were put, or when their delay or the delay
    of their retry ended; a released item has its old place. Of the suspects, the one whose lease ended last is
    the first: it is the likeliest to have ended its process.

    Keys. Of the items with one key, one at a time is claimed, in the order in which they were put. It owns the key from
    its first claim, even while it waits for a retry, until it is acknowledged, buried, or released from its first
    attempt. An item with a delay does not block its key before it is due; then it precedes the items of its key that
    were put later.

    Subscriptions. Workers announce their handlers, and an event is replaced with one item for each handler that was
    announced, by whichever worker. A worker leaves an item that it does not know to workers that know it: `claim` does
    not return the item then, `claim_left` does. No attempt counts, and the item keeps its key. `stats` counts it as
    left.

    Ids. Several items may have one id: those that have begun, and the next one, which was put with
    ``unique="until-started"``. A claim stands for its own item. `cancel`, `redrive` and `discard` take an id for all
    items in the right state that have it, in their order in the queue, and return it once for each.

    Times are in seconds. Methods raise `InvalidOption` for impossible times, and for a limit below 1.

    An implementation may have one more method, ``async def wait(self, seconds: float, *, suspects: bool = True) ->
    None``, which returns when there may be an item to claim, or to claim by its name, a suspect only if ``suspects``,
    at the latest after ``seconds``. Without it workers poll.
    """

    async def put(self, *items: bytes | Item) -> list[PutResult]:
        """Add items, all or none, and return a result for each in order as soon as the items are safe.

        An item with an id that the queue has, in any state, is a duplicate and is dropped. With
        ``unique="until-started"`` it is one only if the other item was never claimed, as far as its attempts count.
        An item with tags, which are for events, is `InvalidOption`.
        """
        ...

    async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
        """Lease up to ``limit`` items for ``lease`` seconds each, without waiting for any; each claim is an attempt.

        A suspect is returned alone. suspects: ``"last"``, the default, returns one if there is nothing else,
        ``"first"`` returns one before all else, and ``"none"`` returns none.
        """
        ...

    async def extend(self, claim: Claim, lease: float) -> None:
        """Let the lease of a claim end ``lease`` seconds from now."""
        ...

    async def ack(self, *claims: Claim) -> None:
        """Acknowledge claims whose work is done: remove the items, all or, with `LeaseLost`, none."""
        ...

    async def retry(self, claim: Claim, delay: float = 0.0) -> None:
        """Make an item whose work failed ready again after ``delay`` seconds. Meanwhile it owns its key."""
        ...

    async def release(self, claim: Claim) -> None:
        """Make an item whose work was not begun ready again at once; the attempt does not count."""
        ...

    async def bury(self, claim: Claim, reason: str) -> None:
        """Make the item a dead letter, with the reason for which it is not retried. Its key is free."""
        ...

    async def announce(self, *subscriptions: Subscription, retention: float) -> None:
        """Note that these handlers were seen now; from then on each event of their types has an item for each of them.

        Handlers of the queue that were not seen for ``retention`` seconds are forgotten.
        """
        ...

    async def subscriptions(self) -> list[Subscription]:
        """Return the announced handlers, sorted by type, bus and name."""
        ...

    async def forget(self, handler: str) -> int:
        """Forget a handler, on every bus, and remove its items that are not leased and not dead; return their number.

        Items of a handler have its name in the header ``modd-handler``.
        """
        ...

    async def fan_out(self, claim: Claim, types: Collection[str], create: CreateDeliveries) -> int | None:
        """Put the items that ``create`` makes of the announced handlers of these types, and acknowledge the claim.

        All of it happens at once, or nothing. Return the number of items; None if ``create`` returned None, which
        changes nothing.

        create: a function of the subscriptions, without effects; called in any thread, and perhaps more than once.
        """
        ...

    async def leave(self, claim: Claim, name: str, retention: float) -> bool:
        """Leave the item to workers that claim items of this name; the attempt does not count.

        After ``retention`` seconds without a claim, the item is ready again. Then this returns False,
        and changes nothing: settle the claim in another way.
        """
        ...

    async def claim_left(self, names: Collection[str], limit: int, lease: float) -> list[Claim]:
        """Lease up to ``limit`` items that were left under one of these names, as `claim` does."""
        ...

    async def cancel(self, *ids: str) -> list[str]:
        """Remove items without attempts, and return the ids of the removed items.

        An item that waits for a retry or whose lease ended stays, because its work may have been done in part.
        """
        ...

    async def stats(self) -> Stats:
        """Count the items in each state."""
        ...

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        """Return the first dead letters, in the order in which they were buried."""
        ...

    async def redrive(self, *ids: str) -> list[str]:
        """Put dead letters back at the end of the queue, with no attempts, and return the ids of these."""
        ...

    async def discard(self, *ids: str) -> list[str]:
        """Remove dead letters, and return the ids of the removed ones."""
        ...

    async def clear(self) -> int:
        """Remove all items in every state, and return their number. Claims of them are lost; handlers stay announced.

        Use it for a queue that is given up.
        """
        ...
