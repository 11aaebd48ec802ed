"""The events in a file: their streams, and the events of a stream with the state after each."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import anyio
import msgspec
import pytest

from modd.cli.streams import EVENTS, STREAMS
from modd.stores.sqlite.store import SqliteStore
from tests.cli.accounts import SECRET, Opened, body
from tests.cli.shell import Shell
from tests.cli.test_damage import NAME, change, check_answer
from tests.stores.sqlite.damaged import fill, write_damaged

AGGREGATE = ("--aggregate", "tests.cli.accounts:accounts")
NAMES = ["account/7", "account/bad", "account/old", "audit", "raw", "~north/account/8"]


def test_the_streams_of_a_file_are_listed_with_number_of_events_and_last_time(log: Shell) -> None:
    # WM-72
    listed = log.json()
    assert (listed["path"], listed["events"], listed["after"]) == (str(log.path), 11, None)
    assert [each["name"] for each in listed["streams"]] == NAMES
    first = listed["streams"][0]
    assert (first["events"], first["position"]) == (2, 2) and first["at"] > 1e9
    out = log.text()
    assert all(name in out for name in NAMES) and "11 events in all streams" in out and "--after" not in out


def test_streams_are_listed_in_pages_by_their_names(log: Shell) -> None:
    listed = log.json("--limit", "2")
    assert ([each["name"] for each in listed["streams"]], listed["after"]) == (NAMES[:2], NAMES[1])
    assert [each["name"] for each in log.json("--limit", "4", "--after", NAMES[1])["streams"]] == NAMES[2:]
    assert "--after" in log.text("--limit", "2")


def test_streams_and_events_are_found_by_the_index_however_many_there_are(log: Shell) -> None:
    # WM-72
    with closing(sqlite3.connect(log.path)) as file:
        for sql, parameters in ((STREAMS, ("", 10)), (EVENTS, ("raw", 0, 10))):
            plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            assert any("modd_events_stream" in step for step in plan)
            assert not any(re.match(r"SCAN modd_events\b", step) for step in plan)


def test_the_events_of_a_stream_are_shown_by_their_types_and_ids_alone_without_types(log: Shell) -> None:
    # WM-72
    listed = log.json("account/7")
    assert (listed["stream"], listed["aggregate"], listed["total"], listed["after"]) == ("account/7", None, 2, None)
    first, second = listed["events"]
    assert (first["revision"], first["position"], first["actor"], first["state"]) == (1, 1, "***", None)
    content = first["content"]
    assert (content["type"], content["id"], content["causation_id"]) == ("Opened", "open-1#1", "open-1")
    assert content["stamps"] == ["Actor"] and "body" not in content and "--types" in content["note"]
    assert second["content"]["version"] == 2
    out = log.text("account/7")
    assert SECRET not in out and "ada" not in out and "Deposited, version 2" in out and "2 of 2 events" in out


@pytest.mark.costly
@pytest.mark.parametrize("spec", ["tests.cli.accounts", "tests.cli.accounts:accounts", "tests.cli.accounts:bank"])
def test_with_types_events_are_shown_without_their_sensitive_fields(log: Shell, spec: str) -> None:
    # WM-72
    first, second = log.json("account/7", "--types", spec)["events"]
    assert (first["content"]["body"], first["actor"]) == ({"$type": "Opened", "iban": "***"}, "ada")
    assert second["content"]["body"] == {"$type": "Deposited", "amount": 30}
    [old, _] = log.json("account/old", "--types", spec)["events"]
    assert old["content"]["body"] == {"$type": "Deposited", "amount": 5}
    assert SECRET not in log.text("account/7", "--types", spec)


def test_raw_events_are_shown_as_they_are_stored(log: Shell) -> None:
    [old, _] = log.json("account/old", "--raw")["events"]
    assert old["content"]["body"] == {"$type": "Deposited", "cents": 500} and "version" not in old["content"]
    blob, data = log.json("raw", "--raw")["events"]
    assert (blob["content"]["body"], blob["headers"]) == ("fffe", {"type": "Blob", "who": SECRET})
    assert data["content"]["body"] == {"a": "b"}
    first = log.json("account/7", "--raw")["events"][0]
    assert first["content"]["stamps"][0]["id"] == "ada" and first["content"]["body"]["iban"] == SECRET
    assert SECRET in log.text("raw", "--raw") and '"$stamp":"Actor"' in log.text("account/7", "--raw")


def test_events_that_are_no_messages_are_shown_by_their_size_and_unknown_headers_are_masked(log: Shell) -> None:
    for types in ((), ("--types", "tests.cli.accounts")):
        blob, data = log.json("raw", *types)["events"]
        assert (blob["content"]["size"], blob["headers"]) == (2, {"type": "Blob", "who": "***"})
        assert "type" not in data["content"] and data["content"]["note"].startswith("no message")
        assert SECRET not in log.text("raw", *types)


@pytest.mark.parametrize("spec", ["tests.cli.accounts:accounts", "tests.cli.accounts:bank", "tests.cli.accounts"])
def test_with_an_aggregate_the_state_after_each_event_is_shown_without_its_sensitive_values(
    log: Shell, spec: str
) -> None:
    # WM-72
    listed = log.json("account/7", "--aggregate", spec)
    states = [each["state"] for each in listed["events"]]
    assert listed["aggregate"] == "account"
    assert states == [{"balance": balance, "iban": "***", "note": "opened for ***"} for balance in (0, 30)]
    out = log.text("account/7", "--aggregate", spec)
    assert '{"balance":30,"iban":"***","note":"opened for ***"}' in out and SECRET not in out
    [event] = log.json("~north/account/8", "--aggregate", spec)["events"]
    assert event["state"]["balance"] == 10


def test_a_page_of_events_has_the_states_that_the_events_before_it_lead_to(log: Shell) -> None:
    listed = log.json("account/7", *AGGREGATE, "--after", "1")
    [event] = listed["events"]
    assert (event["revision"], event["state"]["balance"], listed["after"]) == (2, 30, None)
    assert event["state"]["note"] == "opened for ***"
    listed = log.json("account/7", "--limit", "1")
    assert ([each["revision"] for each in listed["events"]], listed["after"]) == ([1], 1)
    assert "--after 1 goes on" in log.text("account/7", "--limit", "1")
    assert log.json("account/7", "--after", "9" * 30)["events"] == []


def test_after_an_event_that_an_aggregate_cannot_apply_there_is_no_state_and_the_reason_is_told(log: Shell) -> None:
    # WM-72
    first, *others = log.json("account/bad", *AGGREGATE)["events"]
    assert first["state"]["balance"] == 1
    assert [(each["state"], each["note"]) for each in others] == [(None, "event 2: ValueError: no deposit: -17")] * 2
    assert log.text("account/bad", *AGGREGATE).count("not shown: event 2: ValueError") == 2


def append(log: Shell, stream: str, *bodies: bytes) -> None:
    """Append events to a new stream."""

    async def work(store: SqliteStore) -> None:
        await store.events.append(stream, bodies, 0)

    log.fill(work)


def test_after_an_event_that_cannot_be_decoded_there_is_no_state(log: Shell) -> None:
    append(log, "account/odd", b'{"$type":"Unheard"}', body(Opened(SECRET)))
    first, second = log.json("account/odd", *AGGREGATE)["events"]
    assert first["content"]["note"] == "--aggregate has no type of this name"
    assert [each["note"] for each in (first, second)] == ["event 1 cannot be decoded"] * 2


def test_an_event_about_access_is_decoded_and_leaves_the_state_as_it_is(log: Shell) -> None:
    append(log, "account/given", msgspec.json.encode({"$type": "modd.OwnershipTransferred", "to": "bob"}))
    [event] = log.json("account/given", *AGGREGATE)["events"]
    assert event["content"]["body"] == {"$type": "modd.OwnershipTransferred", "to": "bob"}
    assert event["state"]["balance"] == 0


def test_a_state_after_very_many_secrets_shows_no_text(log: Shell) -> None:
    append(log, "account/many", *(body(Opened(f"{SECRET}-{number}")) for number in range(1002)))
    [event] = log.json("account/many", *AGGREGATE, "--after", "1001")["events"]
    assert event["state"]["note"] == "***"


@pytest.mark.costly
@pytest.mark.parametrize("depth", [1, 300, 900, 20_000])
def test_events_and_states_that_are_nested_deeply_are_shown_or_told(log: Shell, depth: int) -> None:
    # WM-72
    tree = b"[" * depth + b"]" * depth
    append(log, "tree/1", b'{"$type":"Grown","branches":' + tree + b"}", b'{"$type":"Grown"}')
    for options in ([], ["--raw"], ["--types", "tests.cli.accounts"], ["--aggregate", "tests.cli.accounts:trees"]):
        assert log.text("tree/1", *options) and log.text("tree/1", *options, "--json")
    last = log.json("tree/1", "--aggregate", "tests.cli.accounts:trees", "--after", "1")["events"][0]
    assert last["note"] in ("it is nested too deeply to be shown", "event 1 cannot be decoded")


@pytest.mark.costly
@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["account/77"], 1, "no stream 'account/77' in"),
        (["account/77"], 1, "there is account/7, account/bad, account/old"),
        (["~~~"], 1, "list streams with `events"),
        (["--after", "x", "account/7"], 2, "--after x: give the revision"),
        (["account/7", "account/bad"], 2, "unrecognized arguments: account/bad"),
        (["--limit", "1", "account/7", "account/bad"], 2, "unrecognized arguments: account/bad"),
        (["--raws"], 2, "unrecognized arguments: --raws"),
        (["--raw"], 2, "give its name"),
        (["account/7", "--raw", *AGGREGATE], 2, "--raw is not allowed with --aggregate"),
        (["account/7", "--limit", "0"], 2, "--limit 0"),
        (["--limit", "9" * 30], 2, "at most"),
        (["account/\udc80"], 2, r"account/\udc80: give names of streams in UTF-8"),
        (["raw", *AGGREGATE], 2, "the stream raw is one of 'raw', and there is: account"),
        (["raw", "--aggregate", "tests.cli.accounts:SECRET"], 2, "there is: no aggregate"),
        (["audit", "--aggregate", "tests.cli.accounts"], 2, "audit has a boundary"),
        (["raw", "--aggregate", "no.such"], 2, "--aggregate no.such: ModuleNotFoundError"),
    ],
)
def test_misuse_of_events_is_one_line(log: Shell, argv: list[str], code: int, told: str) -> None:
    found, err = log.error(*argv)
    assert (found, told in err) == (code, True), err


def test_an_empty_file_has_no_streams(log: Shell) -> None:
    change(log.path, "DELETE FROM modd_events")
    assert log.json() == {"path": str(log.path), "events": 0, "streams": [], "after": None}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE modd_events SET at = 'x'", "at is str"),
        ("UPDATE modd_events SET headers = x'ff' WHERE stream = 'raw'", "headers that are no JSON object"),
        ("ALTER TABLE modd_events RENAME TO events", "no such table"),
    ],
)
def test_damaged_events_are_one_line(log: Shell, sql: str, told: str) -> None:
    # DR-61
    change(log.path, sql)
    code, err = log.error("raw")
    assert code == 1 and "the file is damaged" in err and told in err


def test_names_and_content_of_events_do_not_steer_the_terminal(log: Shell) -> None:
    # WM-72
    append(log, NAME, msgspec.json.encode({"$type": NAME}), NAME.encode())
    for argv in ([], ["--json"], [NAME], [NAME, "--raw"], [NAME, "--raw", "--json"], [f"{NAME}x"], ["--after", NAME]):
        check_answer(log, *argv)


def test_looking_at_events_changes_nothing(log: Shell) -> None:
    # WM-72
    before = {path: path.read_bytes() for path in log.path.parent.iterdir()}
    for argv in ([], ["account/7"], ["account/7", *AGGREGATE], ["raw", "--raw"]):
        assert log.text(*argv)
    assert {path: path.read_bytes() for path in log.path.parent.iterdir()} == before


def test_events_of_a_running_store_are_seen_as_soon_as_they_are_committed(log: Shell) -> None:
    async def look(store: SqliteStore) -> None:
        for count in (1, 2):
            await store.events.append("new", [b"{}"], count - 1)
            assert log.json("new")["total"] == count

    log.fill(look)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return the content of a file with something in each table, and of its WAL."""
    return anyio.run(fill, tmp_path_factory.mktemp("whole") / "store.db")


@pytest.mark.unmeasured
@pytest.mark.parametrize("number", range(30))
def test_events_of_a_damaged_file_are_told_plainly(log: Shell, file: tuple[bytes, bytes], number: int) -> None:
    # DR-61
    write_damaged(log.path, file, number)
    for argv in ([], ["--json"], ["a", "--raw"], ["b", "--after", "50"])[number % 2 :: 2]:
        check_answer(log, *argv)
