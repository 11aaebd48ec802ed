"""Messages, a bus, and a recorder for the tests of timers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from modd.app import Timer
from modd.cqrs import Command, CommandBus


class Remind(Command[None]):
    number: int = 0


class Unknown(Command[None]):
    pass


class Times:
    """A component that notes the times at which it gets messages, and takes some seconds for each."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.times: list[float] = []
        self.messages: list[Remind] = []

    async def __call__(self, message: Remind) -> None:
        self.times.append(anyio.current_time())
        self.messages.append(message)
        await anyio.sleep(self.seconds)

    def bus(self) -> CommandBus:
        """A typed bus with this as its handler."""
        return CommandBus({Remind: self.__call__})


@asynccontextmanager
async def running(*timers: Timer) -> AsyncIterator[None]:
    """Run timers for a block."""
    async with anyio.create_task_group() as tasks:
        for timer in timers:
            tasks.start_soon(timer.run)
        yield
        for timer in timers:
            timer.stop()


async def run_for(seconds: float, *timers: Timer) -> None:
    """Run timers for some seconds."""
    async with running(*timers):
        await anyio.sleep(seconds)
