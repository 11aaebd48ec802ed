"""Programs that tests run as processes of their own: ``python -m tests.stores.sqlite.program NAME PATH BACKEND``."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import anyio

from modd.ports import DocumentConflict, Item, QueryConflict, Tagged
from modd.ports.errors import StoreError
from modd.stores.sqlite.errors import StoreForked
from modd.stores.sqlite.store import SqliteStore

TASKS, ITEMS = 5, 20
"""How many do the work side by side, and how many items each of them puts."""

SEATS = 100
"""How many seats there are."""

POSTS = 100
"""How many items each process puts into a feed."""

FOLDS = 100
"""How many folds and how many swaps each process does."""

PATIENCE = 60
"""Seconds after which a program is taken to hang."""


async def work(path: str) -> None:
    """Put, claim and acknowledge one item after another, and tell what was done."""
    done: list[str] = []

    async def one(store: SqliteStore) -> None:
        queue = store.queue("a")
        for _ in range(ITEMS):
            await queue.put(b"1")
            [claim] = await queue.claim(1, 60)
            await queue.ack(claim)
            done.append(claim.id)

    async with SqliteStore(path) as store:
        async with anyio.create_task_group() as tasks:
            for _ in range(TASKS):
                tasks.start_soon(one, store)
        print(json.dumps({"done": done}))


async def put_one(path: str) -> None:
    """Open a file, which may be new, and put one item."""
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")


async def put_and_stay(path: str) -> None:
    """Put an item, tell so, and keep the store open until killed."""
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")
        print("put", flush=True)
        await anyio.sleep_forever()


async def post(path: str) -> None:
    """Put items into a feed, two in each transaction."""
    async with SqliteStore(path) as store:
        feed, key = store.feed("public"), f"{os.getpid()}"
        for number in range(0, POSTS, 2):
            async with store.transaction():
                await feed.put(Item(b"%d" % number, key=key))
                await feed.put(Item(b"%d" % (number + 1), key=key))


async def append_seats(path: str) -> None:
    """Take the next seat until all are taken, and tell which."""
    seats, query = list[int](), Tagged("seat")
    async with SqliteStore(path) as store:
        taken = after = 0
        while taken < SEATS:
            async for event in store.events.read_where(query, after):
                taken, after = int(event.body), event.position
            with suppress(QueryConflict):
                item = Item(b"%d" % (taken + 1), tags=("seat",))
                if taken < SEATS and await store.events.append_where(f"by {os.getpid()}", [item], query, after):
                    seats.append(taken + 1)
        print(json.dumps({"seats": seats}))


async def count_up(path: str) -> None:
    """Count up one document by folds and another one by swaps."""
    async with SqliteStore(path) as store:
        numbers = store.documents("numbers")
        for _ in range(FOLDS):
            async with store.transaction():
                await numbers.fold([("folded", 1)], add_number, int, to_digits)
            is_swapped = False
            while not is_swapped:
                before = await numbers.get("swapped")
                with suppress(DocumentConflict):
                    await numbers.swap("swapped", to_digits(int(before or 0) + 1), before)
                    is_swapped = True


def add_number(state: int | None, value: int) -> int:
    return (state or 0) + value


def to_digits(state: int) -> bytes:
    return b"%d" % state


async def leave_open(path: str) -> None:
    """Return with the store open."""
    store = SqliteStore(path)
    await store.__aenter__()
    await store.queue("a").put(b"1")
    await store.queue("a").stats()


async def exit_inside(path: str) -> None:
    """Leave the process from inside a store that is open."""
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")
        sys.exit(0)


async def quota(path: str) -> None:
    """Put items until the system lets the file grow no more, and one more when it does again."""
    async with SqliteStore(path) as store:
        queue, put, error = store.queue("a"), 0, ""
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, most))
        while not error:
            try:
                await queue.put(bytes(10_000))
                put += 1
            except StoreError as failed:
                error = type(failed).__name__
        refused = await queue.stats()
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        await queue.put(bytes(10_000))
        print(json.dumps({"put": put, "ready": [refused.ready, (await queue.stats()).ready], "error": error}))


async def run_forked(path: str) -> None:
    """Fork with a store open, and try what the child can do."""
    async with SqliteStore(path) as store:
        await store.queue("a").put(b"1")
        async with store._writer.reserve():  # a thread that is inside SQLite at a fork locks SQLite in the child
            child = os.fork()
        if not child:
            in_child(lambda: anyio.run(use_in_child, store, path))
        assert await anyio.to_thread.run_sync(os.waitpid, child, 0) == (child, 0)
        await store.queue("a").put(b"2")
        assert (await store.queue("a").stats()).ready == 2
    child = os.fork()
    if not child:
        in_child(lambda: anyio.run(put_one, path))
    assert await anyio.to_thread.run_sync(os.waitpid, child, 0) == (child, 0)
    async with SqliteStore(path) as store:
        assert (await store.queue("a").stats()).ready == 3


def in_child(work: Callable[[], None]) -> None:
    """Do it in a thread, in which no loop runs, and end the process."""
    done: list[bool] = []

    def run() -> None:
        work()
        done.append(True)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    os._exit(not done)


async def use_in_child(store: SqliteStore, path: str) -> None:
    uses = (
        store.queue("a").stats,
        store.__aenter__,
        SqliteStore(path).__aenter__,
        lambda: store.queue("a").put(b"2"),
        lambda: store.transaction().__aenter__(),
    )
    for use in uses:
        try:
            await use()
        except StoreForked:
            continue
        raise AssertionError(use)
    await store.__aexit__(None, None, None)  # changes nothing for the parent
    await put_one(f"{path}-other")


PROGRAMS: dict[str, Callable[[str], Awaitable[None]]] = {
    each.__name__: each
    for each in (work, put_one, put_and_stay, append_seats, count_up, post, leave_open, exit_inside, quota, run_forked)
}


def start(program: Callable[[str], Awaitable[None]], path: Path, backend: str) -> subprocess.Popen[str]:
    """Run one of these programs, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-m", __name__, program.__name__, str(path), backend]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The exit code of a program, what it printed, and what it said of errors."""
    with process:
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, output, errors


def wait_for_end(process: subprocess.Popen[str]) -> str:
    """What a program printed; it has to end well, without another word."""
    code, output, errors = outcome(process)
    assert (code, errors) == (0, "")
    return output


if __name__ == "__main__":
    anyio.run(PROGRAMS[sys.argv[1]], sys.argv[2], backend=sys.argv[3])
