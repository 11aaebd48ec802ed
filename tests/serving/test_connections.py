"""The guards of hypercorn's connections, at ones that have no socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypercorn.events import Closed, RawData, Updated

from modd.serving.connections import CLOSING, AsyncioConnection, TrioConnection
from tests.virtual import anyio_backend

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio

DATA = RawData(b"x")


class Plain:
    """A connection, as hypercorn has it.

    closes_in: seconds that its end takes. error: the error with which it ends.
    """

    def __init__(self, closes_in: float = 0.0, error: Exception | None = None) -> None:
        self.sent: list[Any] = []
        self.heard: list[Any] = []
        self.is_closing = self.is_aborted = False
        self.protocol = SimpleNamespace(handle=self._hear)
        transport = SimpleNamespace(is_closing=lambda: self.is_closing, abort=self._abort)
        self.writer = SimpleNamespace(transport=transport)
        self.stream = SimpleNamespace(send_all=self._send_all, socket=SimpleNamespace(close=self._abort))
        self.send_lock = anyio.Lock()
        self._closes_in, self._error = closes_in, error

    async def protocol_send(self, event: Any) -> None:
        if isinstance(event, Closed):
            await anyio.sleep(self._closes_in)
        self.sent.append(event)

    async def _close(self) -> None:
        await self._send_all(b"")

    async def _send_all(self, data: bytes) -> None:
        await anyio.sleep(self._closes_in)
        if self._error is not None:
            raise self._error
        self.sent.append(data)

    async def _hear(self, event: Any) -> None:
        self.heard.append(event)

    def _abort(self) -> None:
        self.is_aborted = True


class OnAsyncio(AsyncioConnection, Plain):
    pass


class OnTrio(TrioConnection, Plain):
    pass


async def test_nothing_is_written_on_asyncio_to_a_client_that_has_gone() -> None:
    # GW-53
    connection = OnAsyncio()
    await connection.protocol_send(DATA)
    connection.is_closing = True
    await connection.protocol_send(DATA)
    await connection.protocol_send(Closed())
    assert connection.sent == [DATA, Closed()]
    assert connection.heard == [Closed()]


@pytest.mark.parametrize(
    ("closes_in", "error", "is_aborted"),
    [(0.0, None, False), (0.0, ConnectionResetError(), False), (CLOSING - 1, None, False), (CLOSING + 1, None, True)],
)
async def test_a_connection_on_asyncio_is_aborted_when_its_client_does_not_take_the_rest(
    closes_in: float, error: Exception | None, is_aborted: bool
) -> None:
    # GW-53
    connection = OnAsyncio(closes_in, error)
    await connection._close()
    assert connection.is_aborted == is_aborted


@pytest.mark.parametrize("event", [DATA, Closed()])
async def test_what_is_sent_on_trio_can_be_cancelled_and_ends_the_connection(event: Any) -> None:
    # GW-53: the end of a connection, too, which hypercorn does not do again
    connection = OnTrio(5.0)
    await connection.protocol_send(DATA)
    await connection.protocol_send(Updated(idle=True))
    assert (connection.sent, connection.is_aborted) == ([b"x", Updated(idle=True)], False)
    with anyio.move_on_after(1):
        await connection.protocol_send(event)
    assert connection.is_aborted


async def test_a_client_on_trio_that_has_gone_is_told_to_the_protocol() -> None:
    # GW-53
    connection = OnTrio(error=anyio.BrokenResourceError())
    await connection.protocol_send(DATA)
    assert (connection.heard, connection.is_aborted) == ([Closed()], False)
