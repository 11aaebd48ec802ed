"""The command line on damaged files: a report or one line, an exit code, and nothing that steers the terminal."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from modd.cli.main import confirm, main
from modd.stores.sqlite.store import SqliteStore
from tests.cli.shell import READ_ONLY, Shell
from tests.stores.sqlite.damaged import HUNDREDS, fill, write_damaged

COMMANDS = (
    ["stats"],
    ["stats", "--json"],
    ["dead", "orders", "--raw"],
    ["dead", "orders", "--json"],
    ["show", "orders", "dead-5", "--raw"],
    ["show", "orders", "key-7", "--json"],
    ["doctor", "--full"],
    ["doctor", "--json"],
    ["redrive", "orders", "dead-1", "dead-2"],
    ["redrive", "orders", "--all", "--yes", "--json"],
    ["discard", "orders", "dead-9"],
)
"""Every command, as text and as JSON."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return the content of a file with something in each table, and of its WAL."""
    return anyio.run(fill, tmp_path_factory.mktemp("whole") / "store.db")


def check_answer(shell: Shell, *argv: str) -> None:
    """Run a command, and check that it answers with a report or with one line."""
    code, out, err = shell.run(*argv)
    assert code in (0, 1, 2)
    assert (out == "") is (err != "")
    assert err == "" or (err.startswith("modd: ") and err.count("\n") == 1)
    assert all(char.isprintable() or char == "\n" for char in out + err)


@pytest.mark.unmeasured
@pytest.mark.parametrize("number", range(30))
def test_a_command_on_a_damaged_file_answers_plainly(shell: Shell, file: tuple[bytes, bytes], number: int) -> None:
    # DR-61
    write_damaged(shell.path, file, number)
    check_answer(shell, *COMMANDS[number % len(COMMANDS)])


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(HUNDREDS))
def test_commands_on_hundreds_of_damaged_files_answer_plainly(
    shell: Shell, file: tuple[bytes, bytes], hundred: int
) -> None:
    # DR-61
    for number in range(100 * hundred, 100 * hundred + 100):
        for at in range(3):  # all commands on all files would take minutes
            write_damaged(shell.path, file, number)
            check_answer(shell, *COMMANDS[(3 * number + at) % len(COMMANDS)])


def change(path: Path, sql: str) -> None:
    """Change a file as a damaged byte might."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


WRONG = {
    "UPDATE modd_items SET state = 7 WHERE id = 'dead-1'": "an item has the state 7",
    "UPDATE modd_items SET due = 'x'": "due is str",
    "UPDATE modd_items SET headers = x'ff'": "headers that are no JSON object of texts",
    "DELETE FROM modd_store": "0 rows in place of one",
    "UPDATE modd_queues SET name = CAST(x'1b5b' AS BLOB) WHERE name = 'mails'": "name is bytes",
    "UPDATE modd_queues SET name = CAST(x'ff1b5b' AS TEXT) WHERE name = 'mails'": "Could not decode to UTF-8",
    "ALTER TABLE modd_items RENAME TO items": "no such table: modd_items",
}


@pytest.mark.parametrize("sql", WRONG)
def test_rows_that_no_store_writes_are_one_line(orders: Shell, sql: str) -> None:
    # DR-61
    change(orders.path, sql)
    code, err = orders.error("show", "orders", "dead-1")
    assert code == 1 and "the file is damaged" in err and WRONG[sql] in err


@pytest.mark.parametrize(
    "sql", ["ALTER TABLE modd_outbox RENAME TO other", "UPDATE modd_queues SET name = CAST(name AS BLOB)"]
)
def test_the_doctor_tells_damage_as_a_finding(orders: Shell, sql: str) -> None:
    # DR-61
    change(orders.path, sql)
    code, out, _ = orders.run("doctor")
    assert code == 1 and "problem: the file is damaged" in out
    assert "no such table: modd_outbox" in out or "name is bytes" in out


def test_a_time_that_no_calendar_has_is_shown_as_a_number(orders: Shell) -> None:
    change(orders.path, "UPDATE modd_items SET due = 1e300 WHERE id = 'late-1'")
    assert "1e+300 seconds after 1970" in orders.text("show", "orders", "late-1")


NAME = "or\x1b[31mders\x9b2J\u202e"
"""A name with characters that color, clear and turn around."""


def test_names_and_errors_do_not_steer_the_terminal(shell: Shell) -> None:
    # DR-61
    async def put(store: SqliteStore) -> None:
        await store.queue(NAME).put(b"x")

    shell.fill(put)
    for argv in (["stats"], ["stats", "--json"], ["dead", "other"], ["show", NAME, NAME], ["doctor", "--json"]):
        check_answer(shell, *argv)
    assert shell.json()["queues"][0]["name"] == NAME
    for argv in READ_ONLY:
        assert main(["queue", f"{shell.path}{NAME}", *argv]) == 2


def test_a_question_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda: "y\n")
    confirm(f"discard {NAME}?")
    assert capsys.readouterr().err == "discard or\\x1b[31mders\\x9b2J\\u202e? [y/N] "


def test_logs_of_the_store_stay_out_of_the_output_and_come_back_afterwards(orders: Shell) -> None:
    before = [*logging.getLogger("modd").handlers]
    orders.text("stats")
    assert logging.getLogger("modd").handlers == before
