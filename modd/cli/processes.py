"""Which processes have a file open, found out without a lock that could be in anybody's way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from modd.cli.reports import Process

PROC = Path("/proc")


def openers(path: str, proc: Path = PROC) -> list[Process] | None:
    """The other processes that have the file open, of those that this user may look at; None where nothing tells."""
    if not (proc / "self" / "fd").is_dir():
        return None
    wanted = os.stat(path)
    found: list[Process] = []
    for process in proc.iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            ways = [*_ways(process, (wanted.st_dev, wanted.st_ino))]
            found += [Process(int(process.name), any(ways))] if ways else []
    return sorted(found, key=lambda each: each.pid)


def _ways(process: Path, file: tuple[int, int]) -> Iterator[bool]:
    """For each time that a process has the file open, whether it is for writing."""
    with suppress(OSError):  # it has ended, or is somebody else's
        for opened in (process / "fd").iterdir():
            there = opened.stat()
            if (there.st_dev, there.st_ino) == file:
                yield _is_writing((process / "fdinfo" / opened.name).read_text())


def _is_writing(info: str) -> bool:
    flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
