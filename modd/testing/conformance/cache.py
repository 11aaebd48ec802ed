"""The conformance suite for caches."""

from __future__ import annotations

import anyio

from modd.ports.cache import Cache
from modd.testing.conformance.base import Suite


class CacheConformance(Suite[Cache]):
    """The promises of `modd.ports.Cache`."""

    async def test_a_key_without_a_value_has_none(self) -> None:
        """A key that was never set is no error."""
        async with self.create() as cache:
            assert await cache.get("a") is None

    async def test_a_value_is_kept_until_its_time_is_over(self) -> None:
        """The value is returned within its ttl, however often it is read, and not after it."""
        async with self.create() as cache:
            await cache.set("a", b"1", 4 * self.tick)
            assert await cache.get("a") == b"1"
            await self.ticks(2)
            assert await cache.get("a") == b"1"
            await self.ticks(4)
            assert await cache.get("a") is None

    async def test_values_are_any_bytes(self) -> None:
        """An empty value is a value, and no byte is changed."""
        async with self.create() as cache:
            for value in (b"", b"\x00", bytes(range(256)), b"x" * 100_000):
                await cache.set("a", value, 100 * self.tick)
                assert await cache.get("a") == value

    async def test_keys_are_any_text(self) -> None:
        """Similar keys are different keys."""
        async with self.create() as cache:
            keys = ["a", "A", "a ", "", "a:b", "a%", "ä", "a\N{COMBINING DIAERESIS}", "'; --"]
            for number, key in enumerate(keys):
                await cache.set(key, b"%d" % number, 100 * self.tick)
            assert [await cache.get(key) for key in keys] == [b"%d" % number for number in range(len(keys))]

    async def test_a_value_that_is_set_again_is_replaced_with_its_time(self) -> None:
        """The latest set determines value and ttl, whether the new ttl is longer or shorter."""
        async with self.create() as cache:
            await cache.set("a", b"1", 2 * self.tick)
            await cache.set("b", b"1", 100 * self.tick)
            await cache.set("a", b"2", 100 * self.tick)
            await cache.set("b", b"2", 2 * self.tick)
            await self.ticks(4)
            assert [await cache.get("a"), await cache.get("b")] == [b"2", None]

    async def test_nothing_is_stored_for_no_time(self) -> None:
        """After a set with a ttl of 0 or less the key has no value, and such an add returns False."""
        async with self.create() as cache:
            for ttl in (0, -1):
                await cache.set("a", b"1", 100 * self.tick)
                await cache.set("a", b"2", ttl)
                assert await cache.get("a") is None
                assert not await cache.add("a", b"3", ttl)
                assert await cache.get("a") is None

    async def test_add_keeps_what_is_there(self) -> None:
        """An add to a key with a value changes neither the value nor its time."""
        async with self.create() as cache:
            assert await cache.add("a", b"1", 4 * self.tick)
            assert not await cache.add("a", b"2", 100 * self.tick)
            assert await cache.get("a") == b"1"
            await self.ticks(6)
            assert await cache.get("a") is None

    async def test_add_sets_what_is_over_or_deleted(self) -> None:
        """A key whose value has expired or was deleted is free."""
        async with self.create() as cache:
            await cache.set("a", b"1", 2 * self.tick)
            await cache.set("b", b"1", 100 * self.tick)
            await self.ticks(4)
            await cache.delete("b")
            assert await cache.add("a", b"2", 100 * self.tick)
            assert await cache.add("b", b"2", 100 * self.tick)
            assert [await cache.get("a"), await cache.get("b")] == [b"2", b"2"]

    async def test_of_several_that_add_at_once_one_is_told_true(self) -> None:
        """Of several concurrent adds one returns True, and its value is stored."""
        told: dict[bytes, bool] = {}

        async def add(value: bytes) -> None:
            told[value] = await cache.add("a", value, 100 * self.tick)

        async with self.create() as cache:
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(add, b"%d" % number)
            assert [value for value, added in told.items() if added] == [await cache.get("a")]

    async def test_a_deleted_value_is_gone(self) -> None:
        """A delete removes the value of its key only; to delete a missing value is no error."""
        async with self.create() as cache:
            await cache.set("a", b"1", 100 * self.tick)
            await cache.set("b", b"2", 100 * self.tick)
            await cache.delete("a")
            await cache.delete("a")
            assert [await cache.get("a"), await cache.get("b")] == [None, b"2"]
