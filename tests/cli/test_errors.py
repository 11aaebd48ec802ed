"""Paths and names that do not exist."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from modd.cli.main import main
from tests.cli.shell import READ_ONLY, Shell


def test_a_path_without_a_file_is_an_error_and_none_is_made(shell: Shell) -> None:
    for argv in (*READ_ONLY, ["redrive", "orders", "--all", "--yes"]):
        code, err = shell.error(*argv)
        assert code == 2 and str(shell.path) in err
    assert not shell.path.exists()


def test_a_file_of_something_else_is_left_as_it_is(shell: Shell, tmp_path: Path) -> None:
    shell.path.write_bytes(b"no database at all, but a text of more than a hundred bytes. " * 3)
    assert "is not a store of modd" in shell.error("stats")[1]
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    before = other.read_bytes()
    assert main(["queue", str(other), "redrive", "orders", "--all", "--yes"]) == 1
    assert other.read_bytes() == before


def test_a_queue_and_an_item_that_are_not_there_are_named_with_what_is(orders: Shell) -> None:
    code, err = orders.error("dead", "order")
    assert code == 2 and "'order'" in err and "mails, orders" in err
    for id in ("gone", "0123456789abcdef", "0123456789abxyz", "x" * 40):
        code, err = orders.error("show", "orders", id)
        assert code == 1 and repr(id) in err
