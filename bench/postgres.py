"""Cases of a queue in PostgreSQL, beside one in a SQLite file and the library procrastinate.

The server is on this machine, and waits for the disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bench.cases import Case, Run, times_as_fast
from bench.durable import payload, spread
from bench.slots import SLOTS, WaitingQueue, waiting_items, work_off
from modd.stores import PostgresStore, SqliteStore
from tests.postgres.server import PostgresServer

try:
    from procrastinate import App, PsycopgConnector
    from procrastinate.types import JSONDict
except ModuleNotFoundError as missing:
    missing.add_note(
        '`make bench` installs procrastinate; or run: .venv/bin/python -m pip install "procrastinate>=3.10"'
    )
    raise

PRODUCERS = 64
"""Messages that are put at a time."""
KEYS = 50
WAITING = 1000
"""Messages that are claimed in each run, however many are asked for: few of them would measure the beginning."""


def postgres_cases(folder: Path) -> list[Case]:
    """Return every case; the files of the servers are made in the folder and removed afterwards."""
    put, put_peer, free, keyed, peer = (OnServer(folder, keys) for keys in (0, 0, 0, KEYS, 0))
    return [
        _case("PostgreSQL: put, 64 producers, beside SQLite", put, put.put, put.put_in_file, 0.25, 0.4),
        _case("PostgreSQL: put, 64 producers, beside procrastinate", put_peer, put_peer.put, put_peer.defer, 6.0, 9.0),
        _case("PostgreSQL: claim + ack, 8 slots, beside SQLite", free, free.work, free.work_in_file, 0.3, 0.4),
        _case("PostgreSQL: claim + ack, 8 slots, 50 keys, beside none", keyed, keyed.work, keyed.work_free, 0.5, 0.7),
        _case("PostgreSQL: claim + ack, 8 slots, beside procrastinate", peer, peer.work, peer.run_jobs, 4.0, 6.0),
    ]


def _case(name: str, server: OnServer, run: Run, base: Run, must: float, aim: float) -> Case:
    return Case(name, run, base, times_as_fast, must, aim, opening=server.open())


class OnServer:
    """A queue and an application of procrastinate on one server that waits for the disk, and a queue in a file.

    keys: the number of keys of the messages; 0 for none.
    """

    def __init__(self, folder: Path, keys: int) -> None:
        self._folder, self._keys = folder, keys

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start a server, and open all sides for the block."""
        with ExitStack() as stack:
            files = Path(stack.enter_context(TemporaryDirectory(prefix="postgres-", dir=self._folder)))
            server = stack.enter_context(PostgresServer(files / "server", "autovacuum = on"))
            self._app = App(connector=PsycopgConnector(conninfo=server.url))
            self._task = self._app.task(name="job")(job)
            async with (
                PostgresStore(server.url) as store,
                SqliteStore(files / "modd.db") as file,
                self._app.open_async(),
            ):
                await self._app.schema_manager.apply_schema_async()
                self._queue, self._file = store.queue("bench"), file.queue("bench")
                yield

    async def put(self, messages: int) -> None:
        """Put messages; each producer waits until its message is stored."""
        await spread(messages, PRODUCERS, lambda _: self._queue.put(payload()))

    async def put_in_file(self, messages: int) -> None:
        """Put messages in the file; each producer waits until its message is stored."""
        await spread(messages, PRODUCERS, lambda _: self._file.put(payload()))

    async def defer(self, messages: int) -> None:
        """Defer jobs of procrastinate; each producer waits until its job is stored."""
        text = payload().decode()
        await spread(messages, PRODUCERS, lambda _: self._task.defer_async(body=text))

    async def work(self, messages: int) -> float:
        """Claim and acknowledge; the put before is not counted."""
        return await self._work(self._queue, self._keys) * messages / WAITING

    async def work_free(self, messages: int) -> float:
        """Claim and acknowledge messages without keys."""
        return await self._work(self._queue, 0) * messages / WAITING

    async def work_in_file(self, messages: int) -> float:
        """Claim and acknowledge in the file."""
        return await self._work(self._file, self._keys) * messages / WAITING

    async def run_jobs(self, messages: int) -> float:
        """Have a worker of procrastinate run jobs that do nothing."""
        text = payload().decode()
        jobs: list[JSONDict] = [{"body": text}] * WAITING
        await self._task.batch_defer_async(*jobs)
        began = perf_counter()
        await self._app.run_worker_async(
            wait=False, concurrency=SLOTS, install_signal_handlers=False, delete_jobs="always"
        )
        return (perf_counter() - began) * messages / WAITING

    async def _work(self, queue: WaitingQueue, keys: int) -> float:
        await queue.clear()
        await queue.put(*waiting_items(WAITING, keys))
        return await work_off(queue, WAITING)


async def job(body: str) -> None:
    """Do nothing."""
