"""How the connections of a store are made."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import msgspec

from modd.errors import InvalidOption
from modd.stores.sqlite.connection import Link, Loop
from modd.stores.sqlite.errors import StoreForked
from modd.stores.sqlite.journal import mode_of, prepare_reader, prepare_writer
from modd.stores.sqlite.processes import FairLink, Turnstile, of_system
from modd.stores.sqlite.readers import PausableReaders
from modd.stores.sqlite.schema import check_version, migrate
from modd.stores.sqlite.sharing import Sharing
from modd.stores.sqlite.sql import Connection, Cursor


def checked_path(given: Any) -> str:
    """The path of a file from the root, without links: the same for all who mean this file, from wherever they are.

    Raises `InvalidOption`.
    """
    wanted = "give the path of a file, as a text or a pathlib.Path"
    if not isinstance(given, (str, bytes, os.PathLike)):
        raise InvalidOption("path", given, wanted)
    path = os.fsdecode(given)
    if path in ("", ":memory:"):
        raise InvalidOption("path", given, "give the path of a file; in memory there are MemoryQueue and others")
    try:
        return os.path.realpath(path)
    except ValueError as error:  # a zero, or what no file system can have in a name
        raise InvalidOption("path", given, wanted) from error


class Opened(msgspec.Struct, frozen=True):
    """What a store works with while it is open. nonce: the text that tells its file from others."""

    link: Link
    readers: PausableReaders
    sharing: Sharing
    nonce: str


class Looked(msgspec.Struct, frozen=True):
    """What is found before a file is used. version: of SQLite. mode: of the journal. is_new: nothing of modd in it."""

    version: str
    mode: str
    is_new: bool


class Opening:
    """Opens a file, or makes it.

    store: the path. connect: makes a connection. timeout: for how many seconds to wait for others.
    """

    def __init__(self, store: str, connect: Callable[[str], Any], timeout: float, loop: Loop | None) -> None:
        self._store, self._connect, self._timeout, self._loop = store, connect, timeout, loop

    async def open(self, stack: AsyncExitStack) -> Opened:
        """Open it until the stack ends; the readers are to be closed by others. Raises `modd.ports.StoreError`.

        A file that is nothing for this store is left as it is: it is looked at before anything else is done.
        """
        check_forks(self._store)
        looked = await self._look()
        try:
            stack.enter_context(held_open(self._store))
            sharing = Sharing(self._store, self._timeout)
            stack.callback(sharing.leave)
            await sharing.enter(looked.version, self._mode)
            link = await self._writer(stack, sharing)
            if looked.is_new:
                sync_folder(self._store)
        except OSError as error:
            raise of_system(self._store, error) from error
        readers = PausableReaders(self._store, self._reader, sharing.journal.mode == "wal")
        return Opened(link, readers, sharing, await link.run(partial(migrate, self._store)))

    async def _writer(self, stack: AsyncExitStack, sharing: Sharing) -> Link:
        turnstile = Turnstile(self._store, self._timeout)
        stack.callback(turnstile.close)
        link = FairLink(self._connected, self._loop, turnstile, sharing.has_others)
        await self._prepared(link, partial(prepare_writer, self._store, self._timeout))
        stack.push_async_callback(link.close)
        await link.run(sharing.begin)
        return link

    async def _reader(self) -> Link:
        return await self._prepared(self._link(), partial(prepare_reader, self._timeout))

    async def _mode(self) -> str:
        return (await self._look()).mode

    async def _look(self) -> Looked:
        """Look at the file with a connection that is closed again."""
        looked: list[Looked] = []
        link = await self._prepared(self._link(), lambda connection: looked.append(self._looked(connection)))
        await link.close()
        return looked[0]

    def _looked(self, connection: Connection) -> Looked:
        prepare_reader(self._timeout, connection)
        is_new = not check_version(self._store, connection)
        version: str = connection.execute("SELECT sqlite_version()").fetchone()[0]
        return Looked(version, mode_of(connection), is_new)

    def _link(self) -> Link:
        return Link(self._connected, self._loop)

    def _connected(self) -> Connection:
        try:
            connection: Connection = self._connect(self._store)
        except Exception as error:
            connection = Unmade(error)
        return connection

    async def _prepared(self, link: Link, prepare: Callable[[Connection], object]) -> Link:
        await link.open()
        try:
            await link.run(prepare)
        except BaseException:
            await link.close()
            raise
        return link


class Unmade:
    """In place of a connection that could not be made, so that its thread is ended as others are. Raises why."""

    in_transaction = False

    def __init__(self, error: Exception) -> None:
        self._error = error

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Raise the error."""
        raise self._error

    executemany = execute

    def close(self) -> None:
        """Nothing is open."""


def connected(path: str) -> sqlite3.Connection:
    """A connection as a store wants it: transactions are begun by hand."""
    return sqlite3.connect(path, isolation_level=None, cached_statements=256)


OPEN: list[tuple[int, int, int]] = []
"""The files that stores have open: the process that opened it, device and inode.

SQLite keeps for the whole process what it has locked, and takes what was locked before a fork for its own after it. So
that has to be known for the whole process here as well.
"""


@contextmanager
def held_open(path: str) -> Iterator[None]:
    """Know, for the block, that the file is open."""
    status = os.stat(path)
    file = (os.getpid(), status.st_dev, status.st_ino)
    OPEN.append(file)
    try:
        yield
    finally:
        OPEN.remove(file)


def check_forks(path: str) -> None:
    """Raise `StoreForked` if the file was open in the process that this one was forked from."""
    with suppress(FileNotFoundError):
        status = os.stat(path)
        for process, *file in OPEN:
            if process != os.getpid() and file == [status.st_dev, status.st_ino]:
                raise StoreForked(path, process, os.getpid())


def sync_folder(path: str) -> None:
    """Have the name of a new file on the disk, where that takes a step of its own."""
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
