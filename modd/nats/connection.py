"""The connection of a link, in a loop of asyncio: it is made again when it is lost, and sends calls in their order."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from modd.concurrency.loop_thread import Crossing, LoopTasks
from modd.nats.call import Call
from modd.nats.connecting import Connector, Pauses
from modd.nats.errors import LinkClosed, LinkLost, LinkRefused, NoAnswer
from modd.nats.options import LinkOptions
from modd.nats.session import Session, describe_error
from modd.nats.subscription import Inlet, Route

log = logging.getLogger("modd.nats")

CLOSE_TIMEOUT = 1.0
"""Seconds in which calls under way are finished when the link is closed."""


RETIRE_TIMEOUT = 5.0
"""Seconds in which calls under way are finished when the link leaves a server that asks it to."""


class LinkConnection:
    """The connection of a link; everything here runs in its loop.

    options: the options of the link.
    """

    def __init__(self, options: LinkOptions) -> None:
        self.name = options.name
        self.session: Session | None = None
        """The present session, or the last one."""
        self.refusal: str | None = None
        """The reason for which the servers refuse the link; None unless they do."""
        self.is_closed = False
        self._changed, self._added = asyncio.Event(), asyncio.Event()
        self._connector = Connector(options, self._changed.set)
        self._outgoing: OrderedDict[Call, None] = OrderedDict()
        self._routes: dict[Inlet, Route] = {}
        self._tasks = LoopTasks()

    @property
    def is_connected(self) -> bool:
        """True while there is a session that works."""
        return self.session is not None and not self.session.is_over

    def start(self, opened: Call) -> None:
        """Begin to connect; the call is finished when that is done, or has failed."""
        self._tasks.start(self._run(opened))

    def submit(self, call: Call, timeout: float) -> None:
        """Send a call as soon as there is a session; it fails after the timeout."""
        if self.is_closed or self.refusal is not None:
            call.finish(error=self._why_over())
            return
        call.timer = asyncio.get_running_loop().call_later(timeout, self._expire, call, timeout)
        self._add(call)

    def forget(self, call: Call) -> None:
        """Drop a call that nobody waits for."""
        call.finish()
        self._outgoing.pop(call, None)
        call.forget()

    async def subscribe(self, session: Session, call: Call, inlet: Inlet, route: Route) -> None:
        """Send a subscription, as a call: it is finished when the server has it."""
        self._routes[inlet] = route
        await session.subscribe(inlet, route.subject, route.queue)
        await session.flush(call)

    async def drain(self, session: Session, call: Call, inlet: Inlet) -> None:
        """End a subscription, as a call: it is finished when its last message has come."""
        self._routes.pop(inlet, None)
        await session.drain(call, inlet)

    def unsubscribe(self, inlet: Inlet) -> None:
        """End a subscription."""
        self._routes.pop(inlet, None)
        self._add(own_call(lambda session, _: session.unsubscribe(inlet)))

    def close(self, closed: Call) -> None:
        """Finish the calls under way, for a second, and end; the call is finished then."""
        self._tasks.start(self._close(closed))

    async def _run(self, opened: Call) -> None:
        """Have one session after another, until the link is closed or refused."""
        try:
            session: Session | None = await self._connector.connect()
        except Exception as error:
            opened.finish(error=error)
            return
        while session is not None and not self.is_closed:
            old, self.session = self.session, session
            session.tasks.start(self._send(session, old))
            opened.finish()
            session = await self._next(session)

    async def _next(self, session: Session) -> Session | None:
        """Return the session that follows: when this one is over, or when its server asks its clients to go."""
        while not (session.is_over or session.is_lame or self.is_closed):
            self._changed.clear()
            await self._changed.wait()
        self._connector.learn(session)
        following = await self._replace(session) if session.is_lame else None
        for inlet, route in [*self._routes.items()]:
            if not route.resume:
                self._end_route(inlet, LinkLost(self.name, "the connection was lost"))
        if following is None and not self.is_closed:
            log.warning("the link %r lost its connection (%s)", self.name, session.reason)
            self._added.set()
            self._tasks.start(session.close())
            following = await self._connect_again()
        if following is not None:
            log.info("the link %r is connected again, to %s", self.name, following.server)
        return following

    async def _replace(self, session: Session) -> Session | None:
        """Return a session with another server, while the present one goes on; None if that is over before."""
        pauses = Pauses()
        while not (session.is_over or self.is_closed):
            with suppress(LinkLost, LinkRefused):
                return await self._connector.connect(elsewhere=True)
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pauses.next())
        return None

    async def _connect_again(self) -> Session | None:
        """Return a new session; None if the link is refused."""
        pauses = Pauses()
        while True:
            await pauses.wait()
            try:
                return await self._connector.connect()
            except LinkLost:
                pass
            except LinkRefused as error:
                log.error("%s", error)
                self.refusal = error.reason
                self._end_all(self._why_over)
                return None

    async def _send(self, session: Session, old: Session | None) -> None:
        """Send the calls over a session, until it is over or another one takes its place.

        old: the session before; if it is not over, it ends when its calls have their answers.
        """
        for inlet, (subject, queue, _) in [*self._routes.items()]:
            await self._send_call(session, own_call(partial(subscribe_again, inlet, subject, queue)))
        if old is not None and not old.is_over:
            self._added.set()
            self._tasks.start(self._retire(old, session))
        while self._is_present(session):
            if self._outgoing:
                call, _ = self._outgoing.popitem(last=False)
                await self._send_call(session, call)
            else:
                self._added.clear()
                await self._added.wait()

    def _is_present(self, session: Session) -> bool:
        return session is self.session and not session.is_over

    async def _send_call(self, session: Session, call: Call) -> None:
        try:
            await call.send(session, call)
        except Exception as error:  # of nats-py, before it sends: this server takes smaller messages than the last one
            session.forget(call)
            call.finish(error=LinkLost(self.name, f"the call failed ({describe_error(error)})", sent=False))

    async def _retire(self, old: Session, new: Session) -> None:
        """End a session whose place another one takes, when the calls over it are answered."""
        flush = own_call(Session.flush)
        await new.flush(flush)
        with suppress(LinkLost):
            await flush.outcome()
        old.is_silent = True
        with suppress(TimeoutError):
            await asyncio.wait_for(old.idle(), RETIRE_TIMEOUT)
        await old.close()

    async def _close(self, closed: Call) -> None:
        self.is_closed = True
        if self.session is not None and not self.session.is_over:
            await self._finish(self.session)
        await self._connector.close()
        self._end_all(lambda: LinkClosed(self.name))
        await self._tasks.end(CLOSE_TIMEOUT)
        await self._connector.close()  # nats-py may have suppressed the cancellation of a task that connects
        closed.finish()

    async def _finish(self, session: Session) -> None:
        """Wait until the calls under way are sent and answered, for a second at most."""
        flush = own_call(Session.flush)
        self._add(flush)
        with suppress(TimeoutError, LinkLost):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await flush.outcome()
                await session.idle()

    def _end_all(self, error: Callable[[], Exception]) -> None:
        """Have all calls and subscriptions fail."""
        for call in self._outgoing:
            call.finish(error=error())
        self._outgoing.clear()
        for inlet in [*self._routes]:
            self._end_route(inlet, error())

    def _end_route(self, inlet: Inlet, error: Exception) -> None:
        del self._routes[inlet]
        inlet.end(error)

    def _add(self, call: Call) -> None:
        self._outgoing[call] = None
        self._added.set()

    def _expire(self, call: Call, timeout: float) -> None:
        if call in self._outgoing:
            del self._outgoing[call]
            call.finish(error=LinkLost(self.name, f"no connection took it within {timeout:g} s", sent=False))
            return
        call.forget()
        call.finish(error=NoAnswer(self.name, call.subject, timeout))

    def _why_over(self) -> Exception:
        return LinkClosed(self.name) if self.refusal is None else LinkRefused(self.name, self.refusal)


async def subscribe_again(inlet: Inlet, subject: str, queue: str, session: Session, call: Call) -> None:
    """Have the messages of a subject come by a new session."""
    await session.subscribe(inlet, subject, queue)


def own_call(send: Callable[[Any, Call], Awaitable[None]]) -> Call:
    """Return a call that the connection makes itself."""
    return Call(Crossing(None, direct=True), send)
