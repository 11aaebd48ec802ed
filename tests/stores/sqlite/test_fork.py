"""A store belongs to the process that opened it."""

from __future__ import annotations

from pathlib import Path

from modd.stores.sqlite.errors import StoreForked
from tests.stores.sqlite.program import ended, forked, start


def test_a_forked_process_cannot_use_the_file_that_was_open_and_can_use_others(path: Path, anyio_backend: str) -> None:
    ended(start(forked, path, anyio_backend), seconds=20)


def test_the_error_names_file_processes_and_cure() -> None:
    error = StoreForked("orders.db", 17, 18)
    assert (error.store, error.opened_by, error.process) == ("orders.db", 17, 18)
    assert str(error).startswith("orders.db: process 17 had the file open when process 18, which uses it, was forked")
