"""What can be on a disk when the power comes back.

Assumed is what SQLite assumes of a disk, and no more. What was synced is there. Of the writes to a file since it was
synced any may be there and any may be missing, in any order, each in parts of a sector (512 bytes); so may what made
the file shorter. A file that was growing may be longer than what is there of its content: the rest is zeros or noise.
A file was made or deleted for sure when its folder was synced, and perhaps before. Bytes beside those that were written
are not touched (SQLite calls this powersafe overwrite, and takes it for granted by default).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import TypeAlias

from tests.proofs.power_log import Create, Delete, Entry, Sync, Truncate, Write

SECTOR = 512
Done: TypeAlias = Write | Truncate
State: TypeAlias = dict[str, bytearray]
"""The content of each file."""


class Disk:
    """What is safe, and what is not yet. state: what was there at first, with the numbers that a `Log` gives."""

    def __init__(self, state: State) -> None:
        self.safe = {number: bytearray(content) for number, content in enumerate(state.values(), 1)}
        self.since: dict[int, list[Done]] = {number: [] for number in self.safe}
        """What was done to each file since it was synced."""
        self.names: dict[str, list[int | None]] = {name: [number] for number, name in enumerate(state, 1)}
        """By name the file that has it for sure, and what it has become since the folder was synced."""

    def apply(self, entry: Entry) -> None:
        """Have one more thing happen."""
        if isinstance(entry, Create):
            self.safe[entry.file], self.since[entry.file] = bytearray(), []
            self.names.setdefault(entry.name, [None]).append(entry.file)
        elif isinstance(entry, Delete):
            self.names[entry.name].append(None)
        elif isinstance(entry, Sync):
            self._sync(entry.file)
        else:
            self.since[entry.file].append(entry)
        if isinstance(entry, (Sync, Delete)) and entry.folder:
            self.names = {name: files[-1:] for name, files in self.names.items()}

    def after_loss(self, random: Random) -> State:
        """The files that may be there if the power goes now."""
        found = {name: random.choice(files) for name, files in self.names.items()}
        return {name: self._content(file, random) for name, file in found.items() if file is not None}

    def _content(self, file: int, random: Random) -> bytearray:
        content = bytearray(self.safe[file])
        done = self.since[file]
        if done:
            for kept in random.choice(WAYS)(done, random):
                do(kept, content)
            _grow(content, done, random)
        return content

    def _sync(self, file: int) -> None:
        for done in self.since[file]:
            do(done, self.safe[file])
        self.since[file] = []


def do(done: Done, content: bytearray) -> None:
    """Have it in the content of a file."""
    if isinstance(done, Truncate):
        del content[done.size :]
        return
    content.extend(bytes(max(0, done.offset - len(content))))
    content[done.offset : done.offset + len(done.data)] = done.data


def _grow(content: bytearray, done: Sequence[Done], random: Random) -> None:
    """The file has the size that it was to have, without what was to be there."""
    missing = max((each.offset + len(each.data) for each in done if isinstance(each, Write)), default=0) - len(content)
    if missing > 0 and random.random() < 0.5:
        content.extend(random.randbytes(missing) if random.random() < 0.5 else bytes(missing))


def _parts(done: Done) -> list[Done]:
    """What becomes of a write in the sectors that it is in."""
    if isinstance(done, Truncate):
        return [done]
    start, end = done.offset, done.offset + len(done.data)
    edges = [start, *range(start - start % SECTOR + SECTOR, end, SECTOR), end]
    return [Write(done.file, a, done.data[a - start : b - start]) for a, b in pairwise(edges)]


def _none(done: Sequence[Done], random: Random) -> Sequence[Done]:
    return []


def _all(done: Sequence[Done], random: Random) -> Sequence[Done]:
    return done


def _first(done: Sequence[Done], random: Random) -> Sequence[Done]:
    """Some, in their order; the last of them is torn."""
    count = random.randrange(len(done))
    torn = _parts(done[count])
    return [*done[:count], *torn[: random.randrange(len(torn) + 1)]]


def _some(done: Sequence[Done], random: Random) -> Sequence[Done]:
    share = random.choice((0.1, 0.5, 0.9))
    return [each for each in done if random.random() < share]


def _torn(done: Sequence[Done], random: Random) -> Sequence[Done]:
    share = random.choice((0.1, 0.5, 0.9, 0.99))
    return [part for each in done for part in _parts(each) if random.random() < share]


def _last(done: Sequence[Done], random: Random) -> Sequence[Done]:
    return done[random.randrange(len(done)) :]


def _all_but_one(done: Sequence[Done], random: Random) -> Sequence[Done]:
    parts = [part for each in done for part in _parts(each)]
    parts.pop(random.randrange(len(parts)))
    return parts


WAYS: Sequence[Callable[[Sequence[Done], Random], Sequence[Done]]] = (
    _none, _all, _first, _some, _torn, _last, _all_but_one,
)  # fmt: skip


def losses(
    entries: Sequence[Entry], count: int, random: Random, state: State | None = None
) -> Iterator[tuple[int, State]]:
    """So many states after a loss of power, each with how many of the entries had happened.

    state: what was on the disk before the first of them.
    """
    disk, done = Disk(state or {}), 0
    for cut in sorted(random.randrange(len(entries) + 1) for _ in range(count)):
        for entry in entries[done:cut]:
            disk.apply(entry)
        done = cut
        yield cut, disk.after_loss(random)
