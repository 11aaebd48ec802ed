"""Workers and relays end with the error of a store that is used in a wrong way, and try again after any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modd.app import App, AppFailed
from modd.cqrs import CommandBus
from modd.ports import Claim, StoreError
from modd.relay import Relay
from modd.stores import MemoryQueue, SqliteStore, StoreClosed
from modd.worker import Worker
from tests.worker.desk import Pay, item, work_off

pytestmark = pytest.mark.anyio


class ClosedLater(MemoryQueue):
    """A queue whose store fails when it is claimed from, after the handlers were announced."""

    def __init__(self, *errors: StoreError) -> None:
        super().__init__()
        self.errors = [*errors]

    async def claim(self, *args: Any, **options: Any) -> list[Claim]:
        if self.errors:
            raise self.errors.pop(0)
        return await super().claim(*args, **options)


class Unreadable(MemoryQueue):
    """A queue that cannot tell if it has something for a run that ends when it is idle."""

    async def stats(self) -> Any:
        raise StoreError("shop.db", "broken")


def desk() -> CommandBus:
    return CommandBus({Pay: lambda pay: None})


async def test_a_worker_and_a_relay_of_a_store_that_is_not_open_end_with_its_error(tmp_path: Path) -> None:
    # AP-87
    async with SqliteStore(tmp_path / "shop.db") as store:
        queue, outbox = store.queue("commands"), store.outbox
    for part in (Worker(queue, desk()), Relay(outbox, queue)):
        with pytest.raises(StoreClosed, match="the store is not open"):
            await part.run()
    with pytest.raises(StoreClosed):
        await Worker(queue, desk()).run_until_idle()
    with pytest.raises(AppFailed) as failed:
        await App("shop", Worker(queue, desk())).run()
    assert ([type(error) for error in failed.value.exceptions], failed.value.parts) == (
        [StoreClosed],
        ("worker commands",),
    )


async def test_a_store_that_is_closed_while_a_worker_claims_ends_the_worker() -> None:
    # AP-87
    worker = Worker(ClosedLater(StoreClosed("shop.db")), desk())
    with pytest.raises(StoreClosed):
        await worker.run()
    await work_off(worker, 1)


async def test_any_other_error_of_a_store_is_told_with_its_text_and_the_queue_is_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # AP-87
    queue = ClosedLater(StoreError("shop.db", "locked"))
    await queue.put(item(Pay()))
    await work_off(Worker(queue, desk(), max_messages=1))
    [line] = caplog.messages
    assert line.startswith("the queue '#1' cannot be claimed from: StoreError: shop.db: locked; next try in 0.1 s")
    assert (await queue.stats()).ready == 0


async def test_another_error_of_a_store_in_a_run_until_idle_is_raised_as_before() -> None:
    # AP-87
    with pytest.raises(ExceptionGroup) as group:
        await Worker(Unreadable(), desk()).run_until_idle(ahead=1)
    assert [type(error) for error in group.value.exceptions] == [StoreError]
