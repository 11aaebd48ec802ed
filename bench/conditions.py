"""The case of an append on a condition: events with tags that no other event must have matched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.accounts import EventFile
from bench.cases import Case, expect, times_as_fast
from bench.durable import spread
from modd.ports import Item, Tagged

AT_ONCE = 100
"""Writers, each with a course and a stream of its own."""
BEFORE = 50_000
"""Events that are in both files before."""
FILL = 5000
"""Events that are appended at a time where that is not measured."""
TYPE = "Subscribed"
BODY = b'{"course":"algebra-1","student":"student-1","at":1764288000.0}'


def subscription(number: int) -> Item:
    """Return an event with three tags: those of a course and a student, and one that all events have."""
    return Item(BODY, {"type": TYPE}, tags=(f"course:{number % 1000}", f"student:{number % 10_000}", "year:2026"))


def condition_cases(folder: Path) -> list[Case]:
    """Return the case; its files are made in the folder."""
    return [append_on_condition(folder)]


def append_on_condition(folder: Path) -> Case:
    """Many writers append an event each, with three tags and a condition, and without tags and on a revision."""
    files = EventFile(folder), EventFile(folder)
    conditional, plain = (file.store.events for file in files)
    positions, revisions = [BEFORE] * AT_ONCE, [0] * AT_ONCE

    async def append_where(writer: int) -> None:
        item = subscription(writer)
        condition = Tagged(f"course:{writer}")
        last = await conditional.append_where(f"course/{writer}", [item], condition, positions[writer])
        assert last is not None
        positions[writer] = last

    async def append(writer: int) -> None:
        item = Item(BODY, {"type": TYPE})
        revisions[writer] = await plain.append(f"course/{writer}", [item], revisions[writer])

    async def run(sends: int) -> None:
        before = await conditional.last()
        await spread(sends, AT_ONCE, append_where)
        expect(await conditional.last() - before, sends)

    async def base(sends: int) -> None:
        before = await plain.last()
        await spread(sends, AT_ONCE, append)
        expect(await plain.last() - before, sends)

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        async with files[0].opened(), files[1].opened():
            for events in (conditional, plain):
                for start in range(0, BEFORE, FILL):
                    await events.append("before", [subscription(start + each) for each in range(FILL)], start)
            yield

    name = f"append with three tags and a condition, {AT_ONCE} at once"
    return Case(name, run, base, times_as_fast, must=0.35, aim=0.5, opening=opened())
