"""A second process for histories of commands: ``python -m tests.follower.partner BACKEND``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from modd.aggregate import CommandRejected
from modd.cqrs import Duplicate, Envelope
from modd.ports import Conflict
from modd.stores import SqliteStore
from tests.proofs.fulfilment import Pay, Place, Release, Reserve, Shop, at_work, sales, totals
from tests.proofs.ledger import Subscribe, courses

ROOT = Path(__file__).parents[2]


class Step(msgspec.Struct, frozen=True):
    """Work of one task.

    partner: True if the second process does it. action: its name. number: that of the order or article. together: True
    to be in one transaction with the reservation of a lamp that is released again.
    """

    partner: bool
    action: str
    number: int
    together: bool


class Driver:
    """Does steps in a store, whose follower runs meanwhile; notes which commands took effect here and not before.

    shop: the aggregates and the follower.
    """

    def __init__(self, shop: Shop) -> None:
        self.shop, self.course = shop, courses(shop.store)
        self.done: list[str] = []
        """The orders that were placed, and the students who have got a seat."""

    async def round(self, steps: Sequence[Step]) -> None:
        """Do steps side by side."""
        async with anyio.create_task_group() as tasks:
            for step in steps:
                tasks.start_soon(self._do, step)

    async def _do(self, step: Step) -> None:
        if step.action == "rebuild":
            return await self.shop.follower.rebuild([sales, totals][step.number % 2])
        if step.action == "catch up":
            return await self.shop.follower.catch_up()
        try:
            if not step.together:
                return self._note(step, await self._give(step))
            async with self.shop.store.transaction():
                dispatched = await self._give(step)
                await self.shop.stock.dispatch(Reserve("spare"))
                await self.shop.stock.dispatch(Release("spare"))
            self._note(step, dispatched)
        except (CommandRejected, Conflict):
            return None

    async def _give(self, step: Step) -> Any:
        order = f"o{step.number}"
        if step.action == "place":
            sku = ("lamp", "desk")[step.number % 2]
            return await self.shop.orders.dispatch(Envelope(Place(order, sku), id=f"place-{order}"))
        if step.action == "subscribe":
            return await self.course.dispatch(Subscribe(f"s{step.number}"))
        return await self.shop.payments.dispatch(Envelope(Pay(order), id=f"pay-{order}"))

    def _note(self, step: Step, dispatched: Any) -> None:
        names = {"place": f"o{step.number}", "subscribe": f"s{step.number}"}
        if step.action in names and not dispatched.envelope.has(Duplicate):
            self.done.append(names[step.action])


class Partner:
    """The second process, seen from the first."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    async def ask(self, order: Any) -> Any:
        """Have it do something, and return its answer."""
        return await anyio.to_thread.run_sync(self._ask, order)

    def _ask(self, order: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the partner has ended"
        return msgspec.json.decode(line)


@contextmanager
def partner(backend: str) -> Iterator[Partner]:
    """Start the second process for the block."""
    command = [sys.executable, "-W", "error", "-m", "tests.follower.partner", backend]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Partner(process)
        assert process.stdin is not None
        process.stdin.close()


async def heard() -> Any:
    """Return the next order; None at the end."""
    line = await anyio.to_thread.run_sync(sys.stdin.buffer.readline)
    return msgspec.json.decode(line) if line else None


def answer(value: Any) -> None:
    """Tell the first process."""
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


async def serve(path: str) -> None:
    """Do the rounds of one history, until it is over."""
    async with SqliteStore(path, timeout=60) as store:
        driver = Driver(Shop(store))
        async with at_work(driver.shop):
            answer("ready")
            while steps := await heard():
                await driver.round(msgspec.convert(steps, list[Step]))
                answer(driver.done)
    answer("closed")


async def main() -> None:
    """Serve history after history."""
    while path := await heard():
        await serve(path)


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1])
