"""One at a time for each key (MI-32, MI-33)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypedDict
from uuid import uuid4

import anyio

from modd.checks import checked_delay, checked_span
from modd.concurrency.backoff import TIME_PRECISION
from modd.concurrency.lease import LeaseKeeper
from modd.core import Message, Origin
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import LockTimeout
from modd.errors import Deadlock, InvalidOption, ModdError
from modd.middleware.bus_keys import Buses, Key, checked_key, key_of
from modd.middleware.options import Options
from modd.ports.locks import Locks
from modd.stores.memory.locks import MemoryLocks

_PORT = ("acquire", "renew", "release")


class LockOptions(TypedDict, total=False):
    """What may differ for a type; see `Lock`."""

    key: Key
    ttl: float
    poll: float
    timeout: float


class Lock:
    """Lets in one dispatch at a time for each key, and has the others wait; raises `LockTimeout` for those in vain.

    The lock is renewed for as long as it is held, however long that takes. If that fails, because the store has lost
    the lock or does not answer for ``ttl`` seconds, what is further in is cancelled and `LockLost` is raised. A handler
    that keeps the loop from running others for as long as that is not protected.

    The lock is not to be had twice: a handler that dispatches a message under the key of its own lock gets a `Deadlock`
    at once. It does so from a task that it leaves running, too, unless that was started under `modd.detached()`. Only
    this very `Lock` sees that: with another one on the same store, and where two handlers wait for each other's locks,
    the wait is in vain. A failure to release it is logged, and the lock ends by its ttl.

    key: a function of the envelope, sync or async, whose text says what is locked. Buses of different names are
        apart, although they share a store: the name of the bus is part of the key. Buses of one name that share a
        store, in several processes say, exclude each other.
    locks: where locks are kept; by default in the memory of this process, where they exclude nothing but what is in it.
    ttl: for how many seconds a lock is held if it is not renewed, because the process failed; more than 0.
    poll: how many seconds are between two tries to get it, more than 0.
    timeout: how many seconds to try for; at least one try is made, and with 0 no more than one.
    intents: by message type, what differs.

    Raises `InvalidOption`; while dispatching, `LockTimeout`, `LockLost` and `Deadlock` (MI-32, MI-33, MI-60).
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
    ) -> None:
        given = LockOptions(key=key, ttl=ttl, poll=poll, timeout=timeout)
        self._options: Options[Any] = Options("Lock", LockOptions, given, intents, _check)
        self._locks, self._buses = _checked_locks(locks), Buses("Lock")
        self._holders: dict[str, Envelope[Any]] = {}
        """The dispatches that hold a lock now, by its key."""

    def bind(self, bus: Any) -> None:
        """Raise `InvalidOption` for a second bus of one name."""
        self._buses.add(bus)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on, as soon as nobody else holds the lock."""
        options = self._options.of(type(envelope.message))
        key = await key_of(options["key"], envelope)
        if _is_within(envelope, self._holders.get(key)):
            raise Deadlock([f"the lock {key!r}"])
        lease = LockLease(self._locks, key, options["ttl"], logging.getLogger(f"modd.{envelope.bus.name}"))
        try:
            await lease.acquire(options["poll"], options["timeout"])
            self._holders[key] = envelope
            await lease.run(envelope, call_next)
        finally:
            if self._holders.get(key) is envelope:
                del self._holders[key]
            await lease.release()


def _is_within(envelope: Envelope[Any], holder: Envelope[Any] | None) -> bool:
    """Whether a dispatch goes on inside of another one, or is that."""
    origin: Origin | None = envelope
    while origin is not None and origin is not holder:
        origin = origin.outer
    return origin is not None


def _checked_locks(given: Any) -> Locks:
    if given is None:
        return MemoryLocks()
    if isinstance(given, type) or not all(callable(getattr(given, name, None)) for name in _PORT):
        raise InvalidOption("locks", given, "give a modd.ports.Locks, such as modd.stores.MemoryLocks()")
    return given  # type: ignore[no-any-return]


def _check(options: LockOptions) -> None:
    checked_key(options.get("key"))
    checked_span("ttl", options.get("ttl"))
    checked_span("poll", options.get("poll"))
    checked_delay("timeout", options.get("timeout"))


class LockLost(ModdError, RuntimeError):
    """A lock ended while it was held, so that others may have come in; what it was held for was cancelled (MI-33)."""

    def __init__(self, key: str, ttl: float) -> None:
        self.key, self.ttl = key, ttl
        super().__init__(
            f"the lock {key!r} was lost: it could not be renewed in the {ttl:g} s for which it is held; give a longer "
            "ttl, and let nothing keep the loop from running others for as long as that"
        )


class LockLease:
    """The lock of one dispatch: acquired, renewed while the work under it takes, and released.

    log: gets the failures that are not raised.
    """

    def __init__(self, locks: Locks, key: str, ttl: float, log: logging.Logger) -> None:
        self._locks, self._key, self._ttl, self._log = locks, key, ttl, log
        self._token = uuid4().hex
        self._renewing, self._work = anyio.CancelScope(), anyio.CancelScope()
        self.until = 0.0
        self.active = True

    @property
    def name(self) -> str:
        """The words for this lock in the log."""
        return f"the lock {self._key!r}"

    async def acquire(self, poll: float, timeout: float) -> None:
        """Try every ``poll`` seconds until the lock is acquired. Raises `LockTimeout`."""
        deadline = anyio.current_time() + timeout
        while not await self._try_acquire():
            left = deadline - anyio.current_time()
            if left <= TIME_PRECISION:
                raise LockTimeout(self._key, timeout)
            await anyio.sleep(min(poll, left))

    async def run(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link and renew the lock meanwhile. Raises `LockLost`, and errors from further in unchanged."""
        error: BaseException | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep)
                with self._work:
                    try:
                        await call_next(envelope)
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
                await self._locks.release(self._key, self._token)
        except Exception:
            self._log.warning("%s was not released; it ends by its ttl", self.name, exc_info=True)

    async def renew(self) -> bool:
        """Ask the store to renew the lock; return False if it has lost the lock."""
        return await self._locks.renew(self._key, self._ttl, self._token)

    def lose(self) -> None:
        """Cancel the work under the lock."""
        self.active = False
        self._work.cancel()

    async def _try_acquire(self) -> bool:
        self.until = anyio.current_time() + self._ttl
        return await self._locks.acquire(self._key, self._ttl, self._token)

    async def _keep(self) -> None:
        with self._renewing:
            await LeaseKeeper(self._ttl, self._log).keep(self)
