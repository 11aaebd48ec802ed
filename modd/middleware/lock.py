"""Lock lets in one dispatch at a time for each key."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from random import random as random_number
from typing import Any, TypedDict
from uuid import uuid4

import anyio

from modd.checks import checked_callable, checked_delay, checked_methods, checked_span
from modd.concurrency.backoff import TIME_PRECISION
from modd.concurrency.cancellation import call
from modd.concurrency.lease import LeaseKeeper
from modd.core import Message, Origin
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import LockTimeout
from modd.errors import Deadlock, ModdError
from modd.middleware.bus_keys import Key, MiddlewareWithKeys, check_key, key_of
from modd.middleware.lock_line import LockLines, lines_of
from modd.ports.locks import Locks
from modd.stores.memory.locks import MemoryLocks


class LockLost(ModdError, RuntimeError):
    """A lock ended while its dispatch ran, so that another may have begun; the dispatch was cancelled.

    key: the name of the lock.
    ttl: the seconds within which the lock was not renewed.

    Give `Lock` a longer ``ttl``, and let no handler block the loop for that long.
    """

    def __init__(self, key: str, ttl: float) -> None:
        self.key, self.ttl = key, ttl
        super().__init__(
            f"the lock {key!r} was lost: it was not renewed within its ttl of {ttl:g} s; give a longer ttl, and let no "
            "handler block the loop for that long"
        )


class LockOptions(TypedDict, total=False):
    """The options of `Lock` that may differ by type; omitted options are as in the `Lock`.

    key: a function of the envelope, sync or async, that returns the text to lock.
    ttl: seconds after which a lock ends that is not renewed, more than 0.
    poll: seconds between two tries to acquire the lock, more than 0.
    timeout: seconds to try for; 0 tries once.
    """

    key: Key
    ttl: float
    poll: float
    timeout: float


class Lock(MiddlewareWithKeys):
    """Lets in one dispatch at a time for each key; other dispatches wait, and raise `LockTimeout` after a while.

    Use it for work that must not overlap, also across processes if they share a store of locks. Dispatches of one event
    loop get the lock in the order in which they came; processes try at random times around ``poll``.

    The lock is renewed for as long as the dispatch takes. If that fails, because the store has lost the lock or does
    not answer for ``ttl`` seconds, the dispatch is cancelled and `LockLost` is raised. A handler that blocks the loop
    for that long is not protected. If the lock cannot be released, a warning is logged, and the lock ends by its ttl.

    A handler that dispatches a message under the key of its own lock gets a `Deadlock` at once, also from a task that
    it leaves running, unless that was started under `modd.detached()`. This holds for one instance of `Lock`: with two
    instances on one store, and where two handlers wait for each other's locks, the wait ends in a `LockTimeout`.

    key: a function of the envelope, sync or async, that returns the text to lock. Buses of different names do not
        exclude each other; buses of one name that share a store do, also across processes.
    locks: a `modd.ports.Locks`; by default `MemoryLocks`, which exclude only dispatches in this process.
    ttl: seconds after which a lock ends that is not renewed, because its process died; more than 0, 0.5 by default.
    poll: seconds between two tries to acquire a lock that another process holds, more than 0; 0.1 by default, varied
        by half of it.
    timeout: seconds to wait for the lock, 5 by default; 0 tries once.
    intents: by message type, the `LockOptions` that differ; by default none.
    random: returns a number from 0 up to 1 for the times between two tries; by default `random.random`.

    Raises:
        InvalidOption: an option has a value that cannot work, or two buses of the same name have this instance.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
        LockTimeout: while dispatching, if the lock was not free within ``timeout``.
        LockLost: while dispatching, if the lock ended before the dispatch.
        Deadlock: while dispatching, if a handler dispatches a message under the key of its own lock.
    """

    def __init__(
        self,
        key: Key,
        *,
        locks: Locks | None = None,
        ttl: float = 0.5,
        poll: float = 0.1,
        timeout: float = 5.0,
        intents: Mapping[type[Message], LockOptions] = {},
        random: Callable[[], float] = random_number,
    ) -> None:
        super().__init__(LockOptions, LockOptions(key=key, ttl=ttl, poll=poll, timeout=timeout), intents, _check)
        self._random = checked_callable("random", random, "give a function that returns a number from 0 up to 1")
        self._locks = _checked_locks(locks)
        self._lines = lines_of(self._locks)
        self._holders: dict[str, Envelope[Any]] = {}
        """The dispatches under a lock, by its key."""

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link under the lock."""
        options = self._options.of(type(envelope.message))
        key = await key_of(options["key"], envelope)
        if _is_within(envelope, self._holders.get(key)):
            raise Deadlock([f"the lock {key!r}"])
        log = logging.getLogger(f"modd.{envelope.bus.name}")
        lease = LockLease(self._locks, self._lines, key, options["ttl"], log)
        try:
            await lease.acquire(lambda: options["poll"] * (0.5 + self._random()), options["timeout"])
            self._holders[key] = envelope
            await lease.run(envelope, call_next)
        finally:
            if self._holders.get(key) is envelope:
                del self._holders[key]
            await lease.release()


