"""Random histories of followers that conflict, fail, are killed and rebuild: content is a plain fold of the log.

``MODD_PROFILE=long`` runs many more histories.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modd.cqrs import Event
from modd.follower.cursor import Cursors
from modd.follower.engine import Engine, EngineOptions
from modd.follower.projection_track import ProjectionSource
from modd.projection import Projection, Rows
from modd.projection.builds import Build, Builds, cursor_key
from modd.projection.states import space_of
from modd.stores import MemoryStore, SqliteStore
from modd.worker.retry import checked_backoff
from tests.loops import BACKENDS
from tests.projection.shop import ADD, Moved, Ordered, Returned, Sold, codec, log, sales, totals

pytestmark = pytest.mark.slow

EXAMPLES = 200 if os.environ.get("MODD_PROFILE") == "long" else 10
VERSIONS = (1, 1, 2, 2)
"""The versions of the four followers, of which two and two use one store."""


class Broken:
    """A fault that functions of projections have while it is switched on: they fail at every third event."""

    on = False
    calls = 0

    def check(self) -> None:
        self.calls += 1
        if self.on and self.calls % 3 == 0:
            raise ZeroDivisionError


broken = Broken()


def states_of(version: int) -> Projection[Sold]:
    def add(state: Sold, event: Ordered) -> Sold | None:
        broken.check()
        pieces = state.pieces + version * event.pieces
        return Sold(pieces, state.orders + 1) if pieces else None

    def take(state: Sold, event: Returned) -> Sold | None:
        pieces = state.pieces - version * event.pieces
        return Sold(pieces, state.orders) if pieces else None

    return totals(version=version, events={Ordered: add, Returned: take})


def tables_of(version: int) -> Projection[None]:
    def add(event: Ordered, rows: Rows) -> None:
        rows.execute(ADD, (event.sku, version * event.pieces))
        broken.check()
        rows.execute("DELETE FROM {sales} WHERE pieces = 0")

    def take(event: Returned, rows: Rows) -> None:
        rows.execute(ADD, (event.sku, -version * event.pieces))
        rows.execute("DELETE FROM {sales} WHERE pieces = 0")

    return sales(version=version, events={Ordered: add, Returned: take})


def folded(events: Iterable[Event], version: int) -> dict[str, int]:
    """Return the pieces by sku that a version has after events."""
    pieces: dict[str, int] = {}
    for event in events:
        if isinstance(event, (Ordered, Returned)):
            change = version * event.pieces * (1 if isinstance(event, Ordered) else -1)
            pieces[event.sku] = pieces.get(event.sku, 0) + change
            if not pieces[event.sku]:
                del pieces[event.sku]
    return pieces


class History:
    """Four followers on two stores, each with an engine of its own.

    Their leases end at once, so that those who have had one believe that they still have it.
    """

    def __init__(self, kind: str, folder: str) -> None:
        self.kind = kind
        path = Path(folder) / "shop.db"
        memory = MemoryStore()
        self.stores: list[Any] = [memory] * 2 if kind == "memory" else [SqliteStore(path) for _ in range(2)]
        self.events: list[Event] = []
        self.engines: list[Engine] = []

    def start(self, number: int) -> Engine:
        """Return an engine that knows nothing of the one before it, which was killed."""
        store, version = self.stores[number % 2], VERSIONS[number]
        projections = self.projections(version)
        options = EngineOptions(3, checked_backoff("none"), 0.000_001, 0.000_001)
        return Engine(store, [ProjectionSource(each, store, log) for each in projections], options, log)

    def projections(self, version: int) -> list[Projection[Any]]:
        """Return the projections that the stores can have."""
        states, tables = states_of(version), tables_of(version)
        return [states, tables] if self.kind == "sqlite" else [states]

    async def begin(self) -> None:
        """Start the followers."""
        self.engines = [self.start(number) for number in range(len(VERSIONS))]

    async def do(self, name: str, value: Any) -> None:
        """Take a step."""
        if name == "record":
            bodies = [codec.encode_message(each) for each in value]
            await self.stores[0].events.append("shop", bodies, len(self.events))
            self.events += value
        elif name == "advance":  # several at once conflict
            async with anyio.create_task_group() as tasks:
                for number in value:
                    tasks.start_soon(self.engines[number].advance)
        elif name == "kill":
            self.engines[value] = self.start(value)
        elif name == "break":
            broken.on = not broken.on
        else:
            version = VERSIONS[value]
            for projection in self.projections(version):
                source = ProjectionSource(projection, self.stores[value % 2], log)
                builds = await Builds(self.stores[0], projection.name, projection.content).load()
                if builds is not None and builds.newest == version:
                    await source.begin_rebuild()
            self.engines[value] = self.start(value)

    async def check(self) -> None:
        """Compare each build with the events up to its position."""
        for projection in self.projections(1):
            builds = await Builds(self.stores[0], projection.name, projection.content).load()
            for build in () if builds is None else builds.builds:
                stored = await Cursors(self.stores[0]).load(cursor_key(projection.name, build.number))
                assert stored is not None
                expected = folded(self.events[: stored.cursor.position], build.version)
                assert await self.pieces(projection, build) == expected

    async def pieces(self, projection: Projection[Any], build: Build) -> dict[str, int]:
        """Return the pieces by sku in a build."""
        store = self.stores[1]
        if projection.tables is None:
            documents = await store.documents(space_of(projection.name, build.number)).items()
            return {key: projection.content.decode(body).pieces for key, body in documents}  # type: ignore[attr-defined]
        async with store.transaction() as tx:
            return dict(await tx.fetch(f"SELECT sku, pieces FROM sales__{build.number}"))

    async def end(self) -> None:
        """Let the followers of the newest version catch up, and compare what serves with all events."""
        broken.on = False
        for _ in range(2):  # the second one deletes the states of the old builds
            self.engines[2] = self.start(2)
            while await self.engines[2].advance():
                pass
        await self.check()
        for projection in self.projections(2):
            builds = await Builds(self.stores[0], projection.name, projection.content).load()
            assert builds is not None and builds.next is None and builds.live.version == 2 and not builds.dropping
            assert await self.pieces(projection, builds.live) == folded(self.events, 2)


EVENTS = st.lists(
    st.one_of(
        st.builds(Ordered, order=st.just("1"), sku=st.sampled_from("abc"), pieces=st.integers(1, 3)),
        st.builds(Returned, sku=st.sampled_from("abc"), pieces=st.integers(1, 3)),
        st.builds(Moved),
    ),
    min_size=1,
    max_size=8,
)
FOLLOWERS = st.integers(0, len(VERSIONS) - 1)
STEPS = st.one_of(
    st.tuples(st.just("record"), EVENTS),
    st.tuples(st.just("advance"), st.lists(FOLLOWERS, min_size=1, max_size=4, unique=True)),
    st.tuples(st.just("advance"), st.just([0, 1])),
    st.tuples(st.just("kill"), FOLLOWERS),
    st.tuples(st.just("rebuild"), FOLLOWERS),
    st.tuples(st.just("break"), st.none()),
)


async def run(kind: str, steps: Sequence[tuple[str, Any]]) -> None:
    broken.on = False
    with TemporaryDirectory() as folder:
        history = History(kind, folder)
        async with AsyncExitStack() as stack:
            for store in dict.fromkeys(history.stores):
                await stack.enter_async_context(store)
            await history.begin()
            for name, value in steps:
                await history.do(name, value)
                await history.check()
            await history.end()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@settings(max_examples=EXAMPLES)
@given(steps=st.lists(STEPS, max_size=25))
def test_each_build_is_a_fold_of_the_log_up_to_its_position(kind: str, steps: list[tuple[str, Any]]) -> None:
    # WM-60 WM-62 WM-63
    for backend in BACKENDS:
        anyio.run(run, kind, steps, backend=backend)
