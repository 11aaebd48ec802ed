"""One at a time for each key (MI-32, MI-33)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.errors import Deadlock, InvalidOption
from modd.message import Message
from modd.middleware.hold import Hold
from modd.middleware.keyed import Buses, Key, checked_key, key_of
from modd.middleware.options import Options
from modd.origin import Origin
from modd.ports.checks import checked_delay, checked_span
from modd.ports.locks import Locks
from modd.stores.memory_locks import MemoryLocks

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
