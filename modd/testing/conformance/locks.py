"""What all locks must do."""

from __future__ import annotations

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.locks import Locks
from modd.testing.conformance.base import Suite


class LocksConformance(Suite[Locks]):
    """The promises of `modd.ports.Locks`."""

    async def test_one_token_has_the_lock(self) -> None:
        """Nobody else gets it, and the one that has it does not get it again."""
        async with self.create() as locks:
            assert await locks.acquire("a", 100 * self.tick, "me")
            assert not await locks.acquire("a", 100 * self.tick, "you")
            assert not await locks.acquire("a", 100 * self.tick, "me")

    async def test_of_several_that_try_at_once_one_gets_the_lock(self) -> None:
        """And it is the one that can renew it."""
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
        """One token may have several, and to release one leaves the others."""
        async with self.create() as locks:
            assert await locks.acquire("a", 100 * self.tick, "me")
            assert await locks.acquire("A", 100 * self.tick, "me")
            await locks.release("a", "me")
            assert await locks.acquire("a", 100 * self.tick, "you")
            assert not await locks.acquire("A", 100 * self.tick, "you")

    async def test_a_released_lock_is_free(self) -> None:
        """It can be had at once, by the same token too."""
        async with self.create() as locks:
            for token in ("me", "me", "you"):
                assert await locks.acquire("a", 100 * self.tick, token)
                await locks.release("a", token)

    async def test_a_released_lock_is_over_for_good(self) -> None:
        """When its time would have been over nothing happens, whether somebody else has it then or nobody."""
        async with self.create() as locks:
            for key in ("a", "b"):
                assert await locks.acquire(key, 2 * self.tick, "me")
                await locks.release(key, "me")
            assert await locks.acquire("a", 100 * self.tick, "you")
            await self.ticks(4)
            assert not await locks.acquire("a", 100 * self.tick, "me")
            assert await locks.acquire("b", 100 * self.tick, "me")

    async def test_a_lock_whose_time_is_over_is_free(self) -> None:
        """Within its ttl it is held, after it anybody can have it."""
        async with self.create() as locks:
            assert await locks.acquire("a", 4 * self.tick, "me")
            await self.ticks(2)
            assert not await locks.acquire("a", 100 * self.tick, "you")
            await self.ticks(4)
            assert await locks.acquire("a", 100 * self.tick, "you")

    async def test_a_stale_token_releases_nothing(self) -> None:
        """Whoever had the lock before leaves it to the one that has it now; a stranger does, too."""
        async with self.create() as locks:
            assert await locks.acquire("a", 2 * self.tick, "me")
            await self.ticks(4)
            await locks.release("b", "me")
            assert await locks.acquire("a", 100 * self.tick, "you")
            await locks.release("a", "me")
            assert not await locks.acquire("a", 100 * self.tick, "me")
            assert await locks.renew("a", 100 * self.tick, "you")

    async def test_a_renewed_lock_is_held_from_now_on(self) -> None:
        """Its ttl begins with the renewal, be it longer or shorter than what was left."""
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
        """Neither one that nobody has, nor another's, nor one's own whose time is over, though nobody else took it."""
        async with self.create() as locks:
            assert not await locks.renew("a", 100 * self.tick, "me")
            assert await locks.acquire("a", 2 * self.tick, "me")
            assert not await locks.renew("a", 100 * self.tick, "you")
            await self.ticks(4)
            assert not await locks.renew("a", 100 * self.tick, "me")
            assert await locks.acquire("a", 100 * self.tick, "you")

    async def test_no_lock_is_held_for_no_time(self) -> None:
        """A ttl that is not more than 0 is `InvalidOption`; nothing is acquired then, and nothing changed."""
        async with self.create() as locks:
            for ttl in (0, -1, float("nan")):
                with pytest.raises(InvalidOption):
                    await locks.acquire("a", ttl, "you")
            assert await locks.acquire("a", 100 * self.tick, "me")
            for ttl in (0, -1, float("nan")):
                with pytest.raises(InvalidOption):
                    await locks.renew("a", ttl, "me")
            assert not await locks.acquire("a", 100 * self.tick, "you")
