"""A file system in memory, in which the states of a disk are opened. What SQLite does to them is noted."""

from __future__ import annotations

from typing import Any, cast

import apsw

from tests.proofs.power_disk import Done, State, do
from tests.proofs.power_log import Log, Sync, Truncate, Write, is_journal, path_of


class MemoryFile:
    """A file of it. It is locked for nobody, as only one has it open."""

    def __init__(self, content: bytearray, log: Log, file: int, folder: bool) -> None:
        self._content, self._log, self._file, self._folder = content, log, file, folder

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._note(Write(self._file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        self._note(Truncate(self._file, newsize))

    def xFileSize(self) -> int:
        return len(self._content)

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, operation: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xSync(self, flags: int) -> None:
        self._log.entries.append(Sync(self._file, self._folder))
        self._folder = False

    def xLock(self, level: int) -> None: ...

    def xUnlock(self, level: int) -> None: ...

    def xClose(self) -> None: ...

    def _note(self, done: Done) -> None:
        do(done, self._content)
        self._log.entries.append(done)


class MemoryVFS(apsw.VFS):
    """The file system. files: what is in it. log: what was done to it since these were put there."""

    def __init__(self, name: str) -> None:
        self.hold({})
        super().__init__(name, "")

    def hold(self, files: State) -> None:
        """Have these files, and no others, for the next connection."""
        self.files, self.log = files, Log(files)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        flags[1] = flags[0]
        made: Any = MemoryFile(bytearray(), Log(), 0, False) if name is None else self._open(path_of(name), flags)
        return cast(apsw.VFSFile, made)

    def xAccess(self, pathname: str, flags: int) -> bool:
        return pathname in self.files

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.files.pop(filename, None)
        self.log.delete(filename, syncdir)

    def xFullPathname(self, name: str) -> str:
        return name

    def _open(self, path: str, flags: list[int]) -> MemoryFile:
        content = self.files.setdefault(path, bytearray())
        return MemoryFile(content, self.log, self.log.create(path), is_journal(flags))
