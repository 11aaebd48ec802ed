"""An object that cannot be run is refused before anything runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from types import coroutine
from typing import Any

import pytest

from modd import InvalidOption
from modd.worker import run_workers
from modd.worker.member import check_runnable

pytestmark = pytest.mark.anyio


class Part:
    def __init__(self, run: Any) -> None:
        self.run = run

    def stop(self) -> None: ...


async def work() -> None: ...


def nothing() -> None: ...


def early(when: bool = False) -> None:
    if when:
        return
    with open("x"):
        return


def failing() -> None:
    raise OSError


def number() -> Any:
    return 1 if __name__ else None


def generator() -> Iterator[None]:
    yield


async def async_generator() -> AsyncIterator[None]:
    yield


@coroutine
def old_style() -> Any:
    yield


def returning() -> Awaitable[None]:
    return work()


def sometimes(when: bool = False) -> Awaitable[None] | None:
    if when:
        return None
    return work()


def either(first: Any = None) -> Any:
    return first or None


class Callee:
    async def __call__(self) -> None: ...


class Method:
    def run(self) -> None: ...


@pytest.mark.parametrize("run", [nothing, early, failing, generator, async_generator, Method().run, lambda: None])
async def test_a_function_that_is_known_to_return_nothing_to_await_is_refused(run: Callable[..., Any]) -> None:
    # AP-84
    with pytest.raises(InvalidOption, match=r"workers=.*Part.*: its run\(\) returns nothing to await; make it async"):
        await run_workers(Part(run))


@pytest.mark.parametrize(
    "run", [work, old_style, returning, sometimes, either, number, partial(nothing), Callee(), lambda: work()]
)
def test_a_function_that_may_return_something_to_await_is_taken(run: Callable[..., Any]) -> None:
    # AP-84
    check_runnable("workers", Part(run), "")


async def test_an_async_stop_is_refused_by_run_workers() -> None:
    # AP-84
    class AsyncStop:
        async def run(self) -> None: ...

        async def stop(self) -> None: ...

    part: Any = AsyncStop()
    with pytest.raises(InvalidOption, match=r"its stop\(\) is async"):
        await run_workers(part)
