"""A queue as a worker sees it: what is claimed from it, and which transaction its claims are settled in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio

from modd.concurrency.cancellation import error_of, raise_if_cancelled
from modd.errors import InvalidOption
from modd.ports.items import Claim
from modd.ports.queue import Queue
from modd.ports.transaction import Transactional

log = logging.getLogger("modd.worker")


SHORTEST, LONGEST = 0.1, 5.0
"""Seconds between two tries when a store fails: at first, and at most."""


class Source:
    """A queue, and how long it is left alone after it has failed.

    name: that of the queue, or what its place among the queues makes of it, where it has none or one before has the
    same: the inbox tells messages of different queues apart by it.
    begin: makes the transaction that handlers run in; None if there is none. own: makes one of the queue. acks: whether
    an ack inside of the first is part of it; otherwise it comes after, so that nothing is forgotten that was not
    committed.
    """

    def __init__(self, queue: Queue, name: str, inbox: Any, outbox: Any) -> None:
        self.queue, self.name = queue, name
        self.begin, self.own = _begin_of(outbox, inbox, queue), _begin_of(queue)
        owner = next((each for each in (outbox, inbox, queue) if isinstance(each, Transactional)), None)
        _check_together(owner, inbox, outbox)
        self.acks = owner is not None and in_one_store(owner, queue)
        self.waits = callable(getattr(queue, "wait", None))
        self._pause, self._rests_until = SHORTEST, 0.0

    @property
    def rests_for(self) -> float:
        """For how many seconds more it is left alone; 0 when it is not."""
        return max(0.0, self._rests_until - anyio.current_time()) if self._rests_until else 0.0

    def leave_alone(self, seconds: float) -> None:
        """Ask it for nothing for so many seconds."""
        self._rests_until = max(self._rests_until, anyio.current_time() + seconds)

    async def claim(self, limit: int, lease: float) -> list[Claim] | None:
        """What the queue gives, None when it fails; it is asked again after a while."""
        try:
            claims = await self.queue.claim(limit, lease)
        except Exception as error:
            failed = error
        else:
            self._pause = SHORTEST
            return claims
        await raise_if_cancelled(failed)
        self._rest("claimed", failed)
        return None

    async def wait(self, seconds: float) -> None:
        """Wait for as long as that, or until there may be something to claim."""
        queue: Any = self.queue
        error = await error_of(queue.wait, seconds)
        if error is not None:
            self._rest("waited for", error)

    def _rest(self, what: str, error: Exception) -> None:
        log.warning("nothing can be %s in the queue %r; next try in %g s", what, self.name, self._pause, exc_info=error)
        self.leave_alone(self._pause)
        self._pause = min(2 * self._pause, LONGEST)


def sources_of(queues: Sequence[Queue], inbox: Any, outbox: Any) -> list[Source]:
    """A source for each queue, each with a name of its own."""
    sources: dict[str, Source] = {}
    for place, queue in enumerate(queues, 1):
        name = str(getattr(queue, "name", ""))
        if not name or name in sources:
            name = f"{name}#{place}"
        sources[name] = Source(queue, name, inbox, outbox)
    return [*sources.values()]


def _begin_of(*parts: Any) -> Callable[[], AbstractAsyncContextManager[Any]] | None:
    """What begins a transaction of the first part that has any."""
    return next((each.transaction for each in parts if isinstance(each, Transactional)), None)


def in_one_store(one: Any, other: Any) -> bool:
    """Whether a write to the one is part of a transaction of the other; parts say it by their ``store``."""
    store = getattr(one, "store", None)
    return one is other or (store is not None and getattr(other, "store", None) is store)


def _check_together(owner: Any, inbox: Any, outbox: Any) -> None:
    """Nothing must be noted as done, nor released, that is not committed then; nor be committed and not released."""
    for option, given in (("inbox", inbox), ("outbox", outbox)):
        if given is not None and owner is not None and not in_one_store(owner, given):
            wanted = f"it is in another store than {owner!r}, whose transactions handlers run in; give that store's"
            raise InvalidOption(option, given, wanted)
