"""Claims of a queue on a NATS server by several processes, each of which has a view of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest

from modd.ports import Item, LeaseLost, Stats
from modd.stores import StoreBusy
from modd.stores.nats.queue_doubts import QueueDoubts
from modd.stores.nats.queue_picks import WIDEST
from modd.stores.nats.queue_view import MOST_BODY, QueueView
from modd.stores.nats.record import Record
from modd.stores.nats.store import NatsStore
from tests.nats.server import NatsServer
from tests.stores.nats.proxy import proxy_to
from tests.stores.nats.stores import new_name, open_store

pytestmark = pytest.mark.anyio


async def items(store: NatsStore) -> list[Record]:
    """Return the records of all items, tombstones included."""
    return await store.stream.page(f"{store.subjects.queue('orders')}.i.>")


def view_of(store: NatsStore) -> QueueView:
    """Return the view of the queue "orders"."""
    [view] = [value for value in vars(store.queue("orders")).values() if isinstance(value, QueueView)]
    return view


async def test_what_was_put_before_a_claim_is_claimed_by_it(nats_server: NatsServer) -> None:
    # NA-8
    name = new_name()
    async with open_store(nats_server, name) as one, open_store(nats_server, name) as other:
        put, take = one.queue("orders"), other.queue("orders")
        for number in range(20):
            await put.put(b"%d" % number)
            [claim] = await take.claim(9, 60)
            assert claim.body == b"%d" % number
            await take.ack(claim)
        assert await take.claim(9, 60) == [] and await put.stats() == Stats(0, 0, 0, 0)


async def test_a_claim_that_another_process_has_won_is_looked_for_further_in_the_line(nats_server: NatsServer) -> None:
    # NA-7
    name = new_name()
    async with open_store(nats_server, name) as one, open_store(nats_server, name) as other:
        first, second = one.queue("orders"), other.queue("orders")
        await first.put(*[b"%d" % number for number in range(64)])
        claimed: list[str] = []

        async def claim(queue: Any) -> None:
            while claims := await queue.claim(4, 60):
                claimed.extend(claim.id for claim in claims)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(claim, first)
                tasks.start_soon(claim, second)
        assert len(claimed) == len({*claimed}) == 64
        assert await second.stats() == Stats(ready=0, delayed=0, leased=64, dead=0)


async def test_a_process_that_loses_claims_takes_some_of_many_at_random(nats_server: NatsServer) -> None:
    # NA-7
    async with open_store(nats_server) as store:
        await store.queue("orders").put(*[b"%d" % number for number in range(100)])
        view = view_of(store)
        await view.catch_up()
        for _ in range(8):
            view.picks.note_losses(2, 3)
        picks = view.pick("claim", 4, (60.0, "last"))
        places = [int(pick.claim.body) for pick in picks]
        assert len(picks) == 4 and places == sorted(places) and places[-1] < 4 * WIDEST
        view.picks.drop(picks)
        assert view.stats() == Stats(ready=100, delayed=0, leased=0, dead=0)
        for _ in range(WIDEST):
            view.picks.note_losses(0, 4)
        assert [pick.claim.body for pick in view.pick("claim", 2, (60.0, "last"))] == [b"0", b"1"]


async def test_a_record_that_has_expired_holds_nothing_up(nats_server: NatsServer) -> None:
    # NA-5
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        await queue.put(Item(b"1", key="k"), Item(b"2", key="k"), Item(b"3", key="k", id="3"))
        [first] = await queue.claim(9, 60)
        await queue.ack(first)
        assert (await queue.stats()).ready == 2
        [gone] = [record for record in await items(store) if record.is_gone]
        await store.stream.purge(gone.subject)  # as if its time were over: the end of the lane is behind it now
        [second] = await queue.claim(9, 60)
        assert second.body == b"2"
        await queue.ack(second)


async def test_an_item_that_is_gone_without_a_trace_is_forgotten(nats_server: NatsServer) -> None:
    # NA-5
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        await queue.put(b"1")
        assert (await queue.stats()).ready == 1
        [record] = await items(store)
        await store.stream.purge(record.subject)
        assert await queue.claim(9, 60) == []
        assert await queue.stats() == Stats(0, 0, 0, 0)


async def test_a_long_body_is_fetched_at_the_claim(nats_server: NatsServer) -> None:
    # NA-41
    body = b"x" * (MOST_BODY + 1)
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        await queue.put(Item(body, id="1"), Item(body, id="2"))
        first, second = await queue.claim(2, 60)
        assert first.body == second.body == body
        await queue.retry(first)
        await queue.bury(second, "no use")
        [dead] = await queue.dead()
        assert dead.body == body
        [again] = await queue.claim(2, 60)
        assert again.body == body
        await queue.release(again)
        [record] = [record for record in await items(store) if record.meta["id"] == "1"]
        await queue.stats()
        await store.stream.purge(record.subject)
        assert await queue.claim(1, 60) == []


@pytest.mark.costly
@pytest.mark.parametrize("limit", [1, 2])
async def test_a_cancelled_claim_leaves_its_items_claimable(nats_server: NatsServer, limit: int) -> None:
    # NA-18
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as slow,
    ):
        await store.queue("orders").put(b"1", b"2")
        queue, sent = slow.queue("orders"), anyio.Event()
        await queue.stats()

        def see(data: bytes) -> bytes:
            if b'"leased"' in data:
                sent.set()
            return data

        async def claim_once() -> None:
            claimed = await queue.claim(limit, 600)
            with anyio.CancelScope(shield=True):  # the answer has come before the cancellation
                for each in claimed:
                    await queue.release(each)

        proxy.to_server = see
        for _ in range(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(claim_once)
                await sent.wait()
                tasks.cancel_scope.cancel()
            sent = anyio.Event()
            with anyio.fail_after(60):
                while len(claims := await store.queue("orders").claim(2, 600)) < 2:
                    for claim in claims:
                        await store.queue("orders").release(claim)
            for claim in claims:
                await store.queue("orders").release(claim)


LOSSES: list[Callable[[Any], Any]] = [
    lambda queue: queue.claim(1, 60),
    lambda queue: queue.put(Item(b"new", id="new")),
    lambda queue: queue.put(b"new", b"more"),
]


@pytest.mark.parametrize("call", LOSSES)
async def test_a_call_whose_answer_is_lost_is_done_once(nats_server: NatsServer, call: Callable[[Any], Any]) -> None:
    # NA-10 NA-11
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as cut,
    ):
        await store.queue("orders").put(Item(b"1", id="1"))
        queue = cut.queue("orders")
        await queue.stats()
        before = len(await items(store))
        proxy.lose_answer_of(b'{"id":')
        results = await call(queue)
        assert not any(getattr(result, "duplicate", False) for result in results)
        assert len(await items(store)) == before + sum(1 for each in results if not hasattr(each, "token"))


async def test_a_put_whose_answer_is_lost_is_known_though_its_item_was_handled(nats_server: NatsServer) -> None:
    # NA-10
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as cut,
    ):
        queue, handled = store.queue("orders"), anyio.Event()
        passing = proxy.to_client

        def hold_back(data: bytes) -> bytes | None:
            if b'"seq"' not in data:
                return data
            proxy.to_client = passing
            return None

        async def handle() -> None:
            while not (claims := await queue.claim(1, 60)):
                await queue.wait(1)
            await queue.ack(*claims)
            handled.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            proxy.to_client = hold_back
            [result] = await cut.queue("orders").put(Item(b"1", id="1"))
            assert result.duplicate is False
        assert handled.is_set() and await queue.stats() == Stats(0, 0, 0, 0)


@pytest.mark.costly
@pytest.mark.parametrize("name", ["ack", "extend", "retry", "release", "bury"])
async def test_a_settlement_whose_answer_is_lost_is_done_once(nats_server: NatsServer, name: str) -> None:
    # NA-11
    arguments = {"extend": (60,), "bury": ("no use",)}.get(name, ())
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as cut,
    ):
        queue = cut.queue("orders")
        await queue.put(b"1", b"2")
        claim, lost = await queue.claim(2, 60)
        await store.queue("orders").release(lost)
        proxy.lose_answer_of(b"Nats-Rollup")
        await getattr(queue, name)(claim, *arguments)
        with pytest.raises(LeaseLost) as error:
            await getattr(queue, name)(lost, *arguments)
        assert error.value.ids == (lost.id,)


async def test_a_server_that_stays_away_is_busy(nats_server: NatsServer) -> None:
    # NA-11
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as cut,
    ):
        queue = cut.queue("orders")
        await store.queue("orders").put(b"1", b"2")
        [claim] = await queue.claim(1, 60)
        await store.queue("orders").put(b"3", b"4")
        await queue.stats()
        cut.stream.requests.timeout = 0.2
        proxy.to_client = proxy.to_server = lambda data: None
        calls = (queue.claim(2, 60), queue.claim(1, 60), queue.ack(claim), queue.put(b"5"))
        for call in (*calls, cut.queue("other").claim(1, 60)):
            with pytest.raises(StoreBusy):
                await call


async def test_a_claim_whose_write_does_not_get_through_is_busy(nats_server: NatsServer) -> None:
    # NA-11
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as cut,
    ):
        queue = cut.queue("orders")
        await store.queue("orders").put(b"1")
        await queue.stats()
        cut.stream.requests.timeout = 0.2
        proxy.to_server = lambda data: None if b'"leased"' in data else data
        with pytest.raises(StoreBusy):
            await queue.claim(1, 60)


async def test_items_of_a_call_without_a_known_token_are_lost(nats_server: NatsServer) -> None:
    # NA-11
    async with open_store(nats_server) as store:
        queue = store.queue("orders")
        await queue.put(b"1")
        [claim] = await queue.claim(1, 60)
        for token in ("", "a", "a.*.*.>", f"{claim.token}x", "a._." + "0" * 32 + ".0"):
            with pytest.raises(LeaseLost):
                await queue.ack(msgspec.structs.replace(claim, token=token))
        await queue.ack(claim)


@pytest.mark.parametrize("moment", ["soon", "when the server is asked"])
async def test_a_lost_claim_is_forgotten_when_the_record_of_the_other_process_comes_by(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    # NA-7
    monkeypatch.setattr("modd.stores.nats.queue_doubts.DOUBT_SECONDS", 60)
    monkeypatch.setattr("modd.stores.nats.consumer.HEARTBEAT", 0.1)
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as slow,
    ):
        view, stash, held = view_of(slow), bytearray(), anyio.Event()
        await store.queue("orders").put(b"1")
        await view.catch_up()
        marker = b"Idle Heartbeat" if moment == "soon" else b'"message"'

        def hold_back(data: bytes) -> bytes:
            if b'"leased"' in data:
                stash.extend(data)
                held.set()
                return b""
            if marker in data and stash:
                proxy.to_client = lambda data: data
                return bytes(stash) + data if moment == "soon" else data + bytes(stash)
            return data

        proxy.to_client = hold_back
        await store.queue("orders").claim(1, 60)
        await held.wait()
        [pick] = view.pick("claim", 1, (60.0, "last"))
        view.picks.doubt(pick)
        doubts = QueueDoubts(slow, view)
        await (doubts.wait() if moment == "soon" else doubts.resolve())
        assert not view.picks.doubts and view.stats() == Stats(ready=0, delayed=0, leased=1, dead=0)


async def test_a_suspect_that_is_released_stays_one(nats_server: NatsServer) -> None:
    # NA-1
    async with open_store(nats_server) as store, open_store(nats_server, store.name) as other:
        queue = store.queue("orders")
        await queue.put(b"1")
        await queue.claim(1, 0.001)
        while not (claims := await queue.claim(1, 60)):
            await queue.wait(60)
        [suspect] = claims
        assert suspect.suspect
        await queue.release(suspect)
        assert (await other.queue("orders").stats()).suspects == 1


@pytest.mark.parametrize("limit", [1, 2])
async def test_claims_of_a_round_that_was_cancelled_are_released(nats_server: NatsServer, limit: int) -> None:
    # NA-18
    async with (
        open_store(nats_server) as store,
        proxy_to(nats_server) as proxy,
        open_store(proxy, store.name) as slow,
    ):
        queue, sent = slow.queue("orders"), anyio.Event()
        await store.queue("orders").put(b"1", b"2")
        assert (await queue.stats()).ready == 2

        def hold_back(data: bytes) -> bytes:
            if b'"seq"' in data:
                held.extend(data)
                sent.set()
                return b""
            return data

        held = bytearray()
        proxy.to_client = hold_back
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.claim, limit, 600)
            await sent.wait()
            tasks.cancel_scope.cancel()
        proxy.to_client = lambda data: data
        with anyio.fail_after(60):
            while (await store.queue("orders").stats()).leased:
                await store.queue("orders").wait(0.1)
