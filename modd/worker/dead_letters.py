"""The settlement of claims that failed: a retry, or a dead letter with its reason."""

from __future__ import annotations

from logging import ERROR, INFO, WARNING
from typing import Any

from modd.core import log_error, mask_error
from modd.cqrs.errors import Undecodable
from modd.cqrs.retry import requested_delays
from modd.texts import encodable, errors_in, notes_of, text_of
from modd.worker.claim import ClaimInHand, Settlement
from modd.worker.errors import StampedFailure
from modd.worker.retry import RetryRules
from modd.worker.source import log


class FailurePolicy:
    """Decides how claims that failed are settled.

    rules: decide whether a message is retried, and when.
    retention: seconds after which a message that no worker knows becomes a dead letter.
    """

    def __init__(self, rules: RetryRules, retention: float) -> None:
        self.rules, self._retention = rules, retention

    def settle_failure(self, in_hand: ClaimInHand, error: Exception) -> Settlement:
        """Return how to settle a claim whose handler raised an error: retry it, or make it a dead letter."""
        claim, reason = in_hand.claim, reason_of(error, in_hand.message)
        try:
            delay = self.rules.delay_after(error, claim.attempt)
        except Exception as wrong:
            return dead_letter(in_hand, f"{reason}\nthe backoff failed: {reason_of(wrong, in_hand.message)}", error)
        if delay is None:
            return dead_letter(in_hand, reason, error)
        is_first = claim.attempt == 1 and not [*requested_delays(error)]  # a delay that was asked for is no surprise
        text = "%s failed and is tried again in %g s: %s"
        _log(in_hand, error, WARNING if is_first else INFO, text, claim.id, delay, reason)
        return in_hand.source.queue.retry, delay

    async def leave(self, in_hand: ClaimInHand, name: str, error: Exception) -> Settlement | None:
        """Leave a message to workers that know it; after the retention return its dead letter, with this error."""
        await in_hand.leave(name, self._retention)
        if in_hand.is_left is not False:
            log.debug("%s is left to workers that know it: %s", in_hand.claim.id, error)
            return None
        return dead_letter(in_hand, f"{reason_of(error)}; no worker has claimed it for {self._retention:g} s", error)


def dead_letter(in_hand: ClaimInHand, reason: str, error: Exception) -> Settlement:
    """Log a claim as a dead letter, note its last error, and return the settlement that makes it one."""
    in_hand.failure = error
    _log(in_hand, error, ERROR, "%s becomes a dead letter: %s", in_hand.claim.id, reason)
    return in_hand.source.queue.bury, reason


def reason_of(error: Exception, message: Any = None) -> str:
    """Return the reason of a dead letter: the text of the error, its notes, and the same of each error in a group.

    Sensitive content of the message is masked. Any store and log accepts the text: lone surrogates are escaped.
    """
    lines: list[str] = []
    for each in errors_in(error):
        lines += [str(each) if isinstance(each, StampedFailure) else text_of(each), *notes_of(each)]
    return mask_error(encodable("\n".join(lines)), error, message)


def _log(in_hand: ClaimInHand, error: Exception, level: int, text: str, *args: object) -> None:
    """Log the failure of a claim; from WARNING on with the traceback, if that leads to code of the user."""
    if level < WARNING or error.__traceback__ is None or isinstance(error, (StampedFailure, Undecodable)):
        log.log(level, text, *args)
    else:
        log_error(log, text, *args, error=error, message=in_hand.message, level=level)
