"""The cache in memory: the promises of the port, and its bound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Cache
from modd.stores import MemoryCache
from modd.testing.conformance import CacheConformance

pytestmark = pytest.mark.anyio


class TestMemoryCache(CacheConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Cache]:
        yield MemoryCache(clock=anyio.current_time)


async def test_a_suite_that_makes_nothing_says_so() -> None:
    class TestMine(CacheConformance):
        """Lacks create."""

    with pytest.raises(NotImplementedError, match=r"define TestMine\.create, an async context manager"):
        await TestMine().test_a_key_without_a_value_has_none()


# MI-21
async def test_a_value_is_there_until_its_time_is_over() -> None:
    cache = MemoryCache(clock=anyio.current_time)
    await cache.set("a", b"1", 60)
    await anyio.sleep(59.5)
    assert await cache.get("a") == b"1"
    await anyio.sleep(0.5)
    assert await cache.get("a") is None


async def test_of_too_many_values_the_one_that_was_not_used_for_longest_goes() -> None:
    cache = MemoryCache(size=3)
    for key in "abc":
        await cache.set(key, key.encode(), 60)
    assert await cache.get("a") == b"a"
    assert not await cache.add("b", b"", 60)
    await cache.set("d", b"d", 60)
    assert [await cache.get(key) for key in "abcd"] == [b"a", b"b", None, b"d"]
    assert await cache.add("e", b"e", 60)
    assert [await cache.get(key) for key in "abcde"] == [None, b"b", None, b"d", b"e"]


async def test_to_set_a_key_again_takes_no_more_room() -> None:
    cache = MemoryCache(size=2)
    await cache.set("a", b"1", 60)
    for number in range(5):
        await cache.set("b", b"%d" % number, 60)
    assert [await cache.get(key) for key in "ab"] == [b"1", b"4"]


async def test_no_time_that_is_none_is_for_ever() -> None:
    cache = MemoryCache(clock=anyio.current_time)
    await cache.set("a", b"1", float("nan"))
    await cache.set("b", b"1", float("inf"))
    assert [await cache.get(key) for key in "ab"] == [None, b"1"]


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None, "10"])
def test_a_size_that_cannot_be_is_an_error(size: Any) -> None:
    with pytest.raises(InvalidOption, match=r"size=.*: give a whole number, at least 1"):
        MemoryCache(size)


async def test_its_methods_never_wait() -> None:
    cache = MemoryCache()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await cache.set("a", b"1", 60)
        assert await cache.get("a") == b"1"
