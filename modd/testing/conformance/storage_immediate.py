"""The promises of stores with all ports about immediate transactions."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from modd.ports.errors import Conflict
from modd.ports.items import HANDLER, Claim, Item, Subscription
from modd.ports.queue import Queue
from modd.ports.storage import Storage
from modd.testing.conformance.base import Suite, bodies
from modd.testing.conformance.storage_parts import ALL, outside, write_everywhere, written


class ImmediateTransactionSuite(Suite[Storage]):
    """A transaction that reads its own writes, and keeps other writers off where the store can."""

    holds_writers_off: bool = True
    """True if other writers wait for an immediate transaction, so that it never ends with `Conflict`. False for a store
    that cannot keep them off, such as one on a server: such a transaction is a conflict if what it has read changed."""

    async def test_an_immediate_transaction_reads_its_own_writes(self) -> None:
        """And a deferred one does not; calls that need a result work in the immediate one."""
        async with self.create() as store:
            async with store.transaction():
                await write_everywhere(store, "a")
                assert await written(store, "a", settle=False) == []
            async with store.transaction(immediate=True):
                await write_everywhere(store, "b")
                assert await written(store, "b", settle=False) == ALL[:-2]
                claims = await store.queue("orders").claim(9, 100 * self.tick)
                assert [claim.id for claim in claims] == ["a", "b"]
                assert [claim.id for claim in await store.outbox.claim(9, 100 * self.tick)] == ["a", "b"]

    async def test_claims_are_undone_with_an_immediate_transaction(self) -> None:
        """Their items can be claimed again, in their order, with their attempts and keys as they were."""
        async with self.create() as store:
            queue = store.queue("orders")
            await queue.put(Item(b"1", key="k", id="1"), Item(b"2", key="k", id="2"), Item(b"3", id="3"))
            await store.outbox.put(b"1", b"2")
            with suppress(ZeroDivisionError):
                async with store.transaction(immediate=True):
                    first, third = await queue.claim(9, 100 * self.tick)
                    await queue.ack(first)
                    await queue.bury(third, "broken")
                    await queue.claim(9, 100 * self.tick)
                    await store.outbox.ack(*await store.outbox.claim(9, 100 * self.tick))
                    raise ZeroDivisionError
            claims = await queue.claim(9, 100 * self.tick)
            assert [(claim.id, claim.attempt) for claim in claims] == [("1", 1), ("3", 1)]
            assert await queue.dead() == []
            assert [claim.body for claim in await store.outbox.claim(9, 100 * self.tick)] == [b"1", b"2"]

    async def test_all_that_is_done_to_a_queue_is_undone(self) -> None:
        """Claims, delays, dead letters in their order, items that were left, announced handlers."""
        handler = Subscription("bus", "Placed", "send")
        async with self.create() as store:
            queue = store.queue("orders")
            await queue.put(*[Item(b"1", {HANDLER: "send"}, id=id) for id in "abcdef"], Item(b"1", id="x", delay=9))
            claims = {claim.id: claim for claim in await queue.claim(5, 100 * self.tick)}
            await queue.bury(claims["a"], "first")
            await queue.bury(claims["b"], "second")
            assert await queue.leave(claims["c"], "Placed", 100 * self.tick)
            await queue.announce(handler, retention=100 * self.tick)
            before = await self._state_of(queue)
            with suppress(ZeroDivisionError):
                async with store.transaction(immediate=True):
                    await self._change(queue, claims["d"], claims["e"])
                    raise ZeroDivisionError
            assert await self._state_of(queue) == before
            await queue.ack(claims["d"], claims["e"])
            assert [claim.id for claim in await queue.claim(9, 100 * self.tick)] == ["f"]
            assert [claim.id for claim in await queue.claim_left(["Placed"], 9, 100 * self.tick)] == ["c"]

    async def _change(self, queue: Queue, first: Claim, second: Claim) -> None:
        assert await queue.redrive("a") == ["a"] and await queue.discard("b") == ["b"]
        assert await queue.cancel("x") == ["x"]
        [left] = await queue.claim_left(["Placed"], 9, 100 * self.tick)
        await queue.bury(left, "third")
        await queue.extend(first, 200 * self.tick)
        await queue.retry(first, 50 * self.tick)
        assert await queue.fan_out(second, ["Placed"], lambda handlers: [Item(b"2")] * len(handlers)) == 1
        assert [claim.id for claim in await queue.claim(1, 100 * self.tick)] == ["f"]
        await queue.announce(Subscription("bus", "Paid", "send"), retention=100 * self.tick)
        assert await queue.forget("send") > 0
        assert await queue.clear() > 0

    async def _state_of(self, queue: Queue) -> object:
        handlers = [(each.bus, each.type, each.handler) for each in await queue.subscriptions()]
        return await queue.stats(), await queue.dead(), handlers

    async def test_locks_and_the_cache_take_part_in_an_immediate_transaction_only(self) -> None:
        """In a deferred one their writes are visible at once, and stay if it fails."""
        async with self.create() as store, outside() as do:
            for immediate, expected in ((False, b"1"), (True, None)):
                with suppress(ZeroDivisionError):
                    async with store.transaction(immediate=immediate):
                        await store.cache.set("k", b"1", 100 * self.tick)
                        assert await store.locks.acquire("k", 100 * self.tick, "me")
                        assert await do(store.cache.get, "k") == expected
                        raise ZeroDivisionError
                assert await store.cache.get("k") == expected
                assert await store.locks.renew("k", 100 * self.tick, "me") is (expected is not None)
                await store.cache.delete("k")
                await store.locks.release("k", "me")

    async def test_no_update_is_lost(self) -> None:
        """Ten that read a number and write it one higher, each again after a conflict, count to ten."""

        async def count_up() -> None:
            try:
                await increase(immediate=False)
            except Conflict:
                await increase_at_last()

        async def increase_at_last() -> None:
            while True:
                try:
                    return await increase(immediate=True)
                except Conflict:  # pragma: no cover  # on a server, and by chance
                    assert not self.holds_writers_off

        async def increase(immediate: bool) -> None:
            async with store.transaction(immediate=immediate):
                snapshot = await store.events.snapshot("count")
                number = 0 if snapshot is None else int(snapshot.body)
                await anyio.lowlevel.checkpoint()
                await store.events.save_snapshot("count", 0, b"%d" % (number + 1))

        async with self.create() as store:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(count_up)
            snapshot = await store.events.snapshot("count")
            assert snapshot is not None and snapshot.body == b"10"

    async def test_readers_do_not_wait_for_an_immediate_transaction(self) -> None:
        """They see the state before it."""
        async with self.create() as store, outside() as do:
            await write_everywhere(store, "before")
            async with store.transaction(immediate=True):
                await write_everywhere(store, "a")
                await store.queue("orders").claim(1, 100 * self.tick)
                for _ in range(3):
                    assert await do(written, store, "a", False) == []
                    assert (await do(store.queue("orders").stats)).ready == 1
                    assert await bodies(store.events.read("a")) == [b"1", b"2"]
            assert await written(store, "a", settle=False) == ALL[:-2]

    async def test_other_writers_wait_for_an_immediate_transaction_or_it_is_a_conflict(self) -> None:
        """A writer goes on when it ends. Where none is held off, it writes nothing if its reads have changed."""
        begun, done = anyio.Event(), anyio.Event()

        async def append_beside(store: Storage, revision: int) -> None:
            await begun.wait()
            await store.events.append("a", [b"3"], revision)
            done.set()

        async def append() -> None:
            async with store.transaction(immediate=True):
                await store.events.append("a", [b"1", b"2"], 0)
                begun.set()
                if self.holds_writers_off:
                    await anyio.lowlevel.checkpoint()
                else:
                    await done.wait()

        async with self.create() as store, anyio.create_task_group() as tasks:
            if self.holds_writers_off:
                tasks.start_soon(append_beside, store, 2)
                await append()
                await done.wait()
                assert await bodies(store.events.read("a")) == [b"1", b"2", b"3"]
            else:
                tasks.start_soon(append_beside, store, 0)
                with pytest.raises(Conflict):
                    await append()
                assert await bodies(store.events.read("a")) == [b"3"]
