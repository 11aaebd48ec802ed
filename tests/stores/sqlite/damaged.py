"""Files with a damaged byte or page, the same ones in each run, and the calls that a store answers on them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from modd.ports import Item, Tagged
from modd.ports.items import Claim
from modd.stores.sqlite.feed import SqliteFeed
from modd.stores.sqlite.queue import SqliteQueue
from modd.stores.sqlite.retention import Sweeper
from modd.stores.sqlite.store import SqliteStore

PAGE = 4096
HUNDREDS = 7 if os.environ.get("MODD_PROFILE") == "long" else 1
"""Of files that the slow tests damage; the fast ones damage thirty."""


async def fill(path: Path) -> tuple[bytes, bytes]:
    """Make a file with something in each table, and free pages; return it with a WAL, as a killed process leaves it."""
    async with SqliteStore(path) as store:
        await fill_queue(store.queue("orders"))
        await store.queue("mails").put(*[b"mail"] * 40)
        await store.outbox.put(*[Item(b"out", {"to": "ada"}, key="k", id=f"out-{n}") for n in range(20)])
        for name in ("a", "b"):
            await store.events.append(name, [Item(b"event", {"type": "Paid"}, tags=("tag", f"of {name}"))] * 60, 0)
            await store.events.save_snapshot(name, 50, Item(b"state", {"type": "State"}))
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE stock (sku TEXT PRIMARY KEY, quantity INTEGER)")
            await tx.execute("CREATE TABLE waste (bytes BLOB)")
            for n in range(20):
                await tx.execute("INSERT INTO stock VALUES (?, ?)", (f"sku-{n}", n))
                await tx.execute("INSERT INTO waste VALUES (zeroblob(3000))")
                await store.inbox.add(f"inbox-{n}")
                await store.cache.set_on_commit(f"cache-{n}", b"value", 10_000)
            await tx.execute("DROP TABLE waste")
        await store.locks.acquire("lock-1", 10_000, "token")
        await store.locks.acquire("lock-2", 10_000, "token")
        await store.feed("public").put(*[Item(b"news", {"type": "Paid"}, "k", id=f"feed-{n}") for n in range(90)])
        await store.feed("small", most=5).put(*[b"small"] * 20)
    async with SqliteStore(path) as store:
        await store.queue("orders").put(Item(b"last", {"type": "Last"}, id="last-1"), bytes(3_000))
        await store.events.append("a", [Item(b"last", {"type": "Paid"})] * 5, 60)
        await store.feed("public").put(b"last")
        return read_with_wal(path)


def read_with_wal(path: Path) -> tuple[bytes, bytes]:
    """Return the content of a file and of its WAL."""
    return path.read_bytes(), Path(f"{path}-wal").read_bytes()


async def fill_queue(queue: SqliteQueue) -> None:
    await queue.put(*[Item(b"bad", {"who": "ada"}, id=f"dead-{n}") for n in range(10)])
    for claim in await queue.claim(10, 60):
        await queue.bury(claim, f"Refused: {claim.id}")
    await queue.put(*[Item(b"again", id=f"retry-{n}", key=f"r{n}") for n in range(3)], b"leased", b"leased")
    claims = await queue.claim(5, 10_000)
    for claim in claims[:3]:
        await queue.retry(claim, 10_000)
    await queue.put(*[Item(b"late", id=f"late-{n}", delay=10_000) for n in range(5)])
    await queue.put(*[Item(b"next", {"n": str(n)}, key=f"k{n % 3}", id=f"key-{n}") for n in range(15)])
    await queue.put(*[b"plain"] * 15, bytes(9_000), b"[1, 2]" * 1_000)


def damage(data: bytes, number: int) -> bytes:
    """Return the content with a damaged byte or page, each number another one."""
    random, pages = Random(number), len(data) // PAGE
    content = bytearray(data)
    if number % 3 == 2:
        page, other = random.sample(range(1, pages), 2)
        fills = [bytes(PAGE), b"\xff" * PAGE, b"\xa5" * PAGE, data[other * PAGE : (other + 1) * PAGE]]
        content[page * PAGE : (page + 1) * PAGE] = random.choice(fills)
    else:
        page = random.randrange(pages) if number % 3 else 0
        begin = random.choice([0, 100]) if page == 0 else 0
        length = random.choice([12, 80, PAGE - begin])  # the header of the page, its pointers, anywhere
        at = page * PAGE + begin + random.randrange(length)
        content[at] = random.choice(
            [0, 0xFF, content[at] ^ 1 << random.randrange(8), 0x1B, 0x80, random.randrange(256)]
        )
    return bytes(content)


def write_damaged(path: Path, file: tuple[bytes, bytes], number: int) -> None:
    """Write one of the damaged files; of each ten one has its damage in the WAL."""
    for suffix in ("-wal", "-shm", "-journal", "-modd", "-modd-turn"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    data, wal = file
    if number % 10 == 9:
        at = Random(number).randrange(len(wal))
        path.write_bytes(data)
        Path(f"{path}-wal").write_bytes(wal[:at] + bytes([wal[at] ^ 0x10]) + wal[at + 1 :])
    else:
        path.write_bytes(damage(data, number))


async def use_transaction(store: SqliteStore) -> None:
    async with store.transaction() as tx:
        await tx.fetch("SELECT * FROM modd_locks")
        assert [event async for event in store.events.read("b")]
        await tx.execute("UPDATE modd_locks SET until = until + 1")
        await store.queue("mails").put(b"mail")


async def use_immediate_transaction(store: SqliteStore) -> None:
    async with store.transaction(immediate=True) as tx:
        await tx.fetch("SELECT * FROM modd_locks")
        await settle(await store.queue("mails").claim(4, 60), store.queue("mails"))
        async with tx.savepoint():
            await store.queue("orders").put(b"order")


async def use_queue(queue: SqliteQueue) -> None:
    claims = await queue.claim(5, 60)
    async with queue.transaction():  # one commit, so that the tests are fast
        await settle(claims, queue)
    claims = await queue.claim(100, 60)
    await queue.ack(*claims)


async def settle(claims: list[Claim], queue: SqliteQueue) -> None:
    """Settle up to five claims, each in another way."""
    ways: list[Callable[[Claim], Awaitable[None]]] = [
        queue.ack,
        lambda claim: queue.retry(claim, 5),
        lambda claim: queue.bury(claim, "Refused"),
        lambda claim: queue.extend(claim, 60),
        queue.release,
    ]
    for claim, way in zip(claims, ways, strict=False):
        await way(claim)


async def use_outbox(store: SqliteStore) -> None:
    claims = await store.outbox.claim(8, 60)
    async with store.transaction():
        await store.outbox.ack(*claims[:4])
        await store.outbox.release(*claims[4:])


async def follow_to_the_end(feed: SqliteFeed) -> None:
    first, last = await feed.span()
    items = feed.follow(first)
    for position in range(first, min(last, first + 1_000)):
        assert (await anext(items)).position > position


async def read_to_the_end(events: AsyncIterator[Any]) -> None:
    count = 0
    async for _ in events:
        count += 1
        assert count < 1_000


CALLS: list[Callable[[SqliteStore], Awaitable[object]]] = [
    lambda store: store.queue("orders").stats(),
    lambda store: store.queue("orders").dead(),
    lambda store: store.queue("orders").wait(0),
    lambda store: store.outbox.wait(0),
    lambda store: read_to_the_end(store.events.read("b")),
    lambda store: read_to_the_end(store.events.read_all()),
    lambda store: read_to_the_end(store.events.pages("a")),
    lambda store: read_to_the_end(store.events.read_where(Tagged("tag", "of a") | Tagged("of b", types=["Paid"]))),
    lambda store: store.events.page(3, 90),
    lambda store: store.events.wait(0, 0),
    lambda store: store.events.snapshot("a"),
    lambda store: store.cache.get("cache-3"),
    lambda store: store.inbox.has("inbox-3"),
    lambda store: store.queue("orders").put(b"x", Item(b"y", key="k1"), Item(b"z", id="key-5"), Item(b"n", id="new")),
    lambda store: store.events.append("b", [b"x"], 60),
    lambda store: store.events.append_where("a", [Item(b"x", tags=("tag", "new"))], Tagged("tag", "of b"), 100),
    lambda store: store.events.save_snapshot("b", 60, b"x"),
    lambda store: store.queue("orders").cancel("late-1", "key-3"),
    lambda store: store.queue("orders").redrive("dead-1", "dead-2"),
    lambda store: store.queue("orders").discard("dead-3"),
    lambda store: store.outbox.put(b"x", Item(b"y", id="out-3")),
    lambda store: follow_to_the_end(store.feed("public")),
    lambda store: follow_to_the_end(store.feed("small", most=5)),
    lambda store: anext(store.feed("public").follow(7)),
    lambda store: store.feed("public").put(b"x", Item(b"y", id="feed-3"), Item(b"n", id="new")),
    lambda store: store.feed("small", most=5).put(*[b"x"] * 300),
    lambda store: store.feed("public").epoch(),
    lambda store: store.feed("new").epoch(),
    lambda store: Sweeper(store, 10_000, feeds={"small": store.feed("small", most=5)}).sweep(),
    lambda store: store.cache.set("cache-1", b"x", 60),
    lambda store: store.cache.add("cache-new", b"x", 60),
    lambda store: store.cache.delete("cache-2"),
    lambda store: store.inbox.add("inbox-new"),
    lambda store: store.locks.acquire("lock-new", 60, "token"),
    lambda store: store.locks.renew("lock-1", 60, "token"),
    lambda store: store.locks.release("lock-2", "token"),
    use_outbox,
    lambda store: use_queue(store.queue("orders")),
    lambda store: use_queue(store.queue("mails")),
    use_transaction,
    use_immediate_transaction,
]
"""Every call of a store that reads or writes the file."""
