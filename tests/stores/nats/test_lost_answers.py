"""Commits whose answer is lost, on a server that has forgotten their ids: other records have taken their places."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from modd.concurrency.blocks import async_block
from modd.ports import Item, Stats, Subscription
from modd.ports.items import HANDLER
from modd.stores import StoreBusy
from modd.stores.errors import UnknownOutcome
from modd.stores.nats.store import NatsStore
from modd.testing.conformance.documents import add_up, encode_number
from tests.nats.server import NatsServer
from tests.stores.nats.proxy import Proxy, proxy_to
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio

WRITE, ANSWER, BOOK = b"Nats-Msg-Id", b'"seq"', Subscription("events", "Paid", "book")


class Loss:
    """Cuts a store off from its server at its next write, and holds its writes back until the end.

    is_stored: True if the write reaches the server, and only its answer is lost.
    """

    def __init__(self, proxy: Proxy, is_stored: bool) -> None:
        self._proxy, self._is_stored, self._is_sent, self.is_cut = proxy, is_stored, False, anyio.Event()
        proxy.to_server, proxy.to_client = self._to_server, self._to_client

    def end(self, to_client: Callable[[bytes], bytes | None]) -> None:
        """Let writes pass. to_client: changes what comes to the store."""
        self._proxy.to_server, self._proxy.to_client = lambda data: data, to_client

    def _to_server(self, data: bytes) -> bytes | None:
        if WRITE not in data:
            return data
        if not self._is_stored:
            self.is_cut.set()
        self._is_sent = True
        return None if self.is_cut.is_set() else data

    def _to_client(self, data: bytes) -> bytes | None:
        if self.is_cut.is_set() or not self._is_sent or ANSWER not in data:
            return data
        self.is_cut.set()
        return None


def forget_ids(data: bytes) -> bytes:
    """Change answers to those of a server that knows no earlier id."""
    return re.sub(rb',"duplicate": ?true', lambda found: b" " * len(found.group()), data)


@async_block
async def two_stores(server: NatsServer, **options: Any) -> AsyncIterator[tuple[NatsStore, NatsStore, Proxy]]:
    """Open a store twice: as it is, and through a proxy."""
    async with (
        open_store(server) as store,
        proxy_to(server) as proxy,
        open_store(proxy, store.name, **options) as cut,
    ):
        await cut.queue("orders").announce(BOOK, retention=60)  # which also stores the name of the queue
        yield store, cut, proxy


async def lose_answer(
    proxy: Proxy,
    call: Callable[[], Awaitable[Any]],
    meanwhile: Callable[[], Awaitable[Any]],
    to_client: Callable[[bytes], bytes | None] = forget_ids,
    *,
    is_stored: bool = True,
) -> Any:
    """Make a call whose answer is lost, and another one before it is tried again; return the result or the error."""
    results: list[Any] = []

    async def run() -> None:
        try:
            results.append(await call())
        except StoreBusy as error:
            results.append(error)

    async with anyio.create_task_group() as tasks:
        loss = Loss(proxy, is_stored)
        tasks.start_soon(run)
        await loss.is_cut.wait()
        await meanwhile()
        loss.end(to_client)
    return results[0]


async def handle(store: NatsStore, number: int) -> None:
    """Handle items, so that each way to write a record of an item is taken."""
    queue = store.queue("orders")
    claims = await queue.claim(number, 60)
    assert len(claims) == number
    for claim in claims:
        await queue.release(claim)
    first, *others = await queue.claim(number, 60)
    await queue.ack(first)
    for claim in others:
        await queue.bury(claim, "no use")
        await queue.discard(claim.id)


def create_items(handlers: Sequence[Subscription]) -> list[Item]:
    """Return an item for each handler."""
    return [Item(b"", {HANDLER: each.handler}) for each in handlers]


PUTS: list[tuple[Callable[[Any], Any], int]] = [
    (lambda queue: queue.put(Item(b"1", id="1")), 1),
    (lambda queue: queue.put(Item(b"1", id="1", key="k")), 1),
    (lambda queue: queue.put(b"1"), 1),
    (lambda queue: queue.put(Item(b"1", id="1"), Item(b"2", id="2")), 2),
]


@pytest.mark.parametrize(("put", "number"), PUTS)
async def test_a_put_whose_item_was_handled_is_known_by_its_token(
    nats_server: NatsServer, put: Callable[[Any], Any], number: int
) -> None:
    # NA-10
    async with two_stores(nats_server) as (store, cut, proxy):
        queue = cut.queue("orders")
        results = await lose_answer(proxy, lambda: put(queue), lambda: handle(store, number))
        assert [result.duplicate for result in results] == [False] * number
        assert await queue.stats() == Stats(0, 0, 0, 0)


async def test_items_for_handlers_that_were_handled_are_known_by_their_token(nats_server: NatsServer) -> None:
    # NA-10
    async with two_stores(nats_server) as (store, cut, proxy):
        queue = cut.queue("orders")
        await queue.put(b"event")
        [event] = await queue.claim(1, 60)
        put = partial(queue.fan_out, event, ["Paid"], create_items)
        assert await lose_answer(proxy, put, lambda: handle(store, 1)) == 1
        assert await store.queue("orders").stats() == Stats(0, 0, 0, 0)


async def test_a_transaction_is_known_by_the_token_of_its_item(nats_server: NatsServer) -> None:
    # NA-10 NA-30
    async with two_stores(nats_server) as (store, cut, proxy):
        await cut.queue("causes").put(b"cause")
        [claim] = await cut.queue("causes").claim(1, 60)

        async def commit() -> None:
            async with cut.transaction():
                await cut.queue("causes").ack(claim)
                await cut.events.append("sales", [b"sold"], 0)
                await cut.queue("orders").put(Item(b"1", id="1"))

        assert await lose_answer(proxy, commit, lambda: handle(store, 1)) is None
        assert await store.queue("orders").stats() == await store.queue("causes").stats() == Stats(0, 0, 0, 0)
        assert [event.body async for event in store.events.read("sales")] == [b"sold"]


async def test_a_put_that_was_not_stored_is_planned_again(nats_server: NatsServer) -> None:
    # NA-10
    async with two_stores(nats_server) as (store, cut, proxy):
        put = [partial(each.queue("orders").put, Item(b"1", id="1")) for each in (store, cut)]
        [result] = await lose_answer(proxy, put[1], put[0], is_stored=False)
        assert result.duplicate is True
        assert (await store.queue("orders").stats()).ready == 1


async def test_a_commit_of_which_nothing_tells_has_an_unknown_outcome(nats_server: NatsServer) -> None:
    # NA-10
    async with two_stores(nats_server) as (store, cut, proxy):
        fold = [partial(each.documents("sums").fold, [("a", 1)], add_up, int, encode_number) for each in (store, cut)]
        await fold[0]()
        assert isinstance(await lose_answer(proxy, fold[1], fold[0]), UnknownOutcome)
        assert await store.documents("sums").get("a") == b"3"


async def test_a_put_whose_token_cannot_be_read_has_an_unknown_outcome(nats_server: NatsServer) -> None:
    # NA-10
    async with two_stores(nats_server, timeout=1) as (store, cut, proxy):
        refused = [False]

        def be_silent_after_refusal(data: bytes) -> bytes:
            refused[0] = refused[0] or b"wrong last sequence" in data
            return data if b"wrong last sequence" in data or not refused[0] else b""

        put = partial(cut.queue("orders").put, Item(b"1", id="1"))
        error = await lose_answer(
            proxy, put, lambda: handle(store, 1), lambda data: be_silent_after_refusal(forget_ids(data))
        )
        proxy.to_client = lambda data: data
        assert isinstance(error, UnknownOutcome) and error.ids == ("1",)


async def test_a_put_that_may_be_stored_when_its_time_is_over_has_an_unknown_outcome(nats_server: NatsServer) -> None:
    # NA-10
    async with two_stores(nats_server) as (_, cut, proxy):
        cut.stream.requests.timeout = 1e-9
        put = partial(cut.queue("orders").put, Item(b"1", id="1"))
        error = await lose_answer(proxy, put, anyio.lowlevel.checkpoint, is_stored=False)
        assert isinstance(error, UnknownOutcome) and error.ids == ("1",)


async def test_a_server_that_is_behind_is_not_believed_to_have_no_probe(nats_server: NatsServer) -> None:
    # NA-11: it leads no more, and answers beside the leader
    lost, behind = [1], [1]

    def to_client(data: bytes) -> bytes | None:
        if ANSWER in data and lost[0]:
            lost[0] -= 1
            return None  # the answer to the probe
        found = re.search(rb'"last_seq": ?(\d+)', data)
        if found is None or not behind[0] or b"stream_info_response" not in data:
            return data
        behind[0] -= 1
        return data[: found.start(1)] + b"1".ljust(len(found.group(1))) + data[found.end(1) :]

    async with two_stores(nats_server) as (store, cut, proxy):
        put = partial(cut.queue("orders").put, Item(b"1", id="1"))
        [result] = await lose_answer(proxy, put, anyio.lowlevel.checkpoint, to_client, is_stored=False)
        assert result.duplicate is False and lost == behind == [0]
        assert (await store.queue("orders").stats()).ready == 1


@pytest.mark.slow
async def test_a_put_is_not_repeated_though_the_server_was_restarted_after_its_item_was_handled(
    own_nats_server: NatsServer,
) -> None:
    # NA-10
    async with two_stores(own_nats_server) as (store, cut, proxy):

        async def handle_and_restart() -> None:
            await handle(store, 1)
            await anyio.to_thread.run_sync(own_nats_server.restart)

        put = partial(cut.queue("orders").put, Item(b"1", id="1"))
        [result] = await lose_answer(proxy, put, handle_and_restart, lambda data: data)
        assert result.duplicate is False
        assert await store.queue("orders").stats() == Stats(0, 0, 0, 0)
