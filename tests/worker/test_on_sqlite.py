"""Workers and a relay on a real store: commands, events, effects, inbox and outbox in one file."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from modd.ports import Stats, settlement
from tests.worker.shop import EMPTY, opened

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The loop, with a real clock: work in other threads takes time."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk take its time to release claims: the machine may have other work."""
    monkeypatch.setattr(settlement, "SETTLE_TIMEOUT", 60)


async def test_effects_event_inbox_entry_and_ack_are_committed_together(tmp_path: Path) -> None:
    # ST-46
    async with opened(tmp_path) as shop:
        await shop.order()
        await shop.settled()
        assert await shop.left() == ([3], True, 1)
        assert await shop.commands.stats() == EMPTY


async def test_what_cannot_be_committed_leaves_nothing_and_becomes_a_dead_letter(tmp_path: Path) -> None:
    # ST-46
    async with opened(tmp_path) as shop:
        shop.also = "INSERT INTO nowhere VALUES (1)"
        await shop.order()
        await shop.worker(attempts=2, max_messages=2).run()
        assert await shop.left() == ([], False, 0)
        [dead] = await shop.commands.dead()
        assert (dead.attempts, shop.calls) == (2, 2)
        assert "nowhere" in dead.reason


async def test_what_failed_is_tried_again_and_done_once(tmp_path: Path) -> None:
    # ST-47
    async with opened(tmp_path) as shop:
        shop.fail = 2
        await shop.order()
        await shop.settled(3)
        assert (shop.calls, await shop.left()) == (3, ([3], True, 1))
        assert await shop.commands.stats() == EMPTY


async def test_what_fails_every_time_is_a_dead_letter_and_can_be_put_back(tmp_path: Path) -> None:
    # ST-40
    async with opened(tmp_path) as shop:
        shop.fail = 2
        await shop.order()
        await shop.worker(attempts=2, max_messages=2).run()
        [dead] = await shop.commands.dead()
        assert (dead.reason, await shop.left()) == ("ValueError: no money", ([], False, 0))
        await shop.commands.redrive(dead.id)
        await shop.settled()
        assert await shop.left() == ([3], True, 1)


async def test_a_stop_lets_a_handler_commit_and_when_it_takes_too_long_nothing_is_left_of_it(tmp_path: Path) -> None:
    # ST-50
    async with opened(tmp_path) as shop:
        await shop.order()
        for drain, left in ((0.0, ([], False, 0)), (30.0, ([3], True, 1))):
            shop.begun, shop.go_on = anyio.Event(), anyio.Event()
            worker = shop.worker(drain=drain)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(worker.run)
                await shop.begun.wait()
                worker.stop()
                if drain:
                    shop.go_on.set()
            assert await shop.left() == left
            assert await shop.commands.stats() == Stats(ready=0 if drain else 1, delayed=0, leased=0, dead=0)


async def test_a_worker_that_is_cancelled_leaves_nothing_and_the_next_does_it_in_its_first_attempt(
    tmp_path: Path,
) -> None:
    # ST-51
    async with opened(tmp_path) as shop:
        await shop.order()
        shop.go_on = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.worker().run)
            await shop.begun.wait()
            tasks.cancel_scope.cancel()
        assert await shop.left() == ([], False, 0)
        [claim] = await shop.commands.claim(9, 30)
        assert claim.attempt == 1


async def test_each_handler_of_an_event_gets_it_once_though_another_fails(tmp_path: Path) -> None:
    # ST-44
    async with opened(tmp_path) as shop:
        shop.books.fails = {"tax": 2}
        await shop.order()
        await shop.settled()
        await shop.handled(1 + 2 + 2)
        assert sorted(shop.books.log) == [("post", 3), ("tax", 3)]
        assert await shop.events.stats() == EMPTY
        assert (await shop.left())[2] == 0


async def test_what_was_emitted_is_released_once_though_its_command_comes_again_before(tmp_path: Path) -> None:
    # ST-48
    async with opened(tmp_path) as shop:
        await shop.order()
        await shop.settled()
        await shop.order()
        await shop.settled()
        assert (shop.calls, await shop.left()) == (1, ([3], True, 1))
        await shop.handled(1 + 2)
        assert sorted(shop.books.log) == [("post", 3), ("tax", 3)]
