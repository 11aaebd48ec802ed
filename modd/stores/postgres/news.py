"""News among the processes that use a store: who waits is told of a commit by LISTEN and NOTIFY."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio

from modd.concurrency.backoff import DoublingPause
from modd.stores.postgres.connections import Connections
from modd.stores.postgres.session import Schema
from modd.stores.waiting import SupportsWake

log = logging.getLogger("modd.stores")


NOTIFY = "SELECT pg_notify(%s, channel) FROM unnest(%s::text[]) AS channel"
"""Tells all processes, by the name of `news_name`, of channels."""


class News:
    """Wakes the parts of a store, here and in other processes.

    NOTIFY is sent after the commit, once for all commits since the last one: inside of a commit, PostgreSQL lets one
    transaction with it at a time come to its end. A process that dies in between leaves the others to their next look.
    What is sent is a channel alone, such as the number of a queue, and no content.
    """

    def __init__(self, schema: Schema) -> None:
        self.name = news_name(schema)
        self._parts: dict[str, SupportsWake] = {}
        self._unsent: set[str] = set()
        self._added = anyio.Event()

    def join(self, channel: str, part: SupportsWake) -> None:
        """Have a part woken by a channel."""
        self._parts[channel] = part

    def publish(self, channels: set[str]) -> None:
        """Wake the parts of these channels, here and, if `send` runs, elsewhere."""
        for channel in channels:
            self._wake(channel)
        if channels:
            self._unsent |= channels
            self._added.set()

    async def send(self, connections: Connections) -> None:
        """Tell the other processes, for ever."""
        while True:
            await self._added.wait()
            self._added = anyio.Event()
            channels, self._unsent = sorted(self._unsent), set()
            try:
                await connections.calls.run(partial(connections.use, self._notify(channels), 1.0))
            except Exception as error:  # they look by themselves
                log.debug("no process could be told of news: %s", error)

    async def listen(self, connections: Connections) -> None:
        """Wake the parts here at commits of other processes, for ever; on a new connection when one is lost."""
        pause = DoublingPause(0.05, 2.0)
        while True:
            try:
                await connections.calls.run(lambda: self._listen(connections, pause.reset))
            except Exception as error:  # of any kind: a pool may make its address by a function of the application
                log.debug("the connection that listens was lost: %s", error)
            await anyio.sleep(pause.next())

    async def _listen(self, connections: Connections, on_connect: Callable[[], object]) -> None:
        call_home = connections.calls.call_home
        async with await connections.connect() as connection:
            await connection.execute(f"LISTEN {self.name}".encode())
            call_home(on_connect)
            call_home(self._wake_all)  # what was told before is lost
            async for notice in connection.notifies():
                call_home(partial(self._wake, notice.payload))

    def _notify(self, channels: list[str]) -> Callable[[Any], Any]:
        async def notify(connection: Any) -> None:
            await connection.execute(NOTIFY.encode(), (self.name, channels))

        return notify

    def _wake(self, channel: str) -> None:
        part = self._parts.get(channel)
        if part is not None:
            part.wake()

    def _wake_all(self) -> None:
        for part in self._parts.values():
            part.wake()


def news_name(schema: Schema) -> str:
    """Return the name for LISTEN and NOTIFY that the stores of a schema share."""
    return f"modd_{schema.number & 0xFFFFFFFF:08x}"
