"""The link of an application to NATS servers. Begin reading here; `modd.nats.connection` has the connection."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from ssl import SSLContext
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import anyio

from modd.checks import checked_count, checked_span
from modd.concurrency.cancellation import native_requests, put_off
from modd.concurrency.lifespan import Lifespan
from modd.concurrency.loop_thread import Crossing, start_loop_thread
from modd.concurrency.loops import check_loop, current_loop
from modd.extras import require_extra
from modd.nats.call import Call
from modd.nats.errors import LinkClosed
from modd.nats.message import NatsMessage
from modd.nats.options import LinkOptions, checked_options
from modd.nats.sending import checked_message, checked_pattern
from modd.nats.subscription import Inlet, NatsSubscription, Route

LinkStatus: TypeAlias = Literal["connected", "reconnecting", "refused", "closed"]


UNSENT_LIMIT = 256 * 1024
"""The bytes that `Link.publish` hands over before it waits until they are sent."""


MESSAGE_COST = 1024
"""The bytes that a message counts in addition to its body."""


class Link:
    """A link to NATS servers, which connects again by itself: ``async with Link("nats://localhost:4222", name=...)``.

    servers: the address of a server, or a list of them; it learns those of the other servers of a cluster.
    name: the name of the application, which the servers show in their monitoring.
    user, password: texts; by default none.
    token: a text; by default none.
    credentials: the path of a file with credentials; by default none.
    nkey: the path of a file with the seed of a key; by default none.
    tls: the ``ssl.SSLContext`` to use. By default TLS is used if the server asks for it, or the address is ``tls://``.
    connect_timeout: seconds that each server has to accept a connection, 5 by default.
    timeout: seconds that a call has by default, 5 by default.
    monitor: the addresses of the servers' monitoring, such as ``"http://localhost:8222"``; by default none.

    Raises:
        InvalidOption: an option has a value that cannot work.
        MissingExtra: the extra ``nats`` is not installed.
        LinkLost: at the opening: no server can be reached.
        LinkRefused: at the opening: the servers refuse the link.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        *,
        name: str,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        credentials: str | os.PathLike[str] | None = None,
        nkey: str | os.PathLike[str] | None = None,
        tls: SSLContext | None = None,
        connect_timeout: float = 5.0,
        timeout: float = 5.0,
        monitor: str | Sequence[str] | None = None,
    ) -> None:
        require_extra("modd.nats.Link", "nats", "nats.aio.client")
        auth = {"user": user, "password": password, "token": token, "credentials": credentials, "nkey": nkey}
        self._options: LinkOptions = checked_options(servers, name, auth, tls, (connect_timeout, timeout), monitor)
        self._lifespan = Lifespan(f"the link {name!r}")
        self._connection: Any = None
        self._unsent = 0
        self._loop: Any = None
        self._home: Any = None
        self._away: Any = None

    def __repr__(self) -> str:
        return f"<Link {self.name} {self.status}>"

    @property
    def name(self) -> str:
        """The name of the link."""
        return self._options.name

    @property
    def timeout(self) -> float:
        """The seconds that a call has by default."""
        return self._options.timeout

    @property
    def monitor(self) -> tuple[str, ...]:
        """The addresses of the servers' monitoring."""
        return self._options.monitor

    @property
    def status(self) -> LinkStatus:
        """The state of the link: ``"connected"``, ``"reconnecting"``, ``"refused"`` or ``"closed"``."""
        if self._connection is None or self._connection.is_closed:
            return "closed"
        if self._connection.refusal is not None:
            return "refused"
        return "connected" if self._connection.is_connected else "reconnecting"

    @property
    def max_payload(self) -> int:
        """The most bytes of headers and body together, as the server says. Raises `LinkClosed`."""
        return int(self._open_connection().session.client.max_payload)

    @property
    def server_version(self) -> tuple[int, int, int]:
        """The version of the server that the link is connected to, or was last. Raises `LinkClosed`."""
        version: tuple[int, int, int] = self._open_connection().session.client.version
        return version

    async def request(
        self, subject: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> NatsMessage:
        """Send a message and return the answer to it.

        subject: the subject, without wildcards. body: the content. headers: headers; by default none.
        timeout: seconds for the answer; by default those of the link. They include the wait for a connection.

        Raises:
            NobodyThere: nobody subscribes to the subject.
            NoAnswer: no answer came in time.
            LinkLost: the connection was lost before the answer, or there was none in time.
            LinkRefused, LinkClosed: the link does not connect again.
            NotPermitted: the server does not permit it.
            InvalidOption: a value cannot be sent.
        """
        message = checked_message(subject, body, headers, "", self.max_payload)
        return await self.request_unchecked(message, timeout)

    async def request_unchecked(self, message: NatsMessage, timeout: float | None = None) -> NatsMessage:
        """Send a message that is known to be right, as `request` does: a server ends the connection for a wrong one.

        message: the message; its ``reply`` does not matter. timeout: seconds; by default those of the link.
        """
        call = Call(self._home, lambda session, call: session.request(call, message), message.subject)
        answer: NatsMessage = await self._perform(call, timeout)
        return answer

    async def publish(
        self, subject: str, body: bytes = b"", headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send a message, at most once: it is lost if the connection is lost; `flush` tells that the server has it.

        subject: the subject, without wildcards. body: the content. headers: headers; by default none.
        reply: the subject for an answer; by default none.

        Raises the errors of `request`, besides ``NobodyThere`` and ``NoAnswer``.
        """
        message = checked_message(subject, body, headers, reply, self.max_payload)
        call = Call(self._home, lambda session, call: session.publish(call, message), subject)
        self._unsent += len(body) + MESSAGE_COST
        connection = self._open_connection()
        if connection.is_connected and self._unsent < UNSENT_LIMIT:
            self._away.call(partial(connection.submit, call, self.timeout))
        else:
            self._unsent = 0
            await self._perform(call, None)

    async def flush(self, timeout: float | None = None) -> None:
        """Return when the server has had everything that was sent before.

        timeout: seconds; by default those of the link. Raises the errors of `request`.
        """
        await self._perform(Call(self._home, lambda session, call: session.flush(call)), timeout)

    def subscribe(
        self, subject: str, queue: str | None = None, *, resume: bool = True, max_messages: int | None = None
    ) -> NatsSubscription:
        """Return the messages of a subject, for ``async with`` and ``async for``.

        subject: the subject, in which ``*`` stands for one part and a last ``>`` for all that follow.
        queue: the name of a group, of which one subscriber gets each message; by default each subscriber gets it.
        resume: False to have it raise `LinkLost` when the connection is lost. By default it goes on with the next
            connection; messages between the two are not received.

        max_messages: most messages that wait in it, 65 536 by default.

        The loop raises `SlowConsumer` when more messages or 64 MiB wait. Raises `NotPermitted`.
        """
        most = None if max_messages is None else checked_count("max_messages", max_messages)
        checked_pattern(subject, queue)
        connection = self._open_connection()
        inlet = Inlet(self._home, subject, lambda: connection.unsubscribe(inlet), most)
        route = Route(subject, queue or "", resume)

        async def begin() -> None:
            call = Call(self._home, lambda session, call: connection.subscribe(session, call, inlet, route), subject)
            await self._perform(call, None)

        async def drain() -> None:
            call = Call(self._home, lambda session, call: connection.drain(session, call, inlet), subject)
            await self._perform(call, None)

        return NatsSubscription(inlet, begin, drain, lambda: self._away.call(partial(connection.unsubscribe, inlet)))

    async def __aenter__(self) -> Self:
        async with self._lifespan.opening() as stack:
            thread = start_loop_thread()
            self._loop = current_loop()
            if thread is not None:
                stack.callback(thread.close)
            self._home = Crossing(self._loop, direct=thread is None)
            self._away = Crossing(self._loop if thread is None else thread.loop, direct=thread is None)
            connection = import_module("modd.nats.connection").LinkConnection(self._options)
            stack.push_async_callback(self._close, connection)
            opened = Call(self._home, send_nothing)
            self._away.call(partial(connection.start, opened))
            await opened.outcome()
            self._connection = connection
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lifespan.close(None, None, None)

    async def _close(self, connection: Any) -> None:
        """Close the connection, to the end even if this task is cancelled meanwhile."""
        self._connection = None
        closed = Call(self._home, send_nothing)
        self._away.call(partial(connection.close, closed))
        cancelled, requests = None, 0
        while not closed.done:
            try:
                with anyio.CancelScope(shield=True):
                    await closed.outcome()
            except anyio.get_cancelled_exc_class() as error:  # a native task.cancel(): scopes are shielded off
                cancelled, requests = error, native_requests()
        if cancelled is not None:
            put_off(cancelled, requests)

    async def _perform(self, call: Call, timeout: float | None) -> Any:
        connection = self._open_connection()
        seconds = self.timeout if timeout is None else checked_span("timeout", timeout)
        self._away.call(partial(connection.submit, call, seconds))
        try:
            return await call.outcome()
        finally:
            if not call.done:
                self._away.call(partial(connection.forget, call))

    def _open_connection(self) -> Any:
        if self._connection is None:
            raise LinkClosed(self.name)
        check_loop(f"the link {self.name!r}", self._loop)
        return self._connection


async def send_nothing(session: Any, call: Call) -> None:
    """Stand in for the sending of a call that is about the connection itself."""
