"""Files that are inspected while other processes use them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from modd.cli.inspection import Inspector, inspect_file
from modd.ports import StoreError
from modd.stores.errors import StoreBusy
from tests.cli.shell import Shell


class Intruder:
    """Counts the queues of a file, while another connection writes to it for the first time."""

    def __init__(self, path: Path, mode: str, error: Exception | None = None) -> None:
        self.path, self.mode, self.error = path, mode, error
        self.connection = sqlite3.connect(path)
        self.at_rest: list[bool] = []

    def __call__(self, inspector: Inspector) -> int:
        self.at_rest.append(inspector.at_rest)
        if inspector.at_rest:
            self.connection.execute(f"PRAGMA journal_mode = {self.mode}")
            self.connection.execute("INSERT INTO modd_queues VALUES (1, 'new')")
            self.connection.commit()
            if self.error is not None:
                raise self.error
        return len(inspector.queues())


@pytest.mark.parametrize("mode", ["WAL", "TRUNCATE", "DELETE"])
@pytest.mark.parametrize("error", [None, sqlite3.DatabaseError("half of it")])
def test_a_file_at_rest_is_looked_at_again_when_somebody_writes_meanwhile(
    orders: Shell, mode: str, error: Exception | None
) -> None:
    intruder = Intruder(orders.path, mode, error)
    assert inspect_file(str(orders.path), intruder) == 3
    assert intruder.at_rest == [True, False]
    intruder.connection.close()


def test_an_error_of_a_file_at_rest_is_told_at_once(orders: Shell) -> None:
    seen: list[bool] = []

    def look(inspector: Inspector) -> None:
        seen.append(inspector.at_rest)
        inspector.rows("SELECT * FROM gone")

    with pytest.raises(StoreError, match="gone"):
        inspect_file(str(orders.path), look)
    assert seen == [True]


def test_a_file_that_somebody_keeps_locked_is_busy(orders: Shell) -> None:
    connection = sqlite3.connect(orders.path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("INSERT INTO modd_queues VALUES (1, 'new')")
    with pytest.raises(StoreBusy):
        inspect_file(str(orders.path), Inspector.queues, timeout=0)
    connection.close()


def test_a_transaction_that_a_process_left_half_done_is_told_with_who_undoes_it(orders: Shell, tmp_path: Path) -> None:
    connection = sqlite3.connect(orders.path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO modd_queues VALUES (?, ?)", ((at, f"{at:0400}") for at in range(1, 500)))
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for suffix in ("", "-journal"):
        shutil.copy(f"{orders.path}{suffix}", crashed / f"store.db{suffix}")
    connection.close()
    before = os.stat(crashed / "store.db").st_mtime_ns
    with pytest.raises(StoreError, match="in the middle of a transaction"):
        inspect_file(str(crashed / "store.db"), Inspector.queues)
    assert os.stat(crashed / "store.db").st_mtime_ns == before
