"""The fan-out of an event to one delivery for each handler, so that each handler is retried by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from modd.cqrs.ids import escape
from modd.cqrs.wire import BUS_HEADER, EVENT_HEADER
from modd.ports.items import HANDLER, Claim, Item, Subscription
from modd.worker.claim import ClaimInHand
from modd.worker.source import log

Handlers: TypeAlias = Iterable[tuple[str, str]]
"""Handlers by bus and name."""


async def fan_out(in_hand: ClaimInHand, type: str, own: Handlers, former: frozenset[str]) -> bool:
    """Replace an event with one delivery for each handler that workers have announced; without any, acknowledge it.

    Return False, and leave the claim as it is, if the event has a former name of its type, which only workers know that
    can decode it.

    type: the name of its type on the wire. own: the handlers of this worker. former: the former names that it decodes.
    """
    claim, queue = in_hand.claim, in_hand.source.queue
    sent_as = claim.headers.get(EVENT_HEADER, type)
    create = partial(_create_deliveries, claim, [*own], sent_as in former)
    in_hand.settling = True
    count = await queue.fan_out(claim, (*{type, sent_as},), create)
    in_hand.settling = count is not None
    if count == 0:
        log.debug("%s is acknowledged: no worker has announced a handler of %s", claim.id, type)
    return in_hand.settling


def handler_of(claim: Claim) -> str | None:
    """Return the name of the handler that a delivery is for; None for a message that is no delivery."""
    return claim.headers.get(HANDLER)


def _create_deliveries(
    claim: Claim, own: Handlers, decodes_former: bool, subscriptions: Sequence[Subscription]
) -> list[Item] | None:
    if not decodes_former and not all(each.handler for each in subscriptions):
        return None
    announced = [(each.bus, each.handler) for each in subscriptions if each.handler]
    return [*_deliveries(claim, [*dict.fromkeys((*own, *announced))])]


def _deliveries(claim: Claim, handlers: Sequence[tuple[str, str]]) -> Iterator[Item]:
    """Yield the deliveries: for the bus that the event names, if it has handlers, else for all."""
    addressed = [each for each in handlers if each[0] == claim.headers.get(BUS_HEADER)]
    counts = Counter(name for _, name in handlers)
    for bus, name in addressed or handlers:
        suffix = escape(name, "/") if counts[name] == 1 else f"{escape(name, '/')}/{escape(bus, '/')}"
        headers = {**claim.headers, BUS_HEADER: bus, HANDLER: name}
        key = claim.key and f"{claim.key}/{suffix}"
        yield Item(claim.body, headers, key=key, id=f"{claim.id}/{suffix}")
