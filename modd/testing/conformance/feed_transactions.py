"""The conformance suite for feeds with transactions; skipped for feeds without."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress

import anyio
import pytest

from modd.ports.feed import Feed
from modd.ports.items import Item
from modd.testing.conformance.base import Suite
from modd.testing.conformance.feed_follow import take
from modd.testing.conformance.storage_parts import outside


class FeedTransactionSuite(Suite[Feed]):
    """The promises about transactions; override `transaction` for an implementation that joins them."""

    def transaction(self, feed: Feed) -> AbstractAsyncContextManager[object] | None:
        """Begin a transaction that ``put`` joins, and beside which others can put; it rolls back if the block raises.

        Return None, the default, for an implementation without transactions.
        """
        return None

    async def test_items_get_their_positions_at_the_commit(self) -> None:
        """An item that was put by others before the commit has a lower position; nothing is seen before."""
        async with self.create() as feed, outside() as do:
            await feed.put(b"1")
            async with self._begin_feed(feed):
                await feed.put(b"3", Item(b"4", {"type": "a"}, "k", id="mine"))
                assert await do(feed.span) == (0, 1)
                await do(feed.put, b"2")
            await feed.put(b"5")
            items = await take(feed.follow(0), 5)
            assert [item.body for item in items] == [b"1", b"2", b"3", b"4", b"5"]
            assert (items[3].id, items[3].headers, items[3].key) == ("mine", {"type": "a"}, "k")

    async def test_a_transaction_that_fails_posts_nothing(self) -> None:
        """A rollback leaves neither items nor their ids."""
        async with self.create() as feed:
            await feed.put(b"1")
            with suppress(ZeroDivisionError):
                async with self._begin_feed(feed):
                    await feed.put(b"2", Item(b"3", id="mine"))
                    raise ZeroDivisionError
            await feed.put(Item(b"4", id="mine"))
            assert [item.body for item in await take(feed.follow(0), 2)] == [b"1", b"4"]

    async def test_an_id_from_before_a_transaction_is_not_posted_again_in_it(self) -> None:
        """It is returned, and not added, be it known at the put or by the commit."""
        async with self.create() as feed, outside() as do:
            await feed.put(Item(b"1", id="a"))
            async with self._begin_feed(feed):
                assert await feed.put(Item(b"2", id="a"), Item(b"3", id="b"), Item(b"5", id="c")) == ["a", "b", "c"]
                await do(feed.put, Item(b"4", id="b"))
            assert [item.body for item in await take(feed.follow(0), 3)] == [b"1", b"4", b"5"]

    async def test_a_commit_wakes_followers(self) -> None:
        """A follower that waits outside of the transaction gets the items of the commit."""
        received: list[bytes] = []

        async def follow() -> None:
            received.extend([item.body for item in await take(feed.follow(0), 2)])

        async with self.create() as feed:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                await anyio.wait_all_tasks_blocked()
                async with self._begin_feed(feed):
                    await feed.put(b"1")
                    await feed.put(b"2")
            assert received == [b"1", b"2"]

    def _begin_feed(self, feed: Feed) -> AbstractAsyncContextManager[object]:
        transaction = self.transaction(feed)
        if transaction is None:
            pytest.skip("it has no transactions")
        return transaction
