"""All parts of a store at once: what the suites for its transactions write, and how they look for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import anyio

from modd.concurrency.blocks import async_block
from modd.ports.feed import Feed
from modd.ports.items import Item
from modd.ports.storage import Storage
from modd.testing.conformance.base import bodies
from modd.testing.conformance.documents import add_up, encode_number

ALL = ["events", "snapshot", "document", "documents", "folded", "inbox", "feed", "outbox", "queue"]
"""The parts in which `write_everywhere` writes."""

Fail: TypeAlias = Callable[[Storage], Awaitable[object]]


async def write_everywhere(store: Storage, name: str) -> None:
    """Write something in each part that takes part in every transaction."""
    assert await store.events.append(name, [b"1", b"2"], 0) == 2
    await store.events.save_snapshot(name, 2, b"3")
    await store.documents("states").put(name, b"1")
    await store.documents("many").put_many({name: b"1"})
    await store.documents("sums").fold([(name, 1)], add_up, int, encode_number)
    await store.inbox.add(name)
    await store.feed("public").put(Item(b"1", id=name))
    await store.outbox.put(Item(b"1", id=name))
    await store.queue("orders").put(Item(b"1", id=name))


async def written(store: Storage, name: str, settle: bool = True) -> list[str]:
    """Return the parts that have something of the name; settle: look for items, too, by claims that are undone."""
    found = ["events"] * bool(await bodies(store.events.read(name)))
    found += ["snapshot"] * (await store.events.snapshot(name) is not None)
    found += ["document"] * (await store.documents("states").get(name) is not None)
    found += ["documents"] * (await store.documents("many").get(name) is not None)
    found += ["folded"] * (await store.documents("sums").get(name) is not None)
    found += ["inbox"] * await store.inbox.has(name)
    found += ["feed"] * await is_posted(store.feed("public"), name)
    return found + await items_of(store, name) if settle and found else found


async def is_posted(feed: Feed, id: str) -> bool:
    """Return True if a feed has an item of this id."""
    position, last = await feed.span()
    items, ids = feed.follow(position), list[str]()
    while position < last:
        item = await anext(items)
        position = item.position
        ids.append(item.id)
    return id in ids


async def items_of(store: Storage, name: str) -> list[str]:
    """Return the parts that have an item of the name to claim."""
    found: list[str] = []
    with suppress(ZeroDivisionError):
        async with store.transaction(immediate=True):
            parts: dict[str, Any] = {"outbox": store.outbox, "queue": store.queue("orders")}
            for part, items in parts.items():
                found += [part for claim in await items.claim(99, 100) if claim.id == name]
            raise ZeroDivisionError
    return found


async def transact(store: Storage, name: str, fail: Fail | None = None, **options: Any) -> None:
    """Write everywhere in a transaction, in which something may fail then."""
    async with store.transaction(**options):
        await write_everywhere(store, name)
        if fail is not None:
            await fail(store)


@async_block
async def outside() -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Run calls in a task that is in no transaction, though it is asked from inside of one."""
    send, receive = anyio.create_memory_object_stream[tuple[Any, Any, Any]](1)

    async def run() -> None:
        with receive:
            async for function, arguments, done in receive:
                done.append(await function(*arguments))
                done[0].set()

    async def do(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        done: list[Any] = [anyio.Event()]
        await send.send((function, arguments, done))
        await done[0].wait()
        return done[1]

    async with anyio.create_task_group() as tasks:
        with send:
            tasks.start_soon(run)
            yield do
