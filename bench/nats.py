"""Cases of a queue on a NATS server, beside a work queue of nats-py alone; the server is on this machine."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, time

import anyio
import anyio.to_thread
import nats
from nats.js.api import RetentionPolicy, StreamConfig

from bench.cases import Case, Run, expect, times_as_fast
from bench.durable import payload, spread
from bench.remote import running_server
from bench.slots import SLOTS, Slots, waiting_items, work_off
from modd.nats import Link
from modd.stores import NatsStore

PRODUCERS = 64
"""Messages that are put at a time."""
KEYS = 50
PROCESSES = 4
WAITING = 2000
"""Messages that are claimed in each run, however many are asked for: few of them would measure the beginning."""
FILL = 500
"""Messages that are put at a time where the put is not measured."""


def nats_cases(folder: Path) -> list[Case]:
    """Return every case; the files of the servers are made in the folder and removed afterwards."""
    puts, free, keyed, trio = (OnServer(folder, keys) for keys in (0, 0, KEYS, 0))
    many, many_keyed = OnServer(folder, 0), OnServer(folder, KEYS)
    return [
        _case("NATS: put, 64 producers", puts, puts.put, puts.publish, 0.5, 0.8),
        _case("NATS: claim + ack, 8 slots", free, free.work, free.fetch, 0.28, 0.45),
        _case("NATS: claim + ack, 8 slots, 50 keys", keyed, keyed.work, keyed.fetch, 0.25, 0.45),
        _case("NATS: claim + ack, 8 slots, trio", trio, trio.work_on_trio, trio.work, 0.5, 0.7),
        _case("NATS: 4 processes beside 1", many, many.share, many.work_alone, 0.7, 1.0),
        _case("NATS: 4 processes beside 1, 50 keys", many_keyed, many_keyed.share, many_keyed.work_alone, 0.7, 1.0),
    ]


def _case(name: str, server: OnServer, run: Run, base: Run, must: float, aim: float) -> Case:
    return Case(name, run, base, times_as_fast, must, aim, opening=server.open())


class OnServer:
    """A queue and a stream of nats-py on one server.

    keys: the number of keys of the messages; 0 for none.
    """

    def __init__(self, folder: Path, keys: int) -> None:
        self._folder, self._keys = folder, keys

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start a server, and connect both sides for the block."""
        with ExitStack() as stack:
            files = stack.enter_context(TemporaryDirectory(prefix="nats-", dir=self._folder))
            self._url = stack.enter_context(running_server("-js", "-sd", files))
            async with (
                Link(self._url, name="bench") as link,
                NatsStore(link, "bench", timeout=60, durable="unchecked") as store,
                await nats.connect(self._url) as client,
            ):
                self._queue, self._stream = store.queue("bench"), client.jetstream()
                config = StreamConfig("BARE", subjects=["bare"], retention=RetentionPolicy.WORK_QUEUE)
                await self._stream.add_stream(config)
                self._consumer = await self._stream.pull_subscribe("bare", "bare")
                yield
                stats = await self._queue.stats()
                expect(stats.leased + stats.dead, 0)

    async def put(self, messages: int) -> None:
        """Put messages; each producer waits until its message is stored."""
        await spread(messages, PRODUCERS, lambda _: self._queue.put(payload()))

    async def publish(self, messages: int) -> None:
        """Publish messages; each producer waits until its message is stored."""
        await spread(messages, PRODUCERS, lambda _: self._stream.publish("bare", payload()))

    async def work(self, messages: int) -> float:
        """Claim and acknowledge; the put before is not counted."""
        await self._fill()
        return await work_off(self._queue, WAITING) * messages / WAITING

    async def work_on_trio(self, messages: int) -> float:
        """Claim and acknowledge on trio, with a view that is there."""
        await self._fill()

        async def work() -> float:
            async with Link(self._url, name="trio") as link, NatsStore(link, "bench", durable="unchecked") as store:
                await store.queue("bench").stats()
                return await work_off(store.queue("bench"), WAITING)

        return await asyncio.to_thread(lambda: anyio.run(work, backend="trio")) * messages / WAITING

    async def fetch(self, messages: int) -> float:
        """Fetch and acknowledge with nats-py, each acknowledgement with an answer."""
        await self.publish(WAITING)
        began, left = perf_counter(), WAITING
        while left:
            fetched = await self._consumer.fetch(min(SLOTS, left), timeout=60)
            await asyncio.gather(*[message.ack_sync(timeout=60) for message in fetched])
            left -= len(fetched)
        return (perf_counter() - began) * messages / WAITING

    async def share(self, messages: int) -> float:
        """Claim and acknowledge with several processes; the time is that of so many of their messages."""
        return await self._work_in_processes(PROCESSES) * messages / WAITING

    async def work_alone(self, messages: int) -> float:
        """Claim and acknowledge with one process of the same kind."""
        return await self._work_in_processes(1) * messages / WAITING

    async def _work_in_processes(self, number: int) -> float:
        await self._fill()
        workers = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.nats", self._url, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for _ in range(number)
        ]
        for worker in workers:
            expect(worker.stdout is not None and await worker.stdout.readline(), b"ready\n")
        outputs = await asyncio.gather(*[worker.communicate(b"go\n") for worker in workers])
        spans = [[float(each) for each in output.split()] for output, _ in outputs]
        expect(sum(span[2] for span in spans), float(WAITING))
        return max(span[1] for span in spans) - min(span[0] for span in spans)

    async def _fill(self) -> None:
        items = waiting_items(WAITING, self._keys)
        for start in range(0, WAITING, FILL):
            await self._queue.put(*items[start : start + FILL])


async def work_as_process(url: str) -> None:
    """Work when the parent says so, and print when it began and ended, and the number of messages."""
    async with Link(url, name="worker") as link, NatsStore(link, "bench", timeout=60, durable="unchecked") as store:
        slots = Slots(store.queue("bench"))
        await store.queue("bench").stats()
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        began = time()
        await slots.work()
        print(began, time(), slots.done)


if __name__ == "__main__":
    asyncio.run(work_as_process(sys.argv[1]))
