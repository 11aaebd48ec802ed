"""Commands that only read: their reports, and files that stay unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from runpy import run_module

import anyio
import pytest

from modd.stores.sqlite.store import SqliteStore
from tests.cli.messages import SECRET
from tests.cli.shell import READ_ONLY, Shell, bury, stock


@pytest.mark.costly
def test_stats_are_told_when_nothing_else_is_asked_for_and_count_all_queues_and_the_outbox(orders: Shell) -> None:
    # ST-57
    assert (
        orders.json()
        == orders.json("stats")
        == {
            "path": str(orders.path),
            "queues": [
                {"name": "mails", "ready": 1, "delayed": 0, "leased": 0, "dead": 0, "left": 0, "suspects": 0},
                {"name": "orders", "ready": 3, "delayed": 1, "leased": 1, "dead": 2, "left": 0, "suspects": 0},
            ],
            "outbox": 1,
            "handlers": [],
        }
    )
    assert orders.text().split() == [
        *("queue", "ready", "delayed", "leased", "dead", "left"),
        *("mails", "1", "0", "0", "0", "0"),
        *("orders", "3", "1", "1", "2", "0"),
        *("outbox:", "1"),
    ]


def test_dead_letters_are_listed_with_reason_attempts_and_type_and_without_their_content(orders: Shell) -> None:
    listed = orders.json("dead", "orders")
    assert (listed["queue"], listed["total"]) == ("orders", 2)
    assert [each["id"] for each in listed["items"]] == ["dead-1", "dead-2"]
    first = listed["items"][0]
    assert first["reason"].startswith("Refused: ") and first["attempts"] == 1
    assert first["content"]["type"] == "Pay" and "body" not in first["content"]
    out = orders.text("dead", "orders")
    assert "Pay" in out and "at the bank" in out and "--types" in out


def test_a_list_that_is_cut_off_says_so(orders: Shell) -> None:
    out = orders.text("dead", "orders", "--limit", "1")
    assert "dead-1" in out and "dead-2" not in out and "1 of 2" in out


@pytest.mark.costly
@pytest.mark.parametrize(
    ("id", "state"),
    [
        ("ready-1", "ready"),
        ("late-1", "delayed"),
        ("leased-1", "leased"),
        ("first-1", "ready"),
        ("second-1", "waits for its key"),
        ("dead-1", "dead"),
    ],
)
def test_any_item_is_shown_with_the_state_that_it_is_in(orders: Shell, id: str, state: str) -> None:
    shown = orders.json("show", "orders", id)
    assert (shown["id"], shown["state"]) == (id, state)
    assert (shown["due"] is not None) == (state in ("delayed", "leased"))
    assert state in orders.text("show", "orders", id)


def test_an_item_that_was_put_without_an_id_is_found_by_the_one_that_it_got(shell: Shell) -> None:
    ids: list[str] = []

    async def put(store: SqliteStore) -> None:
        ids.extend(each.id for each in await store.queue("mails").put(b"one", b"two"))

    shell.fill(put)
    assert shell.json("show", "mails", ids[1], "--raw")["content"]["body"] == "two"
    of_another_file = "0" * 12 + ids[1][12:]
    assert shell.error("show", "mails", of_another_file)[0] == 1


def test_keys_and_the_headers_of_others_are_masked_unless_all_is_asked_for(orders: Shell) -> None:
    shown = orders.json("show", "orders", "second-1")
    assert shown["key"] == "***" and shown["headers"] == {"modd-handler": "notify", "who": "***"}
    shown = orders.json("show", "orders", "second-1", "--raw")
    assert shown["key"] == "ada" and shown["headers"]["who"] == SECRET


@pytest.mark.costly
@pytest.mark.parametrize("is_open", [True, False])
def test_looking_changes_nothing_and_leaves_no_file_behind(shell: Shell, is_open: bool) -> None:
    # ST-57
    def state() -> dict[str, tuple[int, int]]:
        found = {path: os.stat(path) for path in sorted(map(str, shell.path.parent.iterdir()))}
        return {path: (told.st_size, told.st_mtime_ns) for path, told in found.items() if not path.endswith("-shm")}

    async def look() -> None:
        async with SqliteStore(shell.path) as store:
            await stock(store)
            looked()
            assert store.journal.mode == "wal"
            await store.queue("orders").put(b"goes on")

    def looked() -> None:
        before = state()
        for argv in READ_ONLY:
            shell.text(*argv)
        assert state() == before

    if is_open:
        anyio.run(look)
    else:
        shell.fill(stock)
        looked()


def test_what_a_running_store_has_committed_is_seen(shell: Shell) -> None:
    async def look(store: SqliteStore) -> None:
        for count in (1, 2):
            await store.queue("orders").put(b"one")
            assert shell.json()["queues"][0]["ready"] == count

    shell.fill(look)


def test_a_folder_that_cannot_be_written_is_looked_into(shell: Shell) -> None:
    shell.fill(stock)
    shell.path.chmod(0o444)
    shell.path.parent.chmod(0o555)
    try:
        assert shell.json()["outbox"] == 1
    finally:
        shell.path.parent.chmod(0o755)


@pytest.mark.costly
def test_a_process_of_its_own_tells_the_same(orders: Shell) -> None:
    argv = [sys.executable, "-m", "modd", "queue", str(orders.path), "stats", "--json"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert told.stdout == orders.text("stats", "--json")


@pytest.mark.costly
def test_who_stops_reading_gets_no_traceback(orders: Shell) -> None:
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-m", "modd", "queue", str(orders.path), "dead", "orders"]
    told = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (told.returncode, told.stderr) == (1, "")


def test_what_nobody_reads_is_given_up_without_a_word(orders: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with monkeypatch.context() as there, os.fdopen(write, "w") as nobody:
        there.setattr("sys.stdout", nobody)
        assert orders.run("--json") == (1, "", "")


def test_it_is_run_as_a_module(orders: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["modd", "queue", str(orders.path), "--json"])
    with pytest.raises(SystemExit) as end:
        run_module("modd", run_name="__main__")
    assert end.value.code == 0


def test_dead_letters_are_read_while_more_are_written(shell: Shell) -> None:
    async def look(store: SqliteStore) -> None:
        for number in range(5):
            await bury(store, f"dead-{number}")
            assert shell.json("dead", "orders")["total"] == number + 1

    shell.fill(look)
