"""Refusals that rest on the answer of a server that leads no more: a cluster has the leader tell if they are right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from modd.concurrency.blocks import async_block
from modd.ports import Claim, LeaseLost
from modd.ports.errors import ReadConflict, RevisionConflict
from modd.stores.nats.store import NatsStore
from tests.nats.server import NatsServer
from tests.stores.nats.proxy import FOUND_RECORD, OtherAnswers, proxy_to
from tests.stores.nats.stores import open_store
from tests.stores.nats.test_transactions import fold

pytestmark = pytest.mark.anyio

MISSING = b'{"error":{"code":404,"err_code":10037}}'


def server_behind() -> OtherAnswers:
    """A server that leads no more, as its clients see it: it does not have the next records that are asked for."""
    return OtherAnswers(FOUND_RECORD, MISSING)


@async_block
async def claimed(server: NatsServer, behind: OtherAnswers) -> AsyncIterator[tuple[NatsStore, NatsStore, Claim]]:
    """Open a store of a cluster twice, as it is and as a server sees it that is behind, with a claimed item."""
    async with (
        open_store(server) as store,
        proxy_to(server) as proxy,
        open_store(proxy, store.name) as other,
    ):
        proxy.to_client = behind
        other.stream.publisher.checks_refusals = True
        await store.queue("orders").put(b"1")
        [claim] = await store.queue("orders").claim(1, 60)
        yield store, other, claim


async def append(store: NatsStore, expected: int) -> Any:
    """Append an event behind a revision."""
    return await store.events.append("account", [b"1"], expected)


async def work(store: NatsStore, claim: Claim) -> None:
    """Append an event, and acknowledge a claim, in a transaction."""
    async with store.transaction():
        await store.queue("orders").ack(claim)
        await append(store, 0)


async def test_a_claim_is_not_lost_because_a_server_that_is_behind_does_not_know_it(nats_server: NatsServer) -> None:
    # NA-49
    behind = server_behind()
    async with claimed(nats_server, behind) as (store, other, claim):
        behind.times = 2
        await other.queue("orders").ack(claim)
        assert behind.times == 0
        assert (await store.queue("orders").stats()).leased == 0


async def test_a_claim_that_is_lost_stays_lost_on_a_cluster(nats_server: NatsServer) -> None:
    # NA-49
    async with claimed(nats_server, server_behind()) as (store, other, claim):
        await store.queue("orders").ack(claim)
        with pytest.raises(LeaseLost):
            await other.queue("orders").ack(claim)
        with pytest.raises(LeaseLost):
            await work(other, claim)
        assert await other.events.last() == 0


async def test_events_are_appended_though_a_server_that_is_behind_has_fewer(nats_server: NatsServer) -> None:
    # NA-49
    behind = server_behind()
    async with claimed(nats_server, behind) as (store, other, _):
        await append(store, 0)
        behind.times = 1
        await append(other, 1)
        assert behind.times == 0
        with pytest.raises(RevisionConflict):
            await append(other, 1)


async def test_a_transaction_is_planned_anew_when_a_server_that_is_behind_refuses_it(nats_server: NatsServer) -> None:
    # NA-49
    behind = server_behind()
    async with claimed(nats_server, behind) as (store, other, claim):
        behind.times = 2
        await work(other, claim)
        assert behind.times == 0
        assert (await store.queue("orders").stats()).leased == 0 and await store.events.last()


async def test_an_immediate_transaction_is_a_conflict_when_a_server_that_is_behind_refuses_a_call(
    nats_server: NatsServer,
) -> None:
    # NA-49: its block may know what was read
    behind = server_behind()
    async with claimed(nats_server, behind) as (store, other, claim):
        behind.times = 1
        with pytest.raises(ReadConflict):
            async with other.transaction(immediate=True):
                await other.queue("orders").ack(claim)
        async with other.transaction(immediate=True):
            await other.queue("orders").ack(claim)
        assert (await store.queue("orders").stats()).leased == 0


async def test_a_call_that_a_server_that_is_behind_refuses_when_it_is_planned_anew_is_planned_once_more(
    nats_server: NatsServer,
) -> None:
    # NA-49
    behind = server_behind()
    async with claimed(nats_server, behind) as (store, other, claim):
        async with other.transaction(immediate=True):
            await other.queue("orders").ack(claim)
            await fold(other, 1)
            await fold(store, 2)  # the other writer is faster, so that the calls are planned anew
            behind.times = 1
        assert behind.times == 0
        assert (await store.queue("orders").stats()).leased == 0
