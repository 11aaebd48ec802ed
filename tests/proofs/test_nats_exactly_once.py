"""Workers on a NATS server are killed at random moments: what their handlers append and emit is there exactly once."""

from __future__ import annotations

import random

import pytest

from tests.nats.server import NatsServer
from tests.proofs.processes import Job, zygote
from tests.proofs.server_shop import problems_of
from tests.proofs.sizes import size_of
from tests.stores.nats.stores import new_name

pytestmark = pytest.mark.slow

KILLS = size_of("NATS_WORKERS", 6)
ORDERS = 12
"""Orders for each two processes that are killed."""

LATEST = 1.0
"""Seconds."""


@pytest.mark.parametrize("inbox", [False, True])
def test_what_a_killed_worker_appends_and_emits_is_there_once(nats_server: NatsServer, inbox: bool) -> None:
    # NA-30
    given = {"urls": [nats_server.url], "name": new_name()}
    chance, trials, killed = random.Random(), -(-KILLS // 4), 0
    with zygote() as processes:
        for trial in range(trials):
            orders = [*range(trial * ORDERS, (trial + 1) * ORDERS)]
            jobs = [
                Job("tests.proofs.nats_shop:work", {**given, "inbox": inbox}, loop, [(chance.uniform(0, LATEST), 9)])
                for loop in ("asyncio", "trio")
            ]
            outcomes = processes.run(Job("tests.proofs.nats_shop:put", {**given, "orders": orders}), *jobs)
            assert [each.code for each in outcomes] == [0, -9, -9]
            killed += 2
        finish = {**given, "inbox": inbox, "orders": trials * ORDERS}
        [end] = processes.run(Job("tests.proofs.nats_shop:finish", finish))
    assert end.code == 0
    print(f"{killed} workers killed, {end.named('found')[0][-1]} the last of {len(end.named('found')[0])} events")
    assert problems_of({"left": end.named("left")[0], "found": end.named("found")[0]}) == []
