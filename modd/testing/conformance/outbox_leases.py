"""The conformance suite for the leases of an outbox."""

from __future__ import annotations

import anyio
import pytest

from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item
from modd.ports.outbox import Outbox
from modd.testing.conformance.base import ClaimSuite


class OutboxLeaseSuite(ClaimSuite[Outbox]):
    """The promises about claims."""

    async def test_one_has_items_at_a_time(self) -> None:
        """No items can be claimed until all claims of the relay are acknowledged or released."""
        async with self.create() as outbox:
            await outbox.put(b"1", b"2", b"3", b"4")
            first, second = await self.claim(outbox, 2)
            assert await self.bodies(outbox) == []
            await outbox.ack(first)
            assert await self.bodies(outbox) == []
            await outbox.release(second)
            assert await self.bodies(outbox) == [b"2", b"3", b"4"]

    async def test_of_several_that_claim_at_once_one_gets_items(self) -> None:
        """Of several concurrent claims all but one are empty."""
        claimed: list[list[bytes]] = []

        async def claim() -> None:
            claimed.append([claim.body for claim in await self.claim(outbox, 2)])

        async with self.create() as outbox:
            await outbox.put(*[b"%d" % number for number in range(20)])
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(claim)
            assert sorted(claimed) == [[], [], [], [], [b"0", b"1"]]

    async def test_a_lease_that_ends_lets_another_in(self) -> None:
        """After the lease, not before, the same items can be claimed again in their order."""
        async with self.create() as outbox:
            await outbox.put(b"1", b"2", b"3")
            await self.claim(outbox, 2, lease=4)
            await self.ticks(2)
            assert await self.bodies(outbox) == []
            await self.ticks(4)
            assert await self.bodies(outbox) == [b"1", b"2", b"3"]

    async def test_one_whose_lease_ended_settles_nothing_that_another_has(self) -> None:
        """A late claim raises `LeaseLost` with its items, and the new claims stay valid."""
        async with self.create() as outbox:
            await outbox.put(Item(b"1", id="a"), Item(b"2", id="b"))
            lost = await self.claim(outbox, lease=2)
            await self.ticks(4)
            claims = await self.claim(outbox)
            await self.check_lost(outbox, lost, "a", "b")
            assert await self.bodies(outbox) == []
            await outbox.ack(*claims)
            assert await self.bodies(outbox) == []

    async def test_a_claim_on_an_outbox_is_settled_once(self) -> None:
        """To settle a claim twice is `LeaseLost`, even after the item was claimed again."""
        async with self.create() as outbox:
            await outbox.put(Item(b"1", id="a"), Item(b"2", id="b"))
            acked, released = await self.claim(outbox)
            await outbox.ack(acked)
            await outbox.release(released)
            await self.check_lost(outbox, [acked, released], "a", "b")
            assert await self.bodies(outbox) == [b"2"]
            await self.check_lost(outbox, [acked, released], "a", "b")

    async def test_items_are_settled_all_or_none(self) -> None:
        """A lost claim leaves all items as they were; the error has the lost ones only."""
        async with self.create() as outbox:
            await outbox.put(Item(b"1", id="a"), Item(b"2", id="b"), Item(b"3", id="c"))
            first, second, third = await self.claim(outbox)
            await outbox.ack(second)
            await self.check_lost(outbox, [first, second, third], "b")
            await outbox.release(third)
            await self.check_lost(outbox, [first, third], "c")
            await outbox.ack(first, first)
            assert await self.bodies(outbox) == [b"3"]

    async def test_released_items_go_to_the_front(self) -> None:
        """Released items are claimed next, in their order, before items that were put meanwhile."""
        async with self.create() as outbox:
            await outbox.put(b"1", b"2", b"3")
            first, second = await self.claim(outbox, 2)
            await outbox.put(b"4")
            await outbox.release(second, first)
            assert await self.bodies(outbox) == [b"1", b"2", b"3", b"4"]

    async def publish(self, outbox: Outbox, limit: int) -> list[bytes]:
        """Claim up to ``limit`` items, acknowledge them, and return their bodies."""
        claims = await self.claim(outbox, limit)
        await outbox.ack(*claims)
        return [claim.body for claim in claims]

    async def check_lost(self, outbox: Outbox, claims: list[Claim], *ids: str) -> None:
        """Check that settling the claims raises `LeaseLost` with these ids."""
        for settle in (outbox.ack, outbox.release):
            with pytest.raises(LeaseLost) as lost:
                await settle(*claims)
            assert lost.value.ids == ids
