"""The connection of a link, in a loop of asyncio: it connects, connects again, and sends the calls in their order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from random import shuffle, uniform
from typing import Any

from modd.concurrency.backoff import DoublingPause
from modd.concurrency.loop_thread import Crossing
from modd.nats.call import Call
from modd.nats.errors import LinkClosed, LinkLost, LinkRefused, NoAnswer, join_reasons
from modd.nats.options import LinkOptions
from modd.nats.refusal import is_refusal
from modd.nats.session import Session, describe_error
from modd.nats.subscription import Inlet, Route

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two attempts to connect again."""


CLOSE_TIMEOUT = 1.0
"""Seconds in which calls under way are finished when the link is closed."""


class LinkConnection:
    """The connection of a link; everything here runs in its loop.

    options: the options of the link.
    """

    def __init__(self, options: LinkOptions) -> None:
        self.name, self._options = options.name, options
        self.session: Session | None = None
        self.refusal: str | None = None
        self.is_closed = False
        self._discovered: list[str] = []
        self._outgoing: OrderedDict[Call, None] = OrderedDict()
        self._routes: dict[Inlet, Route] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed, self._added = asyncio.Event(), asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """True while there is a session that works."""
        return self.session is not None and not self.session.is_over

    @property
    def waiting(self) -> int:
        """The number of calls that are not sent yet."""
        return len(self._outgoing)

    def start(self, opened: Call) -> None:
        """Begin to connect; the call is finished when that is done, or has failed."""
        self._spawn(self._run(opened))

    def submit(self, call: Call, timeout: float) -> None:
        """Send a call as soon as there is a connection; it fails after the timeout."""
        if self.is_closed or self.refusal is not None:
            call.finish(error=self._why_over())
            return
        call.timer = asyncio.get_running_loop().call_later(timeout, self._expire, call, timeout)
        self._outgoing[call] = None
        self._added.set()

    def forget(self, call: Call) -> None:
        """Drop a call that nobody waits for."""
        call.finish()
        self._outgoing.pop(call, None)
        if self.session is not None:
            self.session.forget(call)

    async def subscribe(self, session: Session, call: Call, inlet: Inlet, route: Route) -> None:
        """Send a subscription, as a call: it is finished when the server has it."""
        self._routes[inlet] = route
        await session.subscribe(inlet, route.subject, route.queue)
        await session.flush(call)

    def unsubscribe(self, inlet: Inlet) -> None:
        """End a subscription."""
        self._routes.pop(inlet, None)
        if self.session is not None:
            self._spawn(self.session.unsubscribe(inlet))

    def close(self, closed: Call) -> None:
        """Finish the calls under way, for a second, and end; the call is finished then."""
        self._spawn(self._close(closed))

    async def _run(self, opened: Call) -> None:
        session = None
        try:
            session = await self._connect()
        except (LinkLost, LinkRefused) as error:
            opened.finish(error=error)
        old = None
        while session is not None and not self.is_closed:
            self.session = session
            self._spawn(self._send(session, old))
            opened.finish()
            old, session = session, await self._next(session)
        if session is not None:
            await session.close()

    async def _next(self, session: Session) -> Session | None:
        """Return the session that follows when this one is over, or when its server asks its clients to go."""
        while not (session.is_over or session.is_lame or self.is_closed):
            self._changed.clear()
            await self._changed.wait()
        if session.is_lame:
            replacement = await self._replace(session)
            if replacement is not None:
                return replacement
        self._added.set()
        for inlet, route in [*self._routes.items()]:
            if not route.resume:
                self._end_route(inlet, LinkLost(self.name, "the connection was lost"))
        await session.close()
        return await self._connect_again()

    async def _replace(self, session: Session) -> Session | None:
        """Return a session with another server, while the present one goes on; None if it is over before."""
        pause = DoublingPause(2 * SHORTEST_PAUSE, LONGEST_PAUSE)
        while not (session.is_over or self.is_closed):
            with suppress(LinkLost, LinkRefused):
                return await self._connect(avoid=session.server)
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause.next())
        return None

    async def _connect_again(self) -> Session | None:
        """Return a new session; None if the link is refused or closed."""
        pause = DoublingPause(2 * SHORTEST_PAUSE, LONGEST_PAUSE)
        while not self.is_closed:
            await asyncio.sleep(uniform(SHORTEST_PAUSE, pause.next()))
            try:
                return await self._connect()
            except LinkLost:
                pass
            except LinkRefused as error:
                self.refusal = error.reason
                self._end_all(self._why_over)
                return None
        return None

    async def _connect(self, avoid: str = "") -> Session:
        """Return a session with the first server that accepts it. Raises `LinkLost`, `LinkRefused`."""
        failures: dict[str, Exception] = {}
        for server in self._servers(avoid):
            session = Session(self.name, server, self._note_change, secure=self._options.secure)
            try:
                await session.open(self._options.connect_timeout, self._options.client)
            except Exception as error:
                failures[server] = error
                await session.close()
            except asyncio.CancelledError:
                await session.close()
                raise
            else:
                self._discovered = session.discovered
                return session
        reasons = join_reasons(f"{describe_error(error)} ({server})" for server, error in failures.items())
        if any(map(is_refusal, failures.values())):
            raise LinkRefused(self.name, reasons)
        raise LinkLost(self.name, f"no server can be reached: {reasons}", sent=False)

    def _servers(self, avoid: str) -> list[str]:
        """Return the addresses to try, in random order."""
        servers = [each for each in dict.fromkeys([*self._options.servers, *self._discovered]) if each != avoid]
        shuffle(servers)
        return servers

    async def _send(self, session: Session, old: Session | None) -> None:
        """Send the calls over a session until it is over or another one takes its place.

        old: the session before; if it is not over, it ends when its calls have their answers.
        """
        for inlet, route in [*self._routes.items()]:
            await session.subscribe(inlet, route.subject, route.queue)
        if old is not None and not old.is_over:
            self._spawn(self._retire(old, session))
        while session is self.session and not session.is_over:
            while self._outgoing and session is self.session and not session.is_over:
                call, _ = self._outgoing.popitem(last=False)
                await self._send_call(session, call)
            self._added.clear()
            await self._added.wait()

    async def _send_call(self, session: Session, call: Call) -> None:
        try:
            await call.send(session, call)
        except Exception as error:
            session.forget(call)
            call.finish(error=LinkLost(self.name, f"the call failed ({describe_error(error)})"))

    async def _retire(self, old: Session, new: Session) -> None:
        """End a session whose place another one takes, when the calls over it are answered, within a second."""
        self._added.set()
        await new.client.round_trip()
        old.is_silent = True
        with suppress(TimeoutError):
            await asyncio.wait_for(old.idle(), CLOSE_TIMEOUT)
        await old.close()

    async def _close(self, closed: Call) -> None:
        self.is_closed = True
        session = self.session
        if session is not None and not session.is_over:
            flush = Call(Crossing(None, direct=True), Session.flush)
            self._outgoing[flush] = None
            self._added.set()
            await self._finish(session, flush)
            await session.close()
        self._end_all(lambda: LinkClosed(self.name))
        await self._end_tasks()
        closed.finish()

    async def _finish(self, session: Session, flush: Call) -> None:
        """Wait until no call is under way, for a second at most."""
        with suppress(TimeoutError, LinkLost):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await flush.outcome()
                await session.idle()

    async def _end_tasks(self) -> None:
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)

    def _end_all(self, error: Callable[[], Exception]) -> None:
        """Have all calls and subscriptions fail."""
        for call in self._outgoing:
            call.finish(error=error())
        self._outgoing.clear()
        for inlet in [*self._routes]:
            self._end_route(inlet, error())

    def _end_route(self, inlet: Inlet, error: Exception) -> None:
        self._routes.pop(inlet)
        inlet.end(error)

    def _expire(self, call: Call, timeout: float) -> None:
        if call in self._outgoing:
            del self._outgoing[call]
            call.finish(error=LinkLost(self.name, f"no connection within {timeout:g} s", sent=False))
            return
        if self.session is not None:
            self.session.forget(call)
        call.finish(error=NoAnswer(self.name, call.subject, timeout))

    def _why_over(self) -> Exception:
        return LinkClosed(self.name) if self.refusal is None else LinkRefused(self.name, self.refusal)

    def _note_change(self) -> None:
        self._changed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # in an empty context: the task that opens the link may be inside of a turn or a transaction
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
