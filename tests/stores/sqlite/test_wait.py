"""How one waits at a queue or an outbox for something to claim."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption
from modd.stores.sqlite import base
from modd.stores.sqlite.base import next_look
from modd.stores.sqlite.store import SqliteStore
from modd.testing import run_virtual
from tests.stores.sqlite.conftest import Clock

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("of", [lambda store: store.queue("orders"), lambda store: store.outbox])


async def woken(place: Any, then: Callable[[], Awaitable[object]]) -> None:
    """Wait, and fail if what is done then does not end the wait."""
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(60):
            tasks.start_soon(_do_when_all_wait, then)
            await place.wait(60)


async def _do_when_all_wait(then: Callable[[], Awaitable[object]]) -> None:
    await anyio.wait_all_tasks_blocked()
    await then()


@pytest.fixture
def long_peek(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by itself whether there is something."""
    monkeypatch.setattr(base, "RECHECK", 60)


@both
@pytest.mark.usefixtures("long_peek")
async def test_a_put_ends_the_wait(path: Path, of: Any) -> None:
    # ST-4
    async with SqliteStore(path) as store:
        await woken(of(store), lambda: of(store).put(b"1"))


@both
@pytest.mark.usefixtures("long_peek")
@pytest.mark.parametrize("immediate", [False, True])
async def test_a_put_in_a_transaction_ends_the_wait(path: Path, of: Any, immediate: bool) -> None:
    async def put() -> None:
        async with store.transaction(immediate=immediate):
            await of(store).put(b"1")

    async with SqliteStore(path) as store:
        await woken(of(store), put)


@both
async def test_a_put_of_another_process_is_seen_soon(path: Path, of: Any) -> None:
    async with SqliteStore(path) as store, SqliteStore(path) as other:
        await woken(of(store), lambda: of(other).put(b"1"))


@both
async def test_nobody_waits_while_there_is_something(path: Path, of: Any, clock: Clock) -> None:
    async with SqliteStore(path, clock=clock) as store:
        await of(store).put(b"1")
        with anyio.fail_after(60):
            await of(store).wait(60)
            await of(store).claim(1, 60)
            clock.now += 60  # the lease ends
            await of(store).wait(60)


@both
async def test_the_wait_ends_after_its_time(path: Path, of: Any) -> None:
    async with SqliteStore(path) as store:
        await of(store).wait(0)
        await of(store).wait(0.01)
        with pytest.raises(InvalidOption, match=r"seconds=-1: give seconds, 0 or more"):
            await of(store).wait(-1)


async def test_while_some_are_claimed_one_waits_at_the_outbox(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.outbox.put(b"1", b"2")
        claims = await store.outbox.claim(1, 60)
        assert not await store.outbox.is_claimable()
        await woken(store.outbox, lambda: store.outbox.release(*claims))


def test_those_who_wait_look_in_step_with_nobody(anyio_backend: str) -> None:
    async def looks() -> list[float]:
        return [next_look() for _ in range(50)]

    times = run_virtual(looks, backend=anyio_backend)  # at one moment, which is 0
    assert 0.075 <= min(times) < 0.095 < 0.105 < max(times) <= 0.125
