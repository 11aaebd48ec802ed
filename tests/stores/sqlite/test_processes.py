"""Several processes on one file."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.faulty import has_wal
from tests.stores.sqlite.program import (
    FOLDS,
    ITEMS,
    PATIENCE,
    POSTS,
    TASKS,
    count_up,
    post,
    put_and_stay,
    start,
    wait_for_end,
    work,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_four_processes_share_the_work(path: Path, anyio_backend: str) -> None:
    processes = [start(work, path, anyio_backend) for _ in range(4)]
    told = [json.loads(wait_for_end(process)) for process in processes]
    done = [each for one in told for each in one["done"]]
    assert len(done) == len(set(done)) == 4 * TASKS * ITEMS
    async with SqliteStore(path) as store:
        assert await store.queue("a").claim(1, 60) == []


async def test_two_processes_that_fold_and_swap_one_document_lose_nothing(path: Path, anyio_backend: str) -> None:
    # WM-4
    for process in [start(count_up, path, anyio_backend) for _ in range(2)]:
        wait_for_end(process)
    async with SqliteStore(path) as store:
        assert await store.documents("numbers").items() == [
            ("folded", b"%d" % (2 * FOLDS)),
            ("swapped", b"%d" % (2 * FOLDS)),
        ]


async def test_what_two_processes_post_is_followed_in_a_third_in_one_order_without_a_gap(
    path: Path, anyio_backend: str
) -> None:
    # FE-1, FE-2
    async with SqliteStore(path) as store:
        feed = store.feed("public")
        processes = [start(post, path, anyio_backend) for _ in range(2)]
        with anyio.fail_after(PATIENCE):
            follower = feed.follow(0)
            items = [await anext(follower) for _ in range(2 * POSTS)]
        for process in processes:
            wait_for_end(process)
        assert [item.position for item in items] == list(range(1, 2 * POSTS + 1))
        for process in processes:
            assert [item.body for item in items if item.key == str(process.pid)] == [b"%d" % n for n in range(POSTS)]
        assert all(first.key == second.key for first, second in zip(items[::2], items[1::2], strict=True))


async def test_a_process_that_is_killed_keeps_nobody_out_and_loses_nothing(path: Path, anyio_backend: str) -> None:
    process = start(put_and_stay, path, anyio_backend)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "put\n"
        process.kill()
    assert has_wal(path)
    async with SqliteStore(path) as store:
        assert (await store.queue("a").stats()).ready == 1


async def test_a_process_opens_the_file_beside_another_one(path: Path, anyio_backend: str) -> None:
    process = start(put_and_stay, path, anyio_backend)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "put\n"
        async with SqliteStore(path) as store:
            await store.queue("a").put(b"2")
            process.kill()
            process.wait()
            assert (await store.queue("a").stats()).ready == 2
