"""Waiting until there may be something to claim, without asking again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

import anyio

from modd.checks import checked_delay
from modd.concurrency.blocks import block
from modd.concurrency.loops import LoopEvent


class SupportsWake(Protocol):
    """A part at which tasks wait until a commit wakes them."""

    def wake(self) -> None:
        """Wake the tasks that wait, after a commit."""
        ...


class Notifier:
    """Wakes the tasks that wait for items to claim.

    It belongs to no event loop while no task waits, so that a store can serve one loop after another.
    """

    def __init__(self) -> None:
        self._events: set[LoopEvent] = set()
        self.count = 0
        """Number of calls of `notify`."""

    def notify(self) -> None:
        """Wake every task that waits now, in any loop and thread."""
        self.count += 1
        if self._events:
            for event in self._events.copy():
                event.set()

    async def wait(
        self,
        seconds: float,
        is_claimable: Callable[[], Awaitable[bool]],
        next_check: Callable[[], float],
        *,
        is_empty: bool = False,
        trust_notify: bool = False,
    ) -> None:
        """Return as soon as there may be something to claim, at the latest after ``seconds``.

        is_claimable: looks whether there is; called first, after each `notify`, and when ``next_check`` is reached.
        next_check: returns the time of the loop at which items may become claimable without a `notify`.
        is_empty: skip the first look, because the caller knows that there is nothing. trust_notify: return after a
        `notify` without a look. Raises `InvalidOption` for seconds below 0.
        """
        with anyio.move_on_after(checked_delay("seconds", seconds)):
            must_look = not is_empty
            while True:
                with self._listen() as notified:  # from before the look, so that no notification is missed
                    if must_look and await is_claimable():
                        return
                    with anyio.CancelScope(deadline=next_check()):
                        await notified.wait()
                    if trust_notify and notified.is_set():
                        return
                must_look = True

    @block
    def _listen(self) -> Iterator[LoopEvent]:
        event = LoopEvent()
        self._events.add(event)
        try:
            yield event
        finally:
            self._events.discard(event)
