"""A follower ends with the error of a store that is used in a wrong way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.follower import Follower
from modd.projection import Projection
from modd.stores import MemoryStore, SqliteStore, StoreClosed
from tests.follower.shop import Fulfilment, Placed
from tests.follower.tracks import Noting, append, loop_of

pytestmark = pytest.mark.anyio


def follower_of(store: Any) -> Follower:
    """Return a follower with projections alone, which has no worker that would tell of the store."""
    options: dict[str, Any] = {"events": {Placed: lambda state, event: state}, "state": Fulfilment, "key": "order"}
    return Follower(store, [Projection(name, **options) for name in ("sales", "orders")], poll=0.01)


async def test_a_follower_of_a_store_that_is_not_open_ends_with_its_error(tmp_path: Path) -> None:
    # AP-87
    follower = follower_of(SqliteStore(tmp_path / "shop.db"))
    with anyio.fail_after(30), pytest.raises(StoreClosed, match="the store is not open"):
        await follower.run()


async def test_a_store_that_is_closed_while_a_follower_runs_ends_it(tmp_path: Path) -> None:
    # AP-87
    errors = list[Exception]()

    async def run(follower: Follower) -> None:
        try:
            await follower.run()
        except StoreClosed as error:
            errors.append(error)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks, SqliteStore(tmp_path / "shop.db") as store:
            follower = follower_of(store)
            tasks.start_soon(run, follower)
            await follower.wait_ready()
    assert [type(error) for error in errors] == [StoreClosed]


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
async def test_a_track_whose_store_is_closed_ends_the_loop(names: list[str]) -> None:
    # AP-87
    store = MemoryStore()
    tracks = [Noting(store, name) for name in names]
    for track in tracks:
        track.refuses, track.error = "x", StoreClosed("shop.db")
    await append(store, "x")
    with anyio.fail_after(30), pytest.raises(StoreClosed):
        await loop_of(store, *tracks).run()
