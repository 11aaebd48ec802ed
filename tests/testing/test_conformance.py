"""The suites of ports, for an implementation without the optional features."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modd.ports import Feed, Item, Outbox
from modd.stores import MemoryFeed, MemoryOutbox
from modd.testing.conformance import FeedConformance, OutboxConformance

pytestmark = pytest.mark.anyio


class Bare:
    """An outbox with the methods of the port and no others."""

    def __init__(self) -> None:
        outbox = MemoryOutbox()
        self.put: Any = outbox.put
        self.claim, self.ack, self.release = outbox.claim, outbox.ack, outbox.release


class OfBare(OutboxConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Outbox]:
        yield Bare()


async def test_optional_features_are_skipped_without_them() -> None:
    suite = OfBare()
    for test, reason in (
        (suite.test_a_put_ends_the_wait, "it has no method wait"),
        (suite.test_a_transaction_that_ends_keeps_all_that_was_put, "it has no transactions"),
    ):
        with pytest.raises(pytest.skip.Exception, match=reason):
            await test()
    await suite.test_an_empty_outbox_gives_nothing()


class OfFeed(FeedConformance):
    @asynccontextmanager
    async def create(self) -> AsyncIterator[Feed]:
        yield MemoryFeed()


async def test_promises_of_a_feed_about_unknown_options_are_skipped() -> None:
    suite = OfFeed()
    for test, reason in (
        (suite.test_the_latest_items_stay, "most is None"),
        (suite.test_items_stay_for_the_retention, "retention_ticks is None"),
        (suite.test_a_commit_wakes_followers, "it has no transactions"),
    ):
        with pytest.raises(pytest.skip.Exception, match=reason):
            await test()


class Hoarder(MemoryFeed):
    """A feed that removes nothing: not even its span moves."""

    async def put(self, *items: bytes | Item) -> list[str]:
        return []


async def test_a_feed_that_removes_nothing_fails_the_suite() -> None:
    with pytest.raises(AssertionError, match="the item at 1 is not removed after 300 puts"):
        await OfFeed().put_until_removed(Hoarder(), 1)
