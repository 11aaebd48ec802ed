"""Instances are resumed, events are skipped, and projections are built anew, from the command line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.cli.follow_changes import rebuild_projection, resume_instances, skip_in
from modd.follower import Follower, NotStuck, PartStopped
from modd.stores.sqlite.store import SqliteStore
from tests.cli.payments import (
    SECRET,
    Ordered,
    Refunded,
    bad,
    content_after,
    following,
    good,
    newer_sales,
    record,
    refunds,
    sales,
    standing,
    stop,
)
from tests.cli.shell import Shell, Terminal
from tests.cli.test_dead_letters import at_terminal

PROJECTION = ("--follower", "tests.cli.payments:sales")
NEWER = ("--follower", "tests.cli.payments:newer_sales")


@pytest.fixture
def follow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a shell of ``follow`` for a file with instances that are set aside."""
    shell = Shell(tmp_path / "store.db", capsys, "follow")
    shell.path.write_bytes(content_after(bad))
    return shell


@pytest.fixture
def bad_file(tmp_path: Path) -> Path:
    """Return a file with instances that are set aside."""
    path = tmp_path / "bad.db"
    path.write_bytes(content_after(bad))
    return path


@pytest.fixture
def good_file(tmp_path: Path) -> Path:
    """Return a file of a follower that has done all events."""
    path = tmp_path / "good.db"
    path.write_bytes(content_after(good))
    return path


def attempts(follow: Shell) -> dict[str, int]:
    """Return the instances that are set aside, with the number of failed attempts."""
    return {each["id"]: each["attempts"] for each in follow.json("stuck", "payment")["instances"]}


def test_an_instance_is_resumed_with_as_many_attempts_as_at_first(follow: Shell) -> None:
    # WM-73
    out = follow.text("resume", "payment", "7")
    assert out.startswith("payment: 1 instance resumed\n") and "no process moves payment now" in out
    assert attempts(follow) == {"7": 0, "late": 1}


def test_instances_that_are_not_set_aside_are_told_and_the_others_resumed(follow: Shell) -> None:
    code, out, err = follow.run("resume", "payment", "8", "7", "7", "gone")
    assert (code, err) == (1, "") and "1 instance resumed" in out and "not set aside: 8, gone" in out
    code, out, err = follow.run("resume", "payment", "8", "--json")
    assert (code, err) == (1, "") and '"missing"' in out


