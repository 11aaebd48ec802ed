"""A server of Server-Sent Events in a process of its own: a gateway, or the floor, which does nothing but write."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_SELF, getpagesize, getrusage
from socket import create_server
from time import perf_counter, process_time, time
from typing import Any, Protocol

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from modd import Bus
from modd.cqrs import Codec, Envelope, Event
from modd.gateway import EVERYBODY, Gateway, Limits, forward
from modd.stores import MemoryFeed

MOST = 100_000
"""Connections of one address, because all clients have the same."""


class Tick(Event):
    """An event that each client hears.

    number: counts the events from 1. at: seconds since 1970, the time of the put.
    """

    number: int
    at: float


class Broadcast(Protocol):
    """A server that sends each event to all of its clients."""

    path: str
    """The path of the stream."""

    async def port(self) -> int:
        """Return the port at which it listens."""
        ...

    async def put(self, tick: Tick) -> None:
        """Send an event to all clients."""
        ...

    async def run(self) -> None:
        """Answer requests until cancelled."""
        ...


class GatewayBroadcast:
    """A gateway in front of a feed in memory."""

    path = "/events?channel=ticks"

    def __init__(self, loop: str) -> None:
        self._feed, self._codec = MemoryFeed(), Codec([Tick])
        ticks = forward(Tick, to=lambda tick: "ticks", allow=EVERYBODY)
        limits = Limits(connections=MOST, per_address=MOST)
        self._gateway = Gateway(Bus([]), ticks, feed=self._feed, listen="127.0.0.1:0", limits=limits)
        self.run = self._gateway.run

    async def port(self) -> int:
        """Return the port at which it listens."""
        await self._gateway.wait_ready()
        return self._gateway.bound_port or 0

    async def put(self, tick: Tick) -> None:
        """Put an event into the feed."""
        await self._feed.put(self._codec.encode(Envelope(tick)))


class FloorBroadcast:
    """Starlette on hypercorn: each client waits for the next text, and is sent it.

    loop: asyncio or trio.
    """

    path = "/events"

    def __init__(self, loop: str) -> None:
        self._serve = import_module(f"hypercorn.{loop}").serve
        self._listener = create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._texts: list[bytes] = []
        self._news = anyio.Event()

    async def port(self) -> int:
        """Return the port at which it listens."""
        return int(self._listener.getsockname()[1])

    async def put(self, tick: Tick) -> None:
        """Add the text of an event, and wake all clients."""
        data = json.dumps({"number": tick.number, "at": tick.at}, separators=(",", ":"))
        self._texts.append(f"id: {tick.number}\nevent: tick\ndata: {data}\n\n".encode())
        self._news.set()
        self._news = anyio.Event()

    async def run(self) -> None:
        """Answer requests until cancelled."""
        config = import_module("hypercorn.config").Config()
        config.bind, config.loglevel = [f"fd://{self._listener.fileno()}"], "ERROR"
        app = Starlette(routes=[Route(self.path, self._answer)])
        await self._serve(app, config, shutdown_trigger=anyio.sleep_forever)

    async def _answer(self, request: Request) -> StreamingResponse:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        yield b": ok\n\n"
        sent = len(self._texts)
        while True:
            while sent == len(self._texts):
                await self._news.wait()
            yield self._texts[sent]
            sent += 1


SIDES: dict[str, Callable[[str], Broadcast]] = {"gateway": GatewayBroadcast, "floor": FloorBroadcast}


async def main(side: str, loop: str) -> None:
    """Answer requests, one JSON value per line each, until the input ends.

    The first line that is written says at which port and path the stream is. A request is a number of events and the
    number per second: ``[100, 10]``. The answer, after the last event, is the usage of this process until then.
    """
    broadcast = SIDES[side](loop)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(broadcast.run)
        reply({"port": await broadcast.port(), "path": broadcast.path})
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            reply(await send(broadcast, *json.loads(line)))
        tasks.cancel_scope.cancel()


async def send(broadcast: Broadcast, events: int, per_second: float) -> dict[str, float]:
    """Send a number of events at a rate, and return the seconds of processor time and the bytes of memory then."""
    start = perf_counter()
    for number in range(1, events + 1):
        await broadcast.put(Tick(number, time()))
        await anyio.sleep(max(0.0, start + number / per_second - perf_counter()))
    return {"processor": process_time(), "memory": memory()}


def memory() -> int:
    """Return the bytes of memory that this process has: those of now where the system tells them, else the most."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * getpagesize()
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reply(value: Any) -> None:
    """Write a value as a line."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], backend=sys.argv[2])
