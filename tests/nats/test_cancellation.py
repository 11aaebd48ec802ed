"""Cancelled calls: the link stays usable, and nothing of them stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeAlias

import anyio
import pytest

from modd.nats import Link
from tests.nats.server import NatsServer, paused

pytestmark = [pytest.mark.anyio, pytest.mark.costly]

Action: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]

LONG = 1000.0
CALLS: dict[str, Callable[[Link], Action]] = {
    "request": lambda link: partial(link.request, "slow", timeout=LONG),
    "flush": lambda link: link.flush,
    "publish": lambda link: partial(publish_much, link),
    "subscribe": lambda link: partial(enter, link),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that tests pause."""
    with NatsServer(tmp_path_factory.mktemp("paused"), jetstream=False) as server:
        yield server


async def publish_much(link: Link) -> None:
    while True:
        await link.publish("much", bytes(100_000))


async def enter(link: Link) -> None:
    async with link.subscribe("entered"):
        await anyio.sleep_forever()


def calls_in(link: Link) -> int:
    """Return the number of calls that a link waits for."""
    connection = link._connection
    return len(connection._outgoing) + len(connection.session._calls) + len(connection._routes)


async def cancelled_in_scope(call: Action) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()


async def cancelled_natively(call: Action) -> None:
    task = asyncio.ensure_future(call())
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@calls
async def test_a_cancelled_call_leaves_nothing_behind(server: NatsServer, call: Callable[[Link], Action]) -> None:
    # NA-18
    async with Link(server.url, name="shop", timeout=LONG) as link, link.subscribe("slow") as messages:
        with paused(server):
            await cancelled_in_scope(call(link))
        await link.publish("slow", b"next")
        while (await anext(messages)).body != b"next":
            pass
        await link.flush()
        assert calls_in(link) == 1  # the subscription


@pytest.mark.costly
@calls
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_call_whose_task_is_cancelled_leaves_nothing_behind(
    server: NatsServer, call: Callable[[Link], Action]
) -> None:
    # NA-18
    async with Link(server.url, name="shop", timeout=LONG) as link:
        with paused(server):
            await cancelled_natively(call(link))
        await link.flush()
        assert calls_in(link) == 0


async def test_a_cancelled_wait_for_a_message_loses_none(nats_server: NatsServer) -> None:
    # NA-18
    async with Link(nats_server.url, name="shop") as link, link.subscribe("test.cancelled") as messages:

        async def take() -> None:
            await anext(messages)

        await cancelled_in_scope(take)
        await link.publish("test.cancelled", b"1")
        assert (await anext(messages)).body == b"1"


async def test_a_cancelled_opening_leaves_nothing_behind(server: NatsServer) -> None:
    # NA-17, NA-18
    link = Link(server.url, name="shop", timeout=LONG, connect_timeout=LONG)
    with paused(server):
        await cancelled_in_scope(link.__aenter__)
    assert link.status == "closed"
    async with link:
        await link.flush()