def test_all_are_resumed_without_a_question_for_who_says_yes_before(follow: Shell) -> None:
    assert follow.json("resume", "payment", "--all", "--yes")["done"] == 2
    assert attempts(follow) == {"7": 0, "late": 0}


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1)])
def test_all_are_resumed_when_somebody_at_a_terminal_says_so(
    follow: Shell, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    # WM-73
    with monkeypatch.context() as there:
        asked = at_terminal(there, answer)
        assert follow.run("resume", "payment", "--all")[0] == code
    assert asked.getvalue().startswith(f"resume all 2 instances of payment set aside in {follow.path}? [y/N] ")
    assert attempts(follow) == {"7": left, "late": left}


def test_a_question_about_one_instance_speaks_of_one(follow: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    follow.text("skip", "payment", "late")
    with monkeypatch.context() as there:
        asked = at_terminal(there, "y\n")
        assert follow.run("resume", "payment", "--all")[0] == 0
    assert asked.getvalue().startswith("resume the only instance of payment set aside")


def test_without_a_terminal_all_need_a_yes(follow: Shell) -> None:
    code, err = follow.error("resume", "payment", "--all")
    assert code == 2 and "Give --yes" in err


def test_nothing_to_resume_is_no_error(follow: Shell) -> None:
    follow.path.write_bytes(content_after(good))
    assert follow.json("resume", "payment", "--all")["done"] == 0


def test_an_instance_passes_over_the_event_that_it_cannot_do(follow: Shell) -> None:
    # WM-73
    out = follow.text("skip", "payment", "7")
    assert out.startswith("payment, instance 7: Refunded, event 4, is passed over\n") and "no process moves" in out
    told = follow.json("skip", "payment", "late")
    assert (told["part"], told["id"], told["event"], told["position"]) == ("payment", "late", "payment", None)
    assert attempts(follow) == {"7": 0}

    async def go_on(store: SqliteStore) -> None:
        await following(store).catch_up()

    follow.fill(go_on)
    assert follow.json()["flows"][0]["instances"] == {"running": 2, "ended": 2, "stuck": 0}


def test_a_part_passes_over_the_event_before_which_it_stands(follow: Shell) -> None:
    # WM-73
    follow.path.write_bytes(content_after(standing))
    assert follow.json("skip", "refunds", "--position", "4")["event"] == "Refunded"
    assert follow.text("skip", "payment", "--position", "5").startswith("payment: Ordered, event 5, is passed over\n")
    listed = follow.json()
    assert listed["flows"][0]["track"]["position"] == 5
    assert listed["projections"][0]["live"]["track"]["position"] == 4


def test_a_change_beside_a_process_says_nothing_of_a_start(follow: Shell) -> None:
    async def work(store: SqliteStore) -> None:
        await store.locks.acquire("modd track flow payment", 1000, "token")
        assert follow.json("stuck", "payment")["total"] == 2

    follow.fill(work)
    assert follow.json("resume", "payment", "7")["advice"] == []


def test_a_projection_is_built_anew(follow: Shell) -> None:
    # WM-73
    assert rows(follow.path) == [("DE", 4)]
    change_rows(follow.path)
    told = follow.json("rebuild", "sales", *PROJECTION)
    assert told == {"projection": "sales", "version": 1, "build": 2, "events": 7}
    assert rows(follow.path) == [("DE", 4)]
    assert follow.text("rebuild", "sales", *PROJECTION) == (
        "sales: build 3, version 1, serves now, made from 7 events\n"
    )


def test_a_newer_version_takes_the_place_of_an_older_one_when_somebody_says_so(
    follow: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    # WM-73
    code, err = follow.error("rebuild", "sales", *NEWER)
    assert code == 2 and f"build version 2 of sales in {follow.path} in place of version 1?" in err
    with monkeypatch.context() as there:
        at_terminal(there, "n\n")
        assert follow.run("rebuild", "sales", *NEWER)[0] == 1
    assert follow.json()["projections"][1]["live"]["version"] == 1
    assert follow.json("rebuild", "sales", *NEWER, "--yes")["version"] == 2
    code, err = follow.error("rebuild", "sales", *PROJECTION)
    assert code == 1 and "version 1 of the projection sales is older than version 2" in err


def test_a_projection_that_was_never_in_the_file_is_built(follow: Shell) -> None:
    follow.path.unlink()

    async def work(store: SqliteStore) -> None:
        await record(store, Ordered("7"))

    follow.fill(work)
    assert follow.json("rebuild", "sales", *PROJECTION)["build"] == 1
    assert rows(follow.path) == [("DE", 1)]


def test_the_progress_of_a_build_is_shown_on_a_terminal(follow: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    # WM-73
    out = Terminal()
    with monkeypatch.context() as there:
        there.setattr("sys.stdout", out)
        assert follow.run("rebuild", "sales", *PROJECTION)[0] == 0
    assert "rebuild sales" in out.getvalue() and "7/7" in out.getvalue()


def test_an_event_that_cannot_be_built_is_one_line_without_its_secrets(follow: Shell) -> None:
    # WM-73
    follow.path.write_bytes(content_after(standing))
    code, err = follow.error("rebuild", "refunds", "--follower", "tests.cli.payments:follower")
    assert code == 1 and "refunds stands before event 4" in err and "bad has no ***" in err and SECRET not in err
    standstill = follow.json()["projections"][0]["next"]["track"]["standstill"]
    assert (standstill["position"], standstill["reason"]) == (4, "ValueError: *** has no ***")


def rows(path: Path) -> list[Any]:
    """Return the rows of the projection with a table."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute("SELECT bank, orders FROM sales").fetchall()


def change_rows(path: Path) -> None:
    """Change the rows behind the back of the projection."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE sales__1 SET orders = 77")


async def until_stuck(follower: Follower, attempts: dict[str, int]) -> None:
    """Wait until these instances are set aside, after so many attempts: the follower has to notice it first."""
    with anyio.fail_after(60):
        while {each.id: each.attempts for each in await follower.stuck("payment")} != attempts:
            await follower.catch_up()


@pytest.mark.anyio
class TestChanges:
    """On both loops."""

    async def test_instances_are_resumed_beside_a_follower_that_runs(self, bad_file: Path) -> None:
        # WM-73
        path, steps = bad_file, list[int]()
        async with SqliteStore(path) as store:
            follower = following(store, poll=0.01)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follower.run)
                assert await resume_instances(str(path), "payment", ["7", "8"], steps.append) == ["8"]
                await until_stuck(follower, {"7": 1, "late": 1})
                await skip_in(str(path), "payment", "7", None)
                await until_stuck(follower, {"late": 1})
                follower.stop()
        assert steps == [1, 1]

    async def test_an_instance_that_is_not_set_aside_is_not_skipped(self, bad_file: Path) -> None:
        with pytest.raises(NotStuck):
            await skip_in(str(bad_file), "payment", "8", None)

    async def test_a_projection_is_built_beside_a_follower_that_runs(self, good_file: Path) -> None:
        # WM-73
        path, steps = good_file, list[int]()
        async with SqliteStore(path) as store:
            follower = following(store, poll=0.01)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follower.run)
                await follower.catch_up()
                assert await rebuild_projection(str(path), sales, steps.append) == 3
                await record(store, Ordered("9"))
                await follower.catch_up()
                follower.stop()
        assert sum(steps) == 3
        assert rows(path) == [("DE", 3)]

    async def test_a_build_that_has_failed_goes_on_after_the_event_is_skipped(self, tmp_path: Path) -> None:
        path = tmp_path / "store.db"
        async with SqliteStore(path) as store:
            await record(store, Refunded("7"), Refunded("bad"), Refunded("7"))
            await stop(store)
        with pytest.raises(PartStopped):
            await rebuild_projection(str(path), refunds)
        await skip_in(str(path), "refunds", None, 2)
        assert await rebuild_projection(str(path), refunds) == 3
        async with SqliteStore(path) as store:
            state: Any = await refunds.of(store).get("7")
            assert state.refunds == 2

    async def test_a_newer_version_is_built_without_a_question_by_a_program(self, good_file: Path) -> None:
        await rebuild_projection(str(good_file), newer_sales)
        assert rows(good_file) == [("DE", 2)]
