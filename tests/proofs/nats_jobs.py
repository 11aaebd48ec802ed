"""Processes that put into a queue on NATS servers and work on it while the servers are killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic

import anyio
from anyio.lowlevel import checkpoint

from modd.nats import Link
from modd.ports import Claim, Item, LeaseLost
from modd.stores.errors import StoreBusy, UnknownOutcome
from modd.stores.nats.queue import NatsQueue
from modd.stores.nats.store import NatsStore
from tests.proofs.nats_ledger import Had, Put, PutOutcome, Settled, number_of
from tests.proofs.zygote import Outside

LEASE = 3.0
"""Seconds: as long as a claim whose answer never came holds its item up."""

PACE = 0.004
"""Seconds between two puts of a writer, so that the workers keep up with them."""

SLOTS = 4
TOGETHER = 3
"""Items of each fifth put."""


class Folder:
    """Files through which processes tell each other how far they are, as the servers are away at times."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def note(self, name: str) -> None:
        """Note that something is so far."""
        (self._path / name).touch()

    def has(self, name: str) -> bool:
        """True if it was noted."""
        return (self._path / name).exists()

    def count(self, kind: str) -> int:
        """Count the notes whose names begin so."""
        return len([*self._path.glob(f"{kind}-*")])


@asynccontextmanager
async def opened(urls: list[str], name: str, timeout: float) -> AsyncIterator[NatsStore]:
    """A store over a link of its own. timeout: seconds of its calls; the opening waits for a server that is slow."""
    async with (
        Link(urls, name="proof", timeout=60, connect_timeout=60) as link,
        NatsStore(link, name, timeout=60, durable="unchecked", replicas=len(urls)) as store,
    ):
        store.stream.requests.timeout = timeout
        yield store


class Stopwatch:
    """Measures calls. longest: seconds of the longest one."""

    def __init__(self) -> None:
        self.longest = 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        begun = monotonic()
        try:
            yield
        finally:
            self.longest = max(self.longest, monotonic() - begun)


class Writer:
    """Puts items, one after another. number: its own; that tells if its items have keys, and ids."""

    def __init__(self, queue: NatsQueue, number: int) -> None:
        self._queue, self._number, self._puts = queue, number, 0
        self._key = f"k{number}" if number % 2 else None
        self.puts: list[Put] = []
        self.calls = Stopwatch()

    async def run(self, folder: Folder) -> None:
        """Put until that is over."""
        while not folder.has("over"):
            names = [f"{self._number}-{self._next()}" for _ in range(1 if self._puts % 5 else TOGETHER)]
            items = [Item(name.encode(), key=self._key, id=name if self._number % 4 < 2 else None) for name in names]
            self.puts.append(await self._put(names, items))
            await anyio.sleep(PACE)

    def _next(self) -> int:
        self._puts += 1
        return self._puts

    async def _put(self, names: list[str], items: list[Item]) -> Put:
        """Put items; those with ids again until it is known that they are stored."""
        outcome, calls = await self._try_to_put(items), 1
        while outcome == "unknown" and items[0].id is not None:
            outcome, calls = await self._try_to_put(items), calls + 1
        return Put(names, "unknown" if outcome == "not stored" and calls > 1 else outcome, calls)

    async def _try_to_put(self, items: list[Item]) -> PutOutcome:
        try:
            with self.calls():
                await self._queue.put(*items)
        except UnknownOutcome:
            return "unknown"
        except StoreBusy:
            return "not stored"
        return "stored"


class Laborer:
    """Works on items in several slots, and notes when it had which."""

    def __init__(self, queue: NatsQueue) -> None:
        self._queue, self._free = queue, anyio.Semaphore(SLOTS)
        self._released = set[str]()
        self.had: list[Had] = []
        self.calls = Stopwatch()
        self.busy = 0
        """Calls that ended with `StoreBusy`."""

    async def run(self, folder: Folder, writers: int) -> None:
        """Work until all writers have ended and nothing is left."""
        async with anyio.create_task_group() as tasks:
            while not (folder.count("written") == writers and await self._is_empty()):
                await self._free.acquire()
                self._free.release()
                asked = monotonic()
                for claim in await self._claim():
                    self._free.acquire_nowait()
                    tasks.start_soon(self._handle, claim, asked, monotonic())

    async def _claim(self) -> list[Claim]:
        try:
            with self.calls():
                claims = await self._queue.claim(self._free.value, LEASE)
            return claims or await self._wait()
        except StoreBusy:
            self.busy += 1
            return []

    async def _wait(self) -> list[Claim]:
        await self._queue.wait(0.1)
        return []

    async def _is_empty(self) -> bool:
        try:
            stats = await self._queue.stats()
        except StoreBusy:
            return False
        return not stats.ready + stats.leased + stats.delayed

    async def _handle(self, claim: Claim, asked: float, received: float) -> None:
        await checkpoint()
        settling = monotonic()
        outcome = await self._settle(claim)
        had = Had(claim.body.decode(), claim.key, asked, received, settling, monotonic(), outcome)
        self.had.append(had)
        self._free.release()

    async def _settle(self, claim: Claim) -> Settled:
        release = claim.id not in self._released and number_of(claim.body.decode()) % 9 == 0
        self._released.update([claim.id] if release else [])
        try:
            with self.calls():
                await (self._queue.release(claim) if release else self._queue.ack(claim))
        except LeaseLost:
            return "lease lost"
        except StoreBusy:
            self.busy += 1
            return "unknown"
        return "released" if release else "acked"


async def put(outside: Outside, urls: list[str], name: str, folder: str, first: int, timeout: float) -> None:
    """A process with two writers. first: the number of the first of them."""
    async with opened(urls, name, timeout) as store:
        writers, files = [Writer(store.queue("work"), first + each) for each in range(2)], Folder(folder)
        files.note(f"ready-put-{first}")
        async with anyio.create_task_group() as tasks:
            for writer in writers:
                tasks.start_soon(writer.run, files)
        files.note(f"written-{first}")
        longest = max(each.calls.longest for each in writers)
        outside.tell(puts=[each for writer in writers for each in writer.puts], longest=longest)


async def work(outside: Outside, urls: list[str], name: str, folder: str, number: int, timeout: float) -> None:
    """A process that works."""
    async with opened(urls, name, timeout) as store:
        laborer, files = Laborer(store.queue("work")), Folder(folder)
        files.note(f"ready-work-{number}")
        await laborer.run(files, 2)
        outside.tell(had=laborer.had, busy=laborer.busy, longest=laborer.calls.longest)
