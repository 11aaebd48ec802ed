"""Versions and rebuilds: the next build is made beside the one that serves, and one commit switches."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.follower import Follower, PartStopped
from modd.follower.projection_track import ProjectionSource
from modd.follower.rebuilding import Rebuild
from modd.ports import DocumentConflict
from modd.projection import OutdatedProjection, Projection, Rows, TableInUse
from modd.projection.builds import Builds, Registration
from modd.projection.states import space_of
from modd.stores import MemoryStore, SqliteStore
from tests.projection.shop import (
    OPTIONS,
    SALES,
    Moved,
    Order,
    Ordered,
    Sold,
    codec,
    content,
    engine,
    follow,
    log,
    orders,
    rebuild,
    record,
    sales,
    totals,
)

pytestmark = pytest.mark.anyio

TEN = [Ordered(str(number), "rope" if number % 2 else "lamp", number) for number in range(10)]


def double(state: Sold, event: Ordered) -> Sold:
    return Sold(state.pieces + 2 * event.pieces, state.orders + 1)


def count_double(event: Ordered, rows: Rows) -> None:
    sql = "INSERT INTO {sales} VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET pieces = pieces + excluded.pieces"
    rows.execute(sql, (event.sku, 2 * event.pieces))


def kinds(store: Any) -> list[tuple[Projection[Any], Projection[Any]]]:
    """Return the projections that a store can have, each in an old and a new version."""
    states = totals(), totals(version=2, events={Ordered: double})
    return (
        [states]
        if isinstance(store, MemoryStore)
        else [states, (sales(), sales(version=2, events={Ordered: count_double}))]
    )


async def builds_of(store: Any, projection: Projection[Any]) -> Registration:
    registration = await Builds(store, projection.name, projection.content).load()
    assert registration is not None
    return registration


async def names_in(store: Any) -> set[str]:
    """Return the names of tables and views that are not of modd."""
    async with store.transaction() as tx:
        rows = await tx.fetch("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    return {name for (name,) in rows if not name.startswith(("modd_", "sqlite_"))}


async def left_of_build(store: Any, projection: Projection[Any], number: int) -> list[Any]:
    """Return what a build has in the store: documents and a cursor."""
    cursor = await store.documents("modd tracks").get(f"projection {projection.name} {number}")
    states = await store.documents(f"modd projection {projection.name} {number}").items()
    return [*states, *([] if cursor is None else [cursor])]


async def test_a_new_version_is_built_beside_the_old_one_which_serves_and_goes_on(store: Any) -> None:
    # WM-62
    await record(store, *TEN)
    for old, new in kinds(store):
        await follow(store, old)
        before = await content(store, old)
        mover = engine(store, new, batch=4)
        async with mover.session():
            await mover.advance()
            assert await content(store, old) == before
            await record(store, Ordered("10", "rope", 100))
            await follow(store, old)  # a process that still has the old version
            assert await content(store, old) == before | {"rope": before["rope"] + 100}
            while await mover.advance():
                pass
        assert await content(store, new) == {sku: 2 * pieces for sku, pieces in (await full(store)).items()}
        assert await left_of_build(store, old, 1) == []
        assert (await builds_of(store, new)).builds[0].number == 2
    if isinstance(store, SqliteStore):
        assert await names_in(store) == {"sales", "sales__2"}


async def full(store: Any) -> dict[str, int]:
    """Return the pieces by sku, folded from the log."""
    found: dict[str, int] = {}
    async for stored in store.events.read_all():
        event: Any = codec.decode_message(stored.body)
        found[event.sku] = found.get(event.sku, 0) + event.pieces
    return found


async def test_a_process_of_the_old_version_does_not_write_after_the_switch(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # WM-63
    await record(store, *TEN)
    for old, new in kinds(store):
        late = engine(store, old, batch=4)
        async with late.session():
            await late.advance()
            await record(store, Moved())
            await follow(store, new)
            made = await content(store, new)
            with caplog.at_level(logging.WARNING, "modd.follower"):
                while await late.advance():
                    pass
                late.reopen(old.name)
                await late.advance()
            told = [each for each in caplog.messages if f"version 1 of the projection {old.name}" in each]
            assert len(told) == 1
            await record(store, Ordered("11"))
            assert not await late.advance() or not late.runs
        await follow(store, new)
        assert await content(store, new) == made | {"rope": made["rope"] + 2}
        assert await left_of_build(store, old, 1) == []


async def test_a_rebuild_of_the_same_version_tells_its_progress_and_ends_in_one_switch(store: Any) -> None:
    # WM-62
    await record(store, *TEN)
    for projection, _ in kinds(store):
        await rebuild(store, projection)  # the first build
        before = await content(store, projection)
        told = list[tuple[int, int]]()

        def progress(done: int, total: int, told: list[tuple[int, int]] = told) -> None:
            told.append((done, total))

        await rebuild(store, projection, progress)
        assert (told[-1], await content(store, projection)) == ((10, 10), before)
        assert (await builds_of(store, projection)).live.number == 2
        assert [done for done, _ in told] == sorted(done for done, _ in told)


async def test_a_rebuild_that_was_cut_short_goes_on_where_it_was(store: Any) -> None:
    # WM-62
    await record(store, *TEN)
    for projection, _ in kinds(store):
        await follow(store, projection)
        made = list[int]()

        def stop(done: int, total: int, made: list[int] = made) -> None:
            made.append(done)
            raise EOFError

        with pytest.raises(EOFError):
            await rebuild(store, projection, stop)
        next_build = (await builds_of(store, projection)).next
        assert next_build is not None and next_build.number == 2
        await rebuild(store, projection)
        assert (await builds_of(store, projection)).live == next_build
        assert await content(store, projection) == await full(store)


async def test_a_version_that_is_overtaken_while_it_is_built_is_dropped(store: Any) -> None:
    # WM-62
    await record(store, *TEN)
    for old, second in kinds(store):
        third = type(old)(**options_of(second, version=3))
        await follow(store, old)
        mover = engine(store, second, batch=2)
        async with mover.session():
            await mover.advance()
            begun = engine(store, third, batch=2)
            async with begun.session():
                await begun.advance()
                with pytest.raises(OutdatedProjection, match=r"version 2 .* version 3"):
                    await rebuild(store, second)
                with pytest.raises(OutdatedProjection):
                    await rebuild(store, old)
                while await mover.advance():
                    pass
                assert not mover.runs
                assert await left_of_build(store, old, 2) == []
        await follow(store, third)
        registration = await builds_of(store, third)
        assert (registration.live.version, registration.next, registration.dropping) == (3, None, ())


def options_of(projection: Projection[Any], **changes: Any) -> dict[str, Any]:
    names = ("name", "events", "tables", "key", "version")
    state = {} if projection.tables else {"state": projection.state}
    return {name: getattr(projection, name) for name in names} | state | changes


def fails_at_lamp(state: Sold, event: Ordered) -> Sold:
    if event.sku == "lamp":
        raise LookupError("no lamps here")
    return Sold(state.pieces + event.pieces, state.orders + 1)


async def test_a_rebuild_that_fails_at_an_event_says_so_and_goes_on_there_once_it_is_mended(store: Any) -> None:
    # WM-64
    await record(store, *TEN)
    await follow(store, totals())
    before = await content(store, totals())
    with pytest.raises(PartStopped, match=r"event 1, .*no lamps here.*skip") as raised:
        await rebuild(store, totals(events={Ordered: fails_at_lamp}))
    assert (raised.value.position, await content(store, totals())) == (1, before)
    await rebuild(store, totals())
    assert (await builds_of(store, totals())).live.number == 2
    assert await content(store, totals()) == before


async def test_an_old_build_is_deleted_also_if_the_process_was_killed_after_the_switch(store: Any) -> None:
    # WM-62
    await record(store, *TEN)
    for projection, newer in kinds(store):
        await follow(store, projection)
        builds, first = Builds(store, projection.name, projection.content), await builds_of(store, projection)
        begun = first.with_next(1, first.live.tables)
        for before, after in ((first, begun), (begun, begun.switched())):
            async with store.transaction() as tx:
                await builds.change(tx, before, after)
        await follow(store, newer)
        assert (await builds_of(store, projection)).dropping == ()
        assert (await builds_of(store, projection)).live.number == 3
        assert await store.documents(space_of(projection.name, 1)).items() == []
    if isinstance(store, SqliteStore):
        assert await names_in(store) == {"sales", "sales__3"}


async def test_a_change_that_rests_on_older_builds_is_a_conflict(store: Any) -> None:
    # WM-62
    projection = kinds(store)[-1][0]
    await follow(store, projection)
    builds = Builds(store, projection.name, projection.content)
    with pytest.raises(DocumentConflict):
        async with store.transaction() as tx:
            await builds.change(tx, None, await builds_of(store, projection))


@pytest.mark.parametrize("inline", [False, True])
async def test_a_rebuild_waits_for_a_process_that_makes_the_build(inline: bool, stores: Any) -> None:
    # WM-62
    if inline:
        await orders(stores[0], inline=[totals()]).dispatch(Order("0"))
    await record(stores[0], *TEN)
    if not inline:
        await follow(stores[0], totals())
    await ProjectionSource(totals(), stores[0], log).begin_rebuild()
    maker, told = engine(stores[0], totals(), batch=4), anyio.Event()
    with anyio.fail_after(60):
        async with maker.session(), anyio.create_task_group() as tasks:
            await maker.advance()
            tasks.start_soon(rebuild, stores[1], totals(), lambda done, total: told.set())
            await told.wait()  # this one has the lease, so that the other one waits
            while await maker.advance():
                pass
    assert (await builds_of(stores[0], totals())).live.number == 2
    assert await content(stores[1], totals()) == await full(stores[0])


async def test_a_rebuild_ends_if_a_newer_version_takes_its_place(store: Any) -> None:
    # WM-62 WM-63
    await follow(store, totals())
    source = ProjectionSource(totals(), store, log)
    await source.begin_rebuild()
    await engine(store, totals(version=2)).advance()
    again = Rebuild(source, store, OPTIONS, log)
    with pytest.raises(OutdatedProjection):
        await again.open()
    assert await again.live() == await source.live()


async def test_a_build_that_another_process_has_switched_to_is_left_alone(store: Any) -> None:
    # WM-62
    await follow(store, totals())
    source = ProjectionSource(totals(), store, log)
    await source.begin_rebuild()
    live, made = await source.open()
    assert (await live.at_end(), await live.next_due(), (await made.prepare_due(0)).is_empty) == (False, None, True)
    await rebuild(store, totals())
    assert await made.at_end()
    assert (await builds_of(store, totals())).live == made.build


async def test_the_last_events_of_a_build_that_is_written_inline_are_done_in_the_switch(store: Any) -> None:
    # WM-39 WM-62
    await orders(store, inline=[totals()]).dispatch(Order("1", "lamp"))
    source = ProjectionSource(totals(events={Ordered: fails_at_lamp}), store, log)
    await source.begin_rebuild()
    [made] = await source.open()
    assert not await made.at_end()  # one of them fails
    source = ProjectionSource(totals(), store, log)
    [made] = await source.open()
    assert await made.at_end()
    assert await content(store, totals()) == {"lamp": 1}
    await orders(store, inline=[totals()]).dispatch(Order("2", "lamp"))
    assert await content(store, totals()) == {"lamp": 2}


async def test_tables_need_a_store_with_sql() -> None:
    # WM-59
    with pytest.raises(InvalidOption, match="SqliteStore"):
        Follower(MemoryStore(), [sales()])
    with pytest.raises(InvalidOption, match="SqliteStore"):
        await orders(MemoryStore(), inline=[sales()]).dispatch(Order("1"))


async def test_a_name_that_the_file_has_already_is_an_error(tmp_path: Any) -> None:
    # WM-59
    async with SqliteStore(tmp_path / "shop.db") as store:
        async with store.transaction() as tx:
            await tx.execute("CREATE TABLE Sales (sku TEXT)")
        with pytest.raises(TableInUse, match="Sales"):
            await follow(store, sales())
        await follow(store, sales(tables={"sold": SALES}))
        with pytest.raises(TableInUse, match="sold"):
            await follow(store, sales(name="other", tables={"sold": SALES}))
        with pytest.raises(InvalidOption, match="raise the version"):
            await follow(store, sales(tables={"more": SALES}))
        await follow(store, sales(version=2, tables={"more": SALES}))
        assert await names_in(store) == {"Sales", "more", "more__2"}
        await follow(store, Projection("sales", version=3, state=Sold, key="sku", events={Ordered: double}))
        assert await names_in(store) == {"Sales"}
        await follow(store, sales(version=4, tables={"MORE": SALES}))
        assert await names_in(store) == {"Sales", "MORE", "MORE__4"}


async def test_a_build_is_told_when_it_begins_and_when_it_serves(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    # WM-62
    caplog.set_level(logging.INFO, "modd.follower")
    await record(store, Ordered("1"), Ordered("2"))
    await follow(store, totals())
    assert caplog.messages == ["totals: a build of version 1 begins, from 2 events"]
    caplog.clear()
    await follow(store, totals(version=2))
    await follow(store, totals(version=2))
    assert caplog.messages == [
        "totals: a build of version 2 begins, from 2 events, while version 1 serves",
        "totals: version 2 serves now, built from 2 events",
    ]


async def test_a_rebuild_that_is_overtaken_while_it_is_made_is_an_error(store: Any, monkeypatch: Any) -> None:
    # WM-62 WM-63
    await record(store, Ordered("1"))
    await follow(store, totals())
    source = ProjectionSource(totals(), store, log)
    begin = source.begin_rebuild

    async def begin_and_be_overtaken() -> Any:
        build = await begin()
        await engine(store, totals(version=2)).advance()
        return build

    monkeypatch.setattr(source, "begin_rebuild", begin_and_be_overtaken)
    with pytest.raises(OutdatedProjection):
        await Rebuild(source, store, OPTIONS, log).run()
