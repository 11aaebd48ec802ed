"""The conformance suite for stores with transactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest

from modd.errors import ModdError
from modd.ports.transaction import SupportsTransactions, Transaction
from modd.testing.conformance.base import Suite

both = pytest.mark.parametrize("immediate", [False, True])


class TransactionConformance(Suite[SupportsTransactions]):
    """The promises of `modd.ports.Transaction` about the block itself: work at its end, and values for it."""

    @both
    async def test_work_on_commit_is_done_after_the_commit_and_not_without_one(self, immediate: bool) -> None:
        """In its order; a block that fails and a savepoint that fails drop it."""
        async with self.create() as store:
            done: list[str] = []
            async with store.transaction(immediate=immediate) as tx:
                tx.on_commit(noting(done, "first"))
                await fail_in_savepoint(tx, lambda: tx.on_commit(noting(done, "dropped")))
                tx.on_commit(noting(done, "second"))
                assert done == []
            assert done == ["first", "second"]
            with suppress(ZeroDivisionError):
                async with store.transaction(immediate=immediate) as tx:
                    tx.on_commit(noting(done, "dropped"))
                    raise ZeroDivisionError
            assert done == ["first", "second"]

    @both
    async def test_work_at_the_end_is_done_whether_or_not_it_commits(self, immediate: bool) -> None:
        """After the work of the commit, once; also if the block, or only its savepoint, fails."""
        async with self.create() as store:
            done: list[str] = []
            async with store.transaction(immediate=immediate) as tx:
                tx.on_end(noting(done, "end"))
                await fail_in_savepoint(tx, lambda: tx.on_end(noting(done, "of the savepoint")))
                tx.on_commit(noting(done, "commit"))
                assert done == []
            assert done == ["commit", "end", "of the savepoint"]
            with suppress(ZeroDivisionError):
                async with store.transaction(immediate=immediate) as tx:
                    tx.on_end(noting(done, "failed"))
                    raise ZeroDivisionError
            assert done[3:] == ["failed"]

    @both
    async def test_work_at_the_end_is_done_when_the_block_is_cancelled(self, immediate: bool) -> None:
        """To its end, though it waits."""
        async with self.create() as store:
            done: list[str] = []
            with anyio.CancelScope() as scope:
                async with store.transaction(immediate=immediate) as tx:
                    tx.on_end(noting(done, "end"))
                    scope.cancel()
                    await anyio.sleep_forever()
            assert scope.cancelled_caught and done == ["end"]

    async def test_work_that_fails_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        """And the rest is done, and the transaction has not failed."""

        async def fail() -> None:
            raise ZeroDivisionError

        async with self.create() as store:
            done: list[str] = []
            async with store.transaction() as tx:
                for register, name in ((tx.on_commit, "commit"), (tx.on_end, "end")):
                    register(fail)
                    register(noting(done, name))
            assert done == ["commit", "end"]
            assert len(caplog.records) == 2

    @both
    async def test_local_values_last_as_long_as_the_transaction(self, immediate: bool) -> None:
        """The next one has none, and a block within a block has those of the outer one."""
        async with self.create() as store, store.transaction(immediate=immediate) as tx:
            assert tx.local == {}
            tx.local["a"] = 1
            async with store.transaction() as inner:
                assert inner.local == {"a": 1}
                inner.local["b"] = 2
            assert tx.local == {"a": 1, "b": 2}

    @both
    async def test_a_savepoint_that_fails_leaves_local_values_as_they_were(self, immediate: bool) -> None:
        """Additions, replacements and removals are undone, in the same dict; a savepoint that ends well keeps them."""
        async with self.create() as store, store.transaction(immediate=immediate) as tx:
            await fail_in_savepoint(tx, lambda: tx.local.update(early=1))
            local = tx.local
            assert local == {}
            local |= {"a": 1, "b": 2}

            def change() -> None:
                local["a"] = local["c"] = 3
                del local["b"]

            await fail_in_savepoint(tx, change)
            assert tx.local is local and local == {"a": 1, "b": 2}
            async with tx.savepoint():
                change()
            assert local == {"a": 3, "c": 3}

    async def test_no_work_is_taken_after_the_end(self) -> None:
        """Nor by a task other than that of the block."""

        async def other(tx: Transaction) -> None:
            with pytest.raises(ModdError):
                tx.on_end(noting([], ""))

        async with self.create() as store:
            async with store.transaction() as tx, anyio.create_task_group() as tasks:
                tasks.start_soon(other, tx)
            await other(tx)
            with pytest.raises(ModdError):
                tx.on_commit(noting([], ""))


def noting(done: list[str], name: str) -> Callable[[], Awaitable[None]]:
    """Return work that lets other tasks run, and then notes its name."""

    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        done.append(name)

    return work


async def fail_in_savepoint(tx: Transaction, work: Callable[[], object]) -> None:
    """Do work in a savepoint that fails."""
    with suppress(ZeroDivisionError):
        async with tx.savepoint():
            work()
            raise ZeroDivisionError
