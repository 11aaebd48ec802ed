"""The settlement of claims that failed: a retry, a parked row, or a dead letter with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modd.core import mask_error
from modd.cqrs.errors import GiveUp
from modd.texts import encodable, errors_in, notes_of, text_of
from modd.worker.claim import ClaimInHand, Settlement
from modd.worker.errors import StampedFailure
from modd.worker.fan_out import age_of
from modd.worker.parked import parking_time
from modd.worker.retry import RetryRules
from modd.worker.source import log


class FailurePolicy:
    """Decides how claims that failed are settled.

    rules: decide whether a message is retried, and when.
    retention: seconds after which a row whose handler no worker has becomes a dead letter.
    clock: seconds since 1970.
    """

    def __init__(self, rules: RetryRules, retention: float, clock: Callable[[], float]) -> None:
        self.rules = rules
        self._retention, self._clock = retention, clock

    def settle_failure(self, in_hand: ClaimInHand, error: Exception) -> Settlement:
        """Return how to settle a claim whose handler raised an error: retry it, or make it a dead letter."""
        claim, reason = in_hand.claim, reason_of(error, in_hand.message)
        try:
            delay = self.rules.delay_after(error, claim.attempt)
        except Exception as wrong:
            return dead_letter(in_hand, f"{reason}\nthe backoff failed: {reason_of(wrong, in_hand.message)}", error)
        if delay is None:
            return dead_letter(in_hand, reason, error)
        log.info("%s failed and is tried again in %g s: %s", claim.id, delay, reason)
        return in_hand.source.queue.retry, delay

    def settle_unknown(self, in_hand: ClaimInHand, handler: str) -> Settlement | None:
        """Park a row whose handler is not here and return None; after the retention return its dead letter."""
        age = age_of(in_hand.claim, self._clock())
        if age >= self._retention:
            reason = f"no worker has had a handler named {handler!r} for {self._retention:g} s"
            return dead_letter(in_hand, reason, GiveUp(reason))
        in_hand.park_for = parking_time(age)
        return None


def dead_letter(in_hand: ClaimInHand, reason: str, error: Exception) -> Settlement:
    """Log a claim as a dead letter, note its last error, and return the settlement that makes it one."""
    in_hand.failure = error
    log.error("%s becomes a dead letter: %s", in_hand.claim.id, reason)
    return in_hand.source.queue.bury, reason


def reason_of(error: Exception, message: Any = None) -> str:
    """Return the reason of a dead letter: the text of the error, its notes, and the same of each error in a group.

    Sensitive content of the message is masked. Any store and log accepts the text: lone surrogates are escaped.
    """
    lines: list[str] = []
    for each in errors_in(error):
        lines += [str(each) if isinstance(each, StampedFailure) else text_of(each), *notes_of(each)]
    return mask_error(encodable("\n".join(lines)), error, message)
