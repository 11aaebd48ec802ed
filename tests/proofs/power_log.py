"""What reached the disk, in which order, and what the disk was asked to keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import apsw
import msgspec


class Write(msgspec.Struct, frozen=True):
    """Bytes were written into a file."""

    file: int
    offset: int
    data: bytes


class Truncate(msgspec.Struct, frozen=True):
    """A file was made shorter."""

    file: int
    size: int


class Sync(msgspec.Struct, frozen=True):
    """All that was done to a file before is safe; with ``folder`` all names in the folder too."""

    file: int
    folder: bool


class Create(msgspec.Struct, frozen=True):
    """A file was made."""

    name: str
    file: int


class Delete(msgspec.Struct, frozen=True):
    """A file was deleted."""

    name: str
    folder: bool


Entry: TypeAlias = Write | Truncate | Sync | Create | Delete


class Log:
    """The entries, in the order in which they happened, and which file has which name now.

    names: of the files that are there at first; they have the numbers from 1 on.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.entries: list[Entry] = []
        self.files = {name: number for number, name in enumerate(names, 1)}
        self._made = len(self.files)

    def __len__(self) -> int:
        return len(self.entries)

    def create(self, name: str) -> int:
        """Note a file of this name, if there was none, and return its number."""
        if name not in self.files:
            self._made += 1
            self.files[name] = self._made
            self.entries.append(Create(name, self._made))
        return self.files[name]

    def delete(self, name: str, folder: bool) -> None:
        """Note that there is no file of this name any more."""
        if self.files.pop(name, None) is not None:
            self.entries.append(Delete(name, folder))


class RecordingFile(apsw.VFSFile):
    """A file of the default file system, and what is done to it; it is never synced, which is what takes time."""

    def __init__(self, log: Log, name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._log = log
        self._file = log.create(path_of(name))
        self._folder = is_journal(flags)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._log.entries.append(Write(self._file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._log.entries.append(Truncate(self._file, newsize))

    def xSync(self, flags: int) -> None:
        self._log.entries.append(Sync(self._file, self._folder))
        self._folder = False


class RecordingVFS(apsw.VFS):
    """The default file system with a log of what is done to it.

    As the one for Unix does, it syncs the folder together with the first sync of a journal.
    """

    def __init__(self, name: str, log: Log) -> None:
        self._log = log
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if name is None:  # for something that nobody needs after a loss of power
            return apsw.VFSFile("", name, flags)
        return RecordingFile(self._log, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._log.delete(filename, syncdir)


def path_of(name: str | apsw.URIFilename) -> str:
    """The path, without the parameters that come with it."""
    return name.filename() if isinstance(name, apsw.URIFilename) else name


def is_journal(flags: list[int]) -> bool:
    """Whether what is opened is a journal, or a WAL."""
    return bool(flags[0] & (apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL))
