"""An event becomes one row for each of its handlers, so that a handler that fails never runs the others again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from modd.ports.items import Claim, Item
from modd.worker.claim import Work

HANDLER = "modd-handler"
"""The header that names the handler that a row is for."""


AT = "modd-at"
"""The header that says when the row was made, in seconds since 1970."""


FIRST, LONGEST = 1.0, 3.0
"""For how many seconds a row whose handler is not known is held: at first, and at most. Nobody else gets it meanwhile.
"""


async def expand(work: Work, handlers: Iterable[str], now: float) -> tuple[Any, ...] | None:
    """Put the rows of an event in its place: in one transaction where there is one, else before it is acked.

    Their ids are made of its id and the names. If this is done twice, the queue knows those that it still has, and the
    inbox those that were handled. Returns how the event is still to be settled.
    """
    queue, rows = work.source.queue, [*_rows(work.claim, handlers, now)]
    if rows and work.source.own is not None:
        async with work.source.own():
            await queue.put(*rows)
            work.settling = True
            await queue.ack(work.claim)
        return None
    if rows:
        await queue.put(*rows)
    return (queue.ack,)


def age_of(claim: Claim, now: float) -> float:
    """For how many seconds a row has been there; one that does not say it has always been there."""
    try:
        at = float(claim.headers.get(AT, 0.0))
    except ValueError:
        at = 0.0
    return max(0.0, now - at) if isfinite(at) else now


def rest_of(age: float) -> float:
    """For how many seconds to hold a row whose handler is not known, when it has been there for so many seconds."""
    return min(max(FIRST, age / 2), LONGEST)


def _rows(claim: Claim, handlers: Iterable[str], now: float) -> Iterator[Item]:
    for name in handlers:
        key = claim.key and f"{claim.key}/{name}"
        headers = {**claim.headers, HANDLER: name, AT: repr(now)}
        yield Item(claim.body, headers, key=key, id=f"{claim.id}/{name}")
