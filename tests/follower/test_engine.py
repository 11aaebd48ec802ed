"""The engine of a follower, with tracks that note their events."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from modd.follower.cursor import Cursors, TrackCursor
from modd.follower.opening_notes import OpeningFailure, OpeningNotes
from modd.ports import DocumentConflict, StoreError
from tests.follower.conftest import Clock
from tests.follower.tracks import Notes, Noting, append, engine_of, loop_of, run_to_end

pytestmark = pytest.mark.anyio


async def test_a_track_does_each_event_once_in_order_also_over_several_runs(store: Any) -> None:
    track = Noting(store)
    await append(store, "a", "b")
    await run_to_end(engine_of(store, track))
    await append(store, "c", after=2)
    await run_to_end(engine_of(store, track))
    await run_to_end(engine_of(store, Noting(store)))
    assert await track.noted() == ["a", "b", "c"]
    assert await Cursors(store).all() == {track.key: TrackCursor(3, 2)}


async def test_tracks_at_one_position_share_the_reading_of_the_log(store: Any, monkeypatch: Any) -> None:  # WM-68
    tracks, pages = [Noting(store, name) for name in ("one", "two", "three")], list[int]()
    await append(store, "a", "b")
    page = store.events.page

    async def count(after: int, limit: int) -> Any:
        pages.append(after)
        return await page(after, limit)

    monkeypatch.setattr(store.events, "page", count)
    await run_to_end(engine_of(store, *tracks))
    assert [await track.noted() for track in tracks] == [["a", "b"]] * 3
    assert pages == [0, 2]


async def test_the_last_page_is_not_read_again_unless_its_commit_has_appended_events(store: Any) -> None:  # WM-142
    track, found = Noting(store), list[bool]()
    engine = engine_of(store, track)
    async with engine.session():
        while await engine.advance():
            pass
        for position, track.appends in enumerate((False, True, False)):
            await append(store, "a", after=position)
            found.append(await engine.advance())
    assert (found, await track.noted()) == ([False, True, False], ["a"] * 3)


async def test_events_without_a_function_move_the_position_without_commits(store: Any) -> None:  # WM-68
    track = Noting(store, types=frozenset({"wanted"}))
    await append(store, *["other"] * 100)
    engine = engine_of(store, track, batch=10)
    async with engine.session():
        while await engine.advance():
            pass
        assert await Cursors(store).all() == {track.key: TrackCursor(0, 0)}
        assert engine.runs[track.key].position == 100
    assert await Cursors(store).all() == {track.key: TrackCursor(100, 1)}
    assert track.prepared == []


async def test_a_long_log_without_a_function_is_not_read_again_after_a_kill(store: Any) -> None:  # WM-68
    track = Noting(store, types=frozenset({"wanted"}))
    await append(store, *["other"] * 600)
    engine = engine_of(store, track, batch=100)

    async def crash() -> None:
        async with engine.session():
            while await engine.advance():
                pass
            raise KeyError("nothing is saved at the end")

    with pytest.raises(KeyError):
        await crash()
    assert await Cursors(store).all() == {track.key: TrackCursor(600, 2)}


async def test_only_events_of_its_types_reach_a_track(store: Any) -> None:
    track = Noting(store, types=frozenset({"wanted"}))
    await append(store, "wanted", "other", "wanted")
    await store.events.append("odd", [b"no event at all"], 0)
    await run_to_end(engine_of(store, track))
    assert await track.noted() == ["wanted", "wanted"]


@pytest.mark.costly
async def test_pages_grow_while_a_track_is_behind(store: Any) -> None:
    track = Noting(store)
    await append(store, *["a"] * 1500)
    await run_to_end(engine_of(store, track))
    assert track.prepared == [256, 1024, 220]


async def test_a_track_that_fails_stands_before_the_event_and_goes_on_when_it_can(
    timed: Any, clock: Clock
) -> None:  # WM-64
    store, track = timed, Noting(timed)
    track.fails_at = "bad"
    await append(store, "a", "bad", "c")
    engine = engine_of(store, track)
    async with engine.session():
        for _ in range(3):
            while await engine.advance():
                pass
            clock.now += 0.5
        failure = (await Cursors(store).all())[track.key].failure
        assert failure is not None
        assert (failure.position, failure.reason, failure.attempts) == (2, "ValueError: no such thing", 3)
        assert await track.noted() == ["a"]
        track.fails_at = ""
        while await engine.advance():
            pass
    assert await track.noted() == ["a", "bad", "c"]
    assert (await Cursors(store).all())[track.key].failure is None


async def test_an_event_that_cannot_be_written_is_found_among_the_others(store: Any) -> None:  # WM-64
    track = Noting(store)
    track.refuses = "bad"
    await append(store, *"abc", "bad", *"def")
    engine = engine_of(store, track)
    async with engine.session():
        await engine.advance()
        await engine.advance()
    failure = (await Cursors(store).all())[track.key].failure
    assert failure is not None
    assert (failure.position, failure.reason) == (4, "ValueError: no such thing")
    assert await track.noted() == ["a", "b", "c"]


async def test_of_two_engines_one_has_the_track_and_the_other_takes_over(stores: Any) -> None:  # WM-54
    first, second = [Noting(each) for each in stores]
    await append(stores[0], "a")
    other = engine_of(stores[1], second, poll=0.01)
    async with other.session():
        engine = engine_of(stores[0], first)
        async with engine.session():
            while await engine.advance():
                pass
            await append(stores[0], "b", after=1)
            other.wake()
            assert not await other.advance()
        with anyio.fail_after(60):
            while not second.done:
                await other.advance()
                await other.wait()
    assert await first.noted() == ["a", "b"]
    assert (first.done, second.done) == (["a"], ["b"])


async def test_a_part_that_another_process_moves_is_told_once_and_again_when_it_is_taken_over(
    stores: Any, caplog: Any
) -> None:  # WM-54
    caplog.set_level(logging.INFO, "modd.follower")
    elsewhere = "notes is moved by another process; if that has died, this one takes over within 30 s"
    first, second = (engine_of(each, Noting(each)) for each in stores)
    async with second.session():
        async with first.session():
            await first.advance()
            for _ in range(2):
                second.wake()
                await second.advance()
        assert caplog.messages == [elsewhere]
        for _ in range(2):
            second.wake()
            await second.advance()
    assert caplog.messages == [elsewhere, "notes is moved by this process"]
    caplog.clear()
    async with first.session():
        await first.advance()
        async with second.session():
            await second.advance()
    assert caplog.messages == [elsewhere]


async def test_a_part_of_which_this_process_has_one_track_is_not_told(stores: Any, caplog: Any) -> None:  # WM-54
    caplog.set_level(logging.INFO, "modd.follower")
    part, other = Several(stores[0]), Noting(stores[1])
    first, second = engine_of(stores[0], part), engine_of(stores[1], other)
    async with second.session(), first.session():
        await second.advance()
        await first.advance()
        assert [run.lease.active for run in first.runs.values()] == [False, True]
    assert caplog.messages == []


class Several(Noting):
    """A part with two tracks."""

    async def open(self) -> Any:
        following = Noting(self.store, "second")
        following.part = self.part
        return [*await super().open(), *await following.open()]


async def test_a_commit_of_another_process_is_no_loss_and_no_repetition(stores: Any) -> None:  # WM-53
    first, second = [Noting(each) for each in stores]
    engine = engine_of(stores[0], first)
    await append(stores[0], "a")
    async with engine.session():
        while await engine.advance():
            pass
        engine.runs[first.key].lease.active = False  # as if it had been lost
        await stores[0].locks.release(f"modd track {first.key}", engine.runs[first.key].lease._token)
        await append(stores[0], "b", after=1)
        await run_to_end(engine_of(stores[1], second))
        engine.runs[first.key].lease.active = True
        await append(stores[0], "c", after=2)
        while await engine.advance():
            pass
    assert await first.noted() == ["a", "b", "c"]
    assert (first.done, second.done) == (["a", "c"], ["b"])


async def test_a_loop_goes_on_as_soon_as_there_is_an_event_and_ends_when_it_is_stopped(store: Any) -> None:
    track = Noting(store)
    loop = loop_of(store, track, poll=60)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            loop.begin()
            tasks.start_soon(loop.run)
            await loop.pass_end()
            for number, body in enumerate(("a", "b")):
                await append(store, body, after=number)
                await track.until_done(number + 1)
            loop.stop()
    assert await track.noted() == ["a", "b"]
    assert loop.polling.last is not None
    loop.end()
    assert not await loop.pass_end()


async def test_what_is_due_is_done_in_time(store: Any) -> None:
    track = Noting(store)
    loop = loop_of(store, track, poll=60)
    track.due = store.clock() + 0.02
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            loop.begin()
            tasks.start_soon(loop.run)
            await track.until_done(1)
            loop.stop()
    assert await track.noted() == ["due"]


class Builds(Noting):
    """A source with one track after another: at the end of the log, the next one takes the place of the last."""

    def __init__(self, store: Any) -> None:
        super().__init__(store, "first")
        self.name = self.part = "builds"
        self.tracks: list[Noting] = [self]

    async def at_end(self) -> bool:
        if len(self.tracks) > 1:
            return False
        following = Noting(self.store, "second")
        following.part = "builds"
        self.tracks.append(following)
        return True

    async def open(self) -> Any:
        await Cursors(self.store).create(self.tracks[-1].key)
        return self.tracks[-1:]


async def test_a_source_whose_tracks_have_changed_is_asked_for_them_again(store: Any) -> None:
    builds = Builds(store)
    await append(store, "a", "b")
    engine = engine_of(store, builds)
    async with engine.session():
        while await engine.advance():
            pass
        assert [*engine.runs] == ["test second"]
    assert [await each.noted() for each in builds.tracks] == [["a", "b"], ["a", "b"]]
    assert await store.locks.acquire("modd track test first", 1, "of another process")


async def test_a_track_whose_cursor_is_gone_is_asked_for_again(store: Any) -> None:
    track, opened = Noting(store), list[str]()
    engine = engine_of(store, track)
    open_track = track.open

    async def note() -> Any:
        opened.append(track.key)
        return await open_track()

    track.open = note  # type: ignore[method-assign]
    async with engine.session():
        await engine.advance()
        await store.documents("modd tracks").delete(track.key)
        await append(store, "a")
        engine.wake()
        while await engine.advance():
            pass
    assert opened == [track.key] * 2
    assert await track.noted() == ["a"]


async def test_a_conflict_at_an_event_that_could_not_be_written_before_is_no_failure_of_it(store: Any) -> None:
    track, errors = Noting(store), [ValueError("odd"), DocumentConflict("notes", "all")]

    class Twice(Notes):
        async def write(self) -> None:
            if errors:
                raise errors.pop(0)
            await super().write()

    async def prepare(events: Any) -> Notes:
        return Twice(track, [event.type for event in events])

    track.prepare = prepare  # type: ignore[method-assign]
    await append(store, "a")
    await run_to_end(engine_of(store, track))
    assert (errors, await track.noted()) == ([], ["a"])


class Closed(Noting):
    """A part that cannot be opened while it has errors left."""

    def __init__(self, store: Any, *errors: Exception) -> None:
        super().__init__(store, "closed")
        self.errors = [*errors]

    async def open(self) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        return await super().open()


async def test_a_part_that_cannot_be_opened_stops_no_other_and_tries_again_with_growing_pauses(
    store: Any, caplog: Any
) -> None:  # WM-64
    closed, other = Closed(store, ValueError("no tables"), KeyError("still none")), Noting(store)
    await append(store, "a")
    engine = engine_of(store, closed, other)
    async with engine.session():
        for reason in ("ValueError: no tables", "KeyError: 'still none'"):
            while await engine.advance():
                pass
            part = engine.parts["closed"]
            assert (part.reason, await other.noted()) == (reason, ["a"])
            assert part.seconds_to_retry() > 0
            part._pause._end = 0.0
        while await engine.advance():
            pass
    assert engine.parts["closed"].reason == ""
    assert await closed.noted() == ["a"]
    assert [each for each in caplog.messages if "closed" in each] == [
        f"closed cannot be opened, others go on; next try in {seconds} s" for seconds in ("0.5", "1")
    ]


async def test_the_reason_of_a_part_that_cannot_be_opened_is_in_the_store_until_it_is_open(timed: Any) -> None:
    # WM-157
    closed, notes = Closed(timed, ValueError("no tables"), ValueError("still none")), OpeningNotes(timed)
    engine = engine_of(timed, closed, Noting(timed))
    async with engine.session():
        for attempts, seconds in enumerate((0.5, 1.0), 1):
            while await engine.advance():
                pass
            reason = engine.parts["closed"].reason
            assert await notes.all() == {"closed": OpeningFailure(reason, attempts, timed.clock() + seconds)}
            engine.parts["closed"]._pause._end = 0.0
        while await engine.advance():
            pass
        assert await notes.all() == {}


async def test_the_reason_of_a_part_that_was_removed_goes_after_a_week(timed: Any, clock: Clock) -> None:
    # WM-157
    notes = OpeningNotes(timed)
    for name, age in (("removed", 7 * 86_400 + 1), ("failing", 7 * 86_400 - 1)):
        await notes.put(name, OpeningFailure("ValueError: no tables", 1, clock() - age))
    await run_to_end(engine_of(timed, Noting(timed)))
    assert [*await notes.all()] == ["failing"]


async def test_a_part_that_cannot_be_opened_any_more_has_no_tracks(store: Any) -> None:  # WM-64
    closed = Closed(store)
    engine = engine_of(store, closed)
    async with engine.session():
        await engine.advance()
        assert [*engine.runs] == [closed.key]
        closed.errors.append(ValueError("no tables"))
        engine.reopen("closed")
        while await engine.advance():
            pass
        assert [*engine.runs] == []
        await engine.wait(0.001)


async def test_a_loop_with_a_part_that_cannot_be_opened_goes_on_and_tries_it_again(store: Any) -> None:  # WM-64
    closed, other = Closed(store, ValueError("no tables")), Noting(store)
    loop = loop_of(store, closed, other, poll=60)
    await append(store, "a")
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            loop.begin()
            tasks.start_soon(loop.run)
            await loop.pass_end()
            assert (other.done, closed.done) == (["a"], [])
            loop._engine.parts["closed"]._pause._end = 0.0
            loop._engine.wake()
            await closed.until_done(1)
            loop.stop()


async def test_a_store_that_fails_while_a_part_is_opened_is_no_failure_of_the_part(store: Any) -> None:  # WM-53
    closed = Closed(store, StoreError("the store", "it is away"), DocumentConflict("notes", "all"))
    engine = engine_of(store, closed)
    for kind in (StoreError, DocumentConflict):
        with pytest.raises(kind):
            await run_to_end(engine)
        assert engine.parts["closed"].reason == ""
    await run_to_end(engine)
