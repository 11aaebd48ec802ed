"""Aggregates in two processes on one file: no lost update, no seat too many, no command twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import anyio
import pytest

from modd.stores import SqliteStore
from tests.aggregate.billing import invoices
from tests.aggregate.program import COUNT, SEATS, start
from tests.aggregate.test_boundaries import Offer, Subscribe, enrolment

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_two_processes_lose_no_update_and_do_nothing_twice(tmp_path: Path, anyio_backend: str) -> None:
    # WM-29, WM-33, WM-35, WM-41
    path = tmp_path / "events.db"
    async with SqliteStore(path) as store:
        await enrolment(store).dispatch(Offer("a", SEATS))
    processes = [start(path, anyio_backend, name) for name in "xy"]
    counts = Counter[str]()
    for process in processes:
        output, _ = await anyio.to_thread.run_sync(process.communicate, None, 300)
        counts.update(json.loads(output))
    assert counts == {"plain": 4 * COUNT, "transactions": 2 * COUNT, "ids": COUNT, "seats": SEATS}
    async with SqliteStore(path) as store:
        aggregate = invoices(store=store)
        for id in ("plain", "transactions", "ids"):
            amounts = [change.event.amount async for change in aggregate.history(id)]
            assert amounts == [*range(1, counts[id] + 1)]
        assert (await enrolment(store).read(Subscribe("a", "z"))).state.seats == 0
