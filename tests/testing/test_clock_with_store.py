"""The virtual clock waits for the threads of a store in a file."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from modd.cqrs import Command, CommandBus, Emit, Event
from modd.middleware import Enqueue
from modd.relay import Relay
from modd.stores import SqliteStore
from modd.testing import run_virtual
from modd.worker import Worker


class Do(Command[None]):
    pass


class Done(Event):
    pass


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_leases_and_retries_in_a_file_pass_by_the_virtual_clock_alone(backend: str, tmp_path: Path) -> None:
    # DR-86
    attempts = list[float]()

    async def do(command: Do, emit: Emit) -> None:
        attempts.append(anyio.current_time())
        if len(attempts) == 1:
            raise ValueError
        emit(Done())

    async def works() -> tuple[int, float]:
        async with SqliteStore(tmp_path / "shop.db", clock=anyio.current_time) as store:
            queue, begun = store.queue("commands"), anyio.current_time()
            bus = CommandBus([do], middleware=[Enqueue(queue)])
            await bus.dispatch(Do())
            await Worker(queue, bus, backoff=lambda attempt: 5.0).run_until_idle()
            relay = Relay(store.outbox, store.queue("events"))
            return await relay.pass_on(), anyio.current_time() - begun

    passed_on, seconds = run_virtual(works, backend=backend)
    assert passed_on == 1 and 5 <= seconds < 60  # of real time, no more than the store takes
    assert attempts[1] - attempts[0] >= 5
