"""How SQLite does the statements of a queue: by an index, however many items there are."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from modd.ports import Item, Subscription
from modd.stores.sqlite.queue import SqliteQueue
from modd.stores.sqlite.retention import Sweeper
from modd.stores.sqlite.store import SqliteStore
from tests.stores.sqlite.conftest import Clock
from tests.stores.sqlite.connections import Watch

pytestmark = pytest.mark.anyio

SCHEMA = re.compile(r"\b(CREATE|ALTER|DROP)\b")

MANY = 126
"""Items of which each size of a statement has some."""


async def do_all(queue: SqliteQueue, clock: Clock) -> None:
    """Each method, with one item and with many."""
    await queue.put(*[b""] * MANY, *[Item(b"", id=f"{number}") for number in range(MANY)])
    await queue.put(*[Item(b"", key=key, delay=delay) for key in ("k", "l", None) for delay in (0, 1)])
    clock.now += 2
    await queue.ack(*await queue.claim(MANY, 60))
    first, second, third, fourth, fifth = [claim for _ in range(5) for claim in await queue.claim(1, 60)]
    await queue.retry(first, 60)
    await queue.retry(second)
    await queue.release(third)
    await queue.extend(fourth, 60)
    await queue.ack(fourth)
    await queue.bury(fifth, "no use")
    clock.now += 90
    [claim] = await queue.claim(1, 60)
    await queue.bury(claim, "no use")
    await queue.redrive(fifth.id)
    await queue.discard(claim.id)
    await queue.cancel("125")
    await queue.put(*[b""] * 10 * MANY)  # so many that it is faster to look items up
    await queue.claim(1, 1, suspects="none")
    clock.now += 90
    [suspect] = await queue.claim(1, 60, suspects="first")
    await queue.release(suspect)
    for claim in await queue.claim(MANY, 60, suspects="none"):  # so many that ANALYZE sees them
        await queue.leave(claim, claim.id, 600)
    await queue.stats()
    await queue.dead()
    await queue.wait(0)


def plan(file: sqlite3.Connection, statement: str) -> list[str]:
    """The steps in which SQLite does a statement, whatever it is given."""
    names = dict.fromkeys(re.findall(r":(\w+)", statement))
    numbers = [int(number) for number in re.findall(r"\?(\d+)", statement)]
    given: Any = names or [None] * max(numbers, default=statement.count("?"))
    return [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {statement}", given)]


def is_by_index(step: str) -> bool:
    """Whether this step of a plan looks at no more items than it has to."""
    return not (step.startswith("SCAN") and ("modd_items" in step or "modd_feed" in step)) and "TEMP B-TREE" not in step


@pytest.mark.costly
@pytest.mark.parametrize("analyzed", [False, True])
async def test_no_statement_goes_through_all_items(path: Path, clock: Clock, analyzed: bool) -> None:
    # ST-5
    """Also when SQLite has looked at how many of each kind there are."""
    watch = Watch()
    async with SqliteStore(path, clock=clock, connect=watch) as store:
        await do_all(store.queue("orders"), clock)
    with closing(sqlite3.connect(path)) as file:
        if analyzed:
            file.execute("ANALYZE")
        file.execute("PRAGMA query_only = ON")
        plans = {each: plan(file, each) for each in watch.done if "modd_items" in each and not SCHEMA.search(each)}
    assert len(plans) > 20
    assert {each: steps for each, steps in plans.items() if not all(map(is_by_index, steps))} == {}


@pytest.mark.parametrize("analyzed", [False, True])
async def test_no_statement_of_a_feed_goes_through_all_items(path: Path, clock: Clock, analyzed: bool) -> None:
    # ST-5, FE-9
    watch = Watch()
    async with SqliteStore(path, clock=clock, connect=watch) as store:
        feed = store.feed("public", retention=60, most=5 * MANY)
        for _ in range(9):
            await feed.put(*[b""] * MANY, *[Item(b"", id=f"{number}") for number in range(MANY)])
        await anext(feed.follow((await feed.span())[0]))
        await feed._wait(0)
        await feed.epoch()
        clock.now += 60
        await feed.put(b"")
        await Sweeper(store, 60, feeds={"public": feed}).sweep()
        await store.feed("small").put(b"")  # so that a feed is no number alone
    with closing(sqlite3.connect(path)) as file:
        if analyzed:
            file.execute("ANALYZE")
        plans = {each: plan(file, each) for each in watch.done if "modd_feed" in each and not SCHEMA.search(each)}
    assert len(plans) > 9
    assert {each: steps for each, steps in plans.items() if not all(map(is_by_index, steps))} == {}


async def test_no_statement_about_handlers_goes_through_all_items(path: Path, clock: Clock) -> None:
    # ST-5
    watch = Watch()
    async with SqliteStore(path, clock=clock, connect=watch) as store:
        queue = store.queue("orders")
        await queue.announce(Subscription("b", "t", "h"), retention=60)
        await queue.put(b"", b"")
        event, left = await queue.claim(2, 60)
        await queue.fan_out(event, ["t"], lambda handlers: [Item(b"", id=each.handler) for each in handlers])
        await queue.leave(left, "a", 60)
        await queue.claim_left(["a"], 1, 60)
        await queue.stats()
    with closing(sqlite3.connect(path)) as file:
        plans = {each: plan(file, each) for each in watch.done if "modd_left" in each and "CREATE" not in each}
    assert len(plans) >= 5
    assert {each: steps for each, steps in plans.items() if not all(map(is_by_index, steps))} == {}
