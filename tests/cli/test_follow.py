"""The flows and projections in a file, with their lag and all that has failed."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.cli import follow_overview
from modd.cli.doctor import Doctor
from modd.cli.follow_overview import list_parts
from modd.cli.follow_reports import FollowOverview
from modd.cli.inspection import Inspector, inspect_file
from modd.cli.parts import Parts
from modd.cli.reasons import Reasons
from modd.follower import Follower, PartStopped
from modd.follower.projection_track import ProjectionSource
from modd.projection import Projection
from modd.stores.sqlite.schema import FIRST
from modd.stores.sqlite.store import SqliteStore
from tests.cli.payments import (
    NOTE,
    SECRET,
    Closed,
    Ordered,
    Refunded,
    bad,
    content_after,
    following,
    good,
    newer_sales,
    record,
    sales,
    standing,
)
from tests.cli.shell import Shell, Terminal
from tests.cli.test_damage import NAME, change, check_answer
from tests.stores.sqlite.damaged import write_damaged

log = logging.getLogger("modd.follower")

TYPES = ("--types", "tests.cli.payments")


COMMANDS: tuple[list[str], ...] = (
    [],
    ["resume", "payment", "7"],
    ["stuck", "payment", "--json"],
    ["skip", "payment", "7"],
)


@pytest.fixture
def follow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a shell of ``follow`` for a file that does not exist yet."""
    return Shell(tmp_path / "store.db", capsys, "follow")


