"""Waits for the outcomes of queued commands, which workers put into the feed of a gateway."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence

import anyio

from modd.concurrency.blocks import block
from modd.concurrency.cancellation import call, error_of, raise_if_cancelled
from modd.cqrs.outcomes import ABOUT_HEADER, MessageOutcome, read_outcome
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

    after: the position of the feed before the command was sent.
    """

    def __init__(self, after: int) -> None:
        self._after, self._items = after, dict[str, Posted]()
        self.id: str | None = None
        """The id of the envelope, once it is known."""
        self.wake = anyio.Event()
        """Set when there is an outcome, when the feed is to be read, and when the wait is over."""

    def add(self, about: str, item: Posted) -> None:
        """Note an outcome that came after the command was sent; while the id is not known, any may be the one."""
        if item.position > self._after and self.id in (None, about):
            self._items[about] = item
            self.wake.set()

    def outcome(self) -> MessageOutcome | None:
        """Return the outcome of the envelope, if it has come."""
        item = self._items.get(self.id or "")
        return None if item is None else read_outcome(item.body)


class OutcomeReader:
    """Reads a feed for all clients that wait, in the task of one of them; without a client it does not read.

    feed: the feed.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed, self._items = feed, feed.follow()
        self._waits = dict[OutcomeWait, None]()
        self._reading: anyio.CancelScope | None = None
        """The scope in which a wait reads the feed; None while none does."""

    async def position(self) -> int | None:
        """Return the last position of the feed; None, and log the error, if it cannot be read."""
        try:
            return (await call(self._feed.span))[1]
        except Exception as raised:
            error = raised
        await raise_if_cancelled(error)
        log.warning("a client cannot wait for an outcome: the feed cannot be read", exc_info=error)
        return None

    @block
    def waiting(self, after: int) -> Iterator[OutcomeWait]:
        """Note the outcomes after a position of the feed, for a block in which the command is sent."""
        if not self._waits:
            self._items = self._feed.follow(after)
        wait = OutcomeWait(after)
        self._waits[wait] = None
        try:
            yield wait
        finally:
            self._leave(wait)

    async def hold(self, wait: OutcomeWait, id: str, seconds: float, receive: Receive) -> MessageOutcome | None:
        """Return the outcome of an envelope; None if it does not come in time, and if the client goes away.

        receive: returns the messages of the connection whose request was read.
        """
        outcome = None
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_cancel_after_disconnect, receive, tasks.cancel_scope)
                outcome = await self._outcome(wait, id)
                tasks.cancel_scope.cancel()
        return outcome

    def stop(self) -> None:
        """End all waits without an outcome."""
        waits, self._waits = self._waits, {}
        for wait in waits:
            wait.wake.set()
        if self._reading is not None:
            self._reading.cancel()

    async def _outcome(self, wait: OutcomeWait, id: str) -> MessageOutcome | None:
        wait.id = id
        try:
            while (outcome := wait.outcome()) is None and wait in self._waits:
                if self._reading is None:
                    await self._read(wait)
                else:
                    await wait.wake.wait()
                    wait.wake = anyio.Event()
        finally:
            self._leave(wait)
        return outcome

    def _leave(self, wait: OutcomeWait) -> None:
        """End a wait; if it was the one that read, the next one reads."""
        self._waits.pop(wait, None)
        following = next((each for each in self._waits if each.id is not None), None)
        if self._reading is None and following is not None:
            following.wake.set()

    async def _read(self, wait: OutcomeWait) -> None:
        """Read the feed in the task of a wait, until its outcome comes; an error ends all waits."""
        error = None
        with anyio.CancelScope() as self._reading:
            try:
                error = await error_of(self._read_until, wait)
            finally:
                self._reading = None
        if error is not None:
            log.warning("clients wait for outcomes no longer: the feed cannot be read", exc_info=error)
            self.stop()

    async def _read_until(self, wait: OutcomeWait) -> None:
        while wait.outcome() is None:
            item = await anext(self._items)
            about = item.headers.get(ABOUT_HEADER)
            if about is not None:
                for each in self._waits:
                    each.add(about, item)


async def _cancel_after_disconnect(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
