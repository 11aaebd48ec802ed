"""The search for events in all streams of a file: by position, and by correlation id."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from modd.cli import event_search
from modd.cli.event_search import AT_POSITION
from modd.cqrs import Actor, Envelope
from modd.cqrs.stamps import Identity
from modd.stores.sqlite.store import SqliteStore
from tests.cli.accounts import SECRET, Deposit, accounts
from tests.cli.shell import Shell
from tests.cli.test_damage import change

TYPES = ("--types", "tests.cli.accounts")


@pytest.fixture
def journey(log: Shell) -> Shell:
    """Return a shell for a file in which one journey has events in two streams, among others."""

    async def record(store: SqliteStore) -> None:
        stored = accounts.stored(store)
        for number, account in enumerate(("9", "10"), 1):
            await stored.dispatch(Deposit(account, 1))
            caused = Identity(f"caused-{number}", "open-1", "open-1", at=1.0)
            await stored.dispatch(Envelope.restore(Deposit(account, 5), caused, [Actor(id="ada")]))

    log.fill(record)
    return log


def places(found: dict[str, list[dict[str, dict[str, object]]]]) -> list[tuple[object, object]]:
    return [(each["stream"], each["event"]["position"]) for each in found["events"]]


def test_the_event_at_a_position_is_shown_with_its_stream(log: Shell) -> None:
    # WM-158
    found = log.json("--position", "3")
    assert places(found) == [("~north/account/8", 3)]
    assert (found["correlation"], found["after"], found["events"][0]["event"]["revision"]) == (None, None, 1)
    out = log.text("--position", "3")
    assert "~north/account/8" in out and "1, position 3" in out and "Deposited" in out


def test_the_event_at_a_position_is_found_by_the_key_of_the_table(log: Shell) -> None:
    # WM-158
    with closing(sqlite3.connect(log.path)) as file:
        [plan] = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {AT_POSITION}", (3,))]
    assert plan.startswith("SEARCH modd_events USING INTEGER PRIMARY KEY")


@pytest.mark.costly
def test_content_is_masked_unless_it_is_asked_for(log: Shell) -> None:
    # WM-158
    [first] = log.json("--position", "1")["events"]
    assert (first["event"]["actor"], "body" in first["event"]["content"]) == ("***", False)
    [first] = log.json("--position", "1", *TYPES)["events"]
    assert (first["event"]["actor"], first["event"]["content"]["body"]["iban"]) == ("ada", "***")
    for argv in (("--position", "1"), ("--correlation", "open-1")):
        assert SECRET not in log.text(*argv) and SECRET not in log.text(*argv, *TYPES)
    assert log.json("--position", "11", "--raw")["events"][0]["event"]["content"]["body"] == {"a": "b"}


def test_the_events_of_a_journey_are_listed_across_streams_by_position(journey: Shell) -> None:
    # WM-158
    found = journey.json("--correlation", "open-1")
    assert places(found) == [("account/7", 1), ("account/9", 13), ("account/10", 15)]
    assert (found["correlation"], found["after"]) == ("open-1", None)
    out = journey.text("--correlation", "open-1")
    assert "3 events with the correlation open-1" in out and "account/10" in out and "--after" not in out


@pytest.mark.costly
def test_the_events_of_a_journey_are_listed_in_pages(journey: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    # WM-158
    found = journey.json("--correlation", "open-1", "--limit", "2")
    assert (places(found)[-1], found["after"]) == (("account/9", 13), 13)
    assert "--after 13 goes on" in journey.text("--correlation", "open-1", "--limit", "2")
    monkeypatch.setattr(event_search, "STRIDE", 4)
    assert places(journey.json("--correlation", "open-1", "--after", "13")) == [("account/10", 15)]
    assert places(journey.json("--correlation", "open-1")) == places(
        journey.json("--correlation", "open-1", "--after", "0")
    )


@pytest.mark.costly
def test_an_id_that_is_only_a_part_of_another_or_of_another_header_finds_nothing(journey: Shell) -> None:
    # WM-158
    for id in ("open", "pen-1", "caused-1", "ada", "correlation", '"'):
        found = journey.json("--correlation", id)
        assert (found["events"], found["after"]) == ([], None)
    assert "0 events with the correlation caused-1" in journey.text("--correlation", "caused-1")


@pytest.mark.costly
@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["--position", "99"], 1, "no event 99 in"),
        (["--position", "99"], 1, "the last one is 11"),
        (["--position", "-1"], 2, "--position -1: give the position of an event"),
        (["--position", str(2**63)], 2, "give the position of an event"),
        (["--position", "0"], 2, "--position 0: give the position of an event"),
        (["--correlation", ""], 2, "--correlation: give an id"),
        (["--position", "x"], 2, "invalid int value"),
        (["--position", "3", "account/7"], 2, "give one of STREAM, --position and --correlation"),
        (["--position", "3", "--correlation", "a"], 2, "give one of STREAM, --position and --correlation"),
        (["--position", "3", "--after", "2"], 2, "--after is not for --position"),
        (["--position", "3", "--aggregate", "tests.cli.accounts:accounts"], 2, "--aggregate is for the events of one"),
        (["--correlation", "a", "--after", "x"], 2, "--after x: give the position behind which"),
        (["--correlation", "a\udc80"], 2, "in UTF-8"),
    ],
)
def test_misuse_of_a_search_is_one_line(log: Shell, argv: list[str], code: int, told: str) -> None:
    # WM-158
    found, err = log.error(*argv)
    assert (found, told in err) == (code, True), err


def test_damaged_headers_of_a_journey_are_one_line(log: Shell) -> None:
    # WM-158
    change(log.path, "UPDATE modd_events SET at = 'x'")
    for argv in (("--position", "1"), ("--correlation", "open-1")):
        code, err = log.error(*argv)
        assert code == 1 and "the file is damaged" in err and "at is str" in err
