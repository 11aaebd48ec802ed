"""The conformance suite for stores that have all ports: atomicity and isolation of their transactions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from modd.errors import ModdError
from modd.ports.errors import AlreadyHandled, LeaseLost, RevisionConflict
from modd.ports.items import Claim
from modd.ports.storage import Storage
from modd.testing.conformance.storage_conflicts import TransactionConflictSuite
from modd.testing.conformance.storage_immediate import ImmediateTransactionSuite
from modd.testing.conformance.storage_parts import ALL, Fail, outside, transact, write_everywhere, written

both = pytest.mark.parametrize("immediate", [False, True])

LOST = Claim("gone", b"", {}, None, 1, "1.1")


async def append_wrongly(store: Storage) -> None:
    """Append to a stream at a revision that it is not at."""
    await store.events.append("before", [b"1"], 7)


async def handle_again(store: Storage) -> None:
    """Note an id that was noted before."""
    await store.inbox.add("before")


async def settle_wrongly(store: Storage) -> None:
    """Settle a claim that is lost."""
    await store.queue("orders").ack(LOST)


async def break_off(store: Storage) -> None:
    """Raise an error of the block."""
    raise ZeroDivisionError


failures = pytest.mark.parametrize(
    ("fail", "error"),
    [
        (break_off, ZeroDivisionError),
        (append_wrongly, RevisionConflict),
        (handle_again, AlreadyHandled),
        (settle_wrongly, LeaseLost),
    ],
)


class StorageConformance(ImmediateTransactionSuite, TransactionConflictSuite):
    """The promises of `modd.ports.Storage`; those of each part are in the suite of its port."""

    @both
    async def test_all_that_a_transaction_writes_is_committed_together(self, immediate: bool) -> None:
        """Nothing is there before the end of the block, for others, and everything after it."""
        async with self.create() as store, outside() as do:
            async with store.transaction(immediate=immediate):
                await write_everywhere(store, "a")
                assert await do(written, store, "a") == []
            assert await written(store, "a") == ALL

    @both
    @failures
    async def test_if_one_thing_fails_nothing_is_written(self, fail: Fail, error: Any, immediate: bool) -> None:
        """The block fails with its error; what was there stays, and the same can be written afterwards."""
        async with self.create() as store:
            await write_everywhere(store, "before")
            await transact(store, "before-too", immediate=immediate)
            with pytest.raises(error):
                await transact(store, "a", fail, immediate=immediate)
            assert await written(store, "a") == []
            assert await written(store, "before") == await written(store, "before-too") == ALL
            await transact(store, "a", immediate=immediate)
            assert await written(store, "a") == ALL

    @both
    async def test_a_savepoint_that_fails_drops_its_own_writes(self, immediate: bool) -> None:
        """A block within a block is a savepoint, too."""
        async with self.create() as store:
            async with store.transaction(immediate=immediate) as tx:
                await write_everywhere(store, "a")
                with suppress(ZeroDivisionError):
                    async with tx.savepoint():
                        await transact(store, "b")
                        await transact(store, "c", break_off)
                with suppress(ZeroDivisionError):
                    await transact(store, "d", break_off)
                await transact(store, "e")
            assert [await written(store, name) for name in "abcde"] == [ALL, [], [], [], ALL]

    @both
    async def test_a_block_that_is_cancelled_writes_nothing(self, immediate: bool) -> None:
        """And the next one goes on."""
        async with self.create() as store:
            with anyio.CancelScope() as scope:
                async with store.transaction(immediate=immediate):
                    await write_everywhere(store, "a")
                    scope.cancel()
                    await anyio.sleep_forever()
            await transact(store, "b", immediate=immediate)
            assert [await written(store, name) for name in "ab"] == [[], ALL]

    async def test_bodies_that_are_changed_after_they_were_put_are_stored_as_they_were(self) -> None:
        """Also in a transaction that defers its writes."""
        async with self.create() as store:
            bodies: dict[str, bytes | None] = {"a": b"1"}
            async with store.transaction():
                await store.documents("states").put_many(bodies)
                bodies.update(a=None, b=b"2")
            assert await store.documents("states").items() == [("a", b"1")]

    async def test_spaces_have_documents_of_their_own(self) -> None:
        """Under the same keys."""
        async with self.create() as store:
            await store.documents("a").put("k", b"1")
            await store.documents("b").put("k", b"2")
            assert [await store.documents(space).items() for space in ("a", "b", "c")] == [
                [("k", b"1")],
                [("k", b"2")],
                [],
            ]

    async def test_a_task_that_waits_is_woken_by_the_commit(self) -> None:
        """At a queue and at the outbox; a rollback leaves it waiting."""

        async def wait(part: Any) -> None:
            await part.wait(100 * self.tick)
            woken.append(part)

        async with self.create() as store:
            for immediate in (False, True):
                woken = list[Any]()
                parts: list[Any] = [store.queue(f"mails {immediate}"), store.outbox]
                with anyio.fail_after(50 * self.tick):
                    async with anyio.create_task_group() as tasks:
                        for part in parts:
                            tasks.start_soon(wait, part)
                        await anyio.lowlevel.checkpoint()
                        async with store.transaction(immediate=immediate):
                            await parts[0].put(b"1")
                            await parts[1].put(b"1")
                            assert woken == []
                assert len(woken) == 2
                await store.outbox.ack(*await store.outbox.claim(9, 100 * self.tick))

    async def test_parts_tell_their_store(self) -> None:
        """So that workers and relays know what is committed together."""
        async with self.create() as store:
            parts = (store.events, store.inbox, store.outbox, store.cache, store.locks)
            for part in (*parts, store.queue("orders"), store.documents("states"), store.feed("public")):
                member: Any = part
                assert member.store is store
                async with member.transaction() as tx, store.transaction() as inner:
                    assert inner is tx
            assert store.queue("orders") is store.queue("orders")
            assert store.documents("states") is store.documents("states")
            assert store.feed("public") is store.feed("public")

    async def test_another_task_inside_the_block_is_an_error(self) -> None:
        """It never hangs, and the block goes on."""

        async def other() -> None:
            for call in (store.events.append("b", [b"1"], 0), store.inbox.has("b"), transact(store, "b")):
                with pytest.raises(ModdError):
                    await call

        async with self.create() as store:
            for immediate in (False, True):
                async with store.transaction(immediate=immediate):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(other)
                    await write_everywhere(store, f"{immediate}")
                assert await written(store, f"{immediate}") == ALL
