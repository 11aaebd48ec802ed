"""Targets of ``run``, and functions that are none."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from signal import SIGINT, SIGTERM, Signals
from typing import TYPE_CHECKING, Annotated, Literal

import anyio

from modd import Sensitive
from modd.app import App, Settings

if TYPE_CHECKING:
    from decimal import Decimal

SECRET = "geheim77"

closed: list[str] = []
"""The targets that were closed."""


class RunConfig(Settings, prefix="RUN_"):
    """What the part does."""

    mode: Literal["end", "fail", "term", "int-thrice", "int-twice", "term-twice", "wait"] = "end"
    """What the part does."""
    key: Annotated[str, Sensitive] = SECRET


class RunPart:
    """Ends by itself, fails, or sends signals to its process."""

    def __init__(self, mode: str = "end", key: str = "") -> None:
        self._mode, self._key = mode, key
        self._stopped = anyio.Event()

    async def run(self) -> None:
        if self._mode == "fail":
            raise ValueError(f"bad key {self._key}")
        if self._mode == "end":
            return
        if self._mode != "wait":
            await self._signal()
        await self._stopped.wait()

    async def _signal(self) -> None:
        signal = SIGINT if self._mode.startswith("int") else SIGTERM
        os.kill(os.getpid(), signal)
        await self._stopped.wait()
        if self._mode == "term-cling":
            await anyio.sleep_forever()
        if self._mode.endswith("twice"):
            os.kill(os.getpid(), signal)
            await anyio.sleep_forever()
        if self._mode.endswith("thrice"):
            await self._cling(signal)

    async def _cling(self, signal: Signals) -> None:
        """Send a second signal, and a third one when that has cancelled this."""
        os.kill(os.getpid(), signal)
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                os.kill(os.getpid(), signal)
                await anyio.sleep_forever()

    def stop(self) -> None:
        self._stopped.set()


class Tick:
    """A timer, as far as an app looks."""

    label, stops_first, name = "timer tick", True, "tick"

    async def run(self) -> None: ...

    def stop(self) -> None: ...


@asynccontextmanager
async def shop(config: RunConfig) -> AsyncIterator[App]:
    try:
        yield App("shop", RunPart(config.mode, config.key), RunPart(), timers=[Tick()])
    finally:
        closed.append("shop")


@asynccontextmanager
async def plain() -> AsyncIterator[App]:
    yield App("plain", RunPart())


@asynccontextmanager
async def keyword(*, config: RunConfig) -> AsyncIterator[App]:
    yield App("keyword", RunPart(config.mode))


def returns_a_context(config: Annotated[RunConfig, "settings"]) -> AbstractAsyncContextManager[App]:
    return shop(config)


class WrongConfig(Settings):
    first: Decimal


@asynccontextmanager
async def of_wrong(config: WrongConfig) -> AsyncIterator[App]:
    yield App("of-wrong", RunPart())


@asynccontextmanager
async def slow(config: RunConfig) -> AsyncIterator[App]:
    """Get a signal while it is opened."""
    try:
        os.kill(os.getpid(), Signals[config.key])
        await anyio.sleep_forever()
        yield App("slow", RunPart())
    finally:
        closed.append("slow")


@asynccontextmanager
async def late() -> AsyncIterator[App]:
    """Get a signal at the end of its opening."""
    os.kill(os.getpid(), SIGTERM)
    yield App("late", RunPart("wait"))


@asynccontextmanager
async def fails(config: RunConfig) -> AsyncIterator[App]:
    raise ValueError(f"bad key {config.key}")
    yield App("fails", RunPart())


@asynccontextmanager
async def swallows() -> AsyncIterator[App]:
    """Hide the errors of the parts."""
    try:
        yield App("swallows", RunPart("fail"))
    except* ValueError:
        pass


@asynccontextmanager
async def closes_slowly(config: RunConfig) -> AsyncIterator[App]:
    """Get signals, or an error that ends the process, while it is closed: the key has the names of the signals."""
    async with anyio.create_task_group():
        yield App("closes-slowly", RunPart(config.mode), drain=0.0)
        if config.key == "exit":
            raise GeneratorExit
        try:
            for name in config.key.split():
                await anyio.wait_all_tasks_blocked()
                os.kill(os.getpid(), Signals[name])
            await anyio.wait_all_tasks_blocked()
            if config.key.count("SIG") < 2 and config.mode == "end":
                return
            await anyio.sleep_forever()
        finally:
            closed.append("closes-slowly")


@asynccontextmanager
async def no_app() -> AsyncIterator[int]:
    yield 3


async def undecorated(config: RunConfig) -> AsyncIterator[App]:
    yield App("undecorated", RunPart())


async def coroutine(config: RunConfig) -> App:
    return App("coroutine", RunPart())


@contextmanager
def synchronous(config: RunConfig) -> Iterator[App]:
    yield App("synchronous", RunPart())


@asynccontextmanager
async def of_two(config: RunConfig, more: int) -> AsyncIterator[App]:
    yield App("of-two", RunPart())


@asynccontextmanager
async def of_text(config: str) -> AsyncIterator[App]:
    yield App("of-text", RunPart())


@asynccontextmanager
async def of_anything(config) -> AsyncIterator[App]:  # type: ignore[no-untyped-def]
    yield App("of-anything", RunPart())


@asynccontextmanager
async def of_unknown(config: Decimal) -> AsyncIterator[App]:
    yield App("of-unknown", RunPart())


an_app = App("an-app", RunPart())
