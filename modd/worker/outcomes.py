"""The outcomes of messages, which a worker puts into a feed for senders that wait."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

from modd.aggregate import CommandRejected
from modd.concurrency.cancellation import error_of
from modd.core import mask_error, show_safely
from modd.cqrs.outcomes import ABOUT_HEADER, MessageOutcome, envelope_id, error_names, is_for_clients
from modd.cqrs.result import Dispatched
from modd.ports.feed import Feed
from modd.ports.items import Claim, Item
from modd.ports.transaction import open_transaction
from modd.texts import encodable, first_cause
from modd.worker.claim import ClaimInHand, Settlement
from modd.worker.fan_out import handler_of
from modd.worker.source import log, share_store


class OutcomeFeed:
    """Puts the outcome of each message into a feed when its claim is settled.

    That is one transaction if the feed is in the store of the queue, and the store has transactions. Otherwise the
    outcome follows the settlement, and one that cannot be put is logged.

    feed: the feed.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def after_success(self, in_hand: ClaimInHand, dispatched: Dispatched[Any] | None) -> Settlement:
        """Return the settlement of a message that was handled; None for one that the inbox has."""
        result = None if dispatched is None else dispatched.result
        return self._settlement(in_hand, (in_hand.source.queue.ack,), "done", result=result)

    def after_failure(self, in_hand: ClaimInHand, settlement: Settlement) -> Settlement:
        """Return the settlement of a message that becomes a dead letter, with its outcome."""
        assert in_hand.failure is not None  # noted with the dead letter
        error = first_cause(in_hand.failure)
        errors = error_names(type(error))
        if isinstance(error, CommandRejected):
            reason = mask_error(encodable(error.rejected.reason), error, in_hand.message)
            return self._settlement(in_hand, settlement, "rejected", reason=reason, errors=errors)
        text = encodable(show_safely(str, error)) if is_for_clients(error) else ""
        fields = {"reason": settlement[1], "errors": errors, "text": mask_error(text, error, in_hand.message)}
        return self._settlement(in_hand, settlement, "failed", **fields)

    def _settlement(self, in_hand: ClaimInHand, settlement: Settlement, outcome: Any, **fields: Any) -> Settlement:
        claim = in_hand.claim
        told = MessageOutcome(outcome, handler=handler_of(claim) or "", **fields)
        item = told.as_item(envelope_id(claim, in_hand.envelope))
        source = in_hand.source
        if source.acks_in_transaction and share_store(source.queue, self._feed):
            return (partial(self._settle_at_once, in_hand, settlement, item),)
        return (partial(self._settle_before, settlement, item),)

    async def _settle_at_once(self, in_hand: ClaimInHand, settlement: Settlement, item: Item, claim: Claim) -> None:
        """Settle a claim and put its outcome, in the open transaction or in one of their own."""
        action, *args = settlement
        begin: Any = in_hand.source.begin
        async with begin(immediate=True) if open_transaction.get() is None else nullcontext():
            await action(claim, *args)
            await self._feed.put(item)

    async def _settle_before(self, settlement: Settlement, item: Item, claim: Claim) -> None:
        """Settle a claim, and put its outcome once that is committed."""
        action, *args = settlement
        transaction = open_transaction.get()
        await action(claim, *args)
        if transaction is None:
            await self._put(item)
        else:
            transaction.on_commit(partial(self._put, item))

    async def _put(self, item: Item) -> None:
        error = await error_of(self._feed.put, item)
        if error is not None:
            log.warning("the outcome of %s cannot be put into the feed", item.headers[ABOUT_HEADER], exc_info=error)
