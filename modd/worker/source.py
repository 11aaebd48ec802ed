"""A queue that a worker claims from, and the transactions in which its claims are handled and settled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from modd.concurrency.backoff import DoublingPause, spread
from modd.concurrency.cancellation import call, error_of, raise_if_cancelled
from modd.concurrency.loops import steady_time
from modd.cqrs.ids import escape
from modd.errors import InvalidOption
from modd.ports.errors import raise_misuse
from modd.ports.items import Claim, Stats, Suspects
from modd.ports.queue import Queue
from modd.ports.transaction import SupportsTransactions
from modd.texts import amount, text_of
from modd.worker.subscriptions import REFRESH, Subscriber

log = logging.getLogger("modd.worker")

JITTER = 0.25
"""Share by which the seconds between two claims, looks or announcements differ, so that workers are not in step."""


LOOK = 0.5
"""Most seconds between two looks for items that other workers have left to this one."""

Begin = Callable[..., AbstractAsyncContextManager[Any]]
"""A function that begins a transaction; see `Transactional.transaction`."""


class SourceQueue:
    """A queue that a worker claims from, and announces its handlers to; it is paused after a failure.

    queue: the `modd.ports.Queue`.
    name: the name under which the inbox notes messages of this queue; no other queue of the worker has it.
    inbox, outbox: those of the worker, or None.
    subscriber: the handlers of the worker.

    Raises: `InvalidOption` if the inbox or the outbox does not write in the transaction of the handlers.
    """

    def __init__(self, queue: Queue, name: str, inbox: Any, outbox: Any, subscriber: Subscriber) -> None:
        self.queue, self.name, self._subscriber = queue, name, subscriber
        owner = next((each for each in (outbox, inbox, queue) if isinstance(each, SupportsTransactions)), None)
        _check_stores(owner, inbox, outbox)
        self.begin: Begin | None = owner.transaction if owner is not None else None
        """Begins the transaction that handlers run in; None if no store has transactions."""
        self.acks_in_transaction = owner is not None and share_store(owner, queue)
        """True if an acknowledgement is part of the handlers' transaction; else it follows the commit."""
        self.can_wait = callable(getattr(queue, "wait", None))
        self._pause = DoublingPause()
        self._paused_until = 0.0
        self._announce_at = self._look_at = 0.0

    @property
    def pause_left(self) -> float:
        """Seconds until the queue may be asked again; 0 if it is not paused."""
        return max(0.0, self._paused_until - steady_time()) if self._paused_until else 0.0

    def pause(self, seconds: float) -> None:
        """Do not ask the queue for so many seconds."""
        self._paused_until = max(self._paused_until, steady_time() + seconds)

    def start(self) -> None:
        """Have the handlers announced; called at the start of a run."""
        self._subscriber.begin()
        self._announce_at = self._look_at = 0.0

    async def announce(self) -> None:
        """Announce the handlers if it is time for that; pause the queue if it fails. Raises as `claim` does."""
        error = await error_of(self._announce) if steady_time() >= self._announce_at else None
        if error is not None:
            raise_misuse(error)
            self._pause_after("announced to", error)

    async def claim(self, limit: int, lease: float, suspects: Suspects) -> list[Claim] | None:
        """Claim up to ``limit`` items, or a suspect; return None and pause the queue if it fails.

        A claim announces the handlers before it, once in `REFRESH` seconds.

        Raises: the error of a store that is used in a wrong way, such as one that is closed.
        """
        now = steady_time()
        try:
            if now >= self._announce_at:
                await call(self._announce)
            claims = await call(self._claim, limit, lease, suspects, now >= self._look_at)
        except Exception as error:
            failed = error
        else:
            self._pause.reset()
            return claims
        await raise_if_cancelled(failed)
        raise_misuse(failed)
        self._pause_after("claimed from", failed)
        return None

    async def wait(self, seconds: float, suspects: bool) -> None:
        """Wait until the queue may have something to claim, at most so many seconds; suspects: be it a suspect."""
        queue: Any = self.queue
        error = await error_of(partial(queue.wait, seconds, suspects=suspects))
        if error is not None:
            self._pause_after("waited for", error)

    async def has_suspects(self) -> bool:
        """True if the queue tells of suspects; a queue that fails tells so when it is claimed from."""
        stats = await self._stats()
        return stats is not None and stats.suspects > 0

    async def log_leased(self, lease: float) -> None:
        """Log the number of messages that other workers have claimed. lease: seconds of a lease."""
        stats = await self._stats()
        if stats is not None and stats.leased:
            text = "the queue %r: %s leased by another worker; if that has died, claimed again in %g s at the latest"
            log.info(text, self.name, amount(stats.leased, "message is", "messages are"), lease)

    async def _stats(self) -> Stats | None:
        try:
            return await call(self.queue.stats)
        except Exception as error:
            await raise_if_cancelled(error)
            return None

    async def _announce(self) -> None:
        now = steady_time()
        self._subscriber.renew()
        await self.queue.announce(*self._subscriber.subscriptions, retention=self._subscriber.retention)
        self._announce_at = now + spread(REFRESH, JITTER)

    async def _claim(self, limit: int, lease: float, suspects: Suspects, left_first: bool) -> list[Claim]:
        claim = partial(self.queue.claim, limit, lease, suspects=suspects)
        if suspects == "first":
            return await claim()
        if left_first:
            return await self._claim_left(limit, lease) or await claim()
        return await claim() or await self._claim_left(limit, lease)

    async def _claim_left(self, limit: int, lease: float) -> list[Claim]:
        """Claim items that other workers have left; look again at once if there may be more."""
        claims = await self.queue.claim_left(self._subscriber.names, limit, lease)
        self._look_at = steady_time() + spread(LOOK, JITTER) if len(claims) < limit else 0.0
        return claims

    def _pause_after(self, verb: str, error: Exception) -> None:
        seconds = self._pause.next()
        text = "the queue %r cannot be %s: %s; next try in %g s"
        log.warning(text, self.name, verb, text_of(error), seconds, exc_info=error)
        self.pause(seconds)


def create_sources(queues: Sequence[Queue], inbox: Any, outbox: Any, subscriber: Subscriber) -> list[SourceQueue]:
    """Create a source for each queue; a queue without a name, or with the name of an earlier queue, gets a number.

    In a name that a queue has, ``#`` and ``/`` are escaped: so none is like a number, and the inbox can join names.
    """
    sources: dict[str, SourceQueue] = {}
    for number, queue in enumerate(queues, 1):
        name = escape(str(getattr(queue, "name", "")), "#/")
        if not name or name in sources:
            name = f"{name}#{number}"
        sources[name] = SourceQueue(queue, name, inbox, outbox, subscriber)
    return [*sources.values()]


def share_store(first: Any, second: Any) -> bool:
    """True if a write to the second part joins a transaction of the first: their ``store`` is the same object."""
    store = getattr(first, "store", None)
    return first is second or (store is not None and getattr(second, "store", None) is store)


def _check_stores(owner: Any, inbox: Any, outbox: Any) -> None:
    """Raise `InvalidOption` if the inbox or the outbox would write outside the transaction of the handlers."""
    for option, part in (("inbox", inbox), ("outbox", outbox)):
        if part is not None and owner is not None and not share_store(owner, part):
            wanted = f"it is in a different store than {owner!r}, in whose transactions handlers run; give that store's"
            raise InvalidOption(option, part, wanted)
