"""nats-py's connection to one server: it ends at its first error instead of connecting again by itself.

A connection that nats-py makes again sends what it had not sent, though its caller was told that the call is lost.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport

from modd.nats.header_block import decode_block, encode_block
from modd.nats.message import NatsMessage

PING_INTERVAL = 2
"""Seconds between two pings; a server that leaves two of them unanswered is lost."""


CLOSE_TIMEOUT = 0.25
"""Seconds that the other side has to take part in the end of a connection."""


DENIAL = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]*)\"")


class TlsMissing(errors.Error):
    """The server offers no TLS, though the link has to use it."""

    def __str__(self) -> str:
        return "the server offers no TLS"


class Wire(TcpTransport):
    """The bytes from and to a server, which can be cut off at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __bool__(self) -> bool:
        return True  # else nats-py makes a transport of its own

    def abort(self) -> None:
        """Cut the connection off, without sending the rest."""
        if self._io_writer is not None:
            self._io_writer.transport.abort()


class NatsClient(Client):
    """A connection to one server.

    on_end: called once it is over, with the error. on_denial: called with the action and the subject (in lower case)
    that the server does not permit. secure: True to send nothing without TLS.
    """

    def __init__(
        self, on_end: Callable[[Exception], object], on_denial: Callable[[str, str], object], *, secure: bool
    ) -> None:
        super().__init__()
        self._transport: Any = Wire()
        self._on_end, self._on_denial, self._secure = on_end, on_denial, secure
        self._takers: dict[int, Callable[[NatsMessage], object]] = {}
        """The functions that get the messages, by the number of the subscription."""

    @property
    def version(self) -> tuple[int, int, int]:
        """The version of the server."""
        version = self.connected_server_version
        return version.major, version.minor, version.patch

    async def open(self, url: str, timeout: float, on_lame_duck: Callable[[], object], options: dict[str, Any]) -> None:
        """Connect. Raises any error of nats-py, of TLS and of the network, and ``TimeoutError``."""

        async def raise_while_connecting(error: Exception) -> None:
            if not self.is_connected:  # else nats-py tries again
                raise error

        async def move_on() -> None:
            on_lame_duck()

        async def tell_end() -> None:
            self._on_end(errors.ConnectionClosedError())

        settings: dict[str, Any] = {**options, "connect_timeout": timeout, "ping_interval": PING_INTERVAL}
        settings["skip_subject_validation"] = True  # all were checked
        callbacks: dict[str, Any] = {
            "error_cb": raise_while_connecting,
            "lame_duck_mode_cb": move_on,
            "closed_cb": tell_end,  # should nats-py end it by a way that is not known here
        }
        async with asyncio.timeout(timeout):  # and no task, whose error nobody would see if this one is cancelled
            await self.connect([url], allow_reconnect=False, **callbacks, **settings)
        if not self.is_connected:
            raise errors.UnexpectedEOF

    async def listen(self, subject: str, queue: str, take: Callable[[NatsMessage], object]) -> Subscription:
        """Subscribe to a subject; ``take`` gets each message at once, in no task of its own."""
        self._takers[self._sid + 1] = take  # before the first message can come
        return await self.subscribe(subject, queue)

    async def round_trip(self) -> None:
        """Return when the server has had everything that was sent. It must not be cancelled before the end."""
        await self._flush_pending(force_flush=True)  # nats-py sends the ping ahead of what is pending
        await self.flush(timeout=10**9)

    async def end(self) -> None:
        """Close the connection, soon even if the other side takes no part in it."""
        if not self.is_connected:
            self._transport.abort()
        self._pending, self._pending_data_size = (
            [],
            0,
        )  # else nats-py sends it first, and leaves its tasks if that fails
        with suppress(Exception):
            try:
                await asyncio.wait_for(self.close(), CLOSE_TIMEOUT)
            finally:
                self._transport.abort()

    def _connect_command(self) -> bytes:
        if self._secure and not self._server_info.get("tls_required"):
            raise TlsMissing
        return super()._connect_command()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        """Pass a message on, at a third of the time that nats-py takes."""
        self._pings_outstanding = 0  # the answer to a ping may be behind many megabytes of messages
        if sid in self._subs:
            self._takers[sid](NatsMessage(subject.decode(), data, decode_block(headers), reply.decode()))

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self._takers.pop(sid, None)

    async def _send_publish(
        self, subject: str, reply: str, payload: bytes, payload_size: int, headers: dict[str, Any] | None
    ) -> None:
        """Send a message that was checked, at a third of the time that nats-py takes."""
        if headers:
            block = encode_block(headers)
            start = f"HPUB {subject} {reply} {len(block)} {len(block) + payload_size}\r\n".encode()
            await self._send_command(b"%b%b%b\r\n" % (start, block, payload))
        else:
            await self._send_command(b"%b%b\r\n" % (f"PUB {subject} {reply} {payload_size}\r\n".encode(), payload))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    async def _process_op_err(self, e: Exception) -> None:
        self._on_end(e)

    async def _process_err(self, err_msg: str) -> None:
        denial = DENIAL.search(err_msg)
        if denial is not None:
            self._on_denial(denial[1], denial[2])
        else:
            self._on_end(errors.Error(err_msg.strip("'")))
