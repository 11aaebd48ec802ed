"""One at a time for each key (MI-32, MI-33)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypedDict
from uuid import uuid4

import anyio

from modd.checks import checked_delay, checked_span
from modd.concurrency.backoff import INSTANT
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
    tick: float
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
    tick: how many seconds are between two tries to get it, more than 0.
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
        tick: float = 0.1,
        timeout: float = 5.0,
        intents: Mapping[type[Message], LockOptions] = {},
    ) -> None:
        given = LockOptions(key=key, ttl=ttl, tick=tick, timeout=timeout)
        self._options: Options[Any] = Options("Lock", LockOptions, given, intents, _check)
        self._locks, self._buses = _checked_locks(locks), Buses("Lock")
        self._held: dict[str, Envelope[Any]] = {}
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
        if _is_within(envelope, self._held.get(key)):
            raise Deadlock([f"the lock {key!r}"])
        hold = Hold(self._locks, key, options["ttl"], f"modd.{envelope.bus.name}")
        try:
            await hold.acquire(options["tick"], options["timeout"])
            self._held[key] = envelope
            await hold.run(envelope, call_next)
        finally:
            if self._held.get(key) is envelope:
                del self._held[key]
            await hold.release()


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
    checked_span("tick", options.get("tick"))
    checked_delay("timeout", options.get("timeout"))


SHARE = 3
"""A lock is renewed so many times in its time to live, so that it is kept if one of them fails."""


class LockLost(ModdError, RuntimeError):
    """A lock ended while it was held, so that others may have come in; what it was held for was cancelled (MI-33)."""

    def __init__(self, key: str, ttl: float) -> None:
        self.key, self.ttl = key, ttl
        super().__init__(
            f"the lock {key!r} was lost: it could not be renewed in the {ttl:g} s for which it is held; give a longer "
            "ttl, and let nothing keep the loop from running others for as long as that"
        )


class Hold:
    """A lock that is held for one dispatch; ``logger`` is the name of the log for what fails without being raised."""

    def __init__(self, locks: Locks, key: str, ttl: float, logger: str) -> None:
        self._locks, self._key, self._ttl = locks, key, ttl
        self._log = logging.getLogger(logger)
        self._token = uuid4().hex
        self._end = 0.0
        """Until when it is held for certain."""
        self._renewing, self._passing = anyio.CancelScope(), anyio.CancelScope()
        self._lost = False

    async def acquire(self, tick: float, timeout: float) -> None:
        """Try until it is got. Raises `LockTimeout`."""
        deadline = anyio.current_time() + timeout
        while not await self._acquired():
            left = deadline - anyio.current_time()
            if left <= INSTANT:
                raise LockTimeout(self._key, timeout)
            await anyio.sleep(min(tick, left))

    async def run(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on, and renew the lock meanwhile. Raises `LockLost`, and what is raised further in as it is."""
        error: BaseException | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._renew)
                with self._passing:
                    try:
                        await call_next(envelope)
                    except BaseException as raised:
                        error = raised  # the task group will put it into a group
                        raise
                    finally:
                        self._renewing.cancel()
        except BaseException:
            if error is None or isinstance(error, anyio.get_cancelled_exc_class()):
                raise
        self._conclude(error)

    async def release(self) -> None:
        """End the lock, if it is held or may be; a cancellation has to wait for that."""
        try:
            with anyio.fail_after(self._ttl, shield=True):
                await self._locks.release(self._key, self._token)
        except Exception:
            self._log.warning("the lock %r was not released; it ends by its ttl", self._key, exc_info=True)

    async def _acquired(self) -> bool:
        asked = anyio.current_time()
        self._end = asked + self._ttl
        return await self._locks.acquire(self._key, self._ttl, self._token)

    async def _renew(self) -> None:
        """Keep the lock; if that fails, cancel what it is held for."""
        with self._renewing:
            while (left := self._end - anyio.current_time()) > INSTANT:
                await anyio.sleep(min(self._ttl / SHARE, left))
                if not await self._renewed():
                    break
        if not self._renewing.cancel_called:
            self._lost = True
            self._passing.cancel()

    async def _renewed(self) -> bool:
        """Whether it is held as far as is known; an error tells nothing, nor does a store that does not answer."""
        asked = anyio.current_time()
        try:
            with anyio.CancelScope(deadline=self._end):
                if not await self._locks.renew(self._key, self._ttl, self._token):
                    return False
                self._end = asked + self._ttl
        except Exception:
            self._log.warning("the lock %r was not renewed; it is tried again", self._key, exc_info=True)
        return True

    def _conclude(self, error: BaseException | None) -> None:
        if self._lost:
            raise LockLost(self._key, self._ttl) from (error if isinstance(error, Exception) else None)
        if error is not None:
            raise error
