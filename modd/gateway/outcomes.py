"""Waits for the outcomes of queued commands, which workers put into the feed of a gateway; its hub reads them."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence

import anyio

from modd.concurrency.blocks import async_block
from modd.concurrency.cancellation import call, raise_if_cancelled
from modd.cqrs.outcomes import ABOUT_HEADER, MessageOutcome, read_outcome
from modd.gateway.client_stream import cancel_at_disconnect
from modd.ports.feed import Feed, Posted
from modd.serving.server import Receive

LONGEST_WAIT = 30
"""Most seconds of a wait; a client that prefers more waits as long."""

log = logging.getLogger("modd.gateway")

_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?", re.ASCII)


def preferred_wait(values: Sequence[str]) -> int:
    """Return the seconds that headers ``Prefer`` ask to wait, at most `LONGEST_WAIT`; 0 if they ask for no wait."""
    found = [_WAIT.fullmatch(each.partition(";")[0].strip().lower()) for each in ",".join(values).split(",")]
    seconds = [int(each[1]) for each in found if each]
    return min(seconds[0], LONGEST_WAIT) if seconds else 0


class OutcomeWait:
    """The wait of one client for the outcome of its command.

    after: the position of the feed before the command was sent; None for a wait that is over, because the feed cannot
    be read.
    """

    def __init__(self, after: int | None) -> None:
        self._after, self._outcomes = after or 0, dict[str, MessageOutcome]()
        self._id: str | None = None
        """The id of the envelope, once it is known."""
        self._over = anyio.Event()
        if after is None:
            self.end()

    def add(self, position: int, about: str, outcome: MessageOutcome) -> None:
        """Note an outcome that came after the command was sent; while the id is not known, note any."""
        if position > self._after and self._id in (None, about):
            self._outcomes[about] = outcome
            if about == self._id:
                self.end()

    def end(self) -> None:
        """Have `hold` return."""
        self._over.set()

    async def hold(self, id: str, seconds: float, receive: Receive) -> MessageOutcome | None:
        """Return the outcome of an envelope; None if it does not come in time, and if the client goes away.

        receive: returns the messages of the connection whose request was read.
        """
        self._id = id
        if id not in self._outcomes:
            with anyio.move_on_after(seconds):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(cancel_at_disconnect, receive, tasks.cancel_scope)
                    await self._over.wait()
                    tasks.cancel_scope.cancel()
        return self._outcomes.get(id)


class OutcomeWaits:
    """The waits of all clients, to which a hub delivers the outcomes in its feed.

    feed: the feed. is_followed: a function that returns True while the hub follows the feed.
    """

    def __init__(self, feed: Feed, is_followed: Callable[[], bool]) -> None:
        self._feed, self._is_followed = feed, is_followed
        self._waits = dict[OutcomeWait, None]()

    @async_block
    async def waiting(self) -> AsyncIterator[OutcomeWait]:
        """Note the outcomes from now on, for a block in which a command is sent; if the feed fails, log it."""
        wait = OutcomeWait(await self._position())
        self._waits[wait] = None
        try:
            yield wait
        finally:
            del self._waits[wait]

    def deliver(self, posted: Posted) -> None:
        """Give an item of the feed to the waits, if it is an outcome."""
        about = posted.headers.get(ABOUT_HEADER)
        outcome = read_outcome(posted.body) if about is not None and self._waits else None
        if about is not None and outcome is not None:
            for each in self._waits:
                each.add(posted.position, about, outcome)

    def end(self) -> None:
        """End all waits, without an outcome."""
        for each in self._waits:
            each.end()

    async def _position(self) -> int | None:
        """Return the last position of the feed; None, and log the reason, if its items do not come."""
        if not self._is_followed():
            log.warning("a client cannot wait for an outcome: the gateway does not follow its feed")
            return None
        try:
            return (await call(self._feed.span))[1]
        except Exception as raised:
            error = raised
        await raise_if_cancelled(error)
        log.warning("a client cannot wait for an outcome: the feed cannot be read", exc_info=error)
        return None
