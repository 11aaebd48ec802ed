"""What is given to a store: names of files and queues, and SQL that is not for users."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from modd.errors import InvalidOption
from modd.stores.sqlite.opening import checked_path
from modd.stores.sqlite.store import SqliteStore
from modd.stores.sqlite.user_sql import checked_sql
from tests.stores.sqlite.effects import ALL, find_effects, open_store, pay
from tests.stores.sqlite.others import affected

pytestmark = pytest.mark.anyio

COMMITS = ["/**/COMMIT", "/* a */ -- b\n ;\ufeff commit", ";COMMIT", "--\nROLLBACK"]
SETTINGS = ["PRAGMA query_only = 1", "pragma main.Synchronous=OFF", "/**/PRAGMA journal_mode(DELETE)"]
both = pytest.mark.parametrize("immediate", [False, True])


async def test_a_file_stays_the_same_though_the_folder_of_the_process_changes(path: Path) -> None:
    other = path.parent / "other"
    other.mkdir()
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        async with SqliteStore(path.name) as store:
            os.chdir(other)
            await store.queue("a").put(b"")
            assert (store.name, (await store.queue("a").stats()).ready) == (str(path.resolve()), 1)  # noqa: ASYNC240
    finally:
        os.chdir(before)
    assert os.listdir(other) == []


async def test_who_opens_a_file_by_a_link_shares_it_with_who_opens_it_by_its_name(path: Path) -> None:
    link = path.parent / "link.db"
    async with affected(path) as store:
        link.symlink_to(path)
        async with affected(link) as other:
            assert store.journal == other.journal


@pytest.mark.parametrize("given", [None, 5, True, object, "a\0b", b"a\0b", "\ud800"])
async def test_what_is_no_path_is_refused(given: Any) -> None:
    with pytest.raises(InvalidOption, match=r"path=.*: give the path of a file, as a text or a pathlib\.Path"):
        SqliteStore(given)


async def test_a_path_may_be_given_as_bytes(path: Path) -> None:
    assert checked_path(os.fsencode(path)) == checked_path(path)


@pytest.mark.parametrize("name", [None, 5, b"a"])
async def test_a_queue_has_a_text_as_its_name(path: Path, name: Any) -> None:
    with pytest.raises(InvalidOption, match=r'name=.*: give a text, such as store\.queue\("orders"\)'):
        SqliteStore(path).queue(name)


@pytest.mark.costly
@both
@pytest.mark.parametrize("sql", [*COMMITS, *SETTINGS, "ATTACH 'other.db' AS other", "DETACH other", None, b"SELECT 1"])
async def test_sql_that_is_for_the_store_alone_is_refused_and_harms_nothing(
    path: Path, sql: Any, immediate: bool
) -> None:
    async with open_store(path) as store:
        async with store.transaction(immediate=immediate) as tx:
            for method in (tx.execute, tx.fetch):
                with pytest.raises(InvalidOption, match=r"^sql="):
                    await method(sql)
            await pay(store, tx)
        assert await find_effects(store) == ALL


@pytest.mark.parametrize("sql", ["", "--", "/* COMMIT", "PRAGMA synchronous", "PRAGMA user_version = 3", "/*" * 5000])
async def test_other_sql_is_for_users(sql: str) -> None:
    assert checked_sql(sql) == sql
