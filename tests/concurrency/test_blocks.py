"""Context managers of generators raise every error of their block as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from modd.concurrency.blocks import async_block, block

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class OutOfStock(Exception):
    sku: str


@block
def recorded(steps: list[str], swallow: bool = False) -> Iterator[str]:
    """Record the steps of a block."""
    steps.append("begin")
    try:
        yield "value"
    except Exception:
        if not swallow:
            raise
    finally:
        steps.append("end")


@async_block
async def recorded_later(steps: list[str], swallow: bool = False) -> AsyncIterator[str]:
    """Record the steps of a block."""
    with recorded(steps, swallow) as value:
        yield value


async def in_block(steps: list[str], error: BaseException | None, swallow: bool = False) -> str:
    with recorded(steps, swallow) as value:
        if error is not None:
            raise error
    return value


async def in_async_block(steps: list[str], error: BaseException | None, swallow: bool = False) -> str:
    async with recorded_later(steps, swallow) as value:
        if error is not None:
            raise error
    return value


@pytest.mark.parametrize("run", [in_block, in_async_block])
async def test_the_error_of_a_block_stays_what_it_is(run: Any) -> None:
    # DF-8
    steps: list[str] = []
    assert await run(steps, None) == "value"
    assert steps == ["begin", "end"]
    for error in (OutOfStock("rope"), ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            await run(steps, error)
        assert caught.value is error
    assert steps == ["begin", "end"] * 4


@pytest.mark.parametrize("block_of", [recorded, recorded_later])
@pytest.mark.parametrize("error", [StopIteration(1), StopAsyncIteration()])
async def test_an_error_that_ends_iterators_passes_too(block_of: Any, error: Exception) -> None:
    steps: list[str] = []
    manager = block_of(steps)
    if block_of is recorded:
        manager.__enter__()
        assert manager.__exit__(type(error), error, None) is False
    else:
        await manager.__aenter__()
        assert await manager.__aexit__(type(error), error, None) is False
    assert steps == ["begin", "end"]


@pytest.mark.parametrize("run", [in_block, in_async_block])
async def test_a_block_may_swallow_an_error(run: Any) -> None:
    steps: list[str] = []
    assert await run(steps, OutOfStock("rope"), swallow=True) == "value"
    assert steps == ["begin", "end"]


@block
def failing() -> Iterator[None]:
    """Fail at the end."""
    try:
        yield
    finally:
        raise LookupError


@async_block
async def failing_later() -> AsyncIterator[None]:
    """Fail at the end."""
    try:
        yield
    finally:
        raise LookupError


@block
def endless() -> Iterator[int]:
    """Yield twice."""
    yield 1
    yield 2


@async_block
async def endless_later() -> AsyncIterator[int]:
    """Yield twice."""
    yield 1
    yield 2


async def test_an_error_of_the_generator_and_a_second_yield_are_told() -> None:
    with pytest.raises(LookupError), failing():
        raise ValueError("no")
    with pytest.raises(LookupError):
        async with failing_later():
            raise ValueError("no")
    with pytest.raises(AssertionError, match="second yield"), endless():
        pass
    with pytest.raises(AssertionError, match="second yield"):
        async with endless_later():
            pass


async def test_frames_of_the_generator_leave_the_traceback() -> None:
    with pytest.raises(ValueError, match="no") as caught:
        await in_async_block([], ValueError("no"))
    assert not [entry for entry in caught.traceback if entry.name in ("recorded", "recorded_later")]
