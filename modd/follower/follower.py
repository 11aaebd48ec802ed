"""The `Follower`: begin reading here. It carries the log of events to flows and projections."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

import anyio

from modd.checks import checked_count, checked_delay, checked_name, checked_span
from modd.concurrency.backoff import Backoff
from modd.concurrency.loops import call_in_task, check_loop, current_loop, is_over
from modd.concurrency.polling import Polling
from modd.errors import Deadlock, InvalidOption
from modd.follower.catch_up import CatchUp
from modd.follower.command_worker import CommandWorker
from modd.follower.engine import Engine, EngineOptions
from modd.follower.errors import UnknownPart
from modd.follower.flow_track import FlowTrack
from modd.follower.halves import Halves
from modd.follower.lag import Lag, lag_at
from modd.follower.loop import EngineLoop
from modd.follower.parts import checked_command_buses, checked_parts, checked_storage, sources_of
from modd.follower.projection_track import ProjectionSource
from modd.follower.rebuilding import Rebuild
from modd.follower.stuck import Stuck, StuckInstances, skip_event
from modd.follower.track import INLINE, TrackSource
from modd.ports.storage import Storage
from modd.worker import AlreadyRunning
from modd.worker.retry import BackoffFunction, RetryRules, checked_backoff

log = logging.getLogger("modd.follower")


inside: ContextVar[frozenset[Any]] = ContextVar("modd_follower_inside", default=frozenset())
"""The followers whose commands are handled around the current code."""


class Follower:
    """Carries the events of a store to flows and projections: each event once, in the order of the log.

    ``await Follower(store, [fulfilment, sales], commands=desk).run()`` works until you call ``stop()``; `run_workers`
    runs it beside workers. In tests, ``await follower.catch_up()`` does everything that there is to do.

    For one event, the state of a flow, its commands, its timeouts and the position are one commit. Several processes
    may run followers with the same parts: one of them moves each part, and a second one goes on when that ends.

    Commands are handled at least once, and their effects in the transaction of the store exactly once: by a worker on a
    queue, or, for a single command of a flow that is not behind, in the commit of the step that sends it.

    A flow whose function fails is set aside with its event, and its later events wait; other instances go on
    (`stuck`, `resume`, `skip`). A projection that fails stops before the event, and tries again (`lag`, `skip`).

    store: the store with the events, such as a `modd.stores.SqliteStore`. All writes go to it.
    parts: flows and projections, each with a unique name.
    commands: the typed bus that handles the commands of flows, or a `Bus` around some. It is opened for a run, unless
        it is open. None, the default, for no flows.
    batch: events of a commit; None, the default, for 256 near the end of the log and up to 4 096 while behind.
    attempts: number of attempts after which a flow that fails is left to you, and a command that fails becomes a dead
        letter of the queue ``<name> commands``; 10 by default.
    backoff: delays between attempts, as in a `Worker`; "exponential" by default.
    lease: seconds after which a second process takes over a part, and a command, of one that has died; 30 by default.
    poll: most seconds between two looks at the log, and at the parts that a second process has; 1 by default.
    drain: seconds that handlers of commands have to end after `stop`, 30 by default.
    name: the name of the queue of commands, "follower" by default. Followers with the same flows have the same name.

    Raises:
        InvalidOption: an option has a value that cannot work, two parts have one name, or flows are without commands.
    """

    def __init__(
        self,
        store: Storage,
        parts: Iterable[Any],
        *,
        commands: Any = None,
        batch: int | None = None,
        attempts: int = 10,
        backoff: Backoff | BackoffFunction = "exponential",
        lease: float = 30.0,
        poll: float = 1.0,
        drain: float = 30.0,
        name: str = "follower",
    ) -> None:
        self.name, self._store = checked_name(name), checked_storage(store)
        self.parts = checked_parts(parts)
        """The flows and projections."""
        self._drain = checked_delay("drain", drain)
        retry = RetryRules(checked_count("attempts", attempts), checked_backoff(backoff), ())
        size = None if batch is None else checked_count("batch", batch)
        options = EngineOptions(size, retry.backoff, checked_span("lease", lease), checked_span("poll", poll))
        self._commands: CommandWorker | None = None
        buses = checked_command_buses(self.parts, commands, store)
        if buses is not None:
            limits: dict[str, Any] = {"attempts": attempts, "backoff": backoff, "lease": lease, "poll": poll}
            self._commands = CommandWorker(store, self.name, buses, drain=drain, **limits)
        self._sources = sources_of(self.parts, store, self._commands, retry, log)
        self._options = options
        self._engine = Engine(store, [*self._sources.values()], options, log)
        self._polling = Polling(options.poll, store.clock)
        self._loop = EngineLoop(self._engine, self._polling, log)
        self._halves = Halves(self._loop, self._commands)
        self._catch_up = CatchUp(store, self._engine, self._loop, self._commands)
        self._event_loop: Any = None
        self._busy: anyio.Event | None = None
        """Set when the catching up that is under way ends."""
        self._stop_next = False
        """True if `stop` was called while the follower did not run."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} of {', '.join(self._sources)}>"

    @property
    def drain(self) -> float:
        """Seconds that handlers of commands have to end after `stop`."""
        return self._drain

    @property
    def last_polled(self) -> float | None:
        """The time of the last look at the log, for health checks; None before the first."""
        return self._polling.last

    @property
    def poll(self) -> float:
        """Most seconds between two looks at the log."""
        return self._options.poll

    @property
    def label(self) -> str:
        """The words for the follower in a status: ``follower`` and its name, unless it has the default name."""
        return " ".join(dict.fromkeys(["follower", self.name]))

    async def wait_ready(self) -> None:
        """Return when the run that is under way, or else the next one, has looked at the log."""
        await self._polling.wait()

    def problem(self) -> str | None:
        """Return the words for a follower that does not do its work now; None if it is well.

        It is not well before the first look at the log, and when `last_polled` is more than 5 seconds, and three times
        ``poll``, ago.
        """
        return self._polling.problem(self.last_polled)

    def stop(self) -> None:
        """Have `run` end after the commit that is under way, and wait up to ``drain`` seconds for commands.

        If the follower does not run, its next `run` ends at once. Call `stop` from any task, thread or loop.
        """
        if self._is_running:
            call_in_task(self._event_loop, self._halves.stop)
        else:
            self._stop_next = True

    async def run(self) -> None:
        """Follow the log until stopped; failures of the store are logged, and tried again.

        Raises: `AlreadyRunning`; the error of a store that is used in a wrong way, such as one that is not open.
        """
        stop_now, self._stop_next = self._stop_next, False
        if stop_now:
            return
        if self._is_running:
            check_loop(repr(self), self._event_loop)
            raise AlreadyRunning(repr(self))
        while self._busy is not None:
            await self._busy.wait()
        if self._stop_next:  # meanwhile
            self._stop_next = False
            return
        self._event_loop = current_loop()
        self._loop.begin()
        token = inside.set(inside.get() | {self})
        try:
            await self._halves.run()
        finally:
            inside.reset(token)
            self._loop.end()

    async def catch_up(self) -> None:
        """Return when every event, and everything that followed from it, is done: commands and due timeouts, too.

        So tests need no sleep, and a program that wrote can read what follows from it. It does the work, unless the
        follower runs in a second task or process; then it waits for that. It does not wait for attempts that are due
        later.

        Raises: `PartStopped` if a part cannot be opened, or stands before an event that it cannot do; `Deadlock` in
        the handler of a command of this follower.
        """
        if self in inside.get():
            raise Deadlock([repr(self), "the handler of a command that it waits for"])
        while self._is_running or self._busy is not None:
            if self._busy is not None:
                await self._busy.wait()
            elif await self._catch_up.watch():
                return
        busy = self._busy = anyio.Event()
        token = inside.set(inside.get() | {self})
        try:
            await self._catch_up.work()
        finally:
            inside.reset(token)
            self._busy = None
            busy.set()

    async def lag(self, part: Any) -> Lag:
        """Return the distance of a flow or a projection to the end of the log. part: the part, or its name."""
        source = self._source(part)
        key, reason = await source.live(), self._engine.parts[source.name].reason
        if key == INLINE:
            return Lag(0, 0.0, reason)
        cursor = None if key is None else await self._engine.standing(key)
        position, failure = (0, None) if cursor is None else (cursor.position, cursor.failure)
        return await lag_at(self._store, position, reason if failure is None else failure.reason)

    async def stuck(self, flow: Any) -> list[Stuck]:
        """Return the instances of a flow that are set aside. flow: the flow, or its name."""
        return await self._stuck(flow).all()

    async def resume(self, flow: Any, id: str) -> None:
        """Have an instance of a flow that is set aside try again, with as many attempts as at first.

        flow: the flow, or its name. id: that of the instance, as `stuck` tells it. Raises `NotStuck`.
        """
        await self._stuck(flow).resume(id)
        self._engine.wake()

    async def skip(self, part: Any, id: str | int | None = None, *, position: int | None = None) -> None:
        """Have a part pass over an event that it cannot do.

        part: the part, or its name. id: for a flow, the instance that is set aside; for a projection, the position.
        position: that of an event before which a part stands, as `lag` and the log tell it. Raises `NotStuck`.
        """
        source = self._source(part)
        if isinstance(source, FlowTrack) and id is not None:
            await self._stuck(part).skip(str(id))
        else:
            at: Any = id if position is None else position
            await skip_event(self._store, source.name, at)
        self._engine.wake()

    async def rebuild(self, projection: Any, progress: Callable[[int, int], object] | None = None) -> None:
        """Build a projection anew from the first event, beside the build that serves, and switch when it is done.

        It works beside `run`, here and in other processes. One that was cut short goes on where it was.

        projection: the projection, or its name. progress: called with the position that the new build has come to, and
        the last position of the log; None, the default, for no calls.

        Raises: `PartStopped` if it stands before an event that it cannot do, `modd.projection.OutdatedProjection` if
        the store has a newer version, `InvalidOption` for a flow.
        """
        source = self._source(projection)
        if not isinstance(source, ProjectionSource):
            raise InvalidOption("projection", projection, "a flow is never built anew, because it has sent commands")
        await Rebuild(source.again(), self._store, self._options, log).run(progress)
        self._engine.reopen(source.name)

    @property
    def _is_running(self) -> bool:
        return self._loop.is_running and not is_over(self._event_loop)

    def _source(self, part: Any) -> TrackSource:
        """Return the source of a part, or of its name. Raises `UnknownPart`."""
        name = getattr(part, "name", part)
        if name not in self._sources:
            raise UnknownPart(str(name), self._sources)
        return self._sources[name]

    def _stuck(self, flow: Any) -> StuckInstances:
        return StuckInstances(self._store, self._source(flow).name)
