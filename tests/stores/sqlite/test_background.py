"""Work in the background of a bus is in no transaction, whatever it was started in."""

from __future__ import annotations

from pathlib import Path

import pytest

from modd.cqrs.background import Background
from modd.ports.transaction import open_transaction
from modd.stores.sqlite.store import SqliteStore

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("immediate", [False, True])
async def test_work_that_is_started_in_a_transaction_writes_by_itself(path: Path, immediate: bool) -> None:
    async def work() -> None:
        ids.extend(each.id for each in await store.queue("orders").put(b"1"))

    async def fail() -> None:
        async with store.transaction(immediate=immediate) as tx:
            background.start(work)
            assert open_transaction.get() is tx
            raise ZeroDivisionError

    ids = list[str]()
    async with SqliteStore(path) as store:
        async with Background("orders", drain=20) as background:
            with pytest.raises(ZeroDivisionError):
                await fail()
        assert len(ids) == (await store.queue("orders").stats()).ready == 1
