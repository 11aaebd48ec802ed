"""The fan-out of an event to one row for each handler, so that each handler is retried by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite

from modd.cqrs.ids import escape
from modd.ports.items import Claim, Item
from modd.worker.claim import ClaimInHand, Settlement

HANDLER = "modd-handler"
"""The header of a row that names its handler."""


CREATED = "modd-at"
"""The header of a row that says when it was created, in seconds since 1970."""


async def fan_out(in_hand: ClaimInHand, handlers: Iterable[str], now: float) -> Settlement | None:
    """Replace an event with one row for each handler; return how to settle the event, or None if it is settled.

    With transactions the rows and the acknowledgement are one transaction; without, the rows come first. A second
    fan-out of the same event does no harm: the id of a row is the event's id and the handler's name, so the queue
    recognises rows that it still has, and the inbox recognises rows that were handled.
    """
    source, rows = in_hand.source, [*_rows(in_hand.claim, handlers, now)]
    if rows and source.begin_own is not None:
        async with source.begin_own():
            await source.queue.put(*rows)
            await in_hand.ack()
        return None
    if rows:
        await source.queue.put(*rows)
    return (source.queue.ack,)


def handler_of(claim: Claim) -> str | None:
    """Return the name of the handler that a row is for; None for a message that is no row."""
    return claim.headers.get(HANDLER)


def age_of(claim: Claim, now: float) -> float:
    """Return the seconds since a row was created; since 1970 if it does not say when."""
    try:
        created = float(claim.headers.get(CREATED, 0.0))
    except ValueError:
        created = 0.0
    return max(0.0, now - created) if isfinite(created) else now


def _rows(claim: Claim, handlers: Iterable[str], now: float) -> Iterator[Item]:
    for name in handlers:
        escaped = escape(name, "/")
        key = claim.key and f"{claim.key}/{escaped}"
        headers = {**claim.headers, HANDLER: name, CREATED: repr(now)}
        yield Item(claim.body, headers, key=key, id=f"{claim.id}/{escaped}")
