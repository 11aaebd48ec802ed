"""Connections on which things go wrong, and a wait for what another task or process does."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from modd.stores.sqlite.opening import connect_file


class Failing(sqlite3.Connection):
    """Asks before each statement what becomes of it."""

    asks: Callable[[str], str]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().execute(self.asks(sql), parameters)


class Disk:
    """Makes connections of which every statement that begins with some text fails, or is another one, as told."""

    def __init__(self) -> None:
        self.fails: dict[str, sqlite3.Error] = {}
        self.changes: dict[str, str] = {}
        self.statements: list[str] = []

    def fail(self, begins: str, name: str, text: str = "as told") -> None:
        """name: of SQLite's result code."""
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
        self.fails[begins] = error

    def on_statement(self, sql: str) -> str:
        self.statements.append(sql)
        for begins, error in self.fails.items():
            if sql.startswith(begins):
                raise error
        return self.changes.get(sql, sql)

    def connect(self, path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, factory=Failing)
        connection.asks = self.on_statement
        return connection


def of_version(version: str) -> Callable[[str], sqlite3.Connection]:
    """Makes connections that say they are of this version of SQLite."""

    def connect(path: str) -> sqlite3.Connection:
        connection = connect_file(path)
        connection.create_function("sqlite_version", 0, lambda: version)
        return connection

    return connect


def by_uri(options: str) -> Callable[[str], sqlite3.Connection]:
    """Makes connections with options of SQLite's own."""
    return lambda path: sqlite3.connect(f"file:{path}?{options}", uri=True, isolation_level=None)


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Look again and again, until it is so."""
    with anyio.fail_after(seconds):
        while True:
            if condition():
                return
            await anyio.sleep(0.005)


def store_threads() -> list[str]:
    """The threads that stores have."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if "_connection_worker" in name or name == "modd-asyncio"]


def has_wal(path: Path) -> bool:
    """Whether there is a WAL beside the file."""
    return Path(f"{path}-wal").exists()


def files_beside(path: Path) -> set[str]:
    """What there is in the folder of the file, without the beginning of its name."""
    return {each.name.removeprefix(path.name) for each in path.parent.iterdir()}


def mode_in_header(path: Path) -> int:
    """How SQLite has marked the file: 2 with a WAL, 1 without."""
    return path.read_bytes()[18]


def damage(path: Path) -> None:
    """Overwrite pages in the middle of the file."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 3 // 4096 * 4096)
        file.write(b"\xa5" * (size // 2 // 4096 * 4096))
