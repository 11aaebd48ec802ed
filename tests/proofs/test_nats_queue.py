"""Several processes claim from one queue on a NATS server: each item once, and of one key one at a time."""

from __future__ import annotations

import asyncio
from time import perf_counter, process_time, thread_time
from typing import Any

import anyio
import anyio.to_thread
import nats
import pytest

from tests.nats.server import NatsServer
from tests.proofs.nats_claimers import item
from tests.proofs.processes import Job, Outcome, Zygote, zygote
from tests.proofs.sizes import size_of
from tests.stores.nats.stores import new_name, open_store

pytestmark = pytest.mark.slow

PROCESSES, SLOTS = 4, 8
ITEMS = size_of("NATS_ITEMS", 300)


def overlaps(claims: list[Any]) -> list[Any]:
    """Return the claims of a key that began before the one before was done, or out of order."""
    last: dict[str, tuple[float, int]] = {}
    wrong = []
    for had, done, number, key in sorted(claims):
        if key is not None:
            end, before = last.get(key, (0.0, -1))
            if had < end or number < before:
                wrong.append((had, number, key))
            last[key] = done, number
    return wrong


def run(processes: Zygote, url: str, keys: int, count: int, backend: str) -> tuple[list[Outcome], float]:
    """Put items, have so many processes work on them; return what they told, and how many items a second it was."""
    given = {"url": url, "name": f"{new_name()}-{keys}-{count}"}
    [filled] = processes.run(Job("tests.proofs.nats_claimers:fill", {**given, "items": ITEMS, "keys": keys}, backend))
    job = Job("tests.proofs.nats_claimers:claim", {**given, "slots": SLOTS}, backend)
    outcomes = processes.run(*[job] * count)
    assert [each.code for each in (filled, *outcomes)] == [0] * (count + 1)
    claims = [claim for outcome in outcomes for claim in outcome.named("claimed")[0]]
    seconds = max(claim[1] for claim in claims) - min(claim[0] for claim in claims)
    used = sum(outcome.named("cpu")[0] for outcome in outcomes)
    print(f"{count} processes, {keys} keys on {backend}: {ITEMS / filled.named('seconds')[0]:.0f} puts a second, "
          f"{ITEMS / seconds:.0f} items a second, {used / ITEMS * 1e6:.0f} us of processor time each")  # fmt: skip
    return outcomes, ITEMS / seconds


@pytest.mark.parametrize("keys", [0, 100, 3])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_four_processes_claim_each_item_once_and_keep_the_order_of_keys(
    nats_server: NatsServer, backend: str, keys: int
) -> None:
    # NA-6 NA-7 NA-42
    with zygote() as processes:
        _, alone = run(processes, nats_server.url, keys, 1, backend)
        outcomes, together = run(processes, nats_server.url, keys, PROCESSES, backend)
    claims = [claim for outcome in outcomes for claim in outcome.named("claimed")[0]]
    print(f"together {together / alone:.0%} of alone, shares {[len(each.named('claimed')[0]) for each in outcomes]}")
    assert sorted(number for _, _, number, _ in claims) == list(range(ITEMS))
    assert overlaps(claims) == []


@pytest.mark.anyio
async def test_the_queue_beside_the_bare_client(nats_server: NatsServer) -> None:
    # NA-41 NA-42
    async with open_store(nats_server) as store, open_store(nats_server, store.name) as other:
        for start in range(0, ITEMS, 500):
            await store.queue("work").put(*[item(number, 0) for number in range(start, min(start + 500, ITEMS))])
        begun, used = perf_counter(), process_time()
        assert (await other.queue("work").stats()).ready == ITEMS
        print(f"{ITEMS} items are read in {perf_counter() - begun:.2f} s, {process_time() - used:.2f} s of them here")
    per_second, used = await anyio.to_thread.run_sync(work_with_bare_client, nats_server.url)
    print(f"bare nats-py: {per_second:.0f} items a second fetched and acknowledged, {used * 1e6:.0f} us each")


def work_with_bare_client(url: str) -> tuple[float, float]:
    """Put items into a stream and take them from a consumer; return how many a second, and processor time of each."""

    async def work() -> tuple[float, float]:
        client = await nats.connect(url)
        stream = client.jetstream()
        await stream.add_stream(name="BARE", subjects=["bare"], max_msgs=ITEMS)
        await asyncio.gather(*[stream.publish("bare", b"1") for _ in range(ITEMS)])
        consumer = await stream.pull_subscribe("bare", "bare")
        begun, used, done = perf_counter(), thread_time(), 0
        while done < ITEMS:
            messages = await consumer.fetch(min(SLOTS, ITEMS - done), timeout=60)
            await asyncio.gather(*[message.ack_sync(timeout=60) for message in messages])
            done += len(messages)
        result = ITEMS / (perf_counter() - begun), (thread_time() - used) / ITEMS
        await stream.delete_stream("BARE")
        await client.close()
        return result

    return asyncio.run(work())


def test_the_proof_finds_what_overlaps_and_what_is_out_of_order() -> None:
    fine: list[Any] = [(1.0, 2.0, 0, "a"), (2.0, 3.0, 2, "a"), (1.5, 2.5, 1, "b"), (1.0, 9.0, 3, None)]
    assert overlaps(fine) == []
    assert overlaps([*fine, (2.5, 4.0, 4, "a"), (5.0, 6.0, 0, "b")]) == [(2.5, 4, "a"), (5.0, 0, "b")]
