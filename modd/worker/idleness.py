"""The end of a run for tests: the moment when nothing is due any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from modd.checks import is_number
from modd.errors import InvalidOption
from modd.worker.claim import ClaimInHand
from modd.worker.source import SourceQueue

LONGEST_WAIT = 86_400.0
"""Most seconds between two looks at queues that can be waited for."""


class Idleness:
    """Tells when a worker is idle: nothing is due, and no message that it has handled waits for a retry.

    ahead: seconds; messages that become due within them are waited for.
    """

    def __init__(self, ahead: float) -> None:
        self._until = anyio.current_time() + ahead
        self._to_retry: set[tuple[SourceQueue, str]] = set()

    def note(self, in_hand: ClaimInHand) -> None:
        """Note whether a claim, which is settled, waits for a retry."""
        key = in_hand.source, in_hand.claim.id
        if in_hand.is_retried:
            self._to_retry.add(key)
        else:
            self._to_retry.discard(key)

    async def is_near(self, sources: Sequence[SourceQueue]) -> bool:
        """Return True if a worker with nothing in hand is idle, should its queues have nothing to claim after this.

        The claim comes afterwards, so that it finds messages that become due meanwhile.
        """
        if any(source.pause_left for source in sources):
            return False
        if not self._to_retry and anyio.current_time() >= self._until:
            return True
        stats = [await source.queue.stats() for source in sources]  # a second worker may have taken the retries
        return not any(each.delayed or each.leased for each in stats)

    def longest_wait(self, sources: Sequence[SourceQueue], poll: float) -> float:
        """Return the most seconds to wait for messages; the end of a handler ends the wait, too.

        poll: seconds between two claims from a queue that cannot be waited for.
        """
        left = self._until - anyio.current_time()
        longest = min(left, LONGEST_WAIT) if left > 0 else LONGEST_WAIT
        return longest if all(source.can_wait for source in sources) else min(poll, longest)


def checked_ahead(ahead: Any) -> float:
    """Return seconds in the future, or infinity. Raises `InvalidOption`."""
    if not (is_number(ahead) and ahead >= 0):
        raise InvalidOption("ahead", ahead, "give seconds, 0 or more, or math.inf for all delayed messages")
    return float(ahead)
