"""A lifespan is opened once, left in reverse, and closed again when opening fails."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from modd.concurrency.lifespan import Lifespan
from modd.errors import AlreadyOpen

pytestmark = pytest.mark.anyio


async def test_resources_are_left_in_reverse_and_then_it_is_closed() -> None:
    lifespan, left = Lifespan("orders"), list[tuple[str, bool]]()
    async with lifespan.opening() as stack:
        for name in ("first", "second"):
            stack.callback(lambda n: left.append((n, lifespan.is_open)), name)
    assert lifespan.is_open
    assert not await lifespan.close(None, None, None)
    assert left == [("second", True), ("first", True)]
    assert not lifespan.is_open


async def test_a_second_opening_is_an_error_that_names_the_owner() -> None:
    lifespan = Lifespan("orders")
    async with lifespan.opening():
        with pytest.raises(AlreadyOpen, match="orders is open"):
            async with lifespan.opening():
                raise NotImplementedError
    await lifespan.close(None, None, None)


async def test_a_failed_opening_leaves_it_closed() -> None:
    lifespan, left = Lifespan("orders"), list[str]()

    async def open_and_fail() -> None:
        async with lifespan.opening() as stack:
            stack.callback(left.append, "first")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await open_and_fail()
    assert (left, lifespan.is_open) == (["first"], False)


async def test_it_joins_the_stack_of_a_surrounding_owner() -> None:
    inner = Lifespan("inner")
    async with AsyncExitStack() as stack:
        inner.join(stack)
        with pytest.raises(AlreadyOpen, match="inner is open"):
            inner.join(stack)
    assert not inner.is_open
