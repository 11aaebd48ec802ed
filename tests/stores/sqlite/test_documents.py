"""The documents in a file: the promises of the port, and what is their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports import Documents
from modd.stores.sqlite import documents as module
from modd.stores.sqlite.documents import DELETE, GET, ITEMS
from modd.stores.sqlite.store import SqliteStore
from modd.testing.conformance import DocumentsConformance
from tests.stores.sqlite.connections import Watch

pytestmark = pytest.mark.anyio


class TestSqliteDocuments(DocumentsConformance):
    """The suite of the port."""

    @pytest.fixture(autouse=True)
    def _own(self, path: Path) -> None:
        self.path = path

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Documents]:
        async with SqliteStore(self.path) as store:
            yield store.documents("sums")


def add(state: int | None, value: int) -> int:
    return (state or 0) + value


async def fold(store: SqliteStore, key: str) -> None:
    await store.documents("sums").fold([(key, 1)], add, int, lambda state: b"%d" % state)


async def test_they_are_there_when_the_file_is_opened_again(path: Path) -> None:
    # WM-4
    async with SqliteStore(path) as store:
        await store.documents("sums").put("a", b"1")
        async with store.transaction():
            await fold(store, "a")
        assert repr(store.documents("sums")) == f"<SqliteDocuments sums in {path}>"
    async with SqliteStore(path) as store:
        assert await store.documents("sums").items() == [("a", b"2")]


async def test_folds_at_the_same_time_are_one_commit(path: Path) -> None:
    watch = Watch()
    async with SqliteStore(path, connect=watch) as store:
        before = watch.done["COMMIT"]
        async with anyio.create_task_group() as tasks, watch.holding():
            tasks.start_soon(store.cache.delete, "a")
            await watch.stopped()
            for _ in range(20):
                tasks.start_soon(fold, store, "a")
            await anyio.wait_all_tasks_blocked()
        assert watch.done["COMMIT"] == before + 2
        assert await store.documents("sums").get("a") == b"20"


async def test_a_space_is_named_by_a_text(path: Path) -> None:
    name: Any = 7
    with pytest.raises(InvalidOption, match=r"give a text, such as store\.documents"):
        SqliteStore(path).documents(name)


@pytest.mark.parametrize(("sql", "parameters"), [(GET, 2), (ITEMS, 3), (DELETE, 2)])
async def test_no_statement_goes_through_all_documents(path: Path, sql: str, parameters: int) -> None:
    async with SqliteStore(path) as store, store.transaction(immediate=True) as tx:
        plan = await tx.fetch(f"EXPLAIN QUERY PLAN {sql}", ("1",) * parameters)
    assert [detail.partition("(")[0] for *_, detail in plan] == ["SEARCH modd_documents USING PRIMARY KEY "]


async def test_what_a_fold_encodes_has_to_fit_in_a_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "checked_bytes", refuse)
    async with SqliteStore(path) as store:
        with pytest.raises(InvalidOption, match="too long"):
            await fold(store, "a")


def refuse(option: str, value: object) -> bytes:
    raise InvalidOption(option, 0, "too long")
