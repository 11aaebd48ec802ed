"""Loss of power: a run of a store, the states in which it could have left the disk, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import apsw
import msgspec

from modd.stores.sqlite.store import SqliteStore
from tests.proofs.apsw_connection import connector
from tests.proofs.found import TABLES, found, wanted
from tests.proofs.power_disk import State, losses
from tests.proofs.power_ledger import Histories, Ledger
from tests.proofs.power_log import Entry, Log, RecordingVFS
from tests.proofs.power_memory import MemoryVFS
from tests.proofs.power_workload import use

RECORDING, MEMORY = "modd-recording", "modd-memory"
AGAIN = 0.3
"""Of the losses, how many are followed by another one while SQLite puts the file in order, or makes a checkpoint."""


class Run(msgspec.Struct):
    """What a store did. path: of its file."""

    path: str
    entries: list[Entry]
    histories: Histories


class Outcome(msgspec.Struct):
    """What was found. corrupt: of each state that is damaged, how. wrong: of each of the others that is, what."""

    states: int = 0
    corrupt: list[str] = []
    wrong: list[str] = []


async def record(path: Path, instead: Mapping[str, str], random: Random, rounds: int = 6) -> Run:
    """Use a store, close it in the middle and open it anew, and note all that reaches the disk."""
    log = Log()
    vfs = RecordingVFS(RECORDING, log)
    ledger = Ledger(lambda: len(log))
    connect = connector(RECORDING, instead, pages=random.choice((8, 40, 1000)), cache=random.choice((8, 500)))
    for part in "ab":
        async with SqliteStore(path, connect=connect) as store:
            await use(store, ledger, random, part, rounds)
    vfs.unregister()
    return Run(str(path), log.entries, ledger.histories())


class Judge:
    """Looks at what is on the disk after a loss of power."""

    def __init__(self, run: Run) -> None:
        self.outcome = Outcome()
        self._run, self._vfs = run, MemoryVFS(MEMORY)

    def judge(self, count: int, random: Random) -> Outcome:
        """Have the power go so many times during the run, and in some of these cases while all is put in order, too."""
        for cut, state in losses(self._run.entries, count, random):
            again = random.random() < AGAIN
            before = {name: bytearray(content) for name, content in state.items()} if again else {}
            entries = self._look(cut, state, checkpoint=again)
            if again and entries:
                for _, second in losses(entries, 1, random, before):
                    self._look(cut, second, checkpoint=False)
        self._vfs.unregister()
        return self.outcome

    def _look(self, cut: int, state: State, *, checkpoint: bool) -> Sequence[Entry]:
        """Note what is wrong with a state, and return what was done to the disk for that."""
        self.outcome.states += 1
        self._vfs.hold(state)
        try:
            faults = self._faults(cut, checkpoint)
        except (apsw.Error, ValueError) as error:
            self.outcome.corrupt.append(f"after {cut}: {error!r}")
        else:
            self.outcome.wrong += ["; ".join(faults)] if faults else []
        return self._vfs.log.entries

    def _faults(self, cut: int, checkpoint: bool) -> list[str]:
        """What is wrong. Raises for a file that is corrupt."""
        with closing(apsw.Connection(self._run.path, vfs=MEMORY)) as connection:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(not checkpoint))
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # a WAL needs no shared memory then
            problems = connection.execute("PRAGMA integrity_check").fetchall()
            if problems != [("ok",)]:
                raise ValueError(problems)
            tables = connection.execute(TABLES).fetchall()
            things, faults = found({sql: connection.execute(sql).fetchall() for sql in wanted(tables)})
        return faults + self._run.histories.faults(cut, things)


async def reopened(run: Run, count: int, random: Random) -> list[str]:
    """Open so many states with a store as users have it, have it work on, and return what was wrong."""
    wrong: list[str] = []
    for number, (cut, state) in enumerate(losses(run.entries, count, random)):
        path = f"{run.path}-{number}"
        _write(state, run.path, path)
        async with SqliteStore(path) as store:
            async with store.transaction() as tx:
                rows = {sql: await tx.fetch(sql) for sql in wanted(await tx.fetch(TABLES))}
            things, faults = found(rows)
            wrong += faults + run.histories.faults(cut, things)
            await use(store, Ledger(int), random, "c", 1)
    return wrong


def _write(state: State, path: str, to: str) -> None:
    """Have the files of a store in a folder, where it has another name."""
    for name, content in state.items():
        Path(name.replace(path, to)).write_bytes(content)
