"""Cases of aggregates beside the library eventsourcing, which does the same work in threads in place of a loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import UUID

from bench.accounts import BATCH, Add, EventFile, Total, fill, totals
from bench.aggregates import replays
from bench.cases import Case, expect, times_as_fast
from bench.durable import spread
from modd.aggregate import Aggregate
from modd.stores import MemoryStore

try:
    from eventsourcing.application import Application
    from eventsourcing.domain import Aggregate as PeerAggregate
    from eventsourcing.domain import event
    from eventsourcing.sqlite import SQLiteApplicationRecorder
except ModuleNotFoundError as missing:
    missing.add_note(
        '`make bench` installs eventsourcing; or run: .venv/bin/python -m pip install "eventsourcing>=9.5"'
    )
    raise

ACCOUNTS = 100
"""Instances that get commands in turn, and commands at once where there are several."""
EVENTS = 20_000
"""Events of the instance that is replayed; the peer takes half a second for them."""
CACHE = {"AGGREGATE_CACHE_MAXSIZE": "1024"}
"""Settings of the peer: it keeps as many instances in memory as modd does, and reads the events that are new."""
ALONE = CACHE | {"AGGREGATE_CACHE_FASTFORWARD": "n"}
"""Settings of the peer where nobody else can record events: it does not look for new ones."""
FULL = 2
"""SQLite's number for commits that wait for the disk."""


class Account(PeerAggregate):
    """The account as an aggregate of the peer."""

    @event("Opened")
    def __init__(self) -> None:
        self.amount = 0
        self.count = 0

    def add(self, amount: int) -> None:
        """Decide as the chain does, and change the state."""
        if not self.id:
            raise ValueError("It has no identity.")
        if amount <= 0:
            raise ValueError("The amount is not positive.")
        self.change(amount)

    @event("Added")
    def change(self, amount: int) -> None:
        """Change the state by the event."""
        self.amount += amount
        self.count += 1


class Accounts(Application[UUID]):
    """The commands as an application of the peer."""

    def open(self) -> UUID:
        """Record a new account, and return its identity."""
        account = Account()
        self.save(account)
        return account.id

    def add(self, id: UUID, amount: int) -> None:
        """Handle a command."""
        account: Account = self.repository.get(id)
        account.add(amount)
        self.save(account)

    def fill(self, id: UUID, events: int) -> None:
        """Record events that are not measured."""
        account: Account = self.repository.get(id)
        for _ in range(events // BATCH):
            for _ in range(BATCH):
                account.add(1)
            self.save(account)

    def count(self, id: UUID) -> int:
        """Return the number of additions to an account."""
        account: Account = self.repository.get(id)
        return account.count


class Both:
    """Both sides of a case in a file: an aggregate, and an application of the peer, each with a file of its own.

    folder: the place of the files. settings: those of the peer besides its file.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._file, self._settings = EventFile(folder), settings
        self.aggregate = totals(self._file.store, states=1024)

    @asynccontextmanager
    async def opened(self, events: int = 0) -> AsyncIterator[None]:
        """Open both files, each with an instance of so many events. Commits of both must wait for the disk."""
        path = str(self._file.path.with_name("peer.db"))
        async with self._file.opened(events):
            expect(self._file.store.journal.mode, "wal")
            with Accounts(
                {**self._settings, "PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path}
            ) as peer:
                expect(commits_of(peer), ["wal", FULL])
                self.peer, self.ids = peer, [peer.open() for _ in range(ACCOUNTS)]
                peer.fill(self.ids[0], events)
                yield

    async def counted(self) -> list[int]:
        """Return the events in both files; the peer has recorded one more for each instance."""
        return [await self._file.store.events.last(), (self.peer.recorder.max_notification_id() or 0) - ACCOUNTS]


def peer_cases(folder: Path) -> list[Case]:
    """Return every case with eventsourcing on the other side; its files are made in the folder."""
    return [
        command_in_memory(),
        command_in_file(folder, 1, must=0.9, aim=1.2),
        command_in_file(folder, ACCOUNTS, must=4, aim=6),
        replay_in_memory(),
        replay_in_file(folder),
    ]


def command_in_memory() -> Case:
    """Commands for one instance, one after another."""

    async def run(sends: int) -> None:
        aggregate = totals(states=1024)
        for _ in range(sends):
            await aggregate.dispatch(Add("a", 1))
        expect((await aggregate.get("a")).state.count, sends)

    async def base(sends: int) -> None:
        peer = Accounts(ALONE)
        id = peer.open()
        for _ in range(sends):
            peer.add(id, 1)
        expect(peer.count(id), sends)

    name = "aggregate: command in memory, beside eventsourcing"
    return Case(name, run, base, times_as_fast, must=3, aim=5)


def command_in_file(folder: Path, at_once: int, *, must: float, aim: float) -> Case:
    """Commands for a hundred instances in turn; the peer takes one after another, because threads make it slower."""
    both, expected = Both(folder, CACHE), [0, 0]

    async def run(sends: int) -> None:
        ids = (str(number % ACCOUNTS) for number in range(sends))
        await spread(sends, at_once, lambda _: both.aggregate.dispatch(Add(next(ids), 1)))
        expected[0] += sends

    async def base(sends: int) -> None:
        for number in range(sends):
            both.peer.add(both.ids[number % ACCOUNTS], 1)
        expected[1] += sends

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        async with both.opened():
            yield
            expect(await both.counted(), expected)

    name = f"aggregate: command in a file, {at_once} at once, beside eventsourcing"
    return Case(name, run, base, times_as_fast, must, aim, opening=opened())


def replay_in_memory() -> Case:
    """An instance is read from its events in memory."""
    store, peer = MemoryStore(), Accounts()
    id = peer.open()

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        await fill(totals(store), EVENTS)
        peer.fill(id, EVENTS)
        yield

    return replay("memory", totals(store), lambda: peer.count(id), opened(), must=30, aim=50)


def replay_in_file(folder: Path) -> Case:
    """An instance is read from its events in a file."""
    both = Both(folder, {})
    return replay("a file", both.aggregate, lambda: both.peer.count(both.ids[0]), both.opened(EVENTS), must=10, aim=15)


def replay(
    place: str,
    aggregate: Aggregate[Total],
    count: Callable[[], int],
    opening: AbstractAsyncContextManager[None],
    *,
    must: float,
    aim: float,
) -> Case:
    """Return the case of an instance that is read from its events."""

    async def base(sends: int) -> None:
        for _ in range(sends):
            expect(count(), EVENTS)

    name, run = f"aggregate: replay in {place}, beside eventsourcing", replays(aggregate, EVENTS)
    return Case(name, run, base, times_as_fast, must, aim, messages=EVENTS, opening=opening)


def commits_of(peer: Accounts) -> list[str | int]:
    """Return the journal mode of the peer's file, and the number that says if commits wait for the disk."""
    assert isinstance(peer.recorder, SQLiteApplicationRecorder)
    with peer.recorder.datastore.transaction(commit=False) as cursor:
        answers: list[str | int] = []
        for name in ("journal_mode", "synchronous"):
            cursor.execute(f"PRAGMA {name}")
            answers += cursor.fetchone()
        return answers