def _is_within(envelope: Envelope[Any], holder: Envelope[Any] | None) -> bool:
    """True if a dispatch is the holder of a lock, or runs within it."""
    origin: Origin | None = envelope
    while origin is not None and origin is not holder:
        origin = origin.outer
    return origin is not None


def _checked_locks(locks: Any) -> Locks:
    """Return the locks, `MemoryLocks` for None. Raises `InvalidOption`."""
    if locks is None:
        return MemoryLocks()
    methods, cure = ("acquire", "renew", "release"), "give a modd.ports.Locks, such as modd.stores.MemoryLocks()"
    return checked_methods("locks", locks, methods, cure, attribute="locks")  # type: ignore[no-any-return]


def _check(options: LockOptions) -> None:
    check_key(options.get("key"))
    checked_span("ttl", options.get("ttl"))
    checked_span("poll", options.get("poll"))
    checked_delay("timeout", options.get("timeout"))


class LockLease:
    """The lock of one dispatch: acquired, renewed while the work under it takes, and released.

    log: gets the failures that are not raised.
    """

    def __init__(self, locks: Locks, lines: LockLines, key: str, ttl: float, log: logging.Logger) -> None:
        self._locks, self._lines, self._key, self._ttl, self._log = locks, lines, key, ttl, log
        self._token = uuid4().hex
        self._renewing, self._work = anyio.CancelScope(), anyio.CancelScope()
        self.until = 0.0
        self.active = True

    @property
    def name(self) -> str:
        """The words for this lock in the log."""
        return f"the lock {self._key!r}"

    async def acquire(self, pause: Callable[[], float], timeout: float) -> None:
        """Wait in the line of the key, then try until the lock is acquired, with a pause between two tries.

        A lock that is free when the time is over is acquired. Raises `LockTimeout`.
        """
        deadline = anyio.current_time() + timeout
        is_first = await self._lines.enter(self._key, self, deadline)
        while not await self._try_acquire():
            left = deadline - anyio.current_time()
            if left <= TIME_PRECISION or not is_first:
                raise LockTimeout(self._key, timeout)
            await anyio.sleep(min(pause(), left))

    async def run(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link and renew the lock meanwhile. Raises `LockLost`, and errors from further in unchanged."""
        error: BaseException | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep)
                with self._work:
                    try:
                        await call(call_next, envelope)
                    except BaseException as raised:
                        error = raised  # the task group wraps it into a group
                        raise
                    finally:
                        self._renewing.cancel()
        except BaseException:
            if error is None or isinstance(error, anyio.get_cancelled_exc_class()):
                raise
        if not self.active:
            raise LockLost(self._key, self._ttl) from (error if isinstance(error, Exception) else None)
        if error is not None:
            raise error

    async def release(self) -> None:
        """Release the lock, also where it is uncertain that it was acquired; a cancellation waits for this."""
        try:
            with anyio.fail_after(self._ttl, shield=True):
                await call(self._locks.release, self._key, self._token)
        except Exception:
            self._log.warning("%s was not released; it ends by its ttl", self.name, exc_info=True)
        finally:
            self._lines.leave(self._key, self)

    async def renew(self) -> bool:
        """Ask the store to renew the lock; return False if it has lost the lock."""
        return await self._locks.renew(self._key, self._ttl, self._token)

    def lose(self) -> None:
        """Cancel the work under the lock, and let the next one in the line try, because the lock may be free."""
        self.active = False
        self._work.cancel()
        self._lines.leave(self._key, self)

    async def _try_acquire(self) -> bool:
        self.until = anyio.current_time() + self._ttl
        return await self._locks.acquire(self._key, self._ttl, self._token)

    async def _keep(self) -> None:
        with self._renewing:
            await LeaseKeeper(self._ttl, self._log).keep(self)
