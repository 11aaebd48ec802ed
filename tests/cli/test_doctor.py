"""The findings of the doctor, and its advice."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import msgspec
import pytest

from modd.cli import doctor
from modd.cli.formats import format_age
from modd.cli.inspection import Inspector
from modd.cli.reports import StoreHealth
from modd.stores.errors import NewerStore
from modd.stores.sqlite.journal_mode import is_affected
from modd.stores.sqlite.schema import FIRST, STEPS, migrate
from modd.stores.sqlite.store import SqliteStore
from tests.cli.health import AFFECTED, REPAIRED, health
from tests.cli.shell import Shell


def test_a_file_that_is_well_is_told_with_all_that_there_is_to_know(orders: Shell) -> None:
    told = orders.json("doctor")
    assert told["ok"] and told["damage"] == told["problems"] == told["processes"] == []
    assert told["check"] == "quick_check" and told["schema"] == len(STEPS) and told["outbox"] == 1
    assert told["journal"]["sqlite"] == sqlite3.sqlite_version
    assert told["journal"]["affected"] is is_affected(sqlite3.sqlite_version)
    assert (told["journal"]["mode"], told["journal"]["synchronous"]) == ("none", "full")
    assert told["sizes"] == {
        "file": orders.path.stat().st_size,
        "wal": 0,
        "pages": told["sizes"]["pages"],
        "free_pages": 0,
    }
    mails, own = told["queues"]
    assert mails["counts"]["name"] == "mails" and mails["oldest_dead"] is None and mails["oldest_ready"] < 60
    assert own["counts"]["dead"] == 2 and own["oldest_dead"] < 60
    out = orders.text("doctor", "--full")
    assert "integrity_check" in out and "no other process" in out and out.endswith("healthy\n")


def test_the_feeds_of_a_file_are_told_with_their_last_positions(shell: Shell) -> None:
    # FE-10
    async def post(store: SqliteStore) -> None:
        await store.feed("public").put(b"1", b"2")
        await store.feed("private").epoch()

    shell.fill(post)
    private, public = shell.json("doctor")["feeds"]
    assert (private["name"], private["items"], private["last"], private["oldest"]) == ("private", 0, 0, None)
    assert (public["name"], public["items"], public["last"]) == ("public", 2, 2) and public["oldest"] < 60
    out = shell.text("doctor")
    assert "private: 0 items up to position 0" in out
    assert "public: 2 items up to position 2, the oldest put" in out


def test_a_file_of_the_first_version_is_told_without_feeds(shell: Shell) -> None:
    with closing(sqlite3.connect(shell.path, isolation_level=None)) as file:
        migrate(str(shell.path), file, (FIRST,))
    assert shell.json("doctor")["feeds"] == []
    assert "feeds" in shell.text("doctor")


def test_the_journal_mode_is_told_with_the_reason_for_it(shell: Shell) -> None:
    # ST-60
    async def look(store: SqliteStore) -> None:
        await store.queue("orders").put(b"one")
        for version, reason in ((AFFECTED, "one after another"), (REPAIRED, "is safe")):
            journal = health(shell.path, version).journal
            assert (journal.mode, journal.affected) == ("wal", version == AFFECTED)
            assert reason in journal.reason
        assert health(shell.path).sizes.wal > 0

    shell.fill(look)
    connection = sqlite3.connect(shell.path)
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("UPDATE modd_store SET version = version")
    connection.commit()
    for version, reason in ((AFFECTED, "cannot be locked"), (REPAIRED, "has no WAL")):
        journal = health(shell.path, version).journal
        assert journal.mode == "rollback" and reason in journal.reason
    connection.close()


def test_an_sqlite_that_can_damage_a_wal_is_worth_an_upgrade_but_nothing_is_wrong(shell: Shell) -> None:
    shell.fill(nothing)
    told = health(shell.path)
    assert told.ok and len(told.advice) == 1 and AFFECTED in told.advice[0]
    assert health(shell.path, REPAIRED).advice == []


def test_what_is_left_for_long_is_worth_a_look(orders: Shell) -> None:
    advice = health(orders.path, REPAIRED).advice
    assert [each.partition(": ")[0] for each in advice] == ["mails", "orders", "orders"]
    assert "worker" in advice[0] and "redrive or discard" in advice[2] and "days ago" in advice[2]


def test_a_long_wal_free_pages_and_an_old_schema_are_worth_a_look(
    orders: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LONG_WAL", -1)
    monkeypatch.setattr(doctor, "MUCH_FREE", -1.0)
    monkeypatch.setattr(doctor, "STEPS", (*STEPS, ""))
    advice = "\n".join(health(orders.path, REPAIRED).advice)
    assert "WAL has 0 bytes" in advice and "VACUUM" in advice and f"become {len(STEPS) + 1}" in advice


def test_a_damaged_file_is_told_with_what_to_do_and_exit_code_1(orders: Shell) -> None:
    connection = sqlite3.connect(orders.path)
    [[page]] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'modd_items_ready'")
    connection.close()
    with orders.path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    code, out, err = orders.run("doctor", "--full", "--json")
    told = msgspec.json.decode(out, type=StoreHealth)
    assert (code, err, told.ok) == (1, "", False)
    assert told.damage and ".recover" in told.problems[0]
    code, out, _ = orders.run("doctor")
    assert code == 1 and "not healthy" in out and "problem: " in out
    code, err = orders.error("stats")
    assert code == 1 and "is damaged" in err


def test_a_file_of_a_newer_modd_is_left_to_that(orders: Shell) -> None:
    connection = sqlite3.connect(orders.path)
    connection.execute("UPDATE modd_store SET version = 99")
    connection.commit()
    connection.close()
    code, err = orders.error("doctor")
    assert code == 1 and "upgrade modd" in err
    with pytest.raises(NewerStore):
        health(orders.path)


def test_an_error_that_is_not_of_the_file_is_raised(orders: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(inspector: Inspector) -> int:
        raise LookupError("a mistake")

    with monkeypatch.context() as there:
        there.setattr(Inspector, "outbox", fail)
        with pytest.raises(LookupError, match="a mistake"):
            orders.run("doctor")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (172800, "2 days")],
)
def test_times_are_told_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert format_age(seconds) == f"{text} ago"


async def nothing(store: SqliteStore) -> None:
    """Leave a store empty."""
