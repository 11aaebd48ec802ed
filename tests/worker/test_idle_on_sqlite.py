"""Workers that run until nothing is due, on a store in a file, and a relay between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modd.worker import Worker
from tests.worker.shop import EMPTY, opened

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: work in other threads takes time."""
    return str(request.param)


async def test_workers_that_run_until_they_are_idle_and_a_relay_do_all_that_is_due(tmp_path: Path) -> None:
    # TK-4
    async with opened(tmp_path) as shop:
        shop.fail, shop.books.fails["tax"] = 2, 1
        await shop.order()
        await shop.worker().run_until_idle()
        booking = Worker(shop.events, shop.books.bus, inbox=shop.store.inbox, backoff="none")
        while await shop.relay.pass_on():
            await booking.run_until_idle()
        assert sorted(shop.books.log) == [("post", 3), ("tax", 3)]
        assert (shop.calls, await shop.left()) == (3, ([3], True, 0))
        assert await shop.commands.stats() == await shop.events.stats() == EMPTY
