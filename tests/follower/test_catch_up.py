"""Catching up beside a loop that changes the tracks of its engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from modd.follower.catch_up import CatchUp
from tests.follower.tracks import Noting, append, loop_of

pytestmark = pytest.mark.anyio


class Changing:
    """A part that gives its next track each time when it is opened, as a projection does whose builds change places."""

    name = "changing"

    def __init__(self, *tracks: Noting) -> None:
        self._tracks = [*tracks]
        for each in tracks:
            each.part = self.name

    async def live(self) -> str | None:
        """Return no key."""
        return None

    async def open(self) -> Sequence[Noting]:
        """Return the next track."""
        return await self._tracks.pop(0).open()


async def test_a_part_is_never_without_tracks_while_they_change(store: Any, monkeypatch: Any) -> None:
    # WM-66: the lease of the old track is released before the new track is begun
    old, new, seen = Noting(store, "old"), Noting(store, "new"), list[set[str]]()
    loop = loop_of(store, Changing(old, new))
    engine = loop._engine
    release = store.locks.release

    async def look(*arguments: Any) -> Any:
        seen.append({*engine.runs})
        return await release(*arguments)

    async with engine.session():
        while await engine.advance():
            pass
        monkeypatch.setattr(store.locks, "release", look)
        engine.reopen(Changing.name)
        await engine.advance()
        assert seen == [{new.key}] == [{*engine.runs}]


async def test_tracks_that_change_while_it_looks_are_waited_for(store: Any, monkeypatch: Any) -> None:
    # WM-66
    old, new, is_changed = Noting(store, "old"), Noting(store, "new"), False
    await append(store, "a", "b")
    loop = loop_of(store, Changing(old, new))
    engine = loop._engine
    standing = engine.standing

    async def change(key: str) -> Any:
        nonlocal is_changed
        found = await standing(key)
        if old.done and not is_changed:
            is_changed = True
            engine.reopen(Changing.name)
            while new.key not in engine.runs:
                await anyio.lowlevel.checkpoint()
        return found

    monkeypatch.setattr(engine, "standing", change)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            loop.begin()
            tasks.start_soon(loop.run)
            assert await CatchUp(store, engine, loop, None).watch()
            assert (is_changed, await new.noted()) == (True, ["a", "b"])
            loop.stop()
