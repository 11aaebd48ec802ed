"""Opening the file: checks of the path and of forks, the first look, and the connection that writes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import msgspec

from modd.concurrency.blocks import block
from modd.concurrency.loop_thread import LoopThread
from modd.errors import InvalidOption
from modd.stores.sqlite.connection import ConnectionThread
from modd.stores.sqlite.errors import StoreForked
from modd.stores.sqlite.file_lock import translate_os_error
from modd.stores.sqlite.journal_mode import Journal, apply_journal, choose_journal, prepare_reader, prepare_writer
from modd.stores.sqlite.schema import check_version, migrate
from modd.stores.sqlite.sql import Connection, Cursor
from modd.stores.sqlite.write_turns import WriterThread, WriteTurns


def checked_path(path: Any) -> str:
    """Return the absolute path of a file without links, the same from whichever folder it is named.

    Raises `InvalidOption`.
    """
    wanted = "give the path of a file, as a text or a pathlib.Path"
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise InvalidOption("path", path, wanted)
    text = os.fsdecode(path)
    if text in ("", ":memory:"):
        raise InvalidOption("path", path, "give the path of a file; in memory there are MemoryQueue and others")
    try:
        return os.path.realpath(text)
    except ValueError as error:  # a zero, or a character that no file system has in names
        raise InvalidOption("path", path, wanted) from error


class OpenFile(msgspec.Struct, frozen=True):
    """An open file.

    thread: has the connection that writes. open_reader: opens a read-only connection. journal: the mode and its reason.
    nonce: differs from file to file.
    """

    thread: ConnectionThread
    open_reader: Callable[[], Awaitable[ConnectionThread]]
    journal: Journal
    nonce: str


class FileState(msgspec.Struct, frozen=True):
    """The findings of the first look at a file.

    version: of SQLite. is_new: True if the file has no tables of modd.
    """

    version: str
    is_new: bool


class FileOpener:
    """Opens a file, or creates it.

    store: the path. connect: makes a connection. timeout: seconds to wait for other processes. loop: runs aiosqlite
    under trio.
    """

    def __init__(self, store: str, connect: Callable[[str], Any], timeout: float, loop: LoopThread | None) -> None:
        self._store, self._connect, self._timeout, self._loop = store, connect, timeout, loop

    async def open(self, stack: AsyncExitStack) -> OpenFile:
        """Open the file until the stack ends, but for the readers, which the caller closes.

        The file is looked at first, so that the file of a different program is left as it is. Raises
        `modd.ports.StoreError`.
        """
        check_fork(self._store)
        state = await self._look()
        try:
            stack.enter_context(register_open_file(self._store))
            turns = WriteTurns(self._store, self._timeout)
            stack.callback(turns.close)
            thread = await self._open_writer(stack, turns)
            wanted = choose_journal(state.version, turns.works)
            journal = await thread.run(partial(apply_journal, wanted, self._timeout))
            if state.is_new:
                sync_folder(self._store)
        except OSError as error:
            raise translate_os_error(self._store, error) from error
        return OpenFile(thread, self._open_reader, journal, await thread.run(partial(migrate, self._store)))

    async def _open_writer(self, stack: AsyncExitStack, turns: WriteTurns) -> ConnectionThread:
        thread = WriterThread(self._try_connect, self._loop, turns)
        await self._open(thread, partial(prepare_writer, self._store, self._timeout))
        stack.push_async_callback(thread.close)
        return thread

    async def _open_reader(self) -> ConnectionThread:
        thread = ConnectionThread(self._try_connect, self._loop)
        return await self._open(thread, partial(prepare_reader, self._timeout))

    async def _look(self) -> FileState:
        """Look at the file on a connection that is closed again."""
        thread = await self._open_reader()
        try:
            return await thread.run(self._read_state)
        finally:
            await thread.close()

    def _read_state(self, connection: Connection) -> FileState:
        is_new = not check_version(self._store, connection)
        version: str = connection.execute("SELECT sqlite_version()").fetchone()[0]
        return FileState(version, is_new)

    def _try_connect(self) -> Connection:
        try:
            connection: Connection = self._connect(self._store)
        except Exception as error:
            connection = FailedConnection(error)
        return connection

    async def _open(self, thread: ConnectionThread, prepare: Callable[[Connection], object]) -> ConnectionThread:
        await thread.open()
        try:
            await thread.run(prepare)
        except BaseException:
            await thread.close()
            raise
        return thread


class FailedConnection:
    """Stands in for a connection that could not be made, so that its thread is ended as usual; raises the error."""

    in_transaction = False

    def __init__(self, error: Exception) -> None:
        self._error = error

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Raise the error of the connection."""
        raise self._error

    executemany = execute

    def close(self) -> None:
        """Do nothing, because nothing is open."""


def connect_file(path: str) -> sqlite3.Connection:
    """Return a connection that begins no transaction by itself."""
    return sqlite3.connect(path, isolation_level=None, cached_statements=256)


OPEN_FILES: list[tuple[int, int, int]] = []
"""The files that stores of this process have open: the id of the process that opened it, device and inode.

SQLite knows its locks by process, and takes those from before a fork for its own. So the list is one per process too.
"""


@block
def register_open_file(path: str) -> Iterator[None]:
    """Keep the file in `OPEN_FILES` during the block."""
    status = os.stat(path)
    file = (os.getpid(), status.st_dev, status.st_ino)
    OPEN_FILES.append(file)
    try:
        yield
    finally:
        OPEN_FILES.remove(file)


def check_fork(path: str) -> None:
    """Raise `StoreForked` if the file was open in the process that this one was forked from."""
    with suppress(FileNotFoundError):
        status = os.stat(path)
        for process, *file in OPEN_FILES:
            if process != os.getpid() and file == [status.st_dev, status.st_ino]:
                raise StoreForked(path, process, os.getpid())


def sync_folder(path: str) -> None:
    """Write the name of a new file to the disk, on systems where that is a separate step."""
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
