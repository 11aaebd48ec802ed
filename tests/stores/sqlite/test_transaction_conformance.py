"""The transactions of a file keep the promises of the port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from modd.ports import Storage, SupportsTransactions
from modd.stores import SqliteStore
from modd.testing.conformance import StorageConformance, TransactionConformance

pytestmark = pytest.mark.anyio


class TestSqliteTransactions(TransactionConformance):
    """The suite of the port."""

    @pytest.fixture(autouse=True)
    def _own(self, path: Path) -> None:
        self.path = path

    @asynccontextmanager
    async def create(self) -> AsyncIterator[SupportsTransactions]:
        async with SqliteStore(self.path) as store:
            yield store


class TestSqliteStore(StorageConformance):
    """The suite of stores."""

    @pytest.fixture(autouse=True)
    def _own(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.new_folder = tmp_path_factory.mktemp

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Storage]:
        async with SqliteStore(self.new_folder("store") / "store.db") as store:
            yield store


@pytest.mark.parametrize("immediate", [False, True])
async def test_who_works_in_a_transaction_has_values_there_and_work_for_its_end(path: Path, immediate: bool) -> None:
    # WM-5
    states: list[dict[str, int]] = []

    async def free() -> None:
        states.append(tx.local.copy())

    async with SqliteStore(path) as store:
        with suppress(ZeroDivisionError):
            async with store.transaction(immediate=immediate) as tx:
                tx.on_end(free)
                tx.local["kept"] = 1
                with suppress(LookupError):
                    async with tx.savepoint():
                        tx.local["kept"] = tx.local["dropped"] = 2
                        raise LookupError
                assert states == []
                raise ZeroDivisionError
    assert states == [{"kept": 1}]