def later(path: Path, seconds: float) -> FollowOverview:
    """Return the overview of a file at a later time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        [[at]] = connection.execute("SELECT max(at) FROM modd_events").fetchall()

    def look(inspector: Inspector) -> FollowOverview:
        return list_parts(inspector, Reasons())

    return inspect_file(str(path), look, clock=lambda: at + seconds)


def rewrite(path: Path, old: str, new: str, where: str = "true") -> None:
    """Replace a text in documents."""
    body = f"replace(CAST(body AS TEXT), '{old}', '{new}')"
    change(path, f"UPDATE modd_documents SET body = CAST({body} AS BLOB) WHERE {where}")


def test_each_part_is_told_with_position_lag_version_and_build(follow: Shell) -> None:
    # WM-73
    async def work(store: SqliteStore) -> None:
        await good(store)
        await record(store, Ordered("9"), Ordered("10"))

    follow.fill(work)
    listed = follow.json()
    assert (listed["path"], listed["events"], listed["advice"]) == (str(follow.path), 5, [])
    [flow] = listed["flows"]
    assert (flow["kind"], flow["name"], flow["version"], flow["stuck"]) == ("flow", "payment", 2, [])
    assert flow["instances"] == {"running": 1, "ended": 1, "stuck": 0} and flow["next_due"] > 1e9
    track = flow["track"]
    assert (track["position"], track["events"], track["followed"], track["standstill"]) == (3, 2, False, None)
    assert 0 < track["seconds"] < 3600
    assert [each["name"] for each in listed["projections"]] == ["refunds", "sales"]
    live = listed["projections"][1]["live"]
    assert (live["number"], live["version"], live["track"]["position"]) == (1, 1, 3)
    assert listed["projections"][1]["next"] is None
    [commands] = listed["commands"]
    assert (commands["name"], commands["ready"], commands["dead"]) == ("follower commands", 0, 0)
    out = follow.text()
    assert all(name in out for name in ("payment", "refunds", "sales", "follower commands", "5 events in the log"))


def test_a_part_that_a_process_moves_is_told(follow: Shell) -> None:
    # WM-73
    async def look(store: SqliteStore) -> None:
        follower = following(store, poll=0.01)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.run)
            await record(store, Ordered("7"))
            await follower.catch_up()
            assert [each["track"]["followed"] for each in follow.json()["flows"]] == [True]
            assert "a process" in follow.text()
            follower.stop()

    follow.fill(look)
    assert follow.json()["flows"][0]["track"]["followed"] is False


def test_a_part_that_cannot_be_opened_is_told_with_its_reason_until_it_is_open(follow: Shell) -> None:
    # WM-157
    broken = Projection("sales", tables={"sales": "no (columns"}, events=sales.events)

    async def fail(store: SqliteStore) -> None:
        await record(store, Ordered("7"))
        with pytest.raises(PartStopped, match="sales cannot be opened"):
            await Follower(store, [broken]).catch_up()

    follow.fill(fail)
    [part] = follow.json()["unopened"]
    assert (part["name"], part["attempts"], part["retry_at"] > 1e9) == ("sales", 1, True)
    assert part["reason"].startswith("OperationalError: ")
    [advice] = follow.json()["advice"]
    assert advice.startswith("sales cannot be opened: ")
    out = follow.text()
    assert "not opened  sales" in out and "OperationalError" in out and "the next one at" in out
    assert "a follower adds them" not in out

    async def mend(store: SqliteStore) -> None:
        await Follower(store, [sales]).catch_up()

    follow.fill(mend)
    assert (follow.json()["unopened"], follow.json()["advice"]) == ([], [])


def test_instances_that_are_set_aside_are_told_with_their_reasons_and_what_to_do(follow: Shell) -> None:
    # WM-73
    follow.path.write_bytes(content_after(bad))
    listed = follow.json()
    [flow] = listed["flows"]
    assert flow["instances"] == {"running": 1, "ended": 1, "stuck": 2}
    assert [(each["id"], each["event"], each["position"], each["waiting"]) for each in flow["stuck"]] == [
        ("7", "Refunded", 4, 2),
        ("late", "payment", None, 1),
    ]
    advice, commands = listed["advice"]
    assert advice.startswith("payment: 2 instances set aside")
    assert f"`python -m modd follow {follow.path} stuck payment`" in advice
    assert f"`python -m modd queue {follow.path} dead 'follower commands'`" in commands
    assert listed["commands"][0]["dead"] == 1
    out = follow.text()
    assert "Refunded, event 4" in out and "the timeout payment" in out and "advice:  payment: 2 instances" in out


def test_the_instances_of_a_flow_that_are_set_aside_are_listed_with_their_whole_reasons(follow: Shell) -> None:
    # WM-73
    follow.path.write_bytes(content_after(bad))
    listed = follow.json("stuck", "payment")
    first, second = listed["instances"]
    assert (listed["flow"], listed["total"], first["attempts"], first["retry_at"]) == ("payment", 2, 1, None)
    assert first["reason"].startswith("ValueError: no refund of *** to ***, ***\nraised by refunded of the flow")
    assert second["reason"].startswith("ValueError: *** is ***: ***\nraised by unpaid of the flow payment")
    resume, skip = listed["advice"]
    assert f"`python -m modd follow {follow.path} resume payment --all`" in resume and "skip payment ID" in skip
    out = follow.text("stuck", "payment")
    assert "1, no more" in out and "2 of 2 instances of payment set aside" in out
    limited = follow.text("stuck", "payment", "--limit", "1")
    assert "1 of 2 instances" in limited and "--limit lists more" in limited and "late" not in limited


def test_commands_to_copy_are_never_broken(follow: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    # WM-73
    follow.path.write_bytes(content_after(bad))
    out = Terminal()
    with monkeypatch.context() as there:
        there.setattr("sys.stdout", out)
        there.setenv("COLUMNS", "60")
        assert follow.run()[0] == follow.run("stuck", "payment")[0] == 0
    assert f"`python -m modd follow {follow.path} stuck payment`" in out.getvalue()
    assert f"`python -m modd follow {follow.path} resume payment --all`" in out.getvalue()


def test_the_next_attempt_of_an_instance_is_told(follow: Shell) -> None:
    async def work(store: SqliteStore) -> None:
        await record(store, Ordered("7"), Refunded("7"))
        await following(store, attempts=2, backoff=lambda attempt: 1000.0).catch_up()

    follow.fill(work)
    [stuck] = follow.json("stuck", "payment")["instances"]
    assert stuck["attempts"] == 1 and stuck["retry_at"] > 1e9
    assert "1, the next one at 20" in follow.text("stuck", "payment")


def test_a_flow_without_instances_set_aside_says_so(follow: Shell) -> None:
    follow.path.write_bytes(content_after(good))
    assert follow.json("stuck", "payment") == {"flow": "payment", "total": 0, "instances": [], "advice": []}
    assert follow.text("stuck", "payment") == "0 of 0 instances of payment set aside\n"


def test_the_overview_lists_the_first_instances_alone(follow: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    follow.path.write_bytes(content_after(bad))
    monkeypatch.setattr(follow_overview, "MOST_STUCK", 1)
    assert "1 of 2; `stuck` lists more" in follow.text()


@pytest.mark.costly
@pytest.mark.parametrize("spec", ["tests.cli.payments", "tests.cli.payments:parts", "tests.cli.payments:follower"])
def test_with_types_reasons_lose_only_the_sensitive_values(follow: Shell, spec: str) -> None:
    # WM-73
    follow.path.write_bytes(content_after(bad))
    first, second = follow.json("stuck", "payment", "--types", spec)["instances"]
    assert first["reason"].startswith("ValueError: no refund of 7 to ***, ***\n")
    assert second["reason"].startswith("ValueError: late is late: ***\n")
    out = "".join(follow.text(*argv, "--types", spec) for argv in ([], ["stuck", "payment"]))
    assert SECRET not in out and NOTE not in out


def test_types_without_the_flow_mask_all_values_of_its_state(follow: Shell) -> None:
    follow.path.write_bytes(content_after(bad))
    first = follow.json("stuck", "payment", "--types", "tests.cli.payments:Refunded")["instances"][0]
    assert "no refund of *** to ***, ***" in first["reason"]


def test_a_state_that_the_flow_cannot_read_has_only_sensitive_values(follow: Shell) -> None:
    follow.path.write_bytes(content_after(bad))
    rewrite(follow.path, '"version":2', '"version":9')
    first = follow.json("stuck", "payment", *TYPES)["instances"][0]
    assert "no refund of *** to ***, ***" in first["reason"]


def test_raw_reasons_are_shown_as_they_are_stored(follow: Shell) -> None:
    follow.path.write_bytes(content_after(bad))
    first = follow.json("stuck", "payment", "--raw")["instances"][0]
    assert f"no refund of 7 to {SECRET}, {NOTE}" in first["reason"]
    assert SECRET in follow.text("--raw")


@pytest.mark.costly
@pytest.mark.parametrize("options", [(), TYPES])
def test_nothing_sensitive_is_shown_unless_it_is_asked_for(follow: Shell, options: tuple[str, ...]) -> None:
    # WM-73
    for work in (bad, standing):
        follow.path.write_bytes(content_after(work))
        for argv in ([], ["--json"], ["stuck", "payment"], ["stuck", "payment", "--json"]):
            out = follow.text(*argv, *options)
            assert SECRET not in out and NOTE not in out


def test_a_part_that_stands_is_told_with_event_reason_and_next_attempt(follow: Shell) -> None:
    # WM-73
    follow.path.write_bytes(content_after(standing))
    listed = follow.json()
    flow, (refunds, _) = listed["flows"][0], listed["projections"]
    assert (flow["track"]["standstill"]["position"], flow["track"]["standstill"]["event"]) == (5, "Ordered")
    standstill = refunds["live"]["track"]["standstill"]
    assert (standstill["position"], standstill["event"], standstill["attempts"]) == (4, "Refunded", 1)
    assert standstill["reason"] == "ValueError: *** has no ***" and standstill["retry_at"] > 1e9
    assert any(f"`python -m modd follow {follow.path} skip refunds --position 4`" in each for each in listed["advice"])
    out = follow.text()
    assert "4, Refunded" in out and "refunds, build 1" in out and "the next one at 20" in out
    assert (
        follow.json(*TYPES)["projections"][0]["live"]["track"]["standstill"]["reason"] == "ValueError: bad has no ***"
    )


def test_a_build_that_is_made_is_told_with_how_far_it_is_and_how_it_goes_on(follow: Shell) -> None:
    # WM-73
    async def work(store: SqliteStore) -> None:
        await good(store)
        await ProjectionSource(newer_sales, store, log).open()

    follow.fill(work)
    listed = follow.json()
    following = listed["projections"][1]["next"]
    assert (following["number"], following["version"], following["track"]["position"]) == (2, 2, 0)
    [advice] = listed["advice"]
    assert advice.startswith("build 2 of sales, version 2, is begun, and no process goes on: start one")
    assert f"`python -m modd follow {follow.path} rebuild sales --follower MODULE:NAME`" in advice
    assert "is being built, 0 %" in follow.text()
    change(follow.path, "DELETE FROM modd_events")
    assert "is being built, 100 %" in follow.text()


def test_a_build_that_stands_or_is_moved_by_a_process_is_told(follow: Shell) -> None:
    async def work(store: SqliteStore) -> None:
        await good(store)
        await ProjectionSource(newer_sales, store, log).open()
        await store.locks.acquire("modd track projection sales 2", 1000, "token")

    follow.fill(work)
    assert follow.json()["advice"] == []
    failure = '"failure":{"position":1,"reason":"Oops","attempts":1,"retry_at":1.0}'
    rewrite(follow.path, '"failure":null', failure, "key = 'projection sales 2'")
    [advice] = follow.json()["advice"]
    assert advice.startswith("build 2 of sales, version 2, stands before event 1")


def test_an_inline_projection_has_no_place_in_the_log(follow: Shell) -> None:
    async def work(store: SqliteStore) -> None:
        async with store.transaction():
            await sales.apply(store, "payments", [])
            await sales.apply(store, "payments", [Ordered("7")])

    follow.fill(work)
    [projection] = follow.json()["projections"]
    assert (projection["live"]["version"], projection["live"]["track"]) == (1, None)
    assert "each commit of its events" in follow.text()


def test_old_builds_whose_content_is_still_there_are_told(follow: Shell) -> None:
    follow.path.write_bytes(content_after(good))
    rewrite(follow.path, '"dropping":[]', '"dropping":[{"version":1,"number":7}]', "key = 'sales'")
    assert follow.json()["projections"][1]["dropping"] == [7]
    assert "serves; 1 old build to delete" in follow.text()


def test_a_part_that_no_process_moves_is_worth_a_look_after_a_while(follow: Shell) -> None:
    # WM-73
    async def work(store: SqliteStore) -> None:
        await good(store)
        await record(store, Ordered("9"))

    follow.fill(work)
    assert later(follow.path, 50).advice == []
    flow, refunds, sales = later(follow.path, 7200).advice
    assert flow.startswith("payment is 1 event behind, the first of 2 hours ago, and no process moves it")
    assert refunds.startswith("refunds is ") and sales.startswith("sales is ")


def test_a_timeout_that_no_process_takes_care_of_is_worth_a_look(follow: Shell) -> None:
    follow.path.write_bytes(content_after(good))
    [advice] = later(follow.path, 1800 + 7300).advice
    assert advice.startswith("payment: a timeout is late by 2 hours, and no process moves the flow")


def test_a_part_that_is_far_behind_although_a_process_moves_it_is_worth_a_look(follow: Shell) -> None:
    async def work(store: SqliteStore) -> None:
        await good(store)
        await record(store, Closed("9"))
        for key in ("flow payment", "projection sales 1", "projection refunds 1"):
            await store.locks.acquire(f"modd track {key}", 100_000, "token")

    follow.fill(work)
    assert later(follow.path, 600).advice == []
    assert all("although a process moves it" in each for each in later(follow.path, 7200).advice)


def test_the_doctor_tells_of_parts_that_stand_and_instances_set_aside(follow: Shell) -> None:
    # WM-73
    for work, told in ((bad, "payment: 2 instances set aside"), (standing, "refunds stands before event 4")):
        follow.path.write_bytes(content_after(work))
        health = inspect_file(str(follow.path), lambda inspector: Doctor(inspector).examine())
        assert health.ok and any(each.startswith(told) for each in health.advice)


def test_a_file_without_flows_and_projections_says_so(follow: Shell) -> None:
    async def nothing(store: SqliteStore) -> None:
        """Leave the store empty."""

    follow.fill(nothing)
    assert follow.json() == {
        "path": str(follow.path),
        "events": 0,
        "flows": [],
        "projections": [],
        "commands": [],
        "advice": [],
        "unopened": [],
    }
    assert "no flows and no projections" in follow.text()


def test_a_file_of_the_first_version_of_the_schema_has_none(follow: Shell) -> None:
    with closing(sqlite3.connect(follow.path, isolation_level=None)) as connection:
        connection.executescript(FIRST + "UPDATE modd_store SET version = 1;")
    assert follow.json()["flows"] == []


@pytest.mark.costly
@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["stuck", "sales"], 2, "no flow 'sales' in"),
        (["stuck", "sales"], 2, "it has: payment"),
        (["stuck", "x\udc80"], 2, r"x\udc80: give names and ids in UTF-8"),
        (["stuck", "payment", "--limit", "0"], 2, "--limit 0"),
        (["stuck", "payment", "--raw", *TYPES], 2, "not allowed with"),
        (["--raw", "stuck", "payment", *TYPES], 2, "--raw is not allowed with --types"),
        (["--unknown"], 2, "unrecognized arguments: --unknown"),
        (["stuck"], 2, "required: FLOW"),
        (["stuck", "payment", "--types", "tests.cli.payments:nothing"], 2, "name one"),
        (["resume", "payment"], 2, "resume: give either ids or --all"),
        (["resume", "payment", "7", "--all"], 2, "resume: give either ids or --all"),
        (["resume", "nobody", "--all"], 2, "no flow 'nobody' in"),
        (["skip", "payment"], 2, "skip: give either the id of an instance or --position"),
        (["skip", "payment", "7", "--position", "4"], 2, "skip: give either the id"),
        (["skip", "refunds", "--position", "0"], 2, "--position 0: give the position"),
        (["skip", "refunds", "--position", "9" * 30], 2, "give the position"),
        (["skip", "refunds", "7"], 2, "refunds is a projection, which has no instances: give --position"),
        (["skip", "nobody", "7"], 2, "no flow or projection 'nobody' in"),
        (["skip", "nobody", "7"], 2, "it has: payment, refunds, sales"),
        (["skip", "refunds", "--position", "3"], 1, "the event 3 of refunds is not set aside"),
        (["skip", "payment", "8"], 1, "the instance '8' of payment is not set aside; these are: '7', 'late'"),
        (["skip", "payment", ""], 1, "the instance '' of payment is not set aside"),
        (["rebuild", "sales"], 2, "required: --follower"),
        (["rebuild", "sales", "--follower", "no.such"], 2, "--follower no.such: ModuleNotFoundError"),
        (["rebuild", "sale", "--follower", "tests.cli.payments:parts"], 2, "no projection 'sale', and there is: sales"),
        (["rebuild", "sales", "--follower", "tests.cli.payments:desk"], 2, "there is: no projection"),
        (["rebuild", "sales", "--follower", "tests.cli.payments"], 2, "it has 2 projections 'sales'"),
    ],
)
def test_misuse_of_follow_is_one_line(follow: Shell, argv: list[str], code: int, told: str) -> None:
    # WM-73
    follow.path.write_bytes(content_after(bad))
    found, err = follow.error(*argv)
    assert (found, told in err) == (code, True), err


def test_a_path_without_a_file_is_one_line(follow: Shell) -> None:
    for argv in ([], ["stuck", "payment"], ["resume", "payment", "7"], ["skip", "payment", "7"]):
        assert follow.error(*argv)[0] == 2
    assert follow.error("rebuild", "sales", "--follower", "tests.cli.payments:sales")[0] == 2
    assert not follow.path.exists()


def test_looking_changes_nothing(follow: Shell) -> None:
    # WM-73
    follow.path.write_bytes(content_after(bad))
    before = {path: path.read_bytes() for path in follow.path.parent.iterdir()}
    for argv in ([], ["stuck", "payment"], ["--json"]):
        assert follow.text(*argv)
    assert {path: path.read_bytes() for path in follow.path.parent.iterdir()} == before


def test_names_and_reasons_do_not_steer_the_terminal(follow: Shell) -> None:
    # WM-73
    async def work(store: SqliteStore) -> None:
        await record(store, Ordered(NAME), Refunded(NAME))
        await following(store).catch_up()

    follow.fill(work)
    for argv in (
        [],
        ["--json"],
        ["--raw"],
        ["stuck", "payment", "--raw"],
        ["stuck", "payment", "--raw", "--json"],
        ["skip", "payment", f"{NAME}x"],
        ["resume", "payment", f"{NAME}x", "--json"],
        ["skip", "payment", NAME],
    ):
        check_answer(follow, *argv)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE modd_documents SET body = x'ff' WHERE space = 'modd tracks'", "modd has not written"),
        ("UPDATE modd_documents SET body = '{}' WHERE space = 'modd tracks'", "body is str"),
        ("UPDATE modd_documents SET body = x'7b7d' WHERE space = 'modd projections'", "modd has not written"),
        ("UPDATE modd_documents SET body = x'5b5d' WHERE space = 'modd flow payment'", "modd has not written"),
        ("DELETE FROM modd_events WHERE position = 4", "there is no event 4"),
        ("ALTER TABLE modd_documents RENAME TO documents", "no such table"),
    ],
)
def test_damaged_documents_are_one_line(follow: Shell, sql: str, told: str) -> None:
    # DR-61
    follow.path.write_bytes(content_after(bad))
    change(follow.path, sql)
    code, err = follow.error()
    assert code == 1 and "the file is damaged" in err and told in err, err


@pytest.mark.costly
@pytest.mark.unmeasured
@pytest.mark.parametrize("number", [number for number in range(20) if number % 10 != 9])
def test_the_parts_of_a_damaged_file_are_told_plainly(follow: Shell, number: int) -> None:
    # DR-61
    write_damaged(follow.path, (content_after(bad), b""), number)
    for argv in COMMANDS[number % 2 :: 2]:
        check_answer(follow, *argv)


def test_the_doctor_tells_of_damaged_documents(follow: Shell) -> None:
    # DR-61
    follow.path.write_bytes(content_after(bad))
    change(follow.path, "UPDATE modd_documents SET body = x'ff' WHERE space = 'modd tracks'")
    health = inspect_file(str(follow.path), lambda inspector: Doctor(inspector).examine())
    assert not health.ok and "modd has not written" in health.damage[0]


def test_a_reason_of_an_event_that_is_nested_too_deeply_is_masked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(values: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr("modd.cli.reasons.mask_of", fail)
    assert Reasons().mask("ValueError: x", b"{}") == "***"


def test_an_instance_that_is_gone_is_not_set_aside(follow: Shell) -> None:
    follow.path.write_bytes(content_after(good))

    async def look(parts: Parts) -> Any:
        return await parts.instance("payment", "7"), await parts.instance("payment", "gone")

    def work(inspector: Inspector) -> Any:
        return follow_overview.look_at_parts(inspector, look)

    assert inspect_file(str(follow.path), work) == (None, None)
