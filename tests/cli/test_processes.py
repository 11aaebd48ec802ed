"""The other processes that have a file open."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modd.cli import doctor
from modd.cli.processes import find_processes
from modd.cli.reports import Process
from tests.cli.health import REPAIRED, health
from tests.cli.shell import Shell

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode={sys.argv[2]}", uri=True)
connection.execute("SELECT count(*) FROM modd_store").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def opened(path: Path, mode: str) -> Iterator[int]:
    """Start another process that has the file open, and yield its pid."""
    argv = [sys.executable, "-c", HOLD, str(path), mode]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nothing tells here who has a file open")
def test_other_processes_that_have_the_file_open_are_told(orders: Shell) -> None:
    with opened(orders.path, "rw") as writer, opened(orders.path, "ro") as reader:
        told = health(orders.path)
        found = sorted([Process(writer, True, False), Process(reader, False, False)], key=lambda each: each.pid)
        assert told.processes == found and told.ok
        out = orders.text("doctor")
        assert f"{reader} (reads)" in out and str(writer) in out


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nothing tells here who has a file open")
def test_a_stranger_that_writes_beside_others_with_an_sqlite_that_can_damage_a_wal_is_wrong(orders: Shell) -> None:
    connection = sqlite3.connect(orders.path)
    connection.execute("PRAGMA journal_mode = WAL")
    with opened(orders.path, "rw") as first, opened(orders.path, "rw") as second:
        told = health(orders.path)
        assert not told.ok and str(first) in told.problems[0] and str(second) in told.problems[0]
        assert health(orders.path, REPAIRED).ok
    connection.close()


def test_where_nothing_tells_who_has_the_file_open_it_is_not_known(
    orders: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_processes(str(orders.path), tmp_path) is None
    monkeypatch.setattr(doctor, "find_processes", lambda path: None)
    assert "unknown on this system" in orders.text("doctor")


def test_a_process_that_has_ended_meanwhile_has_nothing_open(orders: Shell, tmp_path: Path) -> None:
    (tmp_path / "self" / "fd").mkdir(parents=True)
    (tmp_path / "99999999").mkdir()
    assert find_processes(str(orders.path), tmp_path) == []
