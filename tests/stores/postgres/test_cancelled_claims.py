"""A claim that is cancelled at any moment is undone, or its caller has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from modd.ports import Claim
from modd.stores import PostgresStore
from modd.stores.postgres import commits
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_store

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


def queue_of(store: PostgresStore) -> Any:
    return store.queue("orders")


def outbox_of(store: PostgresStore) -> Any:
    return store.outbox


@pytest.mark.parametrize("source_of", [queue_of, outbox_of])
async def test_no_item_stays_leased_by_a_claim_that_is_cancelled_at_any_of_its_steps(
    source_of: Any, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PG-65
    monkeypatch.setattr(commits, "LAST_WAIT", 60.0)  # also on a machine that stands still for a second
    async with new_store(postgres_server, listen=False) as store:
        source = source_of(store)
        await source.put(b"1")
        for steps in [*range(16)] * 4:
            for claim in await claim_for(steps, source):
                await source.release(claim)
            [claim] = await source.claim(1, 60)
            await source.release(claim)


async def claim_for(steps: int, source: Any) -> Sequence[Claim]:
    """Return what a claim has that has so many half milliseconds."""
    claims: Sequence[Claim] = ()
    with anyio.move_on_after(steps * 0.0005):
        claims = await source.claim(1, 60)
    return claims
