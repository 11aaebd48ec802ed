"""Stores on the NATS server of the tests, each with a name of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import anyio

from modd.concurrency.blocks import async_block
from modd.nats import Link
from modd.stores.nats.store import NatsStore

numbers = count()


def new_name() -> str:
    """Return a name for a store that no other test has."""
    return f"test-{next(numbers)}"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition of the server holds, which no event tells."""
    with anyio.fail_after(60):
        while not await condition():  # noqa: ASYNC110
            await anyio.sleep(0.1)


@async_block
async def open_store(server: Any, name: str | None = None, **options: Any) -> AsyncIterator[NatsStore]:
    """Open a store over a link of its own; a stream without a given name is deleted at the end.

    server: has ``url``, or ``urls`` for a cluster.
    """
    options = {"timeout": 30, "durable": "unchecked", **options}
    urls = getattr(server, "urls", None) or server.url
    async with (
        Link(urls, name="test", timeout=30, connect_timeout=60) as link,
        NatsStore(link, name or new_name(), **options) as store,
    ):
        stream = store.stream
        try:
            yield store
        finally:
            if name is None:
                await stream.requests.ask(f"STREAM.DELETE.{stream.name}")
