"""The processes that have a file open, found without a lock that could disturb them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from modd.cli.reports import Process
from modd.stores.sqlite.write_turns import TURN_FILE

PROC = Path("/proc")


def find_processes(path: str, proc: Path = PROC) -> list[Process] | None:
    """Return the other processes that have the file open, by pid; None on a system without ``/proc``.

    Processes that the user may not inspect are left out.
    """
    if not (proc / "self" / "fd").is_dir():
        return None
    found: list[Process] = []
    for process in proc.iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            modes = [*_open_modes(process, path)]
            takes_turns = any(_open_modes(process, f"{path}{TURN_FILE}"))
            found += [Process(int(process.name), any(modes), takes_turns)] if modes else []
    return sorted(found, key=lambda process: process.pid)


def _open_modes(process: Path, path: str) -> Iterator[bool]:
    """Yield for each descriptor of a file in a process: True if it is open for writing."""
    with suppress(OSError):  # the process has ended, or belongs to another user; or there is no such file
        file = os.stat(path)
        for descriptor in (process / "fd").iterdir():
            if os.path.samestat(descriptor.stat(), file):
                yield _is_for_writing((process / "fdinfo" / descriptor.name).read_text())


def _is_for_writing(info: str) -> bool:
    flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def describe_processes(processes: Sequence[Process] | None) -> str:
    """Return the processes in one line."""
    if processes is None:
        return "unknown on this system"
    names = [f"{process.pid}{'' if process.writes else ' (reads)'}" for process in processes]
    return ", ".join(names) or "no other process"
