"""The conformance suite for locks."""

from __future__ import annotations

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.locks import Locks
from modd.testing.conformance.base import Suite


class LocksConformance(Suite[Locks]):
    """The promises of `modd.ports.Locks`."""

    async def test_one_token_has_the_lock(self) -> None:
        """No other token acquires a held lock, and its holder does not acquire it twice."""
        async with self.create() as locks:
            assert await locks.acquire("a", 100 * self.tick, "me")
            assert not await locks.acquire("a", 100 * self.tick, "you")
            assert not await locks.acquire("a", 100 * self.tick, "me")

    async def test_of_several_that_try_at_once_one_gets_the_lock(self) -> None:
        """Of several concurrent calls one acquires the lock, and only its token can renew it."""
        got: list[str] = []

        async def acquire(token: str) -> None:
            if await locks.acquire("a", 100 * self.tick, token):
                got.append(token)

        async with self.create() as locks:
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(acquire, str(number))
            assert got == [str(n) for n in range(10) if await locks.renew("a", 100 * self.tick, str(n))]
            assert len(got) == 1

    async def test_each_key_is_a_lock_of_its_own(self) -> None:
        """A token may hold several locks, and a release ends only one of them."""
        async with self.create() as locks:
            assert await locks.acquire("a", 100 * self.tick, "me")
            assert await locks.acquire("A", 100 * self.tick, "me")
            await locks.release("a", "me")
            assert await locks.acquire("a", 100 * self.tick, "you")
            assert not await locks.acquire("A", 100 * self.tick, "you")

    async def test_a_released_lock_is_free(self) -> None:
        """A released lock can be acquired at once, by the same token too."""
        async with self.create() as locks:
            for token in ("me", "me", "you"):
                assert await locks.acquire("a", 100 * self.tick, token)
                await locks.release("a", token)

    async def test_a_released_lock_is_over_for_good(self) -> None:
        """The old end of a released lock has no effect, whether the lock is held again or free."""
        async with self.create() as locks:
            for key in ("a", "b"):
                assert await locks.acquire(key, 2 * self.tick, "me")
                await locks.release(key, "me")
            assert await locks.acquire("a", 100 * self.tick, "you")
            await self.ticks(4)
            assert not await locks.acquire("a", 100 * self.tick, "me")
            assert await locks.acquire("b", 100 * self.tick, "me")

    async def test_a_lock_whose_time_is_over_is_free(self) -> None:
        """Within its ttl a lock is held; after it any token can acquire it."""
        async with self.create() as locks:
            assert await locks.acquire("a", 4 * self.tick, "me")
            await self.ticks(2)
            assert not await locks.acquire("a", 100 * self.tick, "you")
            await self.ticks(4)
            assert await locks.acquire("a", 100 * self.tick, "you")

    async def test_a_stale_token_releases_nothing(self) -> None:
        """A token whose lock has ended, or that never had one, does not release the lock of another holder."""
        async with self.create() as locks:
            assert await locks.acquire("a", 2 * self.tick, "me")
            await self.ticks(4)
            await locks.release("b", "me")
            assert await locks.acquire("a", 100 * self.tick, "you")
            await locks.release("a", "me")
            assert not await locks.acquire("a", 100 * self.tick, "me")
            assert await locks.renew("a", 100 * self.tick, "you")

    async def test_a_renewed_lock_is_held_from_now_on(self) -> None:
        """The ttl begins with the renewal, whether it is longer or shorter than the rest of the old one."""
        async with self.create() as locks:
            assert await locks.acquire("a", 4 * self.tick, "me")
            await self.ticks(2)
            assert await locks.renew("a", 100 * self.tick, "me")
            await self.ticks(4)
            assert not await locks.acquire("a", 100 * self.tick, "you")
            assert await locks.renew("a", 2 * self.tick, "me")
            await self.ticks(4)
            assert await locks.acquire("a", 100 * self.tick, "you")

    async def test_a_lock_that_is_not_ones_own_is_not_renewed(self) -> None:
        """A renewal fails for a free lock, for the lock of another token, and for an ended lock that is still free."""
        async with self.create() as locks:
            assert not await locks.renew("a", 100 * self.tick, "me")
            assert await locks.acquire("a", 2 * self.tick, "me")
            assert not await locks.renew("a", 100 * self.tick, "you")
            await self.ticks(4)
            assert not await locks.renew("a", 100 * self.tick, "me")
            assert await locks.acquire("a", 100 * self.tick, "you")

    async def test_no_lock_is_held_for_no_time(self) -> None:
        """A ttl that is not above 0 is `InvalidOption`, and acquires and changes nothing."""
        async with self.create() as locks:
            for ttl in (0, -1, float("nan")):
                with pytest.raises(InvalidOption):
                    await locks.acquire("a", ttl, "you")
            assert await locks.acquire("a", 100 * self.tick, "me")
            for ttl in (0, -1, float("nan")):
                with pytest.raises(InvalidOption):
                    await locks.renew("a", ttl, "me")
            assert not await locks.acquire("a", 100 * self.tick, "you")
