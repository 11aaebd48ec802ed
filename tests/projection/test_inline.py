"""A projection that is written in the commit of the events."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.ports import NoTransaction
from modd.projection import OutdatedProjection, Projection, ProjectionNotBuilt
from modd.projection.builds import Builds
from modd.stores import MemoryStore
from tests.aggregate.undone import undone
from tests.projection.shop import Moved, Order, Ordered, content, follow, orders, rebuild, record, sales, totals

pytestmark = pytest.mark.anyio


def kinds(store: Any, **options: Any) -> list[Projection[Any]]:
    """Return the projections that a store can have."""
    return [totals(**options)] if isinstance(store, MemoryStore) else [totals(**options), sales(**options)]


async def contents(store: Any, **options: Any) -> list[dict[str, int]]:
    """Return what the projections have, each once if they agree."""
    found = [await content(store, each) for each in kinds(store, **options)]
    return [each for at, each in enumerate(found) if each not in found[:at]]


async def test_a_projection_is_there_when_dispatch_returns_and_gone_with_a_rollback(store: Any) -> None:
    # WM-39
    aggregate = orders(store, inline=kinds(store))
    await record(store, Moved())
    await aggregate.dispatch(Order("1", pieces=2))
    assert await contents(store) == [{"rope": 2}]
    for immediate in (False, True):
        async with undone(store.transaction(immediate=immediate)):
            await aggregate.dispatch(Order("2"))
        async with store.transaction(immediate=immediate) as tx:
            async with undone(tx.savepoint()):
                await aggregate.dispatch(Order("3"))
            await aggregate.dispatch(Order("4"))
            await aggregate.dispatch(Order("5"))
    assert await contents(store) == [{"rope": 6}]


@pytest.mark.costly
@pytest.mark.parametrize("immediate", [False, True])
async def test_its_first_commands_may_be_in_one_transaction(immediate: bool, store: Any) -> None:
    # WM-39
    aggregate = orders(store, inline=kinds(store))
    async with undone(store.transaction(immediate=immediate)):
        await aggregate.dispatch(Order("1"))
    async with store.transaction(immediate=immediate):
        await aggregate.dispatch(Order("2"))
        await aggregate.dispatch(Order("3"))
    await aggregate.dispatch(Order("4"))
    assert await contents(store) == [{"rope": 3}]


@pytest.mark.costly
async def test_nothing_is_lost_when_many_commands_of_two_processes_meet_in_one_row(stores: Any) -> None:
    # WM-39
    aggregates = [orders(store, inline=kinds(store)) for store in stores]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(aggregates[number % 2].dispatch, Order(str(number)))
    assert await contents(stores[0]) == [{"rope": 30}]


async def test_events_that_it_has_not_seen_are_an_error_that_names_the_cure(store: Any) -> None:
    # WM-39
    await record(store, Moved(), Ordered("1"))
    aggregate = orders(store, inline=kinds(store))
    for immediate in (False, True):
        with pytest.raises(ProjectionNotBuilt, match=r"Follower\(store, \[totals\]\)"):
            async with store.transaction(immediate=immediate):
                await aggregate.dispatch(Order("2"))
    await follow(store, *kinds(store))
    await record(store, Moved(), Ordered("2"), stream="other")
    with pytest.raises(ProjectionNotBuilt):
        await aggregate.dispatch(Order("3"))
    await follow(store, *kinds(store))
    await aggregate.dispatch(Order("3"))
    await follow(store, *kinds(store))  # does nothing from now on
    assert await contents(store) == [{"rope": 3}]


@pytest.mark.costly
async def test_it_is_built_anew_while_commands_go_on(store: Any) -> None:
    # WM-39 WM-62
    aggregate = orders(store, inline=kinds(store))
    for number in range(10):
        await aggregate.dispatch(Order(str(number)))
    for projection in kinds(store):
        told = list[int]()

        def progress(done: int, total: int, told: list[int] = told) -> None:
            told.append(done)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rebuild, store, projection, progress)
            for number in range(10, 15):
                await aggregate.dispatch(Order(f"{projection.name} {number}"))
        registration = await Builds(store, projection.name, projection.content).load()
        assert registration is not None and registration.inline and registration.live.number == 2
        assert await store.documents("modd tracks").items() == []
    await aggregate.dispatch(Order("last"))
    assert await contents(store) == [{"rope": 11 + 5 * len(kinds(store))}]


async def test_a_process_of_another_version_does_not_write(store: Any) -> None:
    # WM-63
    old, new = orders(store, inline=kinds(store)), orders(store, inline=kinds(store, version=2))
    await old.dispatch(Order("1"))
    with pytest.raises(ProjectionNotBuilt, match="version 2"):
        await new.dispatch(Order("2"))
    await old.dispatch(Order("2"))
    await follow(store, *kinds(store, version=2))
    with pytest.raises(OutdatedProjection, match=r"version 1 .* version 2"):
        await old.dispatch(Order("3"))
    await new.dispatch(Order("3"))
    assert await contents(store, version=2) == [{"rope": 3}]


async def test_it_is_written_in_a_transaction_only(store: Any) -> None:
    # WM-39
    projection = totals()
    await projection.apply(store, "shop", [Moved()])
    with pytest.raises(NoTransaction, match="totals"):
        await projection.apply(store, "shop", [Ordered("1")])


async def test_an_event_of_no_key_changes_nothing(store: Any) -> None:
    # WM-39
    projection = totals(key=lambda event: None)
    await orders(store, inline=[projection]).dispatch(Order("1"))
    assert await content(store, projection) == {}
