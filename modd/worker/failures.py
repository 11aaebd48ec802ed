"""The `Failure` of a message that a worker gives up: the buses around its typed bus handle it, once."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from modd.concurrency.cancellation import error_of
from modd.core import log_error
from modd.cqrs.enclosing import tell_failure
from modd.ports.transaction import savepoint_if_open
from modd.worker.claim import ClaimInHand, Settlement
from modd.worker.source import log


async def settle_dead(in_hand: ClaimInHand, settlement: Settlement, within: Any) -> None:
    """Have the buses around handle the failure of a message that becomes a dead letter, and settle its claim.

    If the queue can, both are one transaction, so that a process that dies in between leaves nothing of it, and the
    next attempt fails again. An error of a component that handles the failure is logged; the dead letter stays one.

    within: the bus of the worker.
    """
    in_hand.settling = False  # its lease is renewed meanwhile
    error = await error_of(_tell_and_settle, in_hand, settlement, within)
    if error is not None:
        text = "the failure of %s is not handled: the commit failed"
        log_error(log, text, in_hand.claim.id, error=error, message=in_hand.message)
    if error is not None or not in_hand.source.acks_in_transaction:
        await in_hand.settle(*settlement)


async def _tell_and_settle(in_hand: ClaimInHand, settlement: Settlement, within: Any) -> None:
    source, (action, *args) = in_hand.source, settlement
    async with nullcontext() if source.begin is None else source.begin():
        error = await error_of(_tell, in_hand, within)
        if error is not None:
            text = "a component that handles the failure of %s failed"
            log_error(log, text, in_hand.claim.id, error=error, message=in_hand.message)
        if source.acks_in_transaction:
            in_hand.settling = True
            await action(in_hand.claim, *args)


async def _tell(in_hand: ClaimInHand, within: Any) -> None:
    """Have the buses around handle the failure; undo what they wrote if a component that handles it raises."""
    assert in_hand.failure is not None  # noted with the dead letter
    async with savepoint_if_open():
        await tell_failure(in_hand.bus, in_hand.envelope, in_hand.failure, within=within)
