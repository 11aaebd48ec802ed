"""The conformance suite for outboxes with transactions; skipped for outboxes without."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress

import pytest

from modd.ports.items import Item
from modd.ports.outbox import Outbox
from modd.testing.conformance.base import Suite


class OutboxTransactionSuite(Suite[Outbox]):
    """The promises about transactions; override `transaction` for an implementation that joins them."""

    def transaction(self, outbox: Outbox) -> AbstractAsyncContextManager[object] | None:
        """Begin a transaction that ``put`` joins, as a handler does; it rolls back if the block raises.

        Return None, the default, for an implementation without transactions.
        """
        return None

    async def test_a_transaction_that_ends_keeps_all_that_was_put(self) -> None:
        """Committed items come after older ones, in their order."""
        async with self.create() as outbox:
            await outbox.put(b"1")
            async with self._begin(outbox):
                await outbox.put(b"2", Item(b"3", {"type": "a"}, "k", id="mine"))
                await outbox.put(b"4")
            claims = await outbox.claim(9, 100 * self.tick)
            assert [claim.body for claim in claims] == [b"1", b"2", b"3", b"4"]
            assert (claims[2].id, claims[2].headers, claims[2].key) == ("mine", {"type": "a"}, "k")

    async def test_a_transaction_that_fails_leaves_nothing_of_what_was_put(self) -> None:
        """A rollback removes the items and their ids; items that were put before and after stay."""
        async with self.create() as outbox:
            await outbox.put(b"1")
            with suppress(ZeroDivisionError):
                async with self._begin(outbox):
                    await outbox.put(b"2", Item(b"3", id="mine"))
                    raise ZeroDivisionError
            await outbox.put(Item(b"4", id="mine"))
            assert [claim.body for claim in await outbox.claim(9, 100 * self.tick)] == [b"1", b"4"]

    async def test_an_id_that_was_known_before_a_transaction_is_not_put_again_in_it(self) -> None:
        """A known id is returned but not added."""
        async with self.create() as outbox:
            await outbox.put(Item(b"1", id="a"))
            async with self._begin(outbox):
                assert await outbox.put(Item(b"2", id="a"), Item(b"3", id="b")) == ["a", "b"]
            assert [claim.body for claim in await outbox.claim(9, 100 * self.tick)] == [b"1", b"3"]

    def _begin(self, outbox: Outbox) -> AbstractAsyncContextManager[object]:
        transaction = self.transaction(outbox)
        if transaction is None:
            pytest.skip("it has no transactions")
        return transaction
